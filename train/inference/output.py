"""Predictions as text that people and other programs read: table, CSV, JSON, GeoJSON."""

import csv
import dataclasses
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from img2gps.answers import Prediction, is_sure, is_unfamiliar, predictions_geojson, predictions_json
from img2gps.files import write_atomic

__all__ = [
    "is_sure",
    "is_unfamiliar",
    "predictions_csv",
    "predictions_geojson",
    "predictions_json",
    "table_rows",
    "write_text",
]


def predictions_csv(predictions: Sequence[Prediction], *, abstain_m: float | None = None) -> str:
    """Return predictions as CSV with a header; with `abstain_m`, ``sure`` says whether the 90 % region is within it.

    >>> from train import predict, predictions_csv
    >>> print(predictions_csv(predict("runs/quick-001", "IMG_0042.jpg"), abstain_m=25.0).splitlines()[0])
    file,lon,lat,radius_50_m,radius_90_m,error,familiarity,sure
    """
    rows = predictions_json(predictions, abstain_m=abstain_m)
    columns = [field.name for field in dataclasses.fields(Prediction)] + ([] if abstain_m is None else ["sure"])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_rows(predictions: Iterable[Prediction], *, abstain_m: float | None = None) -> list[tuple[str, ...]]:
    """Return the rows of the table: file, latitude, longitude, both radii, a remark."""
    rows: list[tuple[str, ...]] = []
    for prediction in predictions:
        remark = prediction.error or _remark(prediction, abstain_m)
        position = (_number(prediction.lat, 6), _number(prediction.lon, 6))
        radii = (_number(prediction.radius_50_m, 0), _number(prediction.radius_90_m, 0))
        rows.append((prediction.file, *position, *radii, remark))
    return rows


def _remark(prediction: Prediction, abstain_m: float | None) -> str:
    if is_unfamiliar(prediction):
        return "unlike the site"
    return "not sure" if is_sure(prediction, abstain_m) is False else ""


def write_text(target: Path, text: str) -> None:
    """Write `text` to a file in one step, or to stdout where `target` is ``-``."""
    if str(target) == "-":
        sys.stdout.write(text)
    else:
        write_atomic(target, text.encode("utf-8", "backslashreplace"))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
