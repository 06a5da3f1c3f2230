"""What is gained by locating the photos of a walk together: the same photos and labels, other answers."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from img2gps.metrics import metrics_of
from img2gps.walks import seconds_of, walk_rows
from train.evaluation.bootstrap import LEVEL, Clusters, clusters_of, figure_intervals
from train.evaluation.calibration import LEVELS, coverage
from train.evaluation.compare import compare_errors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["walks_together"]

# Errors of photos located together stay alike for a minute or two, where those of photos alone do for a burst.
_STRETCH_S: Final = 240


def walks_together(scores: "pd.DataFrame") -> dict[str, Any] | None:
    """Return figures, intervals and calibration of all photos, those with company on their walk located together.

    `scores` has the columns of `train.evaluation.scores.scores_frame`. None where the model has no such answers, or
    no photo has company.
    """
    errors, alone = (scores[name].to_numpy(dtype=np.float64) for name in ("walk_error_m", "error_m"))
    walks, seconds = scores["walk"].to_numpy(dtype=str), seconds_of(scores["captured_at"])
    company = walk_rows(walks, seconds)
    if not company or not np.isfinite(errors).all():
        return None
    clusters = _clusters(scores)
    radii = [scores[f"walk_radius_{round(100 * level)}_m"].to_numpy(dtype=np.float64) for level in LEVELS]
    compared = compare_errors(("together", "alone"), errors, alone, clusters)
    return {
        **metrics_of(errors).to_dict(),
        "with_company": sum(map(len, company)),
        "intervals": figure_intervals(errors, clusters),
        "intervals_from": {"unit": clusters.unit, "count": clusters.count, "level": LEVEL},
        "less_than_alone": {"differences": compared.differences, "intervals": compared.intervals},
        "calibration": [coverage(errors, radius, level, clusters) for radius, level in zip(radii, LEVELS, strict=True)],
        "per_walk": [
            {"name": str(name), "figures": metrics_of(errors[walks == name]).to_dict()} for name in np.unique(walks)
        ],
    }


def _clusters(scores: "pd.DataFrame") -> Clusters:
    """Return the walks where there are enough of them, else stretches of four minutes of each."""
    walks = clusters_of(scores)
    if walks.unit == "walks":
        return walks
    seconds = seconds_of(scores["captured_at"])
    timed = np.isfinite(seconds)
    names = scores["walk"].to_numpy(dtype=str).astype(object) + " "
    stretch = np.where(timed, seconds, 0) // _STRETCH_S
    labels = np.where(timed, stretch.astype(np.int64).astype(str), scores["group"].to_numpy(dtype=str))
    return Clusters.of("stretches of four minutes", (names + labels).astype(str))
