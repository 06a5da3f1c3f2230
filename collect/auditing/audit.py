"""The audit of a dataset: everything computed, and written beside it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from collect.auditing.conditions import conditions, evenness
from collect.auditing.coverage import cell_table, holes, shares
from collect.auditing.grid import Grid, make_grid, read_shapes, walkable
from collect.auditing.label_quality import accuracy, corrections, flag_counts, rejection_counts
from collect.auditing.leakage import leakage_table
from collect.auditing.photo_arrays import PhotoArrays
from collect.auditing.walk_files import write_geojson, write_gpx
from collect.auditing.walk_list import Stop, route_length_m, route_minutes, walk_list
from img2gps.dataset import Dataset, frame_info
from img2gps.errors import UsageError
from img2gps.files import write_json
from img2gps.manifest import photos_of, read_table
from img2gps.site import Site

if TYPE_CHECKING:
    import geopandas as gpd
    from shapely.geometry.base import BaseGeometry

__all__ = ["AuditResult", "audit_dataset", "write_audit"]

DEFAULT_CELL_M: Final = 10.0
_PLANE_DEG: Final = 5.0
_MARGIN_M: Final = 100.0
_IN_BUILDINGS: Final = "Stops may lie inside buildings: give --buildings FILE.geojson, and none does."


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditResult:
    """The figures (`figures`, the contents of audit.json) and what they were computed from.

    `site` is the part of the dataset's site that was looked at.
    """

    dataset: Dataset
    site: Site
    frame: "gpd.GeoDataFrame"
    grid: Grid
    stops: list[Stop]
    figures: dict[str, Any]
    buildings: "BaseGeometry | None" = None


def audit_dataset(
    dataset: Dataset, *, cell_m: float = DEFAULT_CELL_M, buildings: Path | None = None, stops: int = 24
) -> AuditResult:
    """Return the audit of a dataset with its corrected labels; photos that a person excluded are left out.

    `cell_m` is the side of the cells in metres, `buildings` a GeoJSON file of what to leave out of the site, `stops`
    the most places the walk list may have. Raises NotFoundError, UsageError or InvalidDatasetError.
    """
    if not 1.0 <= cell_m <= 100_000.0:
        raise UsageError(f"--cell is the side of a cell in metres, 1 or more, not {cell_m:g}.")
    frame = dataset.frame()
    info = frame_info(frame)
    used = frame[frame["label_state"] != "exclude"].reset_index(drop=True)
    site = _audited(dataset.site(), used)
    blocked = read_shapes(buildings, site) if buildings else None
    subject = PhotoArrays(frame=used, site=site)
    area = walkable(site, blocked)
    grid = make_grid(area, cell_m)
    cells = cell_table(subject, grid)
    walk = walk_list(subject, grid, cells, stops=stops)
    kept = set(used["id"])
    photos = [photo for photo in photos_of(read_table(dataset.manifest_path)[0]) if photo.id in kept]
    leakage = leakage_table(subject, photos, dict(info.split) if info.split else None)
    figures = {
        **_headline(subject, cells, leakage),
        "site": {"name": site.name, "title": site.title, "area_m2": float(area.area)},
        "split": {key: value for key, value in (info.split or {}).items() if "sha256" not in key} or None,
        "cells": cells,
        "holes": holes(subject, area),
        "conditions": conditions(subject),
        "evenness": evenness(subject, grid),
        "accuracy": accuracy(subject),
        "corrections": corrections(PhotoArrays(frame=frame, site=site)),
        "flags": flag_counts(subject),
        "leakage": leakage,
        "rejections": rejection_counts(dataset.rejected_path),
        "walk_list": [stop.to_dict() for stop in walk],
        "walk_list_m": route_length_m(walk),
        "walk_list_minutes": route_minutes(walk),
        "walk_list_warning": _IN_BUILDINGS if walk and blocked is None else None,
    }
    return AuditResult(
        dataset=dataset, site=site, frame=used, grid=grid, stops=walk, figures=figures, buildings=blocked
    )


def write_audit(result: AuditResult, *, redact: bool = False, paths: Path | None = None) -> Path:
    """Write audit.json, walk-list.gpx, walk-list.geojson and report.html, each in one step; return the report's path.

    `redact` coarsens the report (see `collect.auditing.page.write_report`), `paths` is a layer to draw behind it.
    Raises UsageError where `redact` meets cells so small that they tell where a photo was taken.
    """
    from collect.auditing.page import write_report

    if redact and result.figures["cells"]["size_m"] < DEFAULT_CELL_M:
        raise UsageError(
            f"--redact moves photos to the middle of their cell: give a --cell of {DEFAULT_CELL_M:g} or more."
        )
    folder = result.dataset.audit_path
    name = f"Next walk on {result.figures['site']['name']}"
    drawn = read_shapes(paths, result.site, lines=True) if paths else None
    write_json(folder / "audit.json", result.figures)
    write_gpx(folder / "walk-list.gpx", result.stops, name=name)
    write_geojson(folder / "walk-list.geojson", result.stops, name=name)
    report = folder / "report.html"
    write_report(
        result.dataset,
        result.site,
        result.frame,
        result.figures,
        report,
        redact=redact,
        buildings=result.buildings,
        paths=drawn,
    )
    return report


def _audited(site: Site, frame: "gpd.GeoDataFrame") -> Site:
    """Return the site, or of one that spans more than 5 degrees (a country, the world) the part around its photos.

    Nobody covers a country, and a plane does not hold it.
    """
    west, south, east, north = site.polygon.bounds
    if max(east - west, north - south) <= _PLANE_DEG:
        return site
    if frame.empty:
        return site.around([site.frame.origin_lon], [site.frame.origin_lat], margin_m=_MARGIN_M)
    return site.around(frame["lon"], frame["lat"], margin_m=_MARGIN_M)


def _headline(subject: PhotoArrays, cells: dict[str, Any], leakage: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts and the figures that the gate knows, under the keys of the contract."""
    stored = next((row for row in leakage if row["stored"]), None)
    names, counts = np.unique(subject.splits.astype(str), return_counts=True)
    return {
        "photos": len(subject),
        "edge": int((~subject.inside).sum()),
        "walk_count": len(np.unique(subject.walks)),
        "splits": {name or "no split": count for name, count in zip(names.tolist(), counts.tolist(), strict=True)},
        **shares(cells),
        "leakage_5m": stored["within_m"]["5"] if stored else None,
    }
