"""What the script of an evaluation's report.html reads: photos with truth, answer and error as plain columns."""

from typing import Any

import numpy as np

from img2gps.geo import FloatArray
from img2gps.report.columns import coded
from img2gps.report.shapes import decimetres, rings_dm
from img2gps.site import Site
from img2gps.sun import LIGHTS
from img2gps.text import safe_text

__all__ = ["inside_site", "report_data"]

_SLIDER_SHARE = 0.98


def report_data(
    document: dict[str, Any], site: Site, thumbnails: list[str | None], names: dict[str, str]
) -> dict[str, Any]:
    """Return the page's data for an evaluation's document (see `train.evaluation.document`); `names` are by id."""
    points = document["points"]
    columns = ("walk", "day", "device_name", "light", "fold")
    words, codes = _coded_columns(points, columns)
    photos = _positions(points, site) | codes
    photos["id"] = [photo_id[:12] for photo_id in points["id"]]
    photos["name"] = [safe_text(names.get(photo_id, photo_id[:12]), limit=80) for photo_id in points["id"]]
    return {
        "photos": photos,
        "thumbnails": thumbnails,
        "site": {**_ground(site), "buildings": [], "paths": []},
        "cells": _cells(document["strata"].get("cell", [])),
        "facets": _facets(words, photos["error"]),
        "facts": _facts(words),
    }


def inside_site(points: dict[str, Any], site: Site) -> Any:
    """Return which truths lie inside the outline, shape (N,): only those are drawn."""
    return site.covers(_floats(points["lon"]), _floats(points["lat"]))


def _floats(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _positions(points: dict[str, Any], site: Site) -> dict[str, Any]:
    """Return positions and radii in decimetres and errors in metres, as the figures are computed from those.

    The photos outside the outline have no position, true or answered.
    """
    inside = inside_site(points, site)
    names = {"east": "east_m", "north": "north_m", "toEast": "pred_east_m", "toNorth": "pred_north_m"}
    places = {key: decimetres(np.where(inside, _floats(points[name]), np.nan)) for key, name in names.items()}
    lengths = {"radius50": "radius_50_m", "radius90": "radius_90_m", "nearest": "nearest_train_m"}
    radii = {key: decimetres(_floats(points[name])) for key, name in lengths.items()}
    return {**places, **radii, "error": points["error_m"]}


def _coded_columns(points: dict[str, Any], names: tuple[str, ...]) -> tuple[dict[str, list[str]], dict[str, list[int]]]:
    words: dict[str, list[str]] = {}
    codes: dict[str, list[int]] = {}
    for name in names:
        order = LIGHTS if name == "light" else sorted(set(points[name]))
        distinct, codes[name] = coded(points[name], order)
        words[name] = [safe_text(str(word), limit=60) for word in distinct]
    return words, codes


def _ground(site: Site) -> dict[str, Any]:
    return {"bounds": decimetres(site.local_polygon.bounds), "outline": rings_dm(site.local_polygon)}


def _cells(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "size": round(10 * rows[0]["size_m"]) if rows else 0,
        "east": decimetres([row["east_m"] for row in rows]),
        "north": decimetres([row["north_m"] for row in rows]),
        "median": [round(row["median_m"], 2) for row in rows],
        "photos": [row["photos"] for row in rows],
    }


def _facets(words: dict[str, list[str]], error_m: list[float | None]) -> list[dict[str, Any]]:
    """Return the filters; one that could not part the photos is left out."""
    labels = {"walk": "Walk", "day": "Day", "device_name": "Device", "light": "Light", "fold": "Fold"}
    chips = [{"key": key, "label": label, "values": words[key]} for key, label in labels.items() if len(words[key]) > 1]
    known = [error for error in error_m if error is not None]
    most = float(np.quantile(known, _SLIDER_SHARE)) if known else 1.0
    slider = {"key": "error", "label": "Error of at least", "unit": "m", "most": most}
    return [slider, *chips]


def _facts(words: dict[str, list[str]]) -> list[dict[str, Any]]:
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
