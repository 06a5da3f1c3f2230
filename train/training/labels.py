"""The positions that a model is trained on: as phones and people gave them, or refined without what it is scored on."""

import dataclasses
import json
import math

import numpy as np

from img2gps.console import warn
from img2gps.errors import NotFoundError
from img2gps.files import write_json
from img2gps.geo import FloatArray
from img2gps.progress import stderr
from img2gps.refined import read_refinement
from img2gps.text import safe_text
from train.config.presets import preset
from train.config.schema import ProbeConfig, TrainConfig
from train.data.training_data import Photos, TrainingData
from train.refinement.posterior import RADIUS_50
from train.runs.folder import RunFolder, photo_rows

__all__ = ["labelled"]


def labelled(config: TrainConfig, data: TrainingData, folder: RunFolder, *, lead: bool) -> TrainingData:
    """Return the data with the positions that `config.labels` asks for, and write photos.parquet of the model.

    Refined ones are those of the dataset's newest refinement if it used no photo that the model is scored on. Otherwise
    the training photos are refined by themselves. What was used is kept in refined.json, and taken from there when a
    run goes on. Where refining does not pay the labels stay as they are. Raises UsageError where nothing can be held
    out.
    """
    if config.labels == "refined":
        data = _as_before(data, folder) or _refined(config, data, folder, lead=lead)
    if lead:
        folder.write_photos(photo_rows(data))
    return data


def _as_before(data: TrainingData, folder: RunFolder) -> TrainingData | None:
    """Return the data with the positions that this model began with; None where it has not begun."""
    if not folder.refined_path.is_file() or not folder.photos_path.is_file():
        return None
    rows = folder.read_photos().set_index("id")
    ids = [str(one) for one in data.train.ids]
    if not set(ids) <= set(rows.index):
        return None
    known = rows.loc[ids]
    lon, lat = (known[name].to_numpy(dtype=np.float64) for name in ("lon", "lat"))
    return _placed(data, lon, lat, _error_before(folder))


def _error_before(folder: RunFolder) -> float | None:
    """Return the error of the labels as refined.json has it; earlier versions said nothing of it."""
    try:
        error_m = json.loads(folder.refined_path.read_text(encoding="utf-8")).get("label_error_m")
    except (OSError, ValueError, AttributeError):
        return None
    return float(error_m) if isinstance(error_m, int | float) and 0 <= error_m < math.inf else None


def _refined(config: TrainConfig, data: TrainingData, folder: RunFolder, *, lead: bool) -> TrainingData:
    found = _of_dataset(data)
    if found is None:
        found = _of_these(config, data)
    placed, about = found
    if lead:
        folder.root.mkdir(parents=True, exist_ok=True)
        folder.write_photos(photo_rows(placed))
        write_json(folder.refined_path, about)
    return placed


def _of_dataset(data: TrainingData) -> tuple[TrainingData, dict[str, object]] | None:
    """Return the data by the dataset's newest refinement; None where it has none, or one with photos held back here."""
    try:
        layer = read_refinement(data.source.dataset.refined_path)
    except NotFoundError:
        return None
    if set(layer.used) & _held_back(data):
        return None
    file = "" if layer.path is None else layer.path.name
    about: dict[str, object] = {"from": "dataset", "file": file, "used": sorted(layer.used), "method": layer.method}
    if not layer.kept_round:
        warn(f"refined/{safe_text(file)} left all labels as they are, as refining does not pay: trains on these.")
        return data, about | {"label_error_m": None}
    stderr().print(f"Trains on the refined positions of refined/{safe_text(file)}.", markup=False)
    if (layer.method.get("check") or {}).get("pays") is False:
        warn("Their check found that models trained on them locate walks left out worse: take --labels gps here.")
    rows = data.source.dataset.frame(labels="refined").set_index("id").loc[[str(one) for one in data.train.ids]]
    lon, lat = (rows[name].to_numpy(dtype=np.float64) for name in ("lon", "lat"))
    error_m = _error_m(layer.rows["radius_50_m"].to_numpy(dtype=np.float64))
    return _placed(data, lon, lat, error_m), about | {"label_error_m": error_m}


def _of_these(config: TrainConfig, data: TrainingData) -> tuple[TrainingData, dict[str, object]]:
    """Return the data refined by models of its own training photos."""
    from train.refinement.refine import refine_photos

    by = config if isinstance(config, ProbeConfig) else preset("quick")
    stderr().print("Refines the positions of the training photos, without those held back.", markup=False)
    refinement = refine_photos(by, data.source, data.train, device=config.device)
    used = sorted(str(one) for one in data.train.ids)
    about: dict[str, object] = {"from": "training photos", "file": "", "used": used, "method": refinement.method()}
    if not refinement.kept:
        return data, about | {"label_error_m": None}
    lon, lat = data.source.frame.to_lonlat(refinement.labels_m[:, 0], refinement.labels_m[:, 1])
    error_m = _error_m(refinement.estimates.radius_50_m)
    return _placed(data, lon, lat, error_m), about | {"label_error_m": error_m}


def _error_m(radius_50_m: FloatArray) -> float:
    """Return the standard deviation per axis of round Gaussians of these radii: that of their mean variance."""
    return float(np.sqrt(np.mean((radius_50_m / RADIUS_50) ** 2)))


def _held_back(data: TrainingData) -> set[str]:
    """Return the photos that the model is scored on: of the fold, else of val and test."""
    if data.held_out is not None:
        return {str(one) for one in data.held_out.ids}
    photos = data.source.photos
    return {str(one) for one in photos.ids[np.isin(photos.split, ("val", "test"))]}


def _placed(data: TrainingData, lon: FloatArray, lat: FloatArray, error_m: float | None) -> TrainingData:
    east_m, north_m = data.source.frame.to_local(lon, lat)
    train: Photos = dataclasses.replace(data.train, lon=lon, lat=lat, east_m=east_m, north_m=north_m)
    return dataclasses.replace(data, train=train, label_error_m=error_m)
