"""How far heads are to be believed: the less a photo looks like any training photo, the less they know of it."""

import dataclasses
import math
from typing import Final, Self

import torch
from torch import Tensor

from img2gps.geo import FloatArray
from train.models.calibration import FEWEST_TO_CALIBRATE, LABEL_SIGMA_M
from train.models.evidence import Evidence
from train.models.grid import Cells, soft_labels

__all__ = ["Reliability"]

_LEAST: Final = 1e-6  # of any photo is not known: no cell is impossible
# Views that no training photo shows are few on any one site. What is usual on others counts beside its own: where the
# curve is one half, in spreads from the median, and its slope per spread. On four generated campuses the likeliest
# middle was -2.3. A little more doubt had the lower RMSE, because an answer far off costs more than one half way.
_USUAL_MIDDLE: Final = -2.0
_USUAL_SLOPE: Final = 6.0
_MIDDLES_DIFFER: Final = 0.1
_SLOPES_DIFFER: Final = 0.4  # of the logarithm
_MIDDLES: Final = torch.linspace(-6.0, -1.0, 101, dtype=torch.float64)
_SLOPES: Final = torch.logspace(math.log10(0.5), math.log10(20.0), 38, dtype=torch.float64)
# What is known with this probability is believed to the full. Its discs hold what it errs by; doubted, its answer would
# lie half way to the middle of the site. On a real campus that cost 0.5 m in the median and gained nothing.
_BELIEVED_FROM: Final = 0.5
_NORMAL: Final = 1.4826  # standard deviations of a normal distribution in its median absolute deviation


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """The probability that a view is known, by its similarity to the nearest training photos: a logistic curve.

    It is one half at `middle` and rises by `slope` per unit of similarity. `photos` is how many it was fitted on.
    """

    middle: float
    slope: float
    photos: int

    @classmethod
    def fit(
        cls, evidence: Evidence, cells: Cells, xy: Tensor, weights: FloatArray, *, label_error_m: float | None = None
    ) -> Self | None:
        """Return the curve under which photos at `xy` (N, 2) that no head was fitted on are most likely.

        Of a view that is known, the heads say where it is; of another, nothing: it may be of any cell. What is usual
        on other sites is the prior (maximum a posteriori). `weights` (N,) is what each photo counts. Labels err by
        `label_error_m` per axis. None with fewer than 20 photos, or where no head compares photos.
        """
        similarity = evidence.similarity.cpu().double()
        if len(similarity) < FEWEST_TO_CALIBRATE or not bool(similarity.isfinite().all()):
            return None
        median = float(similarity.median())
        spread = _NORMAL * float((similarity - median).abs().median())
        if not spread > 0:
            return None
        blur = soft_labels(xy, cells, label_error_m or LABEL_SIGMA_M)
        known = (evidence.log_probs.softmax(dim=1) * blur).sum(dim=1).cpu().double()
        middle, slope = _likeliest((similarity - median) / spread, known * len(cells), torch.from_numpy(weights))
        return cls(middle=median + spread * middle, slope=slope / spread, photos=len(similarity))

    def doubted(self, evidence: Evidence) -> Evidence:
        """Return the evidence of N photos; of those that are hardly known, some is spread evenly over all cells."""
        return dataclasses.replace(evidence, log_probs=self.log_probs(evidence.log_probs, evidence.similarity))

    def log_probs(self, log_probs: Tensor, similarity: Tensor) -> Tensor:
        """Return log-probabilities (N, C) as `doubted` does; `similarity` is (N,)."""
        known = torch.sigmoid(self.slope * (similarity - self.middle))
        believed = (known / _BELIEVED_FROM).clamp(max=1 - _LEAST)[:, None]
        return torch.log(believed * log_probs.exp() + (1 - believed) / log_probs.shape[1])


def _likeliest(score: Tensor, known: Tensor, weights: Tensor) -> tuple[float, float]:
    """Return the middle and the slope of the likeliest curve, by scores (N,) in spreads from the median.

    `known` (N,) is how much likelier the place of each photo is by its heads than by chance.
    """
    prior = torch.log1p(((_MIDDLES - _USUAL_MIDDLE) / _MIDDLES_DIFFER).square())  # Cauchy's: many photos overrule it
    best, found = -math.inf, (_USUAL_MIDDLE, _USUAL_SLOPE)
    for slope in _SLOPES.tolist():
        share = torch.sigmoid(slope * (score[None] - _MIDDLES[:, None])).clamp(max=1 - _LEAST)
        slope_off = math.log(slope / _USUAL_SLOPE) / _SLOPES_DIFFER
        total = torch.log(share * known + 1 - share) @ weights - prior - slope_off**2 / 2
        row = int(total.argmax())
        if float(total[row]) > best:
            best, found = float(total[row]), (float(_MIDDLES[row]), slope)
    return found
