"""The audit of a dataset: everything computed, and written beside it."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from collect.auditing.conditions import conditions, evenness
from collect.auditing.coverage import cell_table, holes, shares
from collect.auditing.document import audit_document
from collect.auditing.expected_error import expected_errors
from collect.auditing.grid import make_grid, read_shapes, walkable
from collect.auditing.label_quality import accuracy, corrections, flag_counts, rejection_counts
from collect.auditing.leakage import SplitDraw, leakage_table
from collect.auditing.photo_arrays import PhotoArrays
from collect.auditing.result import AuditResult
from collect.auditing.standing import Walking
from collect.auditing.walk_files import write_geojson, write_gpx
from collect.auditing.walk_list import walk_list
from img2gps.basemap.file import basemap_of
from img2gps.basemap.standing import blocked_ground
from img2gps.cluster_jobs import JobCluster
from img2gps.dataset import Dataset, frame_info
from img2gps.errors import UsageError
from img2gps.estimation.error_law import read_error_law
from img2gps.files import write_json
from img2gps.manifest import photos_of, read_table
from img2gps.site import Site

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["AuditResult", "audit_dataset", "write_audit"]

DEFAULT_CELL_M: Final = 10.0
_PLANE_DEG: Final = 5.0
_MARGIN_M: Final = 100.0


def audit_dataset(
    dataset: Dataset,
    *,
    cell_m: float = DEFAULT_CELL_M,
    buildings: Path | None = None,
    stops: int = 24,
    run: Path | None = None,
) -> AuditResult:
    """Return the audit of a dataset with its corrected labels; photos that a person excluded are left out.

    `cell_m` is the side of the cells in metres, `buildings` a GeoJSON file of what to leave out of the site. Where it
    is None, the buildings and the water of the dataset's basemap are. `stops` is the most places of the walk list,
    which lowers the error that `run`, an evaluated run with folds, is to expect. Raises NotFoundError, UsageError or
    InvalidDatasetError.
    """
    if not 1.0 <= cell_m <= 100_000.0:
        raise UsageError(f"--cell is the side of a cell in metres, 1 or more, not {cell_m:g}.")
    law = read_error_law(run) if run else None
    frame = dataset.frame()
    if run and law:
        law.check_is_of(dataset.root, frame["id"], run)
    info = frame_info(frame)
    used = frame[frame["label_state"] != "exclude"].reset_index(drop=True)
    site = _audited(dataset.site(), used)
    basemap = basemap_of(dataset)
    mapped = blocked_ground(basemap, site.frame) if basemap else None
    blocked = read_shapes(buildings, site) if buildings else mapped
    arrays = PhotoArrays(frame=used, site=site)
    area = walkable(site, blocked)
    grid = make_grid(area, cell_m)
    cells = cell_table(arrays, grid)
    kept = set(used["id"])
    photos = [photo for photo in photos_of(read_table(dataset.manifest_path)[0]) if photo.id in kept]
    expected = expected_errors(run.resolve().name, law, arrays, grid) if run and law else None
    walking = Walking(basemap=basemap, frame=site.frame) if basemap else None
    return AuditResult(
        dataset=dataset,
        site=site,
        frame=used,
        grid=grid,
        buildings=blocked,
        basemap=basemap,
        area_m2=float(area.area),
        photos=len(arrays),
        edge=int((~arrays.inside).sum()),
        walk_count=len(np.unique(arrays.walks)),
        splits=_split_counts(arrays),
        split={key: value for key, value in (info.split or {}).items() if "sha256" not in key} or None,
        cells=cells,
        shares=shares(cells),
        holes=holes(arrays, area),
        conditions=conditions(arrays),
        evenness=evenness(arrays, grid),
        accuracy=accuracy(arrays),
        corrections=corrections(PhotoArrays(frame=frame, site=site)),
        flags=flag_counts(arrays),
        leakage=leakage_table(arrays, photos, SplitDraw.of(info.split)),
        rejections=rejection_counts(dataset.rejected_path),
        stops=tuple(walk_list(arrays, grid, cells, stops=stops, walking=walking, expected=expected)),
        expected=expected,
    )


def write_audit(
    result: AuditResult, *, redact: bool = False, paths: Path | None = None, workers: JobCluster | None = None
) -> Path:
    """Write audit.json, walk-list.gpx, walk-list.geojson and report.html, each in one step; return the report's path.

    `redact` coarsens the report (see `collect.auditing.page.write_report`), `paths` is a layer to draw behind it,
    `workers` make its thumbnails. Raises UsageError where `redact` meets cells so small that they tell where a photo
    was taken.
    """
    from collect.auditing.page import write_report

    if redact and result.cells.size_m < DEFAULT_CELL_M:
        raise UsageError(
            f"--redact moves photos to the middle of their cell: give a --cell of {DEFAULT_CELL_M:g} or more."
        )
    folder = result.dataset.audit_path
    name = f"Next walk on {result.site.name}"
    drawn = read_shapes(paths, result.site, lines=True) if paths else None
    write_json(folder / "audit.json", audit_document(result))
    write_gpx(folder / "walk-list.gpx", result.stops, name=name)
    write_geojson(folder / "walk-list.geojson", result.stops, name=name)
    write_report(result, result.report_path, redact=redact, paths=drawn, workers=workers)
    return result.report_path


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


def _split_counts(arrays: PhotoArrays) -> dict[str, int]:
    names, counts = np.unique(arrays.splits.astype(str), return_counts=True)
    return {name or "no split": count for name, count in zip(names.tolist(), counts.tolist(), strict=True)}
