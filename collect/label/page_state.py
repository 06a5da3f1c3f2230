"""What the label page draws: the dataset as plain JSON values, and the pictures of its photos."""

import dataclasses
import math
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collect.label.actions import BY_LIMIT, Label, shown
from collect.label.layers import to_geojson
from collect.label.predictions import FoldPrediction
from collect.label.refined import RefinedPlace
from collect.label.standing import WORTH_LOOKING, WRONG_M
from collect.label.store import LabelStore
from img2gps.basemap.features import Basemap
from img2gps.basemap.ground import ground_columns
from img2gps.basemap.surroundings import Surroundings
from img2gps.geo import LocalFrame
from img2gps.text import safe_text

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["PageState"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """The store with what is drawn behind its photos: layers, the basemap, and where models place them."""

    store: LabelStore
    buildings: "list[BaseGeometry]"
    paths: "list[BaseGeometry]"
    predictions: Mapping[str, FoldPrediction]
    basemap: Basemap | None = None
    surroundings: Surroundings | None = None
    refined: Mapping[str, RefinedPlace] = dataclasses.field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return everything the page draws, as plain JSON values."""
        frame, site = self.store.refresh().frame, self.store.site
        labels = self.store.labels()
        return {
            "site": {"name": site.title or site.name, "geometry": to_geojson([site.polygon])[0]},
            "projection": _projection(site.frame),
            "by": safe_text(self.store.by, limit=BY_LIMIT),
            "worth_looking": WORTH_LOOKING,
            "wrong_m": WRONG_M,
            "buildings": to_geojson(self.buildings),
            "paths": to_geojson(self.paths),
            "ground": ground_columns(self.basemap, site.frame),
            "photos": [
                _photo(
                    row, labels.get(row["id"], Label()), self.predictions.get(row["id"]), self.refined.get(row["id"])
                )
                for row in frame.to_dict("records")
            ],
        }

    def place(self, lon: float, lat: float) -> dict[str, Any]:
        """Return in words where a position is, and the nearest ground where it is on a roof or in water."""
        if self.surroundings is None:
            return {"text": "", "on_roof": False, "ground": None}
        found = self.surroundings.at(lon, lat)
        text = f"on the roof of{found.text.removeprefix('in')}" if found.on_roof else found.text
        ground = dataclasses.asdict(found.ground) if found.ground else None
        return {"text": text, "on_roof": found.on_roof, "ground": ground}

    def labels(self) -> dict[str, Any]:
        """Return the labels that anybody touched, as plain JSON values."""
        return {photo_id: shown(label) for photo_id, label in self.store.labels().items()}

    def photo_file(self, photo_id: str) -> Path | None:
        """Return the working copy of a photo of the dataset, None where there is none inside the dataset's folder."""
        dataset = self.store.dataset
        if photo_id not in self.store.newest.ids:
            return None
        return dataset.copies.inside(photo_id)


def _photo(
    row: dict[Any, Any], label: Label, prediction: FoldPrediction | None, refined: RefinedPlace | None
) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": safe_text(row["source_name"], limit=120),
        "walk": row["walk"],
        "burst": _text(row["burst"]),
        "captured_at": _time(row),
        "accuracy_m": _number(row["gps_accuracy_m"]),
        "lon": row["ingest_lon"],
        "lat": row["ingest_lat"],
        "heading_deg": _number(row["ingest_heading_deg"]),
        "width": row["width"],
        "height": row["height"],
        "model": dataclasses.asdict(prediction) if prediction else None,
        "refined": dataclasses.asdict(refined) if refined else None,
        "label": shown(label),
    }


def _projection(frame: LocalFrame) -> dict[str, float]:
    """Return the origin and the metres per degree there: all a page needs to draw a site in metres.

    The straight-line approximation is off by some centimetres at the end of a kilometre, but only in the drawing. The
    page reads positions back through the same numbers.
    """
    step = 1e-3
    east_m, _ = frame.to_local(frame.origin_lon + step, frame.origin_lat)
    _, north_m = frame.to_local(frame.origin_lon, frame.origin_lat + step)
    return {
        "lon": frame.origin_lon,
        "lat": frame.origin_lat,
        "m_per_lon": float(east_m) / step,
        "m_per_lat": float(north_m) / step,
    }


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _time(row: dict[Any, Any]) -> str | None:
    """Return the capture time as the phone's clock showed it, where its offset is known, else in UTC."""
    import pandas as pd

    captured, offset_min = row["captured_at"], _number(row["utc_offset_min"])
    if captured is None or pd.isna(captured):
        return None
    if offset_min is None:
        return f"{captured:%Y-%m-%d %H:%M:%S} UTC"
    return f"{captured + timedelta(minutes=offset_min):%Y-%m-%d %H:%M:%S}"
