"""What the script of audit/report.html reads: photos, cells and stops as plain columns."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from collect.auditing.coverage import CellTable, Holes
from collect.auditing.result import AuditResult
from collect.auditing.walk_list import Stop
from img2gps.basemap.features import Basemap
from img2gps.basemap.ground import ground_columns
from img2gps.geo import FloatArray
from img2gps.reasons import FLAGS
from img2gps.report.columns import coded, device_names, flag_bits, local_minutes, short_ids, split_names, walk_names
from img2gps.report.shapes import decimetres, lines_dm, rings_dm, whole
from img2gps.site import Site
from img2gps.splits import SPLITS
from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["backdrop", "cell_columns", "photo_columns", "report_data"]

_BACKDROP_MARGIN_M = 40.0

Columns = dict[str, object]
"""Plain JSON values by their keys in the page's script."""

Numbers = NDArray[np.int64]


def report_data(audit: AuditResult, *, redact: bool, thumbnails: list[str | None]) -> Columns:
    """Return the page's data but for the backdrop."""
    frame, site, cells = audit.frame, audit.site, audit.cells
    minutes = local_minutes(frame, site.zone)
    if redact:
        minutes = [None if minute is None else minute // 60 * 60 for minute in minutes]
    devices, walks = device_names(frame), walk_names(frame, minutes)
    flag_words, flags = flag_bits(frame["flags"].tolist(), list(FLAGS))
    split_words, split = coded(split_names(frame), (*SPLITS, "excluded", "no split"))
    walk_order = list(walks)
    device_words, device = coded(frame["device"].astype(str).tolist())
    _, walk = coded(frame["walk"].astype(str).tolist(), walk_order)
    words = {
        "split": split_words,
        "device": [devices[word] for word in device_words],
        "walk": [walks[word] for word in walk_order],
        "flags": [word.replace("_", " ") for word in flag_words],
    }
    photos = photo_columns(frame, site, cells, redact=redact)
    photos |= {"minute": minutes, "split": split, "device": device, "walk": walk, "flags": flags}
    return {
        "photos": photos,
        "thumbnails": thumbnails,
        "cells": cell_columns(cells) | _expected(audit),
        "stops": _stops(audit.stops, site),
        "hole": _hole(audit.holes),
        "facets": _facets(words),
        "facts": _facts(words),
        "today": int(datetime.now(UTC).timestamp() // 60),
    }


def _expected(audit: AuditResult) -> Columns:
    return {"expected": audit.expected.error_m.round(1).tolist()} if audit.expected else {}


def photo_columns(frame: "pd.DataFrame", site: Site, cells: CellTable, *, redact: bool) -> Columns:
    """Return ids, names and positions of photos; those outside the outline have neither position nor cell.

    Redacted positions are the middle of the part of the photo's cell that lies inside the site. Redacted names are the
    ids, because a file name may hold a person's.
    """
    ids = short_ids(frame)
    east_m, north_m = site.frame.to_local(frame["lon"].to_numpy(), frame["lat"].to_numpy())
    inside = site.covers(frame["lon"].to_numpy(), frame["lat"].to_numpy())
    cell = _cell_of(cells, east_m, north_m)
    cell[~inside] = -1
    if redact:
        east_m, north_m = _coarse(cells, site, cell)
    return {
        "id": ids,
        "name": ids if redact else [safe_text(name, limit=80) for name in frame["source_name"]],
        "east": decimetres(np.where(inside, east_m, np.nan)),
        "north": decimetres(np.where(inside, north_m, np.nan)),
        "heading": whole(frame["heading_deg"].to_numpy(dtype=np.float64, na_value=np.nan)),
        "accuracy": decimetres(frame["gps_accuracy_m"].to_numpy(dtype=np.float64, na_value=np.nan)),
        "cell": [None if index < 0 else index for index in cell.tolist()],
    }


def cell_columns(cells: CellTable) -> Columns:
    """Return the cells with corners in decimetres and the age of the last visit in days."""
    now = datetime.now(UTC)
    return {
        "size": round(10 * cells.size_m),
        "east": decimetres(cells.east_m),
        "north": decimetres(cells.north_m),
        "photos": cells.photos.tolist(),
        "walks": cells.walks.tolist(),
        "headings": cells.headings.tolist(),
        "age": [None if last is None else _age_days(last, now) for last in cells.last_visit],
    }


def backdrop(
    site: Site,
    buildings: "BaseGeometry | None",
    paths: "BaseGeometry | None",
    margin_m: float = _BACKDROP_MARGIN_M,
    *,
    basemap: Basemap | None = None,
) -> Columns:
    """Return outline, buildings and paths (both in metres of the site's frame) near the site, and the map's bounds.

    ``ground`` is the basemap, None where there is none.
    """
    outline = site.local_polygon
    west, south, east, north = outline.bounds
    near = (west - margin_m, south - margin_m, east + margin_m, north + margin_m)
    return {
        "bounds": decimetres(outline.bounds),
        "outline": rings_dm(outline),
        "buildings": [] if buildings is None else rings_dm(shapely.clip_by_rect(buildings, *near)),
        "paths": [] if paths is None else lines_dm(shapely.clip_by_rect(paths, *near)),
        "ground": ground_columns(basemap, site.frame),
    }


def _cell_of(cells: CellTable, east_m: FloatArray, north_m: FloatArray) -> Numbers:
    """Return the index of the cell that holds each place, -1 where none does."""
    if not len(cells):
        return np.full(len(east_m), -1)
    size = cells.size_m
    west, south = float(cells.east_m.min()), float(cells.north_m.min())
    corners = zip(cells.east_m.tolist(), cells.north_m.tolist(), strict=True)
    index = {(round((e - west) / size), round((n - south) / size)): i for i, (e, n) in enumerate(corners)}
    columns = np.floor((east_m - west) / size).astype(np.int64).tolist()
    rows = np.floor((north_m - south) / size).astype(np.int64).tolist()
    return np.array([index.get(place, -1) for place in zip(columns, rows, strict=True)], dtype=np.int64)


def _coarse(cells: CellTable, site: Site, cell: Numbers) -> tuple[FloatArray, FloatArray]:
    size = cells.size_m
    east_m, north_m = np.full(len(cell), np.nan), np.full(len(cell), np.nan)
    for index in set(cell[cell >= 0].tolist()):
        west, south = float(cells.east_m[index]), float(cells.north_m[index])
        part = site.local_polygon.intersection(shapely.box(west, south, west + size, south + size))
        point = part.centroid if part.covers(part.centroid) else part.representative_point()
        east_m[cell == index], north_m[cell == index] = point.x, point.y
    return east_m, north_m


def _age_days(last_visit: datetime, now: datetime) -> int:
    return max(0, math.floor((now - last_visit).total_seconds() / 86400))


def _stops(stops: Sequence[Stop], site: Site) -> list[Columns]:
    """Return the stops with the way to each from the one before, as east, north, east, north, ..."""
    return [
        {
            "east": round(10 * stop.east_m),
            "north": round(10 * stop.north_m),
            "headings": list(stop.headings_deg),
            "way": _way(stop, site),
        }
        for stop in stops
    ]


def _way(stop: Stop, site: Site) -> list[int | None]:
    if not stop.way:
        return []
    east_m, north_m = site.frame.to_local(*zip(*stop.way, strict=True))
    return decimetres(np.column_stack([east_m, north_m]).ravel())


def _hole(holes: Holes) -> dict[str, int] | None:
    """Return the place of the site that is farthest from a photo, and how far."""
    if holes.largest_at is None or holes.largest_m is None:
        return None
    lengths = {
        "east": holes.largest_at.east_m,
        "north": holes.largest_at.north_m,
        "radius": holes.largest_m,
    }
    return {key: round(10 * value) for key, value in lengths.items()}


def _facets(words: dict[str, list[str]]) -> list[Columns]:
    labels = {"split": "Split", "device": "Device", "walk": "Walk"}
    chips: list[Columns] = [
        {"key": key, "label": label, "values": words[key], "swatch": "dot"} for key, label in labels.items()
    ]
    flags = {"key": "flags", "label": "Flags (any of)", "values": words["flags"], "bits": True}
    return [*chips, flags] if words["flags"] else [*chips]


def _facts(words: dict[str, list[str]]) -> list[Columns]:
    return [
        {"key": "minute", "label": "Taken", "kind": "minute"},
        {"key": "device", "label": "Device", "kind": "word", "words": words["device"]},
        {"key": "walk", "label": "Walk", "kind": "word", "words": words["walk"]},
        {"key": "split", "label": "Split", "kind": "word", "words": words["split"]},
        {"key": "heading", "label": "Heading", "kind": "degrees"},
        {"key": "accuracy", "label": "Accuracy", "kind": "metres"},
        {"key": "flags", "label": "Flags", "kind": "bits", "words": words["flags"]},
        {"key": "id", "label": "Id", "kind": "text"},
    ]
