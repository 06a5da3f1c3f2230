"""Where photos were taken, one answer per photo: what `predict`, an exported model and the service all say."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["UNFAMILIAR_BELOW", "Prediction", "is_sure", "is_unfamiliar", "predictions_geojson", "predictions_json"]

UNFAMILIAR_BELOW: Final = 0.05
"""A photo or walk of less familiarity may be from elsewhere: so little has one in twenty on the site at most."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Where one file was taken, in degrees, or the sentence that says why that cannot be told.

    `familiarity` is the p-value of its being of the site (a conformal p-value), None where the model tells none.
    """

    file: str
    lon: float | None
    lat: float | None
    radius_50_m: float | None
    radius_90_m: float | None
    error: str | None
    familiarity: float | None = None


def is_sure(prediction: Prediction, abstain_m: float | None) -> bool | None:
    """Return whether the 90 % region is within `abstain_m`, and the photo familiar.

    None where nothing was asked or the model has no regions.
    """
    if abstain_m is None or prediction.radius_90_m is None:
        return None
    return prediction.radius_90_m <= abstain_m and not is_unfamiliar(prediction)


def is_unfamiliar(prediction: Prediction) -> bool:
    """Return whether the photo, or its walk, looks less like the site than nearly all that is taken there."""
    return prediction.familiarity is not None and prediction.familiarity < UNFAMILIAR_BELOW


def predictions_json(predictions: Iterable[Prediction], *, abstain_m: float | None = None) -> list[dict[str, Any]]:
    """Return the rows of the ``predict --json`` contract; ``sure`` is added where `abstain_m` was given."""
    rows: list[dict[str, Any]] = []
    for prediction in predictions:
        sure = {} if abstain_m is None else {"sure": is_sure(prediction, abstain_m)}
        rows.append(dataclasses.asdict(prediction) | sure)
    return rows


def predictions_geojson(predictions: Iterable[Prediction], *, abstain_m: float | None = None) -> str:
    """Return the located photos as a GeoJSON FeatureCollection of points, [lon, lat]; unread files are left out.

    >>> from train import predict, predictions_geojson
    >>> predictions_geojson(predict("runs/quick-001", "IMG_0042.jpg"))[:28]
    '{"type": "FeatureCollection"'
    """
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [row.pop("lon"), row.pop("lat")]},
            "properties": {name: value for name, value in row.items() if name != "error"},
        }
        for row in predictions_json(predictions, abstain_m=abstain_m)
        if row["error"] is None
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, allow_nan=False) + "\n"
