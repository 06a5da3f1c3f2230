"""How probable it is that a label is wrong, how many are still to be found, and where looking stops being worth it.

The queue's evidence ranks well and promises too much: its pieces are not independent. On simulated walks whose errors
are known (`benchmarks/label_queue.py`) it is too sure by two units of log odds, so these come off. What a person
found in this very dataset then moves all probabilities by one common amount, from as far as a normal prior lets it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WORTH_LOOKING", "WRONG_M", "Standing", "learned_shift", "probability", "standing_of", "verdicts"]

WORTH_LOOKING: Final = 0.1
"""Looking at a photo is worth it down to this probability: after that, fewer than one look in ten finds something."""

WRONG_M: Final = 30.0
"""A label was wrong where a person moved it by as much: twice the usual noise of a phone between buildings."""

_TOO_SURE, _PRIOR_SPREAD = 2.0, 1.0
_SUREST: Final = 8.0
_ROUNDS: Final = 25


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the looking has come; the numbers expected are sums of probabilities.

    `judged` photos were moved or confirmed, `found_wrong` of them moved by `WRONG_M` or more. `worth_looking` is the
    rank of the last photo of the queue with a probability of `WORTH_LOOKING` or more, 0 where there is none.
    """

    judged: int
    found_wrong: int
    worth_looking: int
    expected_wrong_there: float
    expected_wrong_beyond: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)

    def sentence(self) -> str:
        """Return the standing in words."""
        if not self.worth_looking:
            return (
                f"{self.found_wrong:,} wrong found; fewer than 1 in {1 / WORTH_LOOKING:.0f} of the others is wrong, "
                f"{_about(self.expected_wrong_beyond)} in all: a good place to stop."
            )
        return (
            f"{self.found_wrong:,} wrong found; worth looking down to rank {self.worth_looking:,}, where "
            f"{_about(self.expected_wrong_there)} may be wrong; {_about(self.expected_wrong_beyond)} after that."
        )


def _about(expected: float) -> str:
    """Return a number of labels that is expected; under one a whole number would say none, or all."""
    return f"about {expected:,.0f}" if expected >= 1 else "fewer than one"


def probability(score: float, shift: float = 0.0) -> float:
    """Return the probability that a label is wrong, from the queue's `score` and a `learned_shift`."""
    return float(1 / (1 + np.exp(-np.clip(_logit(score) - _TOO_SURE + shift, -_SUREST, _SUREST))))


def verdicts(frame: "pd.DataFrame") -> dict[str, bool]:
    """Return for each photo that a person moved or confirmed whether its label was wrong (see `Dataset.frame`)."""
    judged = frame[frame["label_state"].isin(("move", "confirm"))]
    return dict(zip(judged["id"], (judged["moved_m"] >= WRONG_M).tolist(), strict=True))


def learned_shift(scores: Mapping[str, float], found: Mapping[str, bool]) -> float:
    """Return by how much log odds move, given the scores before anybody looked and what a person found there.

    The most probable value under a normal prior of mean 0 and standard deviation 1, by Newton's method on a concave
    function of one variable.
    """
    photos = [photo_id for photo_id in found if photo_id in scores]
    if not photos:
        return 0.0
    logit = np.array([_logit(scores[photo_id]) - _TOO_SURE for photo_id in photos])
    wrong = np.array([found[photo_id] for photo_id in photos], dtype=np.float64)
    shift = 0.0
    for _ in range(_ROUNDS):
        expected = 1 / (1 + np.exp(-(logit + shift)))
        slope = float(np.sum(wrong - expected)) - shift / _PRIOR_SPREAD**2
        bend = float(np.sum(expected * (1 - expected))) + 1 / _PRIOR_SPREAD**2
        shift += float(np.clip(slope / bend, -1.0, 1.0))
    return shift


def standing_of(probabilities: Iterable[float], found: Mapping[str, bool]) -> Standing:
    """Return the standing of a queue with these probabilities, in its order, after what a person found."""
    given = np.array(list(probabilities), dtype=np.float64)
    worthy = np.flatnonzero(given >= WORTH_LOOKING)
    last = int(worthy[-1]) + 1 if len(worthy) else 0
    return Standing(
        judged=len(found),
        found_wrong=sum(found.values()),
        worth_looking=last,
        expected_wrong_there=round(float(given[:last].sum()), 2),
        expected_wrong_beyond=round(float(given[last:].sum()), 2),
    )


def _logit(score: float) -> float:
    clipped = min(max(score, 1e-12), 1 - 1e-12)
    return float(np.log(clipped / (1 - clipped)))
