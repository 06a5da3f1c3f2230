"""How good a model is that an export changed: its regions are calibrated anew, its errors measured beside the run's."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError
from img2gps.geo import geodesic_m
from img2gps.metrics import metrics_of
from img2gps.pixels import UnreadableImageError, read_pixels
from img2gps.progress import bar
from train.models.calibration import FEWEST_TO_CALIBRATE, Calibration
from train.models.evidence import Evidence
from train.models.probe.features.extractor import CHUNK, Features
from train.models.probe.model import ProbeLocalizer, points_of
from train.runs.names import open_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["recalibrated"]

_MOST: Final = 400  # photos of each kind, evenly spaced: a few minutes at most


def recalibrated(
    path: Path, whole: ProbeLocalizer, changed: ProbeLocalizer
) -> tuple[ProbeLocalizer, Mapping[str, object] | None, tuple[str, ...]]:
    """Return `changed` with regions calibrated on the run's validation photos, its figures, and notes.

    The figures are those of `changed` and of ``whole`` on the run's test photos, or on the validation photos where
    there are none; None where the dataset is gone.
    """
    try:
        run = open_run(path)
        info, photos = run.read_info_quietly(), run.read_photos()
        dataset = Dataset.open(info.dataset)
        frame = dataset.frame()
    except Img2GPSError:
        return changed, None, ("The dataset is not at hand: the regions are those of the whole model, unmeasured.",)
    val = _thinned(photos[photos["role"] == "val"])
    test = _thinned(frame[(frame["split"].fillna("") == "test") & ~frame["id"].isin(photos["id"])])
    notes: tuple[str, ...] = ()
    if len(val) < FEWEST_TO_CALIBRATE:
        notes = ("There are too few validation photos to calibrate on: the regions are those of the whole model.",)
    else:
        features, kept = _features(whole, dataset, val)
        changed = _calibrated(changed, changed.evidence_of(features), val[kept])
    name, rows = ("test", test) if len(test) else ("val", val)
    if not len(rows):
        return changed, None, (*notes, "No photo was held back to measure the model on.")
    features, kept = _features(whole, dataset, rows)
    figures = {"split": name, **_figures(changed, features, rows[kept]), "whole": _figures(whole, features, rows[kept])}
    return changed, figures, notes


def _thinned(rows: "pd.DataFrame") -> "pd.DataFrame":
    return rows.iloc[:: max(1, -(-len(rows) // _MOST))]


def _features(localizer: ProbeLocalizer, dataset: Dataset, rows: "pd.DataFrame") -> tuple[Features, "list[bool]"]:
    """Return the features of the photos that can be read, and which can."""
    paths = [dataset.photo_path(photo_id) for photo_id in rows["id"]]
    parts: list[Features] = []
    kept: list[bool] = []
    with bar("Measuring the changed model", len(paths)) as advance:
        for start in range(0, len(paths), CHUNK):
            read = [_read(path, localizer) for path in paths[start : start + CHUNK]]
            kept += [one is not None for one in read]
            images = [one for one in read if one is not None]
            if images:
                parts.append(localizer.extractor(torch.from_numpy(np.stack(images))))
            advance(len(read))
    return Features.concatenate(parts), kept


def _read(path: Path, localizer: ProbeLocalizer) -> Any:
    try:
        return read_pixels(path, localizer.pixels)
    except UnreadableImageError:
        return None


def _calibrated(localizer: ProbeLocalizer, evidence: Evidence, rows: "pd.DataFrame") -> ProbeLocalizer:
    cells = localizer.ensemble.cells
    east_m, north_m = localizer.frame.to_local(rows["lon"].to_numpy(), rows["lat"].to_numpy())
    xy = torch.from_numpy(np.stack([east_m, north_m], axis=1)).float().to(localizer.device)

    def answer(log_probs: torch.Tensor) -> torch.Tensor:
        return points_of(log_probs, cells, localizer.config)[localizer.config.answer]

    calibration = Calibration.fit(evidence.log_probs, cells, xy, answer, by="val")
    return dataclasses.replace(localizer, calibration=calibration)


def _figures(localizer: ProbeLocalizer, features: Features, rows: "pd.DataFrame") -> dict[str, object]:
    estimate = localizer.estimate(localizer.evidence_of(features))
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    error_m = geodesic_m(rows["lon"].to_numpy(), rows["lat"].to_numpy(), lon, lat)
    figures: dict[str, object] = metrics_of(error_m).to_dict()
    radius = estimate.radius_90_m
    return figures | {"within_radius_90": None if radius is None else float(np.mean(error_m <= radius))}
