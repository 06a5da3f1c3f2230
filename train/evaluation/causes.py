"""Why a model errs, photo by photo: rules with thresholds, counts with intervals, and a remedy for each cause.

A photo with an error of over 25 m has the first cause whose rule holds:

1. dark or blurred: its mean luma is under 40 of 255, or it is less than 0.4 times as sharp as half of the photos.
2. label doubtful: the model is sure (its 90 % region is within 25 m), or places the photo as it places the whole walk.
   The answers of the photos before and after can be reached on foot from this answer, but not from the label.
3. unseen place: no training photo within 15 m, or, where compass directions are known, none that looks the same way.
4. alike elsewhere: the label's surroundings are at least a quarter as likely to the model as those of its answer.
5. other.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray, turned_deg
from img2gps.text import format_count
from train.evaluation.bootstrap import Clusters, mean_interval
from train.evaluation.per_figure import Interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CAUSES",
    "FAR_M",
    "NONE",
    "REMEDIES",
    "CauseCount",
    "CauseFigures",
    "cause_figures",
    "cause_lines",
    "causes_of",
    "same_view_m",
]

FAR_M: Final = 25.0
"""A photo whose error is larger has a cause."""

SEEN_M: Final = 15.0
SAME_WAY_DEG: Final = 60.0
_DARK_LUMA: Final = 40.0
_BLURRED: Final = 0.4
_SURE_M: Final = 25.0
_AGREES_M: Final = 15.0
_NEIGHBOUR_S: Final = 60.0
_WALKING_M_PER_S: Final = 1.5
_LIKELY: Final = 0.25

NONE: Final = ""
REMEDIES: Final = {
    "dark or blurred": "take it again in light and with a steady hand; more training photos of that light help, too",
    "label doubtful": "correct the label with `img2gps label`",
    "unseen place": "walk there, and look the same way",
    "alike elsewhere": "take whole walks (`predict --walks`): the photos before and after tell such places apart",
    "other": "look at the photo; `img2gps explain` shows which parts placed it",
}
CAUSES: Final = tuple(REMEDIES)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CauseCount:
    """How many photos have a cause, their share of all photos, its 95 % interval, and what helps."""

    cause: str
    photos: int
    share: float
    interval: Interval | None
    remedy: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CauseFigures:
    """The causes of errors over `far_m`; a cause without photos is counted, too."""

    far_m: float
    photos: int
    counts: tuple[CauseCount, ...]

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return dataclasses.asdict(self)


def causes_of(scores: "pd.DataFrame") -> list[str]:
    """Return the cause of each photo's error, `NONE` for errors up to 25 m.

    `scores` has the columns of `train.evaluation.scores.scores_frame`, with `luma`, `sharpness` and `same_view_m`.
    """
    error_m = _numbers(scores, "error_m")
    rules = {
        "dark or blurred": _dark_or_blurred(scores),
        "label doubtful": _label_doubtful(scores),
        "unseen place": _numbers(scores, "same_view_m") > SEEN_M,
        "alike elsewhere": _alike_elsewhere(scores),
    }
    found = np.select(list(rules.values()), list(rules), default="other")
    return [str(cause) if far else NONE for cause, far in zip(found, error_m > FAR_M, strict=True)]


def cause_figures(causes: list[str], clusters: Clusters) -> CauseFigures:
    """Return the counts of the causes of N photos that err together by `clusters`."""
    named = np.array(causes, dtype=object)
    counts = []
    for cause in CAUSES:
        own = np.asarray(named == cause, dtype=np.float64)
        counts.append(
            CauseCount(
                cause=cause,
                photos=int(own.sum()),
                share=float(own.mean()),
                interval=mean_interval(own, clusters),
                remedy=REMEDIES[cause],
            )
        )
    return CauseFigures(far_m=FAR_M, photos=int((named != NONE).sum()), counts=tuple(counts))


def cause_lines(figures: CauseFigures) -> list[str]:
    """Return the causes in words, the most frequent first; nothing where no error is large."""
    lines = []
    for one in sorted((one for one in figures.counts if one.photos), key=lambda one: -one.photos):
        bounds = "" if one.interval is None else f" ({one.interval.low:.0%} to {one.interval.high:.0%})"
        lines.append(f"  {one.cause}: {format_count(one.photos, 'photo')}, {one.share:.0%}{bounds}; {one.remedy}.")
    return [f"Errors over {figures.far_m:g} m by cause:", *lines] if lines else []


def same_view_m(
    photos: "pd.DataFrame", photos_m: FloatArray, training: "pd.DataFrame", training_m: FloatArray
) -> FloatArray:
    """Return how far the nearest training photo is that looks the same way, (N,); all look so where none tells.

    Both tables have `heading_deg`, NaN where unknown, and `fold`; positions are metres of one frame, (N, 2), (T, 2).
    """
    from scipy.spatial import cKDTree

    found = np.full(len(photos), np.inf)
    own, other = _numbers(photos, "heading_deg"), _numbers(training, "heading_deg")
    folds, training_folds = photos["fold"].to_numpy(np.int64), training["fold"].to_numpy(np.int64)
    for row, near in enumerate(cKDTree(training_m).query_ball_point(photos_m, SEEN_M)):
        rows = np.array(near, dtype=np.int64)
        rows = rows[(training_folds[rows] != folds[row]) | (folds[row] < 0)]
        rows = rows[~(turned_deg(other[rows], own[row]) > SAME_WAY_DEG)]  # an unknown direction may be the same
        if len(rows):
            found[row] = np.hypot(*(training_m[rows] - photos_m[row]).T).min()
    return found


def _numbers(frame: "pd.DataFrame", name: str) -> FloatArray:
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _dark_or_blurred(scores: "pd.DataFrame") -> NDArray[np.bool_]:
    luma, sharpness = _numbers(scores, "luma"), _numbers(scores, "sharpness")
    if np.isnan(sharpness).all():
        return np.zeros(len(scores), dtype=np.bool_)
    return np.asarray((luma < _DARK_LUMA) | (sharpness < _BLURRED * np.nanmedian(sharpness)))


def _alike_elsewhere(scores: "pd.DataFrame") -> NDArray[np.bool_]:
    label, answer = _numbers(scores, "label_share"), _numbers(scores, "answer_share")
    return np.asarray(label >= _LIKELY * answer)


def _label_doubtful(scores: "pd.DataFrame") -> NDArray[np.bool_]:
    answer = np.stack([_numbers(scores, "pred_east_m"), _numbers(scores, "pred_north_m")], axis=1)
    label = np.stack([_numbers(scores, "east_m"), _numbers(scores, "north_m")], axis=1)
    walk = np.stack([_numbers(scores, "walk_east_m"), _numbers(scores, "walk_north_m")], axis=1)
    with_walk = np.hypot(*(walk - answer).T) <= _AGREES_M
    sure = (_numbers(scores, "radius_90_m") <= _SURE_M) | with_walk
    told = scores["label_state"].isin(("move", "confirm")).to_numpy()
    return np.asarray(sure & ~told & _neighbours_disagree(scores, answer, label))


def _neighbours_disagree(scores: "pd.DataFrame", answer: FloatArray, label: FloatArray) -> NDArray[np.bool_]:
    """Return whether the answers of the walk's photos before and after fit the answer on foot, but not the label."""
    seconds, walks = _numbers(scores, "clock_s"), scores["walk"].to_numpy(dtype=str)
    found = np.zeros(len(scores), dtype=np.bool_)
    for name in np.unique(walks):
        rows = np.flatnonzero((walks == name) & np.isfinite(seconds))
        rows = rows[np.argsort(seconds[rows], kind="stable")]
        for place, row in enumerate(rows.tolist()):
            beside = [rows[k] for k in (place - 1, place + 1) if 0 <= k < len(rows)]
            beside = [one for one in beside if abs(seconds[one] - seconds[row]) <= _NEIGHBOUR_S]
            if not beside:
                continue
            reach = _AGREES_M + _WALKING_M_PER_S * np.abs(seconds[beside] - seconds[row])
            fits = np.hypot(*(answer[beside] - answer[row]).T) <= reach
            misfits = np.hypot(*(answer[beside] - label[row]).T) > reach
            found[row] = bool(fits.all() and misfits.all())
    return found
