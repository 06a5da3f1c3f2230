"""What several commands say of a run in the same words: what its familiarity can tell, and what it is worth."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.text import format_count, safe_text

if TYPE_CHECKING:
    from train.runs.folder import RunFolder

__all__ = [
    "BETTER",
    "NOT_BETTER",
    "TOO_FEW",
    "WORSE",
    "against_mean",
    "familiarity_sentence",
    "mean_position_sentence",
    "scored_sentence",
]

BETTER, NOT_BETTER, WORSE, TOO_FEW = "better", "not better", "worse", "too few groups"

_CANNOT_TELL: Final = 0.25  # of strangers found out; one in twenty would be called strange whatever the model


def familiarity_sentence(power: object) -> str:
    """Return what a model's familiarity can tell, by its power (the fields of `train.models.familiarity.Power`)."""
    power = _sound(power)
    if power is None:
        return (
            "What this model's familiarity can tell is not known: it was trained before that was estimated. "
            "Photos of elsewhere may pass for photos of the site."
        )
    photos, walks = power["photos"], power["walks"]
    walk = f"walks of {power['looks']:.0f} photos"
    if max(photos, walks) < _CANNOT_TELL:
        return (
            f"This model cannot tell whether a photo is of the site: of made-up views it found {photos:.0%} unlike it, "
            f"of {walk} {walks:.0%}. Real photos of elsewhere mostly pass."
        )
    start = "This model finds" if photos >= _CANNOT_TELL else "By single photos this model can hardly tell: it finds"
    return (
        f"{start} about {photos:.0%} of views that are not of the site unlike it, of {walk} about {walks:.0%} "
        "(estimated with made-up views; nearby places that look alike pass more often)."
    )


def _sound(power: object) -> Mapping[str, float] | None:
    """Return a power whose numbers are what they are to be; None of anything else that a file may hold."""
    if not isinstance(power, Mapping):
        return None
    most = {"photos": 1.0, "walks": 1.0, "looks": 1e6}
    sound = all(isinstance(power.get(name), int | float) and 0 <= power[name] <= high for name, high in most.items())
    return power if sound else None


def against_mean(skill: Mapping[str, Any]) -> str:
    """Return whether a run's RMSE is better than the mean position's: one of the words above, by the paired interval.

    `skill` is 1 - RMSE / RMSE of the mean position, its value and 95 % interval over the same photos.
    """
    bounds = skill.get("interval")
    if not bounds:
        return TOO_FEW
    return WORSE if bounds[1] < 0 else BETTER if bounds[0] > 0 else NOT_BETTER


def mean_position_sentence(document: Mapping[str, Any]) -> str | None:
    """Return what an evaluation says against the mean position; None where the run is better by more than chance."""
    skill = (document.get("skill") or {}).get("rmse_m")
    mean = document.get("mean_predictor") or {}
    if not skill or skill.get("value") is None or document.get("rmse_m") is None or mean.get("rmse_m") is None:
        return None
    figures = f"RMSE {document['rmse_m']:.1f} m against {mean['rmse_m']:.1f} m"
    bounds = skill.get("interval")
    spread = f" (skill {skill['value']:.2f}, 95 % interval {bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else ""
    word = against_mean(skill)
    if word == BETTER:
        return None
    if word == WORSE:
        return f"Worse than the mean position, by more than chance: {figures}{spread}."
    start = f"Not better than the mean position by more than chance: {figures}"
    if word == NOT_BETTER:
        return f"{start}{spread}."
    source = document.get("intervals_from") or {}
    groups = f"{source.get('count', 'so few')} {source.get('unit', 'groups')}"
    if skill["value"] > 0:
        return f"Better than the mean position on these photos ({figures}), but {groups} are too few to tell chance."
    return f"{start}, and {groups} are too few to tell more."


def scored_sentence(run: "RunFolder") -> str | None:
    """Return what the newest evaluation of a run found, where that is not better than the mean position.

    Photos of training say nothing, nor do evaluations of one of its folds or checkpoints, those from before the
    model was trained on, and those that cannot be read. None where nothing is left, or the run is better.
    """
    documents = list(filter(None, map(_read, _newest_first(run))))
    for document in documents:
        if document.get("run") != run.root.resolve().name or document.get("split") == "train":
            continue
        skill = (document.get("skill") or {}).get("rmse_m") or {}
        if against_mean(skill) == TOO_FEW and (skill.get("value") or 0) > 0:
            return None
        sentence = mean_position_sentence(document)
        if sentence is None:
            return None
        photos = format_count(int(document.get("photos") or 0), "photo")
        return f"Scored on {safe_text(str(document.get('dataset')))} ({photos}): {sentence[0].lower()}{sentence[1:]}"
    return None


def _newest_first(run: "RunFolder") -> list[Path]:
    """Return the documents of a run's evaluations that are younger than its model."""
    trained = [path.stat().st_mtime_ns for path in run.root.glob("best/state.json")]
    found = [(path.stat().st_mtime_ns, path) for path in run.evaluations_path.glob("*/evaluation.json")]
    return [path for written, path in sorted(found, reverse=True) if written >= max(trained, default=0)]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
