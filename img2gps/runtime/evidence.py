"""From what a graph says of photos to positions, regions and familiarity, in metres."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from img2gps.familiarity import familiarity_of, walk_familiarity
from img2gps.geo import FloatArray
from img2gps.runtime.description import Description, RegionScale
from img2gps.runtime.frame import lonlat_of
from img2gps.runtime.regions import answer_points, region_radii
from img2gps.runtime.smoother import SiteSquares
from img2gps.walks import evidence_weights

__all__ = ["Outputs", "Places", "located", "located_together"]

Outputs = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """N positions: degrees (N,), and where the model has them radii (N, 2) in metres, familiarity (N,), probabilities.

    `point` (N, 2) is east and north in metres, NaN where a model names degrees.
    """

    lon: FloatArray
    lat: FloatArray
    point: FloatArray
    radii_m: FloatArray | None = None
    familiarity: FloatArray | None = None
    probs: FloatArray | None = None

    def take(self, row: int) -> "Places":
        """Return the place of one of the photos."""
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept: dict[str, Any] = {name: part if part is None else part[row : row + 1] for name, part in columns.items()}
        return Places(**kept)


def located(outputs: Outputs, description: Description) -> Places:
    """Return the places of N photos, each by itself."""
    if description.centres is None or description.alone is None:
        return _points(outputs["coordinates"].astype(np.float64), description)
    places = _placed(outputs["log_probs"].astype(np.float64), description, description.centres, description.alone)
    if "similarity" not in outputs:
        return places
    return dataclasses.replace(places, familiarity=familiarity_of(description.held_out, outputs["similarity"]))


def located_together(
    outputs: Outputs, description: Description, squares: SiteSquares, alone: Places, seconds: FloatArray
) -> Places:
    """Return the places of the N photos of one walk, located together; `seconds` (N,) are in order of time.

    `alone` are the places of each by itself. For models with a distribution over cells.
    """
    assert description.centres is not None
    assert description.walks is not None
    together = squares.log_probs(outputs["log_probs"].astype(np.float64), seconds)
    places = _placed(together, description, description.centres, description.walks)
    if alone.familiarity is None or alone.radii_m is None:
        return places
    agrees = np.hypot(*(alone.point - places.point).T) <= alone.radii_m[:, 1]
    walk = walk_familiarity(alone.familiarity, agrees, evidence_weights(seconds))
    return dataclasses.replace(places, familiarity=np.full(len(seconds), walk))


def _placed(log_probs: FloatArray, description: Description, centres: FloatArray, stretch: RegionScale) -> Places:
    probs = np.exp(log_probs)
    point = answer_points(probs, centres, description.answer, bandwidth_m=description.bandwidth_m)
    tempered = np.exp(stretch.temper * (log_probs - log_probs.max(axis=1, keepdims=True)))
    tempered /= tempered.sum(axis=1, keepdims=True)
    radii_m = region_radii(tempered, centres, point, cell_m=description.cell_m)
    radii_m *= [stretch.inflation_50, stretch.inflation_90]
    lon, lat = lonlat_of(description.frame, point[:, 0], point[:, 1])
    return Places(lon=lon, lat=lat, point=point, radii_m=np.maximum.accumulate(radii_m, axis=1), probs=tempered)


def _points(numbers: FloatArray, description: Description) -> Places:
    """Return the places that a network names by two numbers: scaled metres, or scaled latitude and longitude."""
    target = description.target or {}
    values = numbers * np.asarray(target["scale"], np.float64) + np.asarray(target["offset"], np.float64)
    if target["kind"] == "degrees":
        lat, lon = np.clip(values[:, 0], -90.0, 90.0), (values[:, 1] + 180.0) % 360.0 - 180.0
        return Places(lon=lon, lat=lat, point=np.full_like(values, np.nan))
    lon, lat = lonlat_of(description.frame, values[:, 0], values[:, 1])
    return Places(lon=lon, lat=lat, point=values)
