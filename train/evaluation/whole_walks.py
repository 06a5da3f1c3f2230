"""What is gained by locating the photos of a walk together: the same photos and labels, other answers."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from img2gps.metrics import metrics_of
from train.evaluation.bootstrap import LEVEL, Clusters, clusters_of, figure_intervals
from train.evaluation.calibration import abstention, coverage
from train.evaluation.compare import compare_errors
from train.models.conformal import LEVELS
from train.models.localizer import UNFAMILIAR_BELOW

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["stretches_of", "walks_together"]

# Errors of photos located together stay alike for a minute or two, where those of photos alone do for a burst.
_STRETCH_S: Final = 240


def walks_together(scores: "pd.DataFrame", *, abstain_m: float | None = None) -> dict[str, Any] | None:
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
    unfamiliar = float(np.mean(familiarity < UNFAMILIAR_BELOW)) if np.isfinite(familiarity).all() else None
    compared = compare_errors(("together", "alone"), errors, alone, clusters)
    return {
        **metrics_of(errors).to_dict(),
        "with_company": int((photos > 1).sum()),
        "unfamiliar_share": unfamiliar,
        "intervals": figure_intervals(errors, clusters),
        "intervals_from": {"unit": clusters.unit, "count": clusters.count, "level": LEVEL},
        "minus_alone": {"differences": compared.differences, "intervals": compared.intervals},
        "calibration": [coverage(errors, radius, level, clusters) for radius, level in zip(radii, LEVELS, strict=True)],
        "abstain": None if abstain_m is None else abstention(errors, radii[-1], familiarity, abstain_m, clusters),
        "per_walk": [
            {"name": str(name), "figures": metrics_of(errors[walks == name]).to_dict()} for name in np.unique(walks)
        ],
    }


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
