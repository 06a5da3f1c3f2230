"""What is gained by locating the photos of a walk together: the same photos and labels, other answers."""

import dataclasses
from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.metrics import Metrics, metrics_of
from train.evaluation.bootstrap import Clusters, IntervalSource, clusters_of, figure_intervals
from train.evaluation.calibration import Abstention, Coverage, abstention, coverage
from train.evaluation.compare import Comparison, compare_errors
from train.evaluation.per_figure import FigureIntervals
from train.models.conformal import LEVELS
from train.models.localizer import UNFAMILIAR_BELOW

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WalkFigures", "WholeWalks", "stretches_of", "whole_walks"]

# Errors of photos located together stay alike for a minute or two, where those of photos alone do for a burst.
_STRETCH_S: Final = 240


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WalkFigures:
    """The figures of one walk, its photos located together."""

    name: str
    figures: Metrics


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WholeWalks:
    """Figures of all photos, the `with_company` among them located with the others of their walk.

    `minus_alone` sets these errors against those of the photos alone (negative metres: together is nearer the truth).
    `unfamiliar_share` is None where the model tells no familiarity, `abstention` where none was asked for.
    """

    figures: Metrics
    with_company: int
    unfamiliar_share: float | None
    intervals: FigureIntervals | None
    intervals_from: IntervalSource
    minus_alone: Comparison
    coverage: tuple[Coverage, ...]
    abstention: Abstention | None
    per_walk: tuple[WalkFigures, ...]


def whole_walks(scores: "pd.DataFrame", *, abstain_m: float | None = None) -> WholeWalks | None:
    """Return figures, intervals and calibration of all photos, those with company on their walk located together.

    `scores` has the columns of `train.evaluation.scores.scores_frame`. None where the model has no such answers, or
    no photo has company.
    """
    errors, alone, photos = (scores[name].to_numpy(np.float64) for name in ("walk_error_m", "error_m", "walk_photos"))
    radii = [scores[f"walk_radius_{round(100 * level)}_m"].to_numpy(dtype=np.float64) for level in LEVELS]
    walks = scores["walk"].to_numpy(dtype=str)
    if not all(np.isfinite(values).all() for values in (errors, photos, *radii)) or not (photos > 1).any():
        return None
    clusters = stretches_of(scores)
    familiarity = scores["walk_familiarity"].to_numpy(dtype=np.float64)
    return WholeWalks(
        figures=metrics_of(errors),
        with_company=int((photos > 1).sum()),
        unfamiliar_share=_unfamiliar_share(familiarity),
        intervals=figure_intervals(errors, clusters),
        intervals_from=clusters.source,
        minus_alone=compare_errors(("together", "alone"), errors, alone, clusters),
        coverage=tuple(coverage(errors, radius, level, clusters) for radius, level in zip(radii, LEVELS, strict=True)),
        abstention=None if abstain_m is None else abstention(errors, radii[-1], familiarity, abstain_m, clusters),
        per_walk=tuple(
            WalkFigures(name=str(name), figures=metrics_of(errors[walks == name])) for name in np.unique(walks)
        ),
    )


def _unfamiliar_share(familiarity: FloatArray) -> float | None:
    return float(np.mean(familiarity < UNFAMILIAR_BELOW)) if np.isfinite(familiarity).all() else None


def stretches_of(scores: "pd.DataFrame") -> Clusters:
    """Return the walks where there are enough of them, else stretches of four minutes of each."""
    walks = clusters_of(scores)
    if walks.unit == "walks":
        return walks
    seconds = scores["clock_s"].to_numpy(dtype=np.float64)
    stretch = np.where(np.isfinite(seconds), seconds // _STRETCH_S, np.nan)
    names = [
        f"{walk} {group if np.isnan(number) else int(number)}"
        for walk, group, number in zip(scores["walk"], scores["group"], stretch, strict=True)
    ]
    return Clusters.of("stretches of four minutes", names)
