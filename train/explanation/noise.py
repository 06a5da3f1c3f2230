"""Whether a window tells a photo's place at all: its effect at the true place, beside that at other places of the site.

A network with random weights answers something, too, and what fills a window changes that answer. But its answers know
nothing of the place. A fill changes the true place as much as any other. So the effect at the true place is ranked
among those at other places where photos of the site were taken. Of each of these, the largest effect of all windows
counts, which corrects for looking at many windows. This is the single-step maximum of Westfall and Young,
"Resampling-Based Multiple Testing", 1993. A model that knows nothing has a window above noise in one of twenty photos.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from train.explanation.content import APART_M

__all__ = ["FEWEST_PLACES", "LEVEL", "Noise", "is_steady", "noise_of", "places_to_rank"]

LEVEL: Final = 0.05
FEWEST_PLACES: Final = 20
"""The true place and 19 others: with fewer, no rank is as rare as one in twenty."""

_MOST_PLACES: Final = 200
_STEADY: Final = 3.0  # standard errors over the fills: what is less may be the fills' chance
_LEAST: Final = 1e-6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """W windows beside noise: `p_value` (W,), corrected for their number, and which are `above` it, (W,)."""

    p_value: FloatArray
    above: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """The share of windows above noise."""
        return float(self.above.mean())


def is_steady(effects: FloatArray) -> NDArray[np.bool_]:
    """Return whether the mean of effects (W, D) over D fills is over three times its standard error, (W,)."""
    mean = effects.mean(axis=1)
    error = effects.std(axis=1, ddof=1) / np.sqrt(effects.shape[1]) if effects.shape[1] > 1 else np.zeros(len(effects))
    return np.asarray(np.abs(mean) > np.maximum(_STEADY * error, _LEAST))


def noise_of(before: FloatArray, after: FloatArray) -> Noise | None:
    """Judge windows by the agreement of a photo's answer with P places, the true one first (`Beliefs.agreement`).

    `before` (1, P) is the whole photo, `after` (W, D, P) with each of W windows filled from D photos. A window is above
    noise where filling it lowers the agreement with the true place, steadily over the fills. At most one in twenty
    of the other places may lose as much with any window. None for fewer than 20 places.
    """
    if before.shape[1] < FEWEST_PLACES:
        return None
    lost = before[:, None] - after
    mean = lost.mean(axis=1)
    strongest = mean[:, 1:].max(axis=0)
    as_strong = (strongest[None] >= mean[:, :1]).sum(axis=1)
    p_value = (1 + as_strong) / (1 + len(strongest))
    above = (p_value <= LEVEL) & (mean[:, 0] > 0) & is_steady(lost[:, :, 0])
    return Noise(p_value=p_value, above=above)


def places_to_rank(truth: tuple[float, float], xy: FloatArray, rng: np.random.Generator) -> FloatArray | None:
    """Return the true place and, after it, up to 199 others of `xy` (N, 2) that lie apart from it: (P, 2), or None.

    Equal places count once: a spot with many photos is one place.
    """
    others = np.unique(np.round(xy, 1), axis=0)
    others = others[np.hypot(*(others - np.array(truth)).T) >= APART_M]
    if len(others) < FEWEST_PLACES - 1:
        return None
    chosen = others[rng.permutation(len(others))[: _MOST_PLACES - 1]]
    return np.concatenate([np.array(truth)[None], chosen])
