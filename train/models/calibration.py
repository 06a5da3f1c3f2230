"""How far the regions of a model must be stretched so that they hold what they claim."""

import dataclasses
from collections.abc import Callable
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from train.data.training_data import Photos
from train.models.conformal import LEVELS, fit_inflation
from train.models.distribution import region_radii
from train.models.grid import Cells, soft_labels

__all__ = ["FEWEST_TO_CALIBRATE", "LABEL_SIGMA_M", "Calibration", "Parts", "drawn_places", "inner_parts", "some_units"]

_TEMPERS: Final = 0.1 * 15 ** (np.arange(38) / 27)  # to 4.1: whole walks are often too little sure of themselves
LABEL_SIGMA_M: Final = 8.0  # typical error of a phone's position between buildings
FEWEST_TO_CALIBRATE: Final = 20
_DRAWS: Final = 8
_INNER_PARTS: Final = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Exponent on the distribution and factors on the radii of its regions, and what they were fitted on.

    Without calibration photos all are one and `photos` is 0.
    """

    temper: float = 1.0
    inflation_50: float = 1.0
    inflation_90: float = 1.0
    photos: int = 0
    by: str = "none"

    def radii(self, log_probs: Tensor, cells: Cells, point: Tensor) -> Tensor:
        """Return the radii (N, 2), 50 % and 90 %, around `point` (N, 2); the second is never the smaller."""
        radii = region_radii(F.softmax(log_probs * self.temper, dim=1), cells, point, LEVELS)
        stretched = radii * radii.new_tensor([self.inflation_50, self.inflation_90])
        return stretched.cummax(dim=1).values

    @classmethod
    def fit(
        cls,
        log_probs: Tensor,
        cells: Cells,
        xy: Tensor,
        answer: Callable[[Tensor], Tensor],
        *,
        by: str,
        label_error_m: float | None = None,
    ) -> Self:
        """Return the calibration on photos at `xy` (N, 2) that no head was fitted on.

        The exponent makes the labels most likely, the factors are conformal (`fit_inflation`). With fewer
        than 20 photos nothing can be said and nothing is changed. Regions hold labels of the kind given. Labels whose
        error is known (`label_error_m`, per axis) are not what is asked for: regions then hold the places themselves,
        drawn around these labels (`drawn_places`).
        """
        if len(xy) < FEWEST_TO_CALIBRATE:
            return cls()
        temper = _likeliest(log_probs, cells, xy, label_error_m or LABEL_SIGMA_M)
        point = answer(log_probs)
        places = xy[None] if label_error_m is None else drawn_places(xy, label_error_m)
        error = torch.linalg.vector_norm(point - places, dim=2).flatten().cpu().double().numpy()
        radii = cls(temper=temper).radii(log_probs, cells, point).repeat(len(places), 1).cpu().double().numpy()
        factors = [fit_inflation(radii[:, k], error, level) for k, level in enumerate(LEVELS)]
        return cls(temper=temper, inflation_50=factors[0], inflation_90=factors[1], photos=len(xy), by=by)


def drawn_places(xy: Tensor, label_error_m: float) -> Tensor:
    """Return places (draws, N, 2) of photos whose labels `xy` (N, 2) are off by so much per axis.

    The label must be the mean of what was known: the truth is then drawn around it (multiple imputation, Rubin 1987).
    """
    noise = np.random.default_rng(0).normal(0.0, label_error_m, (_DRAWS, *xy.shape))
    return xy[None] + torch.from_numpy(noise).to(xy)


def _likeliest(log_probs: Tensor, cells: Cells, xy: Tensor, sigma_m: float) -> float:
    """Return the exponent under which labels, blurred by their own error, are most likely.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    blur = soft_labels(xy, cells, sigma_m)
    scores = [
        float((F.softmax(log_probs * temper, dim=1) * blur).sum(dim=1).clamp(min=1e-12).log().mean())
        for temper in _TEMPERS.tolist()
    ]
    return float(_TEMPERS[int(np.argmax(scores))])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which of N photos are held out of which model: a number `part` (N,) each, whole units (`by`) together.

    Where `scored` (S,) is given, those of part 1 alone are held out, of one model, and those rows of them are scored.
    """

    part: NDArray[np.int64]
    by: str
    scored: NDArray[np.int64] | None = None


def inner_parts(photos: Photos, *, most: int = _INNER_PARTS) -> Parts | None:
    """Return parts of about the same size, whole walks together.

    There are up to `most` parts. Whole groups take the place of walks where there is only one walk; None where there is
    only one group.
    """
    for name, units in (("walk", photos.walk), ("group", photos.group)):
        numbers, counts = np.unique(units, return_inverse=True, return_counts=True)[1:]
        if len(counts) > 1:
            return Parts(part=_balanced(counts, most)[numbers.reshape(-1)], by=name)
    return None


def some_units(photos: Photos, most: int) -> Parts | None:
    """Return one part of whole walks, drawn until it has `most` photos, of which no more than that are scored.

    The last walk is scored from its beginning. Groups take the place of walks as in `inner_parts`.
    """
    for name, units in (("walk", photos.walk), ("group", photos.group)):
        numbers, counts = np.unique(units, return_inverse=True, return_counts=True)[1:]
        if len(counts) < 2:
            continue
        drawn = np.random.default_rng(0).permutation(len(counts))
        enough = int(np.searchsorted(counts[drawn].cumsum(), most)) + 1
        place = np.empty(len(counts), dtype=np.int64)
        place[drawn] = np.arange(len(counts))
        turn = place[numbers.reshape(-1)]
        held_out = turn < min(enough, len(counts) - 1)  # a unit at least is left to learn from
        rows = np.flatnonzero(held_out)
        in_order = rows[np.lexsort((photos.captured_s[rows], turn[rows]))]
        return Parts(part=held_out.astype(np.int64), by=name, scored=np.sort(in_order[:most]))
    return None


def _balanced(counts: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return a part per unit, the largest first, each into the part that holds least so far."""
    held = np.zeros(min(most, len(counts)), dtype=np.int64)
    part = np.zeros(len(counts), dtype=np.int64)
    for unit in np.argsort(-counts, kind="stable"):
        part[unit] = held.argmin()
        held[part[unit]] += counts[unit]
    return part
