"""Labels that get better by themselves: refined, models trained on them, refined again, while that pays."""

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.errors import UsageError
from img2gps.estimation.reported import expected_spread_m
from img2gps.geo import FloatArray
from img2gps.progress import stderr
from img2gps.text import format_count
from train.config.schema import ProbeConfig, TrainConfig
from train.config.values import for_refined
from train.data.training_data import DatasetPhotos, Photos
from train.refinement.joint import joint_positions
from train.refinement.matches import Matches
from train.refinement.places import PlaceEvidence
from train.refinement.posterior import (
    AS_TOLD_M,
    RADIUS_50,
    RADIUS_90,
    ErrorModel,
    LabelledWalk,
    Positions,
    fitted_error_model,
    log_likelihood,
    positions,
)

if TYPE_CHECKING:
    from train.refinement.evidence import HeldOutModels

__all__ = ["Refinement", "Round", "WalkFacts", "place_photos", "refine_photos"]

_MOST_ROUNDS: Final = 3
_PAYS: Final = 2.0  # by how much the log-likelihood must rise for another round to be believed
_MOST_APART_M: Final = 6.0  # photos of one view that stay so far apart, in the median, are mostly of two views


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WalkFacts:
    """What a dataset knows of N photos beside their labels: arrays (N,), positions (N, 2) in metres.

    `ingest_m` are the positions of ingest, `told` whether a person moved or confirmed them. `expected_m` (N,) is how
    far they are expected to be off per axis, by what phones reported.
    """

    ingest_m: FloatArray
    told: NDArray[np.bool_]
    device: NDArray[np.str_]
    expected_m: FloatArray

    @classmethod
    def of(cls, source: DatasetPhotos, photos: Photos) -> "WalkFacts":
        """Return the facts of some photos of a dataset."""
        rows = source.dataset.frame().set_index("id").loc[[str(one) for one in photos.ids]]
        ingest = source.frame.to_local(rows["ingest_lon"].to_numpy(float), rows["ingest_lat"].to_numpy(float))
        return cls(
            ingest_m=np.stack(ingest, axis=1),
            told=rows["label_state"].isin(("move", "confirm")).to_numpy(),
            device=np.asarray(rows["device"].fillna("").astype(str).tolist(), dtype=np.str_),
            expected_m=expected_spread_m(
                rows["gps_accuracy_m"].to_numpy(dtype=np.float64, na_value=np.nan), photos.walk
            ),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One refinement: what the errors are like, and the log-likelihood of the labels of walks that were left out.

    `labels_apart_m` and `refined_apart_m` are how far apart the positions lie of photos of two walks that show one
    view, in the median, before and after. `match_length_m` is the length per axis that matches got. They are None
    without matches.
    """

    log_likelihood: float
    errors: ErrorModel
    moved_median_m: float
    matches: int
    labels_apart_m: float | None
    refined_apart_m: float | None
    match_length_m: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, rounded."""
        lengths = {name: getattr(self, name) for name in ("labels_apart_m", "refined_apart_m", "match_length_m")}
        return {
            "log_likelihood": round(self.log_likelihood, 2),
            "moved_median_m": round(self.moved_median_m, 2),
            "matches": self.matches,
            **{name: None if value is None else round(value, 2) for name, value in lengths.items()},
            **self.errors.to_dict(),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """Refined positions of N photos: `ids` (N,), and the estimates; `rounds` are all that were tried.

    `labels_m` (N, 2) are the estimates in metres, but where a person told a position.

    `kept` is the number of the round that the estimates are of, counted from 1. With 0 no round was believed: all
    labels stay as they are, and so are the estimates.
    """

    ids: NDArray[np.str_]
    labels_m: FloatArray
    estimates: Positions
    rounds: tuple[Round, ...]
    kept: int

    def method(self) -> dict[str, Any]:
        """Return how it came about, as plain JSON values."""
        return {
            "name": "drift along walks, held-out models and matches between walks",
            "kept_round": self.kept,
            "rounds": [one.to_dict() for one in self.rounds],
        }


def refine_photos(
    config: TrainConfig,
    source: DatasetPhotos,
    photos: Photos,
    *,
    device: str = "auto",
    most_rounds: int = _MOST_ROUNDS,
) -> Refinement:
    """Return the refined positions of `photos`, found from these photos alone, by models of `config`.

    Raises UsageError where nothing can be held out, or a model of `config` says no distribution over the site.
    """
    from train.refinement.evidence import HeldOutModels
    from train.runtime.devices import pick_device

    if not isinstance(config, ProbeConfig):
        raise UsageError(f"A {config.method} says no distribution over the site: refine by a run of quick or default.")
    facts = WalkFacts.of(source, photos)
    labels_m = np.stack([photos.east_m, photos.north_m], axis=1)
    models = HeldOutModels.of(
        for_refined(config) if config.labels == "refined" else config, source, photos, pick_device(device)
    )
    rounds = _rounds(models, photos, facts, labels_m, most_rounds)
    best = max(range(len(rounds)), key=lambda number: rounds[number][0].log_likelihood)
    found, estimates = rounds[best]
    pays = not _mostly_false(found)
    if not pays:
        stderr().print(
            f"Photos that models take for one view stay {found.refined_apart_m:.0f} m apart: most are of two views, "
            "which tell nothing of the labels. So the labels stay as they are.",
            markup=False,
        )
        estimates = dataclasses.replace(_unmoved(photos, facts, found.errors), gross=estimates.gross)
    return Refinement(
        ids=photos.ids,
        labels_m=_as_told(estimates.xy, labels_m, facts),
        estimates=estimates,
        rounds=tuple(one for one, _ in rounds),
        kept=best + 1 if pays else 0,
    )


def _rounds(
    models: "HeldOutModels", photos: Photos, facts: WalkFacts, labels_m: FloatArray, most: int
) -> list[tuple[Round, Positions]]:
    """Return all rounds that are tried, and the positions that each finds."""
    rounds: list[tuple[Round, Positions]] = []
    while len(rounds) < most:
        start_m = rounds[-1][1].xy if rounds else labels_m
        title = f"Round {len(rounds) + 1}: models without each walk"
        places, matches = models.evidence(_as_told(start_m, labels_m, facts), title)
        rounds.append(_round(photos, facts, places, matches, errors=rounds[0][0].errors if rounds else None))
        now = rounds[-1][0]
        stderr().print(
            f"Round {len(rounds)}: log-likelihood of labels of walks left out {now.log_likelihood:.1f}, "
            f"{format_count(now.matches, 'match', 'matches')} of views between walks, "
            f"labels {'would move' if _mostly_false(now) else 'moved'} {now.moved_median_m:.1f} m in the median.",
            markup=False,
        )
        if _mostly_false(now) or (len(rounds) > 1 and now.log_likelihood < rounds[-2][0].log_likelihood + _PAYS):
            break
    return rounds


def place_photos(
    config: ProbeConfig,
    source: DatasetPhotos,
    photos: Photos,
    *,
    device: str = "auto",
    title: str = "Placing photos by all walks",
) -> tuple[Positions, int]:
    """Return where `photos` were taken by one refinement, and by how many matches between walks.

    Raises UsageError where nothing can be held out.
    """
    from train.refinement.evidence import HeldOutModels
    from train.runtime.devices import pick_device

    facts = WalkFacts.of(source, photos)
    labels_m = np.stack([photos.east_m, photos.north_m], axis=1)
    models = HeldOutModels.of(config, source, photos, pick_device(device))
    places, matches = models.evidence(labels_m, title)
    found, estimates = _round(photos, facts, places, matches, errors=None)
    return dataclasses.replace(estimates, xy=_as_told(estimates.xy, labels_m, facts)), found.matches


def _mostly_false(found: Round) -> bool:
    """Return whether most matches are of photos that show two places: another round would find the same."""
    return found.refined_apart_m is not None and found.refined_apart_m > _MOST_APART_M


def _as_told(refined_m: FloatArray, labels_m: FloatArray, facts: WalkFacts) -> FloatArray:
    """Return the refined positions (N, 2), but where a person told one."""
    return np.where(facts.told[:, None], labels_m, refined_m)


def _round(
    photos: Photos, facts: WalkFacts, places: PlaceEvidence, matches: Matches, *, errors: ErrorModel | None
) -> tuple[Round, Positions]:
    walks = _walks(photos, facts, places)
    # later rounds keep the numbers of the first: models of refined labels have heard of the walk they are asked about
    errors = errors or fitted_error_model(walks)
    found = [positions(walk, errors) for walk in walks]
    order = np.argsort(np.concatenate([walk.rows for walk in walks]))
    names = [field.name for field in dataclasses.fields(Positions)]
    alone = Positions(**{name: np.concatenate([getattr(one, name) for one in found])[order] for name in names})
    estimates, length_m = joint_positions(walks, errors, alone, matches) if len(matches) else (alone, None)
    moved_m = np.hypot(*(estimates.xy - facts.ingest_m).T)
    return (
        Round(
            log_likelihood=log_likelihood(walks, errors),
            errors=errors,
            moved_median_m=float(np.median(moved_m)),
            matches=len(matches),
            labels_apart_m=matches.apart_m(facts.ingest_m),
            refined_apart_m=matches.apart_m(estimates.xy),
            match_length_m=length_m,
        ),
        estimates,
    )


def _walks(photos: Photos, facts: WalkFacts, places: PlaceEvidence) -> list[LabelledWalk]:
    """Return the walks in order of time; a photo without a time is a walk of its own."""
    labels_m = np.stack([photos.east_m, photos.north_m], axis=1)
    errors_m = np.where(facts.told[:, None], facts.ingest_m - labels_m, np.nan)
    return [
        LabelledWalk(
            rows=rows,
            seconds=np.nan_to_num(photos.captured_s[rows]),
            labels_m=facts.ingest_m[rows],
            evidence=places.take(rows),
            device=str(facts.device[rows[0]]),
            usual_m=float(facts.expected_m[rows[0]]),
            errors_m=errors_m[rows],
        )
        for rows in _walk_rows(photos.walk, photos.captured_s)
    ]


def _unmoved(photos: Photos, facts: WalkFacts, errors: ErrorModel) -> Positions:
    """Return the labels as they are, with what a phone errs by as their radius, or a person who told them."""
    spread_m = np.empty(len(photos))
    for rows in _walk_rows(photos.walk, photos.captured_s):
        spread_m[rows] = errors.spread_m(str(facts.device[rows[0]]), float(facts.expected_m[rows[0]]))
    spread_m[facts.told] = AS_TOLD_M
    return Positions(
        xy=np.stack([photos.east_m, photos.north_m], axis=1),
        radius_50_m=RADIUS_50 * spread_m,
        radius_90_m=RADIUS_90 * spread_m,
        gross=np.zeros(len(photos)),
    )


def _walk_rows(walks: NDArray[np.str_], seconds: FloatArray) -> list[NDArray[np.int64]]:
    timed = np.flatnonzero(np.isfinite(seconds))
    order = timed[np.lexsort((seconds[timed], walks[timed]))]
    starts = np.flatnonzero(walks[order][1:] != walks[order][:-1]) + 1
    alone = [np.array([row]) for row in np.flatnonzero(~np.isfinite(seconds))]
    return [rows.astype(np.int64) for rows in (*np.split(order, starts), *alone) if len(rows)]
