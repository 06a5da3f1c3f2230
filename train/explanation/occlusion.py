"""Which parts of one photo place it: windows filled with content of other places, on a grid at two scales.

Gradient maps were left out: they change little when a network's weights are drawn anew (Adebayo et al., "Sanity Checks
for Saliency Maps", NeurIPS 2018). Occlusion asks the model itself (Zeiler and Fergus, ECCV 2014).
"""

import dataclasses
import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.pixels import Pixels
from train.explanation.beliefs import Beliefs, beliefs_of
from train.explanation.content import filled, picture_area
from train.explanation.noise import Noise, is_steady, noise_of
from train.models.localizer import Localizer

__all__ = ["DONORS", "Deletion", "Occlusion", "deletion", "occlude"]

SCALES: Final = (3, 6)
"""Windows along the shorter side of a photo."""

DONORS: Final = 4
_TENTH: Final = 0.1

Window = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """What filling each part of a photo changes; maps are (height, width) in the model's pixels.

    `log_prob` is how much less likely the place becomes (natural logarithm; negative: the part speaks for other
    places), None of a model that gives points. `moved_m` is how far the answer moves. `fine` (W, height, width) are the
    smaller windows and `fine_effect` (W,) what each does. `steady` is the share of windows whose effect is over
    three times its standard error over the donors: they count whatever fills them. It is no test of what was learnt;
    that is `noise` (`train.explanation.noise`), None where the true place is not known. `above` (height, width) are the
    parts above noise.
    """

    answer: tuple[float, float]
    place: tuple[float, float]
    log_prob: FloatArray | None
    moved_m: FloatArray
    fine: Window
    fine_effect: FloatArray
    steady: float
    noise: Noise | None
    above: Window | None

    @property
    def importance(self) -> FloatArray:
        """The map that a picture shows: of the log-probability, else of metres."""
        return self.moved_m if self.log_prob is None else self.log_prob

    def most_important(self) -> Window:
        """Return the smaller windows that matter most and cover a tenth of the photo, (height, width)."""
        return _tenth(self.fine, np.argsort(-self.fine_effect, kind="stable"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What filling the most important tenth of a photo does, beside tenths drawn at random.

    Metres that the answer moves, and by how much the place is less likely (None of a model that gives points).
    """

    most_important_m: float
    random_m: float
    most_important_log_prob: float | None
    random_log_prob: float | None


def occlude(
    localizer: Localizer,
    image: Pixels,
    donors: Pixels,
    at: tuple[float, float] | None = None,
    *,
    places: FloatArray | None = None,
) -> Occlusion:
    """Explain the answer to a photo (3, height, width), or why it is held to be at the place `at` (east, north).

    `donors` (D, 3, height, width) show other places. `places` (P, 2) are the true place and, after it, others of the
    site: with them the windows are judged against noise.
    """
    before = beliefs_of(localizer, image[None])
    answer = (float(before.east_m[0]), float(before.north_m[0]))
    place = answer if at is None else at
    before = beliefs_of(localizer, image[None], place, places)
    scales = [_windows(image, per_side) for per_side in SCALES]
    windows = np.concatenate(scales)
    altered = np.concatenate([filled(image, window, donors) for window in windows])
    after = beliefs_of(localizer, altered, place, places)
    moved = after.apart_m(*answer).reshape(len(windows), -1)
    fallen = _fallen(before, after)
    fallen = None if fallen is None else fallen.reshape(len(windows), -1)
    effects = moved if fallen is None else fallen
    mean = effects.mean(axis=1)
    noise = None if places is None else noise_of(before.agreement, after.agreement.reshape(*effects.shape, -1))
    count = len(scales[-1])
    return Occlusion(
        answer=answer,
        place=place,
        log_prob=None if fallen is None else _mapped(scales, fallen.mean(axis=1)),
        moved_m=_mapped(scales, moved.mean(axis=1)),
        fine=scales[-1],
        fine_effect=mean[-count:],
        steady=float(np.mean(is_steady(effects))),
        noise=noise,
        above=None if noise is None else np.asarray(np.any(windows[noise.above], axis=0)),
    )


def deletion(
    localizer: Localizer, image: Pixels, occlusion: Occlusion, donors: Pixels, rng: np.random.Generator
) -> Deletion:
    """Fill the most important tenth and random tenths of a photo from `donors`: others than those of the map.

    With the same donors, their chance would make the map look better than it is.
    """
    random = [_tenth(occlusion.fine, rng.permutation(len(occlusion.fine))) for _ in donors]
    altered = np.concatenate(
        [
            filled(image, occlusion.most_important(), donors),
            *(filled(image, window, donor[None]) for window, donor in zip(random, donors, strict=True)),
        ]
    )
    before = beliefs_of(localizer, image[None], occlusion.place)
    after = beliefs_of(localizer, altered, occlusion.place)
    moved, fallen = after.apart_m(*occlusion.answer), _fallen(before, after)
    half = len(donors)
    return Deletion(
        most_important_m=float(moved[:half].mean()),
        random_m=float(moved[half:].mean()),
        most_important_log_prob=None if fallen is None else float(fallen[:half].mean()),
        random_log_prob=None if fallen is None else float(fallen[half:].mean()),
    )


def _fallen(before: Beliefs, after: Beliefs) -> FloatArray | None:
    if before.log_prob is None or after.log_prob is None:
        return None
    return np.asarray(before.log_prob[0] - after.log_prob, dtype=np.float64)


def _windows(image: Pixels, per_side: int) -> Window:
    """Return the windows of a grid over a photo within its bars, `per_side` on the shorter side: (W, height, width)."""
    own_rows, own_columns = picture_area(image)
    height, width = own_rows.stop - own_rows.start, own_columns.stop - own_columns.start
    side = min(height, width) / per_side
    rows, columns = max(1, round(height / side)), max(1, round(width / side))
    tops = np.linspace(own_rows.start, own_rows.stop, rows + 1).astype(int)
    lefts = np.linspace(own_columns.start, own_columns.stop, columns + 1).astype(int)
    found = np.zeros((rows * columns, *image.shape[1:]), dtype=np.bool_)
    for k, (row, column) in enumerate(itertools.product(range(rows), range(columns))):
        found[k, tops[row] : tops[row + 1], lefts[column] : lefts[column + 1]] = True
    return found


def _mapped(scales: list[Window], effect: FloatArray) -> FloatArray:
    """Return the effects of windows as a map: the mean of the scales."""
    maps, start = [], 0
    for windows in scales:
        maps.append(np.tensordot(effect[start : start + len(windows)], windows, axes=1))
        start += len(windows)
    return np.asarray(np.mean(maps, axis=0), dtype=np.float64)


def _tenth(windows: Window, order: NDArray[np.int64]) -> Window:
    count = max(1, round(_TENTH * len(windows)))
    return np.asarray(np.any(windows[order[:count]], axis=0))
