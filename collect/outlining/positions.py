"""Where photos are that a site is drawn around: those of a dataset, or of raw photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collect.ingestion.options import IngestOptions
from collect.ingestion.pipeline import examine
from collect.outlining.drawing import Drawing
from collect.outlining.proposal import Proposal, propose_site
from img2gps.address import Address, Place
from img2gps.basemap import Basemap, basemap_of
from img2gps.basemap.features import in_metres
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.report.shapes import lines_dm, rings_dm
from img2gps.site import Site
from img2gps.text import safe_path, safe_text

__all__ = ["new_drawing", "positions_of", "proposal_around"]


def positions_of(places: Sequence[Place], *, jobs: int = 1) -> tuple[FloatArray, FloatArray]:
    """Return lon and lat in degrees, each (N,), of the photos of datasets, and of files and folders of photos.

    Raises NotFoundError where a place does not exist.
    """
    lons: list[float] = []
    lats: list[float] = []
    raw: list[Place] = []
    for place in places:
        if isinstance(place, Address):
            raw.append(place)
        elif (place / "manifest.parquet").is_file():
            frame = Dataset.open(place).frame()
            lons += frame["lon"].tolist()
            lats += frame["lat"].tolist()
        elif place.exists():
            raw.append(place)
        else:
            raise NotFoundError(f"No photos or dataset at {safe_path(place)}.")
    if raw:
        _, photos = examine(raw, IngestOptions(jobs=jobs, command="site"))
        lons += [photo.lon for photo in photos]
        lats += [photo.lat for photo in photos]
    return np.asarray(lons, dtype=np.float64), np.asarray(lats, dtype=np.float64)


def proposal_around(places: Sequence[Path], *, name: str, jobs: int = 1) -> Proposal:
    """Return an outline around the photos of `places`. Raises UsageError where none has a position."""
    return propose_site(*positions_of(places, jobs=jobs), name=name)


def new_drawing(out: Path, places: Sequence[Path], start: Site | None, *, name: str, jobs: int = 1) -> Drawing:
    """Return what the page begins with: the site `start`, else an outline around the photos.

    Raises UsageError where there is neither.
    """
    lon, lat = positions_of(places, jobs=jobs)
    if start is None and not len(lon):
        raise UsageError("There is nothing to draw around: give photos or a dataset with --on, or a site with --from.")
    begin = start or propose_site(lon, lat, name=name).site
    datasets = [Dataset.open(place) for place in places if (place / "manifest.parquet").is_file()]
    maps = [found for dataset in datasets if (found := basemap_of(dataset)) is not None]
    ground = _ground(maps[0], begin.frame) if maps else None
    return Drawing(out=out, lon=lon, lat=lat, start=begin, ground=ground)


def _ground(basemap: Basemap, frame: LocalFrame) -> dict[str, Any]:
    buildings = in_metres([feature.geometry for feature in basemap.of("building")], frame)
    paths = in_metres([feature.geometry for feature in basemap.of("path")], frame)
    return {
        "buildings": rings_dm(buildings) if buildings else [],
        "paths": lines_dm(paths) if paths else [],
        "credit": safe_text(basemap.credit, limit=300),
    }
