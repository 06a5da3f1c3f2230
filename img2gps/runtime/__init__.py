"""An exported model without torch: photos in, positions out, by onnxruntime, Pillow and numpy (`img2gps[runtime]`).

    >>> from img2gps.runtime import Locator
    >>> answer = Locator("OUT").locate("photo.jpg")
    >>> answer.lon, answer.lat, answer.radius_50_m, answer.radius_90_m, answer.familiarity
    (-75.19, 39.95, 8.1, 21.4, 0.62)

OUT is a folder of ``img2gps export`` (docs/guides/export.md says what it holds).
"""

from typing import TYPE_CHECKING

from img2gps.lazy import lazy_names

if TYPE_CHECKING:
    from img2gps.runtime.description import Description
    from img2gps.runtime.locator import Locator
    from img2gps.runtime.sightings import Match, Sighting

__all__ = ["Description", "Locator", "Match", "Sighting"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"Description": "img2gps.runtime.description", "Locator": "img2gps.runtime.locator"}
    | dict.fromkeys(("Match", "Sighting"), "img2gps.runtime.sightings"),
)
