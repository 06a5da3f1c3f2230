"""Which labels to look at first: the probability that each is grossly wrong, with its reasons in words.

Independent pieces of evidence add up as logarithms of likelihood ratios (gross error against ordinary noise), on top of
the usual share of gross errors. Evidence comes from the rest of the walk, from models that did not see the photo, and
from the phone and the map.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from collect.label.layers import depth_inside_m
from collect.label.predictions import FoldPrediction, PredictionEvidence, prediction_evidence
from collect.label.standing import probability
from collect.label.track import GROSS_SHARE, TrackEvidence, track_evidence
from img2gps.geo import FloatArray, LocalFrame
from img2gps.text import format_duration
from img2gps.walks import seconds_of

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["Reason", "Suspicion", "rank_labels"]

_FASTEST_M_S: Final = 4.0
_NOTABLE: Final = 2.5
_TELLING: Final = 1.5
_POOR_ACCURACY_M: Final = 20.0
_TRACK_LIMITS, _MODEL_LIMITS = (-4.0, 15.0), (-3.0, 8.0)

_NO_FIX_WEIGHT: Final = 3.0
_NO_FIX: Final = {
    "void_fix": "the receiver itself says that it had no fix",
    "network_fix": "the position came from cell towers, Wi-Fi or by hand, not from satellites",
    "poor_accuracy": "the phone itself reported an accuracy worse than 100 m",
    "poor_geometry": "the satellites stood badly: a dilution of precision over 20",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One piece of evidence: a code, a sentence for people, and its weight (natural logarithm of a ratio)."""

    code: str
    text: str
    weight: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One photo: how suspicious its label is, and why, the weightiest reason first.

    `score` is the probability under independent evidence, which ranks; `probability` is calibrated (see
    `collect.label.standing`). `expected_lon`, `expected_lat` are where the rest of the walk places the photo (degrees),
    None where it cannot say.
    """

    photo_id: str
    score: float
    probability: float
    reasons: tuple[Reason, ...]
    expected_lon: float | None = None
    expected_lat: float | None = None


def rank_labels(
    frame: "pd.DataFrame",
    local: LocalFrame,
    *,
    buildings: "list[BaseGeometry]",
    predictions: Mapping[str, FoldPrediction],
    gross: Mapping[str, float] = MappingProxyType({}),
    shift: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> list[Suspicion]:
    """Return every photo that nobody has looked at: those without a good fix first, then the most suspicious.

    `frame` is that of `img2gps.dataset.Dataset.frame`; labels that a person has looked at are not listed.
    Those moved or confirmed are trusted as neighbours of the others, excluded ones are nobody's neighbour.
    `gross` is how probably each label is grossly wrong by a refinement of them (`img2gps.refined`).
    `shift` is what `collect.label.standing.learned_shift` returned; `progress` hears how many photos are done.
    """
    if not len(frame):
        return []
    position_m = np.column_stack(local.to_local(frame["lon"].to_numpy(), frame["lat"].to_numpy()))
    state = frame["label_state"]
    reviewed = state.to_numpy() != ""
    time_s = np.where(state == "exclude", np.nan, seconds_of(frame["captured_at"]))
    trusted = state.isin(("move", "confirm")).to_numpy()
    track = _track_of_walks(frame["walk"].to_numpy(), time_s, position_m, trusted, progress)
    places = _expected_places(track, local)
    listed = [predictions.get(photo_id) for photo_id in frame["id"]]
    model = prediction_evidence(listed, position_m, track.noise_m, local)
    depth_m = depth_inside_m(buildings, position_m, local)
    speeds = _speeds(frame["walk"].to_numpy(), time_s, position_m)
    usual_accuracy_m = float(np.nan_to_num(frame["gps_accuracy_m"].astype(float).median(), nan=10.0))
    suspicions = []
    for index, row in enumerate(frame.to_dict("records")):
        if reviewed[index]:
            continue
        found = [
            *_track_reasons(track, speeds, index),
            *_model_reasons(model, index),
            *_fix_reasons(row, usual_accuracy_m),
            *_building_reasons(float(depth_m[index])),
            *_refined_reasons(gross.get(row["id"])),
        ]
        suspicions.append(_weigh(row["id"], found, places[index], shift))
    return sorted(suspicions, key=_urgency)


def _urgency(suspicion: Suspicion) -> tuple[bool, float, str]:
    """Sort positions that no good fix stands behind before all others, and each by its suspicion."""
    without_fix = any(reason.code in _NO_FIX for reason in suspicion.reasons)
    return not without_fix, -suspicion.score, suspicion.photo_id


def _expected_places(track: TrackEvidence, local: LocalFrame) -> list[tuple[float, float] | None]:
    """Return where the walk places each photo (degrees), None where it cannot say."""
    lons, lats = local.to_lonlat(*track.expected_m.T)
    known = np.isfinite(track.spread_m)
    return [(float(lon), float(lat)) if here else None for lon, lat, here in zip(lons, lats, known, strict=True)]


def _weigh(photo_id: str, found: list[Reason], place: tuple[float, float] | None, shift: float) -> Suspicion:
    logit = np.log(GROSS_SHARE / (1 - GROSS_SHARE)) + sum(reason.weight for reason in found)
    worded = sorted((reason for reason in found if reason.text), key=lambda reason: -reason.weight)
    score = float(1 / (1 + np.exp(-logit)))
    lon, lat = place or (None, None)
    return Suspicion(
        photo_id=photo_id,
        score=score,
        probability=probability(score, shift),
        reasons=tuple(worded),
        expected_lon=lon,
        expected_lat=lat,
    )


def _orders(walks: Any, time_s: FloatArray) -> list[Any]:
    """Return for each walk the indices of its photos that have a time, by time."""
    timed = np.flatnonzero(np.isfinite(time_s))
    return [
        members[np.argsort(time_s[members], kind="stable")]
        for walk in dict.fromkeys(walks)
        if len(members := timed[walks[timed] == walk])
    ]


def _track_of_walks(
    walks: Any, time_s: FloatArray, position_m: FloatArray, trusted: Any, progress: Callable[[int], None] | None
) -> TrackEvidence:
    count = len(walks)
    columns: dict[str, Any] = {name: np.zeros(count) for name in ("distance_m", "log_ratio")}
    columns |= {"expected_m": position_m.copy(), "spread_m": np.full(count, np.inf), "noise_m": np.full(count, np.nan)}
    done = 0
    for order in _orders(walks, time_s):
        done += len(order)
        evidence = track_evidence(time_s[order], position_m[order], trusted[order])
        for name, values in columns.items():
            values[order] = getattr(evidence, name)
        if progress:
            progress(done)
    return TrackEvidence(**columns)


def _speeds(walks: Any, time_s: FloatArray, position_m: FloatArray) -> dict[int, tuple[float, float, str]]:
    """Return (metres, seconds, "before" or "after") of the faster step to a neighbour, of photos over the limit."""
    fastest: dict[int, tuple[float, float, str]] = {}
    for order in _orders(walks, time_s):
        steps_m = np.hypot(*np.diff(position_m[order], axis=0).T)
        steps_s = np.maximum(np.diff(time_s[order]), 1.0)
        for place in np.flatnonzero(steps_m / steps_s > _FASTEST_M_S):
            for index, side in ((order[place], "after"), (order[place + 1], "before")):
                step = (float(steps_m[place]), float(steps_s[place]), side)
                known = fastest.get(int(index))
                if known is None or known[0] / known[1] < step[0] / step[1]:
                    fastest[int(index)] = step
    return fastest


def _track_reasons(track: TrackEvidence, speeds: dict[int, tuple[float, float, str]], index: int) -> list[Reason]:
    """Return the walk's evidence: its weight always, words where the label stands out; speed adds words, not weight."""
    weight = float(np.clip(track.log_ratio[index], *_TRACK_LIMITS))
    distance_m, spread_m = float(track.distance_m[index]), float(track.spread_m[index])
    found = [Reason(code="walk", text="", weight=weight)]
    stands_out = distance_m > _NOTABLE * spread_m or weight > _TELLING
    if stands_out:
        text = (
            f"{distance_m:.0f} m from where the rest of the walk places it, "
            f"{distance_m / spread_m:.1f} times what is usual there"
            if distance_m > _NOTABLE * spread_m
            else "it and the photos next to it do not fit into the walk before and after them"
        )
        found = [Reason(code="walk", text=text, weight=weight)]
    if index in speeds and (stands_out or not np.isfinite(spread_m)):
        step_m, step_s, side = speeds[index]
        text = f"{step_m:.0f} m in {step_s:.0f} s from the photo {side}: {step_m / step_s:.1f} m/s is no walking speed"
        # Where the track could speak, the speed is part of what it said.
        found.append(Reason(code="speed", text=text, weight=0.0 if np.isfinite(spread_m) else 1.5))
    return found


def _model_reasons(model: PredictionEvidence, index: int) -> list[Reason]:
    distance_m, spread_m = float(model.distance_m[index]), float(model.spread_m[index])
    if not np.isfinite(distance_m):
        return []
    weight = float(np.clip(model.log_ratio[index], *_MODEL_LIMITS))
    text = ""
    if distance_m > _NOTABLE * spread_m:
        text = (
            f"{distance_m:.0f} m from where models that did not see the photo place it, "
            f"{distance_m / spread_m:.1f} times what they are usually off by"
        )
    return [Reason(code="model", text=text, weight=weight)]


def _fix_reasons(row: dict[Any, Any], usual_accuracy_m: float) -> list[Reason]:
    found = []
    flags, age_s, accuracy_m = set(row["flags"]), row["fix_age_s"], row["gps_accuracy_m"]
    if "stale_fix" in flags:
        old = age_s is not None and np.isfinite(age_s) and age_s > 10
        text = (
            f"the GPS fix is {format_duration(age_s)} older than the photo"
            if old
            else ("the phone repeated one position while it went on: a stale fix")
        )
        found.append(Reason(code="stale_fix", text=text, weight=1.0))
    found += [Reason(code=flag, text=text, weight=_NO_FIX_WEIGHT) for flag, text in _NO_FIX.items() if flag in flags]
    if "quantised_gps" in flags:
        text = "the coordinates are whole arc-seconds, 24 to 31 m apart"
        found.append(Reason(code="quantised_gps", text=text, weight=0.7))
    if row["site_relation"] == "edge":
        found.append(Reason(code="edge", text="outside the site, within what its accuracy allows", weight=0.5))
    if accuracy_m is not None and np.isfinite(accuracy_m) and accuracy_m > 0:
        poor = accuracy_m >= max(_POOR_ACCURACY_M, 1.3 * usual_accuracy_m)
        text = f"the phone itself reported an accuracy of {accuracy_m:.0f} m (usual here: {usual_accuracy_m:.0f} m)"
        weight = float(np.clip(0.7 * np.log(accuracy_m / usual_accuracy_m), -1.0, 2.0))
        found.append(Reason(code="accuracy", text=text if poor else "", weight=weight))
    return found


def _refined_reasons(gross: float | None) -> list[Reason]:
    """Return what a refinement says of a label; the model's own evidence is partly the same, so it counts by half."""
    if gross is None or not 0 < gross < 1:
        return []
    weight = 0.5 * (np.log(gross / (1 - gross)) - np.log(GROSS_SHARE / (1 - GROSS_SHARE)))
    text = "refining the labels found no drift of the phone that explains it" if weight > _TELLING else ""
    return [Reason(code="refined", text=text, weight=float(np.clip(weight, *_MODEL_LIMITS)))]


def _building_reasons(depth_m: float) -> list[Reason]:
    if depth_m <= 0:
        return []
    text = f"{depth_m:.0f} m inside a building" if depth_m >= 1 else "inside a building, at its wall"
    return [Reason(code="building", text=text, weight=min(0.3 + depth_m / 10, 2.0))]
