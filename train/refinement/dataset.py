"""The labels of a dataset, refined by a run and kept beside it as a layer of their own."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from img2gps.errors import UsageError
from img2gps.files import sha256_file
from img2gps.refined import RefinedLabels, RefinementPlan, write_refinement
from img2gps.text import safe_path
from train.config.schema import ProbeConfig
from train.data.training_data import DatasetPhotos, Photos, read_photos
from train.refinement.check import check_refining
from train.refinement.evidence import walk_parts
from train.refinement.refine import Refinement, refine_photos
from train.runs.folder import RunFolder
from train.runs.names import open_run
from train.runtime.devices import use_threads

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["refinable", "refine_dataset", "refined_rows"]


def refine_dataset(
    root: Path, run: Path, *, device: str = "auto", dry_run: bool = False, check: bool = False
) -> RefinedLabels | RefinementPlan:
    """Refine the labels of a dataset by the models of a run and add them to it as its newest refinement.

    The run says which: heads of its config are fitted anew without each part of the walks. Photos of val and test have
    no part in it and keep the position they have. With `dry_run` nothing is fitted or written, and the plan is
    returned. With `check` the method says what refining does to models (`train.refinement.check`).

    Raises UsageError where the run has no distribution over the site or nothing can be held out, NotFoundError,
    InvalidDatasetError, InvalidCheckpointError, DatasetLockedError.
    """
    folder, config = _opened(run)
    use_threads(config.threads)
    source = read_photos(root)
    photos = refinable(source)
    if dry_run:
        return _plan(folder.root.name, source, photos)
    with source.dataset.lock():  # before minutes of work, not after them
        checked = {"check": check_refining(config, source, photos, device=device)} if check else {}
        refinement = refine_photos(config, source, photos, device=device)
        return write_refinement(
            source.dataset.refined_path,
            RefinedLabels(
                rows=refined_rows(refinement, source, photos),
                at="",
                run=folder.root.name,
                run_sha256=sha256_file(folder.config_path),
                site_sha256=source.site_sha256,
                used=tuple(str(one) for one in photos.ids),
                method=refinement.method() | checked,
            ),
        )


def _plan(run: str, source: DatasetPhotos, photos: Photos) -> RefinementPlan:
    return RefinementPlan(
        run=run,
        photos=len(photos),
        walks=len(np.unique(photos.walk)),
        parts=len(np.unique(walk_parts(source, photos))),
        held_back=len(source.photos) - len(photos),
    )


def _opened(run: Path) -> tuple[RunFolder, ProbeConfig]:
    folder = open_run(run)
    config = folder.read_info_quietly().config
    if not isinstance(config, ProbeConfig):
        raise UsageError(f"{safe_path(run)} says no distribution over the site: refine by a run of quick or default.")
    return folder, config


def refinable(source: DatasetPhotos) -> Photos:
    """Return the photos that may be refined: those that no split holds back."""
    held_back = np.isin(source.photos.split, ("val", "test"))
    return source.photos.take(~held_back)


def refined_rows(refinement: Refinement, source: DatasetPhotos, photos: Photos) -> "pd.DataFrame":
    """Return the rows of a layer (`img2gps.refined.COLUMNS`)."""
    import pandas as pd

    estimates = refinement.estimates
    lon, lat = photos.lon, photos.lat
    if refinement.kept:
        lon, lat = source.frame.to_lonlat(estimates.xy[:, 0], estimates.xy[:, 1])
    return pd.DataFrame(
        {
            "id": [str(one) for one in photos.ids],
            "lon": lon,
            "lat": lat,
            "radius_50_m": estimates.radius_50_m,
            "radius_90_m": estimates.radius_90_m,
            "gross": estimates.gross,
            "from_lon": photos.lon,
            "from_lat": photos.lat,
        }
    )
