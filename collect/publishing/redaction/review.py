"""The review page: what was found in the pictures, the found and the unsure first, for a person to say hide or show."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast, get_args

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from img2gps.dataset import Dataset
from img2gps.errors import DatasetLockedError
from img2gps.redactions import (
    Box,
    PictureRegion,
    Redactions,
    Verdict,
    load_redactions,
    save_redactions,
)
from img2gps.types import Photo
from img2gps.web.guard import Bodies, Guard, Policy
from img2gps.web.listening import End, ListeningAddress, run_server

__all__ = ["ReviewDesk", "review_app", "serve_review"]

_FOLDER: Final = Path(__file__).parent
_STATIC: Final = {"review.js": "text/javascript", "review.css": "text/css"}
_MOST_DRAWN: Final = 500
_BODIES: Final = Bodies(
    command="publish --review",
    kinds=("application/json",),
    most_bytes=1 << 20,
    refusal="An answer is sent as application/json.",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDesk:
    """The photos of a dataset that are published, and what is said of their regions; every answer is saved at once."""

    dataset: Dataset
    photos: Sequence[Photo]

    def listing(self) -> list[dict[str, Any]]:
        """Return every photo with its regions: those with unsure regions first, then those with found ones."""
        known = load_redactions(self.dataset)
        rows = [
            {
                "id": photo.id,
                "width": photo.width,
                "height": photo.height,
                "regions": [_shown(region) for region in known.regions.get(photo.id, ())],
            }
            for photo in self.photos
        ]

        def order(row: dict[str, Any]) -> tuple[bool, bool, float]:
            found = [one for one in row["regions"] if one["score"] is not None]
            return not any(one["unsure"] for one in found), not found, -max((one["score"] for one in found), default=0)

        return sorted(rows, key=order)

    def answer(self, photo_id: str, verdicts: Sequence[str], drawn: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        """Keep what a person said of a photo: a verdict for each region that was found, and all boxes that are drawn.

        Returns the photo's regions. Raises ValueError where the answer does not fit the photo, DatasetLockedError.
        """
        photo = next((one for one in self.photos if one.id == photo_id), None)
        if photo is None or len(drawn) > _MOST_DRAWN:
            raise ValueError("no such photo")
        with self.dataset.lock():
            known = load_redactions(self.dataset)
            found = [region for region in known.regions.get(photo_id, ()) if region.score is not None]
            if len(found) != len(verdicts) or not set(verdicts) <= set(get_args(Verdict)):
                raise ValueError("the regions have changed: load the page again")
            said = [
                dataclasses.replace(region, verdict=cast(Verdict, word))
                for region, word in zip(found, verdicts, strict=True)
            ]
            by_hand = [PictureRegion(box=_box(sides, photo), kind="hand") for sides in drawn]
            regions = {**known.regions, photo_id: [*said, *by_hand]}
            save_redactions(self.dataset, Redactions(regions=regions, looked=known.looked))
        return [_shown(region) for region in regions[photo_id]]


def _shown(region: PictureRegion) -> dict[str, Any]:
    box = region.box
    return {
        "box": [box.left, box.top, box.right, box.bottom],
        "kind": region.kind,
        "score": region.score,
        "verdict": region.verdict,
        "hidden": region.is_hidden,
        "unsure": region.is_unsure,
    }


def _box(sides: Sequence[int], photo: Photo) -> Box:
    left, top, right, bottom = (int(side) for side in sides)
    if not (0 <= left < right <= photo.width and 0 <= top < bottom <= photo.height):
        raise ValueError("a box lies outside the picture")
    return Box(left=left, top=top, right=right, bottom=bottom)


def review_app(desk: ReviewDesk, policy: Policy) -> Starlette:
    """Return the application over a dataset's pictures, guarded by `policy`."""
    ids = {photo.id for photo in desk.photos}

    async def page(_: Request) -> Response:
        return FileResponse(_FOLDER / "review.html", media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return Response(status_code=404)
        return FileResponse(_FOLDER / name, media_type=_STATIC[name])

    async def picture(request: Request) -> Response:
        photo_id = request.path_params["photo_id"]
        path = desk.dataset.photo_path(photo_id)
        if photo_id not in ids or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, media_type="image/jpeg")

    async def listing(_: Request) -> Response:
        return JSONResponse({"photos": await run_in_threadpool(desk.listing)})

    async def answer(request: Request) -> Response:
        try:
            told = json.loads(await request.body())
            given = (str(told["id"]), list(told["verdicts"]), list(told["drawn"]))
            regions = await run_in_threadpool(desk.answer, *given)
        except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"The answer was not kept: {error}."}, status_code=400)
        except DatasetLockedError as error:
            return JSONResponse({"error": str(error)}, status_code=409)
        return JSONResponse({"regions": regions})

    routes = [
        Route("/", page),
        Route("/favicon.ico", lambda _request: Response(status_code=204)),
        Route("/static/{name}", static),
        Route("/photos/{photo_id}", picture),
        Route("/api/review", listing),
        Route("/api/review", answer, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, policy=policy, bodies=_BODIES)])


def serve_review(desk: ReviewDesk, *, host: str, port: int, started: Callable[[ListeningAddress, End], None]) -> None:
    """Serve the page until Ctrl-C. Raises UsageError where the address cannot be had."""
    run_server(lambda policy: review_app(desk, policy), host=host, port=port, started=started)
