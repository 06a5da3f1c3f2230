"""How good a model is that an export changed: its regions are calibrated anew, its errors measured beside the run's."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError, NotFoundError
from img2gps.geo import geodesic_m
from img2gps.metrics import metrics_of
from img2gps.pixels import UnreadableImageError, read_pixels
from img2gps.progress import bar
from train.data.training_data import Photos, read_photos
from train.models.calibration import FEWEST_TO_CALIBRATE
from train.models.evidence import Evidence
from train.models.probe.covisibility import Poses
from train.models.probe.features.extractor import CHUNK, Features
from train.models.probe.model import ProbeLocalizer
from train.models.probe.unseen import Unseen, calibrated
from train.runs.names import open_run

__all__ = ["recalibrated"]

_MOST: Final = 400  # photos of each kind: a few minutes at most


def recalibrated(
    path: Path, whole: ProbeLocalizer, changed: ProbeLocalizer
) -> tuple[ProbeLocalizer, Mapping[str, object] | None, tuple[str, ...]]:
    """Return `changed` with regions calibrated on the run's validation photos, alone and by walk, its figures, notes.

    The figures are those of `changed` and of ``whole`` on the run's test photos, or without these on its validation
    photos. They are None if the dataset is gone.
    """
    try:
        dataset, val, test = _held_back(path, whole)
    except Img2GPSError:
        return changed, None, ("The dataset is not at hand: the regions are those of the whole model, unmeasured.",)
    notes: tuple[str, ...] = ()
    if len(val) < FEWEST_TO_CALIBRATE:
        notes = ("There are too few validation photos to calibrate on: the regions are those of the whole model.",)
    else:
        features, kept = _features(whole, dataset, val)
        changed = _calibrated(changed, changed.evidence_of(features), val.take(kept))
    name, rows = ("test", test) if len(test) else ("val", val)
    if not len(rows):
        return changed, None, (*notes, "No photo was held back to measure the model on.")
    features, kept = _features(whole, dataset, rows)
    rows = rows.take(kept)
    figures = {"split": name, **_figures(changed, features, rows), "whole": _figures(whole, features, rows)}
    return changed, figures, notes


def _held_back(path: Path, localizer: ProbeLocalizer) -> tuple[Dataset, Photos, Photos]:
    """Return the dataset of a run, its validation and its test photos. Raises Img2GPSError where it is gone."""
    run = open_run(path)
    info, photos = run.read_info_quietly(), run.read_photos()
    source = read_photos(info.dataset)
    if source.frame != localizer.frame:
        raise NotFoundError("The site of the dataset has changed.")
    known = source.photos
    val = known.take(np.isin(known.ids, photos.loc[photos["role"] == "val", "id"]))
    test = known.take((known.split == "test") & ~np.isin(known.ids, photos["id"]))
    return source.dataset, _whole_walks(val), _thinned(test)


def _thinned(photos: Photos) -> Photos:
    return photos.take(np.arange(0, len(photos), max(1, -(-len(photos) // _MOST))))


def _whole_walks(photos: Photos) -> Photos:
    """Return walks as they were taken, the last from its beginning: thinned ones would have less company."""
    walks, walk = np.unique(photos.walk, return_inverse=True)
    turn = np.random.default_rng(0).permutation(len(walks))[walk.reshape(-1)]
    return photos.take(np.sort(np.lexsort((photos.captured_s, turn))[:_MOST]))


def _features(localizer: ProbeLocalizer, dataset: Dataset, photos: Photos) -> tuple[Features, NDArray[np.bool_]]:
    """Return the features of the photos that can be read, and which can."""
    paths = dataset.photo_paths(photos.ids)
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
    return Features.concatenate(parts), np.asarray(kept, dtype=np.bool_)


def _read(path: Path, localizer: ProbeLocalizer) -> Any:
    try:
        return read_pixels(path, localizer.pixels)
    except UnreadableImageError:
        return None


def _calibrated(localizer: ProbeLocalizer, evidence: Evidence, photos: Photos) -> ProbeLocalizer:
    xy = Poses.of(photos, localizer.device).xy
    unseen = Unseen(
        photos=photos, xy=xy, cells=localizer.ensemble.cells, evidence=evidence, by="val", whole_walks=False
    )
    alone, walks = calibrated(unseen, localizer.walk_smoother, localizer.config)
    return dataclasses.replace(localizer, calibration=alone, walk_calibration=walks)


def _figures(localizer: ProbeLocalizer, features: Features, photos: Photos) -> dict[str, object]:
    estimate = localizer.estimate(localizer.evidence_of(features))
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    error_m = geodesic_m(photos.lon, photos.lat, lon, lat)
    figures: dict[str, object] = metrics_of(error_m).to_dict()
    radius = estimate.radius_90_m
    return figures | {"within_radius_90": None if radius is None else float(np.mean(error_m <= radius))}
