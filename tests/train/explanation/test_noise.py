"""What is above noise: much of a trained model, next to nothing of one with random weights, whatever its kind."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.train.colours import TINY, without_curves
from tests.train.explanation.worlds import MANY_PLACES, paint, painted_dataset
from train import train
from train.explanation import photos
from train.explanation.photos import ExplainedPhoto, explain_photos
from train.inference.load import load_localizer
from train.models.localizer import Localizer
from train.models.network.model import NetworkLocalizer
from train.models.probe.model import ProbeLocalizer

# kinds of model: retrieval alone, frozen features with two heads, a network that gives points
KINDS = {
    "retrieval": {"preset": "quick", "heads": "neighbours", "size": 64},
    "probe": {"preset": "quick", "size": 64},
    "network": {"preset": "finetune", "size": 64, "epochs": 12, "lr": 0.01, "warmup_epochs": 0.0},
}
SHOWN = range(0, len(MANY_PLACES), 3)


def randomised(localizer: Localizer, seed: int) -> Localizer:
    """Return a model with every weight drawn anew; what retrieval compares with stays as it was."""
    torch.manual_seed(seed)
    if isinstance(localizer, NetworkLocalizer):
        network = copy.deepcopy(localizer.network)
        network.apply(_drawn_anew)
        return dataclasses.replace(localizer, network=network)
    assert isinstance(localizer, ProbeLocalizer)
    extractor = copy.deepcopy(localizer.extractor)
    extractor.apply(_drawn_anew)
    return dataclasses.replace(localizer, extractor=extractor)


def _drawn_anew(module: nn.Module) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of buildings that tell the place, and a photo of a new visit to every third place."""
    root = tmp_path_factory.mktemp("noise")
    painted_dataset(root / "site", root / "masks", told_by="building", visits=6, places=MANY_PLACES)
    for place in SHOWN:
        paint(place, 50, told_by="building")[0].save(root / f"{place}.jpg", quality=95)
    return root


def explained(run: Path, root: Path) -> list[ExplainedPhoto]:
    """Explain the photos at their true places."""
    from tests.datasets import FRAME

    found = []
    for place in SHOWN:
        lon, lat = FRAME.to_lonlat(*map(float, MANY_PLACES[place]))
        found += explain_photos(run, [root / f"{place}.jpg"], at=(float(lon), float(lat)), device="cpu")
    return found


def share_above_noise(found: list[ExplainedPhoto]) -> float:
    """Return the share of photos with a window above noise."""
    flags = []
    for photo in found:
        assert photo.occlusion is not None
        assert photo.occlusion.noise is not None
        flags.append(bool(photo.occlusion.noise.above.any()))
    return float(np.mean(flags))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_weights_show_nothing_above_noise_and_learnt_ones_do(
    kind: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_curves(monkeypatch)
    options = {"model": TINY, "weights": "none", "device": "cpu", "threads": 1} | KINDS[kind]
    run = train(world / "site", name=kind, runs=tmp_path, **options).root
    learnt = share_above_noise(explained(run, world))
    model = load_localizer(run, device="cpu")
    random = []
    for seed in range(2):
        monkeypatch.setattr(photos, "load_localizer", lambda *_, seed=seed, **__: randomised(model, seed))
        random += explained(run, world)
    # one of twenty is expected; of 24 photos, more than five happens to one run in two hundred
    assert share_above_noise(random) <= 5 / 24
    assert learnt > 0.5
