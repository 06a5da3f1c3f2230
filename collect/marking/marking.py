"""The page on which photos are marked: what it shows, what it saves, and the server behind it."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from collect.marking.polygons import Marks, parse_polygons, read_marks
from img2gps.dataset import Dataset
from img2gps.masks import CLASSES, COLOURS, names_of_marks
from img2gps.text import safe_text
from img2gps.web.guard import Bodies, Guard, Policy
from img2gps.web.listening import End, ListeningAddress, run_server
from img2gps.web.pages import Files, json_response, kept, page_routes

__all__ = ["Marking", "create_marking_app", "import_marks", "serve_marking"]

_BODIES: Final = Bodies(
    command="label --marks",
    kinds=("application/json",),
    most_bytes=4 << 20,
    refusal="Polygons are sent as application/json.",
)
_FILES: Final[Files] = {
    "page.css": ("text/css", ("img2gps.report/report.css", "collect.marking/page.css")),
    "page.js": ("text/javascript", ("collect.marking/page.js",)),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Photo:
    name: str
    path: Path
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """The photos of a dataset by id, in the order of walks and times, and the marks on them."""

    photos: Mapping[str, _Photo]
    marks: Marks

    @classmethod
    def of(cls, dataset: Dataset, folder: Path) -> Self:
        """Return the photos of a dataset with the marks in a folder. Raises InvalidDatasetError."""
        frame = dataset.frame().sort_values(["walk", "captured_at", "id"])
        ids = frame["id"].astype(str).tolist()
        names = names_of_marks(ids, frame["source_name"].astype(str).tolist())
        photos = {
            own: _Photo(name=name, path=dataset.photo_path(own), size=(int(width), int(height)))
            for own, name, width, height in zip(ids, names, frame["width"], frame["height"], strict=True)
        }
        return cls(photos=photos, marks=Marks.open(folder))

    def state(self) -> dict[str, Any]:
        """Return what the page begins with, as plain values."""
        return {
            "classes": list(CLASSES),
            "colours": ["#" + "".join(f"{channel:02x}" for channel in colour) for colour in COLOURS],
            "photos": [
                {"id": own, "name": safe_text(photo.name, limit=80), "marked": photo.name in self.marks.photos}
                for own, photo in self.photos.items()
            ],
        }

    def polygons(self, photo_id: str) -> list[dict[str, Any]]:
        """Return the polygons of a photo. Raises KeyError for one that is not of the dataset."""
        return [polygon.to_dict() for polygon in self.marks.photos.get(self.photos[photo_id].name, ())]

    def save(self, photo_id: str, asked: Any) -> dict[str, Any]:
        """Keep the polygons that the page sends, and write the mask. Raises UsageError, KeyError."""
        photo = self.photos[photo_id]
        polygons = parse_polygons(asked)
        self.marks.save(photo.name, polygons, photo.size)
        return {"polygons": len(polygons)}


def import_marks(dataset: Dataset, folder: Path, file: Path) -> tuple[int, int]:
    """Take over the polygons of a file and write their masks; return how many photos, and how many are not here.

    Polygons of a photo take the place of what was marked on it. Raises NotFoundError, InvalidDatasetError.
    """
    found = read_marks(file)
    marking = Marking.of(dataset, folder)
    sizes = {photo.name: photo.size for photo in marking.photos.values()}
    known = [name for name in found if name in sizes]
    for name in known:
        marking.marks.save(name, found[name], sizes[name])
    return len(known), len(found) - len(known)


def create_marking_app(marking: Marking, policy: Policy) -> Starlette:
    """Return the application over the photos of one dataset, guarded by `policy`."""

    def photo(request: Request) -> Response:
        known = marking.photos.get(request.path_params["photo_id"])
        if known is None or not known.path.is_file():
            return json_response({"error": "There is no such photo."}, 404)
        return FileResponse(known.path, media_type="image/jpeg")

    async def marks(request: Request) -> Response:
        """Return a photo's polygons, or keep those that are posted; what is none is a 400 with a sentence."""
        photo_id = request.path_params["photo_id"]
        if photo_id not in marking.photos:
            return json_response({"error": "There is no such photo."}, 404)
        if request.method == "GET":
            return json_response({"polygons": marking.polygons(photo_id)})
        return await kept(request, partial(marking.save, photo_id))

    routes = [
        *page_routes("collect.marking/page.html", marking.state, _FILES),
        Route("/photos/{photo_id}", photo),
        Route("/api/marks/{photo_id}", marks, methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, policy=policy, bodies=_BODIES)])


def serve_marking(marking: Marking, *, host: str, port: int, started: Callable[[ListeningAddress], None]) -> None:
    """Answer on `host` and `port` (0: any free one) until Ctrl-C. Raises UsageError where the address cannot be had."""

    def tell(address: ListeningAddress, _end: End) -> None:
        started(address)

    run_server(lambda policy: create_marking_app(marking, policy), host=host, port=port, started=tell)
