"""The routes of the label page: its files, the photos by id, the dataset, the queue, and the corrections."""

import dataclasses
import json
import re
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from collect.label.actions import Label, TooLongError, clean_why, new_batch, parse_changes, shown
from collect.label.opening import Opening
from img2gps.errors import DatasetLockedError, Img2GPSError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collect.label.store import LabelStore, Outcome
    from collect.label.unplaced import UnplacedPhotos

__all__ = ["routes"]

_FILES: Final = {
    "ground.css": "text/css",
    "ground.js": "text/javascript",
    "page.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "map.js": "text/javascript",
    "queue.js": "text/javascript",
    "store.js": "text/javascript",
}
_BATCH: Final = re.compile(r"[0-9a-zA-Z-]{8,64}")


class _Json(Response):
    """JSON in ASCII: a reason may hold a lone surrogate, which no encoding of text can carry."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes of a value."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


def routes(opening: Opening) -> list[Route]:
    """Return the routes over one dataset; all but the page itself and the progress wait until it is open."""
    return [*_files(opening), *_facts(opening), *_unplaced(opening), *_writing(opening)]


def _files(opening: Opening) -> list[Route]:
    """Return the routes of the page's own files and of the photos."""

    def page(_request: Request) -> Response:
        return _packaged("page.html")

    def file(request: Request) -> Response:
        return _packaged(request.path_params["name"])

    def photo(request: Request) -> Response:
        path = opening.labelling().page.photo_file(request.path_params["photo_id"])
        return FileResponse(path, media_type="image/jpeg") if path else _error(404, "There is no such photo.")

    return [
        Route("/", page),
        Route("/favicon.ico", lambda _request: Response(status_code=204)),
        Route("/static/{name}", file),
        Route("/photos/{photo_id}", photo),
    ]


def _facts(opening: Opening) -> list[Route]:
    """Return the routes of what the page shows: the dataset, its labels, the queue, the name of a place."""

    def progress(_request: Request) -> Response:
        return _Json(opening.progress())

    def dataset(_request: Request) -> Response:
        return _answer(lambda: opening.labelling().page.describe())

    def labels(_request: Request) -> Response:
        return _answer(lambda: opening.labelling().page.labels())

    def queue(_request: Request) -> Response:
        return _answer(lambda: [dataclasses.asdict(suspicion) for suspicion in opening.labelling().queue.suspicions()])

    def place(request: Request) -> Response:
        try:
            lon, lat = (float(request.query_params[name]) for name in ("lon", "lat"))
        except (KeyError, ValueError):
            return _error(400, "Where is it? Give lon and lat in degrees.")
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            return _error(400, "lon and lat are degrees, up to 180 and 90.")
        return _answer(lambda: opening.labelling().page.place(lon, lat))

    return [
        Route("/api/progress", progress),
        Route("/api/dataset", dataset),
        Route("/api/labels", labels),
        Route("/api/queue", queue),
        Route("/api/place", place),
    ]


def _unplaced(opening: Opening) -> list[Route]:
    """Return the routes of the photos that wait for a position."""

    def here() -> "UnplacedPhotos | None":
        return opening.labelling().unplaced

    def unplaced(_request: Request) -> Response:
        return _answer(lambda: [dataclasses.asdict(row) for row in waiting.waiting()] if (waiting := here()) else [])

    def picture(request: Request) -> Response:
        try:
            photos = here()
            content = photos.picture(request.path_params["sha256"]) if photos else None
        except (Img2GPSError, OSError, ValueError):
            content = None
        return Response(content, media_type="image/jpeg") if content else _error(404, "There is no such photo.")

    async def placed(request: Request) -> Response:
        """Answer a POST of ``{"sha256", "lon", "lat"}``: the photo is in the dataset when the answer comes."""
        try:
            body = json.loads(await request.body())
            sha256, lon, lat = str(body["sha256"]), float(body["lon"]), float(body["lat"])
        except (ValueError, RecursionError, TypeError, KeyError, OverflowError):
            return _error(400, "The body names no photo with its lon and lat.")
        return await run_in_threadpool(_place, here(), sha256, lon, lat)

    return [
        Route("/api/unplaced", unplaced),
        Route("/unplaced/{sha256}", picture),
        Route("/api/placed", placed, methods=["POST"]),
    ]


def _writing(opening: Opening) -> list[Route]:
    """Return the route that takes corrections."""

    async def corrections(request: Request) -> Response:
        """Answer a POST of changes or of an undo; a body that is not JSON is a 400."""
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            return _error(400, "The body is not JSON.")
        return await run_in_threadpool(_correct, opening, body)

    return [Route("/api/corrections", corrections, methods=["POST"])]


def _packaged(name: str) -> Response:
    if name not in _FILES:
        return _error(404, "There is no such file.")
    home = "img2gps.report" if name.startswith("ground.") else "collect.label"
    content = (resources.files(home) / name).read_bytes()
    return Response(content, media_type=_FILES[name])


def _correct(opening: Opening, body: Any) -> Response:
    """Carry a request out: ``{"changes": [...], "why", "batch"}``, or ``{"undo": batch or null, "batch"}``."""

    def act(store: "LabelStore") -> "Outcome":
        """Return what the store made of the request. Raises UsageError for one that makes no sense."""
        if not isinstance(body, dict) or ("undo" in body) == ("changes" in body):
            raise UsageError("A request holds either `changes` or `undo`.")
        batch = body.get("batch") or new_batch()
        undone = body.get("undo")
        if not all(value is None or (isinstance(value, str) and _BATCH.fullmatch(value)) for value in (batch, undone)):
            raise UsageError("The name of a batch is 8 to 64 letters, digits or dashes.")
        if "undo" in body:
            return store.undo(undone, batch=batch)
        return store.apply(parse_changes(body["changes"]), why=clean_why(body.get("why")), batch=batch)

    try:
        store = opening.labelling().store
        outcome = act(store)
        touched = outcome.stale or tuple(line.photo_id for line in outcome.written)
        labels = store.labels()
    except Img2GPSError as error:
        return _error(_status(error), str(error))
    except OSError as error:  # a read-only folder, a full disk
        return _error(507, f"Not saved: the dataset cannot be written ({error.strerror or type(error).__name__}).")
    found = {photo_id: shown(labels.get(photo_id, Label())) for photo_id in touched}
    if outcome.stale:
        sentence = "Somebody else changed this label in the meantime: nothing was saved, the newest is shown."
        return _Json({"error": sentence, "labels": found}, status_code=409)
    return _Json({"batch": outcome.batch, "labels": found})


def _place(photos: "UnplacedPhotos | None", sha256: str, lon: float, lat: float) -> Response:
    try:
        if photos is None:
            raise NotFoundError("No photos wait for a position: start the page with --photos FOLDER.")
        photos.place(sha256, lon, lat)
    except Img2GPSError as error:
        return _error(_status(error), str(error))
    except OSError as error:
        return _error(507, f"Not saved: the dataset cannot be written ({error.strerror or type(error).__name__}).")
    return _Json({"id": sha256})


def _answer(produce: Callable[[], Any]) -> Response:
    try:
        return _Json(produce())
    except Img2GPSError as error:
        return _error(_status(error), str(error))


def _status(error: Img2GPSError) -> int:
    kinds: tuple[tuple[type[Img2GPSError], int], ...] = (
        (DatasetLockedError, 423),
        (NotFoundError, 404),
        (TooLongError, 413),
        (UsageError, 400),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def _error(status: int, sentence: str) -> _Json:
    return _Json({"error": sentence}, status_code=status)
