"""What the script of an evaluation's report.html reads: photos with truth, answer and error as plain columns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.basemap.features import Basemap
from img2gps.basemap.ground import ground_columns
from img2gps.basemap.surroundings import Surroundings
from img2gps.geo import FloatArray
from img2gps.report.columns import coded
from img2gps.report.shapes import decimetres, rings_dm
from img2gps.site import Site
from img2gps.sun import LIGHTS
from img2gps.text import safe_text
from train.evaluation.result import EvaluationResult
from train.evaluation.strata import CellErrors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answers_in_words", "inside_site", "report_data"]

_SLIDER_SHARE = 0.98
_MOST_ANSWERS: Final = 2000
_ANSWER: Final[dict[str, object]] = {"key": "answer", "label": "The answer in words", "kind": "text"}


def report_data(
    result: EvaluationResult,
    thumbnails: Sequence[str | None],
    names: Mapping[str, str],
    *,
    basemap: Basemap | None = None,
) -> dict[str, object]:
    """Return the page's data for an evaluation; `names` are by id, `basemap` lies under the map."""
    answers = answers_in_words(result, basemap)
    scores = result.scores
    columns = ("walk", "day", "device_name", "light", "fold")
    words, codes = _coded_columns(scores, columns)
    errors = scores["error_m"].round(2).tolist()
    return {
        "photos": {
            **_positions(result),
            "error": errors,
            **codes,
            **({} if answers is None else {"answer": answers}),
            "id": [photo_id[:12] for photo_id in scores["id"]],
            "name": [safe_text(names.get(photo_id, photo_id[:12]), limit=80) for photo_id in scores["id"]],
        },
        "thumbnails": thumbnails,
        "site": {
            **_ground(result.site),
            "buildings": [],
            "paths": [],
            "ground": ground_columns(basemap, result.site.frame),
        },
        "cells": _cells(result.strata.cell),
        "forecast": _expected(result),
        "facets": _facets(words, errors),
        "facts": [*_facts(words), *([] if answers is None else [_ANSWER])],
    }


def answers_in_words(result: EvaluationResult, basemap: Basemap | None) -> list[str] | None:
    """Return where the model places each photo in words; None without a map, or where there are too many to ask for."""
    if basemap is None or len(result.scores) > _MOST_ANSWERS:
        return None
    around = Surroundings(basemap, frame=result.site.frame)
    answers = zip(result.scores["pred_lon"].tolist(), result.scores["pred_lat"].tolist(), strict=True)
    return [around.at(lon, lat).text if np.isfinite([lon, lat]).all() else "" for lon, lat in answers]


def inside_site(result: EvaluationResult) -> NDArray[np.bool_]:
    """Return which truths lie inside the outline, shape (N,): only those are drawn."""
    return result.site.covers(result.scores["lon"], result.scores["lat"])


def _positions(result: EvaluationResult) -> dict[str, list[int | None]]:
    """Return positions and radii in decimetres: the photos outside the outline have no position, true or answered."""
    inside = inside_site(result)
    names = {"east": "east_m", "north": "north_m", "toEast": "pred_east_m", "toNorth": "pred_north_m"}
    places = {key: decimetres(np.where(inside, _metres(result, name), np.nan)) for key, name in names.items()}
    lengths = {"radius50": "radius_50_m", "radius90": "radius_90_m", "nearest": "nearest_train_m"}
    return places | {key: decimetres(_metres(result, name)) for key, name in lengths.items()}


def _metres(result: EvaluationResult, name: str) -> FloatArray:
    """Return a column to the centimetre, as evaluation.json has it."""
    values: FloatArray = result.scores[name].round(2).to_numpy(dtype=np.float64)
    return values


def _coded_columns(scores: "pd.DataFrame", names: tuple[str, ...]) -> tuple[dict[str, list[str]], dict[str, list[int]]]:
    words: dict[str, list[str]] = {}
    codes: dict[str, list[int]] = {}
    for name in names:
        values = scores[name].tolist()
        distinct, codes[name] = coded(values, LIGHTS if name == "light" else sorted(set(values)))
        words[name] = [safe_text(str(word), limit=60) for word in distinct]
    return words, codes


def _ground(site: Site) -> dict[str, object]:
    return {"bounds": decimetres(site.local_polygon.bounds), "outline": rings_dm(site.local_polygon)}


def _cells(cells: Sequence[CellErrors]) -> dict[str, object]:
    return {
        "size": round(10 * cells[0].size_m) if cells else 0,
        "east": decimetres([cell.east_m for cell in cells]),
        "north": decimetres([cell.north_m for cell in cells]),
        "median": [round(cell.median_m, 2) for cell in cells],
        "photos": [cell.photos for cell in cells],
    }


def _expected(result: EvaluationResult) -> dict[str, object] | None:
    """Return the forecast's squares by their south-west corners, None without a forecast."""
    if result.forecast is None:
        return None
    found = result.forecast.map
    return {
        "size": round(10 * found.size_m),
        "east": decimetres(found.east_m - found.size_m / 2),
        "north": decimetres(found.north_m - found.size_m / 2),
        "median": found.rmse_m.round(1).tolist(),
    }


def _facets(words: dict[str, list[str]], error_m: Sequence[float]) -> Sequence[Mapping[str, object]]:
    """Return the filters; one that could not part the photos is left out."""
    labels = {"walk": "Walk", "day": "Day", "device_name": "Device", "light": "Light", "fold": "Fold"}
    chips = [{"key": key, "label": label, "values": words[key]} for key, label in labels.items() if len(words[key]) > 1]
    most = float(np.quantile(error_m, _SLIDER_SHARE))
    slider = {"key": "error", "label": "Error of at least", "unit": "m", "most": most}
    return [slider, *chips]


def _facts(words: dict[str, list[str]]) -> Sequence[Mapping[str, object]]:
    metres = {
        "error": "Error",
        "radius50": "50 % radius",
        "radius90": "90 % radius",
        "nearest": "Nearest training photo",
    }
    named = {"walk": "Walk", "device_name": "Device", "light": "Light", "fold": "Fold"}
    return [
        {"key": "error", "label": "Error", "kind": "exact"},
        *({"key": key, "label": label, "kind": "metres"} for key, label in metres.items()),
        *({"key": key, "label": label, "kind": "word", "words": words[key]} for key, label in named.items()),
        {"key": "id", "label": "Id", "kind": "text"},
    ]
