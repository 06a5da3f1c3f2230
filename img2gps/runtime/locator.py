"""A folder of ``img2gps export`` as a programmer meets it: photos of any kind in, positions out."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.answers import Prediction
from img2gps.errors import UsageError
from img2gps.exif import Capture
from img2gps.geo import FloatArray
from img2gps.pixels import Pixels, PixelSpec, UnreadableImageError, read_photo
from img2gps.runtime.description import THUMBNAILS, Description
from img2gps.runtime.evidence import Outputs, Places, located, located_together
from img2gps.runtime.frame import lonlat_of
from img2gps.runtime.graph import Graph
from img2gps.runtime.sightings import Match, Sighting
from img2gps.runtime.smoother import SiteSquares
from img2gps.text import safe_path
from img2gps.walks import walk_rows, walks_of

__all__ = ["Locator"]

Photo = str | PathLike[str] | bytes | Image.Image | NDArray[np.uint8]

_READERS: Final = 4


class Locator:
    """An exported model, ready on the CPU.

    `threads` is how many it computes with, 0 for onnxruntime's own choice. Raises NotFoundError where `folder` holds no
    export, InvalidCheckpointError where it is damaged, UsageError without onnxruntime.
    """

    def __init__(self, folder: str | PathLike[str], *, threads: int = 0) -> None:
        self.folder = Path(folder)
        self.description = Description.read(self.folder)
        self._graph = Graph.load(self.folder, self.description, threads=threads)

    @property
    def pixels(self) -> PixelSpec:
        """The images its graph takes."""
        return self.description.pixels

    @cached_property
    def cells_lonlat(self) -> FloatArray | None:
        """The places (C, 2) of its cells, lon and lat in degrees; None where it gives a point alone."""
        return None if self.description.centres is None else self._degrees(self.description.centres)

    @cached_property
    def gallery_lonlat(self) -> FloatArray | None:
        """Where the G photos of its gallery were taken, (G, 2), lon and lat in degrees; None where it has none."""
        return None if not self.description.compares else self._degrees(self._graph.gallery["gallery.xy"])

    def thumbnail(self, row: int) -> Path | None:
        """Return the JPEG of photo `row` of the gallery, None where the export holds none."""
        path = self.folder / THUMBNAILS / f"{row:05d}.jpg"
        return path if path.is_file() else None

    def locate(self, photo: Photo) -> Prediction:
        """Return where a photo was taken.

        A photo is a path, the bytes of a file, a `PIL.Image`, or a uint8 array (height, width, 3) of sRGB pixels. Where
        it cannot be read, `error` says why and there is no position. Raises UsageError for anything else than a photo.
        """
        return self.locate_many([photo])[0]

    def locate_many(self, photos: Sequence[Photo], *, walks: bool = False) -> list[Prediction]:
        """Return one answer per photo, in their order.

        With `walks`, photos that one camera took at most ten minutes apart are located together; their EXIF says so.
        Raises UsageError for anything else than a photo, and for `walks` of a model that gives points alone.
        """
        return [sighting.answer for sighting in self.sightings(photos, walks=walks)]

    def sightings(self, photos: Sequence[Photo], *, walks: bool = False) -> list[Sighting]:
        """Return what `locate_many` returns, each with its whole distribution and the photos most alike."""
        names = [_name(photo, number) for number, photo in enumerate(photos, start=1)]
        with ThreadPoolExecutor(max_workers=_READERS) as pool:  # Pillow decodes outside the interpreter lock
            found = list(pool.map(self._read, photos))
        good = [row for row, one in enumerate(found) if not isinstance(one, str)]
        read = [one for one in found if not isinstance(one, str)]
        named = [names[row] for row in good]
        captures = [capture for _, capture in read] if walks else None
        located_photos = self.sightings_of(_stacked(read, self.pixels), names=named, captures=captures)
        of_row = dict(zip(good, located_photos, strict=True))
        return [of_row[row] if row in of_row else _unread(names[row], str(one)) for row, one in enumerate(found)]

    def sightings_of(
        self,
        images: NDArray[np.uint8],
        *,
        names: Sequence[str] | None = None,
        captures: Sequence[Capture] | None = None,
    ) -> list[Sighting]:
        """Return the sightings of N photos that `img2gps.pixels` has read: uint8 (N, 3, height, width) of `pixels`.

        `names` (N) are those of the answers. With `captures` (N), photos of one walk are located together. Raises
        UsageError for that of a model that gives points alone.
        """
        if captures is not None and self.description.centres is None:
            raise UsageError("This model gives points alone: walks need an export of preset quick or default.")
        if not len(images):
            return []
        outputs = self._graph.run(images)
        places = [None] * len(images) if captures is None else self._together(outputs, captures)
        return [
            self._sighting(outputs, row, names[row] if names else f"photo {row + 1}", place)
            for row, place in enumerate(places)
        ]

    def _read(self, photo: Photo) -> tuple[Pixels, Capture] | str:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.", category=UserWarning)  # of a corrupt EXIF
                return read_photo(_content(photo), self.pixels)
        except UnreadableImageError as error:
            return str(error)

    def _together(self, outputs: Outputs, captures: Sequence[Capture]) -> list[Places | None]:
        """Return the place of each photo that has company on its walk; None of the others."""
        assert self.description.centres is not None
        walks, seconds = walks_of(captures)
        squares = SiteSquares.around(self.description.centres, self.description.cell_m)
        places: list[Places | None] = [None] * len(captures)
        for rows in walk_rows(walks, seconds):
            own = {name: values[rows] for name, values in outputs.items()}
            alone = located(own, self.description)
            together = located_together(own, self.description, squares, alone, seconds[rows])
            for k, row in enumerate(rows.tolist()):
                places[row] = together.take(k)
        return places

    def _sighting(self, outputs: Outputs, row: int, name: str, place: Places | None) -> Sighting:
        own = {key: values[row : row + 1] for key, values in outputs.items()}
        found = located(own, self.description) if place is None else place
        answer = Prediction(
            file=name,
            lon=float(found.lon[0]),
            lat=float(found.lat[0]),
            radius_50_m=None if found.radii_m is None else float(found.radii_m[0, 0]),
            radius_90_m=None if found.radii_m is None else float(found.radii_m[0, 1]),
            error=None,
            familiarity=None if found.familiarity is None else float(found.familiarity[0]),
        )
        probs = None if found.probs is None else found.probs[0]
        return Sighting(answer=answer, probs=probs, matches=tuple(self._matches(own)))

    def _matches(self, outputs: Outputs) -> Iterator[Match]:
        if "matches" not in outputs or self.gallery_lonlat is None:
            return
        ids = self.description.gallery_ids
        columns = (outputs["matches"][0], outputs["match_similarity"][0], outputs["match_weight"][0])
        for row, similarity, weight in zip(*(column.tolist() for column in columns), strict=True):
            lon, lat = self.gallery_lonlat[row].tolist()
            photo = None if ids is None else ids[row]
            yield Match(row=row, photo=photo, lon=lon, lat=lat, similarity=similarity, weight=weight)

    def _degrees(self, places: NDArray[Any]) -> FloatArray:
        return np.stack(lonlat_of(self.description.frame, places[:, 0], places[:, 1]), axis=1)


def _stacked(read: list[tuple[Pixels, Capture]], spec: PixelSpec) -> NDArray[np.uint8]:
    if not read:
        return np.empty((0, 3, spec.height, spec.width), dtype=np.uint8)
    return np.stack([pixels for pixels, _ in read])


def _unread(name: str, error: str) -> Sighting:
    nothing = {"lon": None, "lat": None, "radius_50_m": None, "radius_90_m": None}
    return Sighting(answer=Prediction(file=name, error=error, **nothing))


def _name(photo: Photo, number: int) -> str:
    return safe_path(photo) if isinstance(photo, str | PathLike) else f"photo {number}"


def _content(photo: Photo) -> Path | bytes | Image.Image:
    if isinstance(photo, bytes | Image.Image):
        return photo
    if isinstance(photo, str | PathLike):
        return Path(photo)
    if isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3:
        return Image.fromarray(photo)
    raise UsageError("That is no path, no bytes, no PIL image and no uint8 array of shape (height, width, 3).")
