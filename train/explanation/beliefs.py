"""What a model says of photos: its answer, how likely it holds one place, and how it stands to many places."""

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
_POINT_M: Final = 25.0  # of a point alone: half agrees at this distance, next to nothing across the site


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Answers to N photos, (N,) metres of the run's frame, and the natural logarithms (N,) of a place's probability.

    `log_prob` is None of a model that gives points alone. `agreement` (N, P) says how well an answer agrees with each
    of P places. It is the place's probability, or 1 / (1 + (metres / 25)^2) for a model that gives points.
    """

    east_m: FloatArray
    north_m: FloatArray
    log_prob: FloatArray | None
    agreement: FloatArray

    def apart_m(self, east_m: float, north_m: float) -> FloatArray:
        """Return how far the answers lie from a place, (N,)."""
        return np.asarray(np.hypot(self.east_m - east_m, self.north_m - north_m), dtype=np.float64)


def beliefs_of(
    localizer: Localizer, images: Pixels, at: tuple[float, float] | None = None, places: FloatArray | None = None
) -> Beliefs:
    """Return what a model says of photos (N, 3, height, width), and how likely the place `at` (east, north) is to it.

    Without `at`, each photo's own answer is the place. `places` (P, 2) are those of the agreement; None: none.
    """
    others = np.empty((0, 2)) if places is None else places
    parts = [_part(localizer, images[k : k + _AT_ONCE], at, others) for k in range(0, len(images), _AT_ONCE)]
    logs = [part.log_prob for part in parts if part.log_prob is not None]
    return Beliefs(
        east_m=np.concatenate([part.east_m for part in parts]),
        north_m=np.concatenate([part.north_m for part in parts]),
        log_prob=np.concatenate(logs) if logs else None,
        agreement=np.concatenate([part.agreement for part in parts]),
    )


def _part(localizer: Localizer, images: Pixels, at: tuple[float, float] | None, others: FloatArray) -> Beliefs:
    batch = torch.from_numpy(images)
    if not isinstance(localizer, ProbeLocalizer):
        estimate = localizer.locate(batch)
        answers = np.stack([estimate.east_m, estimate.north_m], axis=1)
        apart = np.linalg.norm(answers[:, None] - others[None], axis=2)
        return Beliefs(
            east_m=estimate.east_m, north_m=estimate.north_m, log_prob=None, agreement=1 / (1 + (apart / _POINT_M) ** 2)
        )
    evidence = localizer.evidence(batch)
    estimate = localizer.estimate(evidence)
    log_probs = torch.log_softmax(evidence.log_probs * localizer.calibration.temper, dim=1)
    centres = localizer.ensemble.cells.centres
    answers = np.stack([estimate.east_m, estimate.north_m], axis=1)
    near = _near(torch.as_tensor(answers if at is None else np.tile(at, (len(answers), 1))).to(centres), centres)
    held = log_probs.masked_fill(~near, -torch.inf).logsumexp(dim=1)
    agreement = log_probs.exp() @ _near(torch.as_tensor(others).to(centres), centres).to(log_probs).T
    return Beliefs(
        east_m=estimate.east_m,
        north_m=estimate.north_m,
        log_prob=np.asarray(held.cpu().double().numpy(), dtype=np.float64),
        agreement=np.asarray(agreement.cpu().double().numpy(), dtype=np.float64),
    )


def _near(places: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return which cells (C, 2) are those of each place (P, 2), shape (P, C): a place off the cells has the nearest."""
    distance = torch.cdist(places, centres)
    if not len(places):
        return distance > 0
    return distance <= distance.amin(dim=1, keepdim=True).clamp(min=NEAR_M)
