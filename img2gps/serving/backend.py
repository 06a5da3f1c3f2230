"""What the service asks of a model: positions of decoded photos. A run of torch gives them, or an exported model."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from PIL import Image

from img2gps.basemap.surroundings import Surroundings
from img2gps.exif import Capture
from img2gps.geo import FloatArray, LocalFrame

__all__ = ["Backend", "DecodedPhoto", "Ground", "Located", "ServedModel"]

Ground = Mapping[str, Any]
"""What a page's map draws, in decimetres: bounds, outline, buildings, paths (`img2gps.report.shapes`)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DecodedPhoto:
    """A decoded photo: upright RGB pixels in sRGB, and what its EXIF says of camera and time."""

    image: Image.Image
    capture: Capture


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where one photo was taken: degrees, radii in metres, the p-value of its being of the site.

    `probs` (C,) is the distribution over the model's cells. `alike` are the numbers of the most similar training
    photos, best first. They are None and empty if the model has none.
    """

    lon: float
    lat: float
    radius_50_m: float | None
    radius_90_m: float | None
    familiarity: float | None
    probs: FloatArray | None = None
    alike: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What is told of a model. `cells` (C, 2) are the centres of its cells in metres of `frame`, `cell_m` their side.

    `alike_lonlat` (G, 2) is where the training photos were taken, in degrees, of a model that compares with them.
    `surroundings` says in words where a place is, where the site has a map. `about` is more about it, as JSON values.
    """

    name: str
    site: str
    frame: LocalFrame
    ground: Ground
    locates_walks: bool
    tells_strangers: bool
    cells: NDArray[Any] | None = None
    cell_m: float | None = None
    alike_lonlat: FloatArray | None = None
    shows_photos: bool = False
    surroundings: Surroundings | None = None
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Backend(Protocol):
    """A model behind the service. One thread at a time calls `locate`."""

    @property
    def model(self) -> ServedModel:
        """What is told of it."""
        ...

    def locate(self, shots: Sequence[DecodedPhoto], *, walk: bool) -> list[Located]:
        """Return one answer per photo, in their order; with `walk`, those of one walk are located together.

        Raises Img2GPSError where the model cannot.
        """
        ...

    def photo(self, number: int) -> bytes | None:
        """Return training photo `number` as a small JPEG; None where it is not there or not to be shown."""
        ...
