"""Explain a run: some photos, or the classes of things over an evaluation's photos. The facade of this package."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import write_json
from img2gps.geo import FloatArray
from img2gps.masks import TABLE_NAME, find_mask, fit_mask, read_class_table, read_mask
from img2gps.pixels import Pixels, UnreadableImageError, read_pixels
from img2gps.progress import bar
from img2gps.text import safe_path
from train.evaluation.bootstrap import clusters_of
from train.evaluation.evaluate import evaluation_folder
from train.evaluation.evaluation_set import EvaluationSet, choose_evaluation_set
from train.evaluation.explained import explanation_path
from train.explanation.class_costs import PhotoCosts, costs_of
from train.explanation.class_figures import ClassExplanation, figures_of_classes
from train.explanation.content import Donors
from train.explanation.occlusion import DONORS, Deletion, Occlusion, deletion, occlude
from train.inference.load import load_localizer
from train.models.localizer import Localizer
from train.runs.names import open_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExplainedPhoto", "explain_photos", "explain_split"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPhoto:
    """A photo and what places it; `error` says why a file cannot be read, and all else is None then.

    `picture` is what the model saw, (3, height, width). `lon`, `lat` are the answer in degrees.
    """

    path: Path
    error: str | None = None
    picture: Pixels | None = None
    occlusion: Occlusion | None = None
    deletion: Deletion | None = None
    lon: float | None = None
    lat: float | None = None

    def to_dict(self) -> dict[str, object]:
        """The explanation for JSON."""
        numbers = None if self.deletion is None else dataclasses.asdict(self.deletion)
        above = None if self.occlusion is None else self.occlusion.above_noise
        return {
            "file": safe_path(self.path),
            "error": self.error,
            "lon": self.lon,
            "lat": self.lat,
            "above_noise": above,
            "tenth": numbers,
        }


def explain_photos(
    run: Path,
    paths: Sequence[Path],
    *,
    at: tuple[float, float] | None = None,
    on: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> list[ExplainedPhoto]:
    """Return which parts of each photo place it where the run does, or at `at` (lon, lat in degrees).

    Parts are filled from photos of the run's dataset, or of the one `on`. Raises NotFoundError, UsageError,
    InvalidCheckpointError, DeviceError.
    """
    localizer = load_localizer(run, device=device)
    info = open_run(run).read_info()
    frame = Dataset.open(info.dataset if on is None else on).frame()
    donors = _donors(Dataset.open(info.dataset if on is None else on), frame, localizer, seed)
    place = None
    if at is not None:
        east, north = localizer.frame.to_local(*at)
        place = (float(east), float(north))
    with bar("Explaining", len(paths)) as advance:
        found = []
        for number, path in enumerate(paths):
            found.append(_explained(localizer, path, donors, place, np.random.default_rng([seed, number])))
            advance(1)
    return found


def _explained(
    localizer: Localizer, path: Path, donors: Donors, place: tuple[float, float] | None, rng: np.random.Generator
) -> ExplainedPhoto:
    try:
        image = read_pixels(path, localizer.pixels)
    except UnreadableImageError as error:
        return ExplainedPhoto(path=path, error=str(error))
    answer = localizer.locate(_batch(image))
    spot = (float(answer.east_m[0]), float(answer.north_m[0])) if place is None else place
    content = donors.chosen(*spot, 2 * DONORS, rng)
    half = max(1, len(content) // 2)
    occlusion = occlude(localizer, image, content[:half], place)
    lon, lat = localizer.frame.to_lonlat(*occlusion.answer)
    return ExplainedPhoto(
        path=path,
        picture=image,
        occlusion=occlusion,
        deletion=deletion(localizer, image, occlusion, content[half:], rng),
        lon=float(lon),
        lat=float(lat),
    )


def _batch(image: Pixels) -> torch.Tensor:
    return torch.from_numpy(image[None])


def explain_split(
    run: Path,
    masks: Path,
    *,
    split: str | None = None,
    on: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    write: bool = True,
) -> ClassExplanation:
    """Return what the classes of things are worth to a run on the photos that `evaluate` would score.

    `masks` is a folder of masks by file names (`img2gps.masks`). `write` leaves explanation.json beside the
    evaluation's files. Raises what `choose_evaluation_set` raises, NotFoundError where no photo has a mask, UsageError
    for a run of folds.
    """
    chosen = choose_evaluation_set(run, on=on, split=split)
    if chosen.predictions is not None:
        raise UsageError(f"{safe_path(run)} holds one model per fold: explain one, as {safe_path(run)}/folds/0.")
    table_path = masks / TABLE_NAME
    table = read_class_table(table_path) if table_path.is_file() else None
    rows = chosen.rows
    found = [find_mask(masks, str(name), str(own)) for name, own in zip(rows["source_name"], rows["id"], strict=True)]
    with_mask = np.flatnonzero([mask is not None for mask in found])
    if not len(with_mask):
        raise NotFoundError(f"{safe_path(masks)} has no mask of these photos: name each FILE_NAME.png, as docs say.")
    localizer = load_localizer(run, device=device)
    source = chosen.training_dataset or chosen.dataset
    donors = _donors(source, source.frame(), localizer, seed)
    truths = _places(localizer, rows)
    parts = []
    with bar("Explaining", len(with_mask)) as advance:
        for row in with_mask.tolist():
            image = read_pixels(chosen.dataset.photo_path(rows["id"].iloc[row]), localizer.pixels)
            own = found[row]
            assert own is not None
            mask = fit_mask(read_mask(own, table), localizer.pixels)
            truth = (float(truths[row, 0]), float(truths[row, 1]))
            parts.append(costs_of(localizer, image, mask, truth, donors, seed=seed + row))
            advance(1)
    result = _explanation(chosen, _stacked(parts), rows.iloc[with_mask], len(rows) - len(with_mask))
    if write:
        path = explanation_path(evaluation_folder(chosen))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result.to_dict())
    return result


def _explanation(chosen: EvaluationSet, costs: PhotoCosts, rows: "pd.DataFrame", without_mask: int) -> ClassExplanation:
    clusters = clusters_of(rows)
    classes, headline = figures_of_classes(costs, clusters)
    return ClassExplanation(
        run=chosen.run_name,
        dataset=chosen.dataset_name,
        split=chosen.split,
        photos=len(rows),
        without_mask=without_mask,
        classes=classes,
        headline=headline,
        intervals_from=clusters.source,
    )


def _stacked(parts: Sequence[PhotoCosts]) -> PhotoCosts:
    names = [field.name for field in dataclasses.fields(PhotoCosts)]
    return PhotoCosts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _donors(dataset: Dataset, frame: "pd.DataFrame", localizer: Localizer, seed: int) -> Donors:
    paths = [dataset.photo_path(photo_id) for photo_id in frame["id"]]
    return Donors.of(paths, _places(localizer, frame), localizer.pixels, seed=seed)


def _places(localizer: Localizer, frame: "pd.DataFrame") -> FloatArray:
    return np.stack(localizer.frame.to_local(frame["lon"].to_numpy(), frame["lat"].to_numpy()), axis=1)
