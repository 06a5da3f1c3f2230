"""Models fitted for an explanation: on half of the training walks, to judge the other half, and without a class.

A model's own training photos say nothing: a gallery holds them. And what stood there in training and is gone in the
test costs nothing in the test. So two models of half the training walks each judge what the other half shows.
"""

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.masks import CLASSES
from train.config.schema import TrainConfig
from train.data.training_data import DatasetPhotos, Photos, TrainingData, select_split
from train.explanation.content import Donors
from train.explanation.masked_photos import Masks, without_class
from train.inference.locate import locate_files
from train.models.localizer import Localizer
from train.models.registry import fit_model
from train.runs.folder import RunFolder

if TYPE_CHECKING:
    import torch

__all__ = ["Refit", "half_models", "refit_without"]

_FEWEST_WALKS: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """A model fitted anew without one class, on N photos of a split: its errors `error_m` (N,).

    `share` is the class's part of the photos that it was fitted on.
    """

    name: str
    share: float
    error_m: FloatArray


def half_models(
    config: TrainConfig, source: DatasetPhotos, training: Sequence[str], *, seed: int, device: "torch.device"
) -> Iterator[tuple[Localizer, Photos]]:
    """Yield two models, each fitted on half of the training walks, with the photos of the other half.

    `training` are the ids of the training photos. Yields nothing where they are of one walk.
    """
    photos = source.photos.take(np.isin(source.photos.ids, list(training)))
    walks, sizes = np.unique(photos.walk, return_counts=True)
    if len(walks) < _FEWEST_WALKS:
        return
    order = np.random.default_rng(seed).permutation(len(walks))
    order = order[np.argsort(-sizes[order], kind="stable")]
    first = np.isin(photos.walk, walks[order[_balanced(sizes[order])]])
    for own in (first, ~first):
        data = TrainingData(source=source, train=photos.take(own))
        with tempfile.TemporaryDirectory() as folder:
            yield fit_model(config, data, RunFolder(root=Path(folder)), device=device), photos.take(~own)


def _balanced(sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of some walks (largest first) go into the first half: each into the smaller one so far."""
    first, totals = np.zeros(len(sizes), dtype=np.bool_), [0, 0]
    for number, size in enumerate(sizes.tolist()):
        first[number] = totals[0] <= totals[1]
        totals[0 if first[number] else 1] += size
    return first


def refit_without(
    config: TrainConfig,
    source: DatasetPhotos,
    masks: Masks,
    donors: Donors,
    scored: FloatArray,
    scored_ids: Sequence[str],
    localizer: Localizer,
    *,
    device: "torch.device",
) -> Iterator[Refit]:
    """Yield, for each class that training photos show, a model fitted anew with the class filled everywhere.

    `scored` (N, 2) are the true places of the photos `scored_ids` that each is scored on, filled as well.
    """
    data = select_split(source)
    shown = [masks.shares(one) for one in data.train.ids.tolist() if one in masks.paths]
    shares = np.mean(shown, axis=0) if shown else np.zeros(len(CLASSES))
    for number in np.flatnonzero(shares[1:]) + 1:
        with tempfile.TemporaryDirectory() as folder:
            altered = without_class(source, masks, [int(number)], donors, localizer.pixels, Path(folder) / "dataset")
            run = RunFolder(root=Path(folder) / "run")
            run.root.mkdir()
            made = fit_model(config, select_split(altered), run, device=device)
            answer = locate_files(made, altered.dataset.photo_paths(scored_ids))
        apart = np.hypot(answer.east_m - scored[:, 0], answer.north_m - scored[:, 1])
        yield Refit(name=CLASSES[number], share=float(shares[number]), error_m=np.asarray(apart, dtype=np.float64))
