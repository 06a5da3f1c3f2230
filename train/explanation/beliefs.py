"""What a model says of photos: its answer, and how likely it holds one place."""

import dataclasses
from typing import Final

import numpy as np
import torch

from img2gps.geo import FloatArray
from img2gps.pixels import Pixels
from train.models.localizer import Localizer
from train.models.probe.model import ProbeLocalizer

__all__ = ["NEAR_M", "Beliefs", "beliefs_of"]

NEAR_M: Final = 10.0
"""The probability of a place is that of the cells within this distance of it."""

_AT_ONCE: Final = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Answers to N photos, (N,) metres of the run's frame, and the natural logarithms (N,) of a place's probability.

    `log_prob` is None of a model that gives points alone.
    """

    east_m: FloatArray
    north_m: FloatArray
    log_prob: FloatArray | None

    def apart_m(self, east_m: float, north_m: float) -> FloatArray:
        """Return how far the answers lie from a place, (N,)."""
        return np.asarray(np.hypot(self.east_m - east_m, self.north_m - north_m), dtype=np.float64)


def beliefs_of(localizer: Localizer, images: Pixels, at: tuple[float, float] | None = None) -> Beliefs:
    """Return what a model says of photos (N, 3, height, width), and how likely the place `at` (east, north) is to it.

    Without `at`, each photo's own answer is the place.
    """
    parts = [_part(localizer, images[k : k + _AT_ONCE], at) for k in range(0, len(images), _AT_ONCE)]
    logs = [part.log_prob for part in parts if part.log_prob is not None]
    return Beliefs(
        east_m=np.concatenate([part.east_m for part in parts]),
        north_m=np.concatenate([part.north_m for part in parts]),
        log_prob=np.concatenate(logs) if logs else None,
    )


def _part(localizer: Localizer, images: Pixels, at: tuple[float, float] | None) -> Beliefs:
    batch = torch.from_numpy(images)
    if not isinstance(localizer, ProbeLocalizer):
        estimate = localizer.locate(batch)
        return Beliefs(east_m=estimate.east_m, north_m=estimate.north_m, log_prob=None)
    evidence = localizer.evidence(batch)
    estimate = localizer.estimate(evidence)
    log_probs = torch.log_softmax(evidence.log_probs * localizer.calibration.temper, dim=1)
    centres = localizer.ensemble.cells.centres
    answers = np.stack([estimate.east_m, estimate.north_m], axis=1)
    place = torch.as_tensor(answers if at is None else np.tile(at, (len(answers), 1))).to(centres)
    distance = torch.cdist(place, centres)
    reach = distance.amin(dim=1, keepdim=True).clamp(min=NEAR_M)  # a place off the cells has the nearest one
    held = log_probs.masked_fill(distance > reach, -torch.inf).logsumexp(dim=1)
    found = np.asarray(held.cpu().double().numpy(), dtype=np.float64)
    return Beliefs(east_m=estimate.east_m, north_m=estimate.north_m, log_prob=found)
