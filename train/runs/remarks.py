"""What several commands say of a run in the same words: what its familiarity can tell, and what it is worth."""

import dataclasses
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
    "TELLS_NO_STRANGERS",
    "TOO_FEW",
    "WORSE",
    "BesideMean",
    "evaluations_of",
    "familiarity_sentence",
    "format_groups",
    "mean_position_sentence",
    "scored_sentence",
    "sound_power",
]

BETTER, NOT_BETTER, WORSE, TOO_FEW = "better", "not better", "worse", "too few groups"

TELLS_NO_STRANGERS: Final = (
    "This model does not tell photos of elsewhere from those of the site: each gets a position on the site."
)

_CANNOT_TELL: Final = 0.25  # of strangers found out; one in twenty would be called strange whatever the model

_ONE_OF: Final = {
    "walks": "walk",
    "bursts and positions": "burst or position",
    "stretches of four minutes": "stretch of four minutes",
}


def familiarity_sentence(power: object) -> str:
    """Return what a model's familiarity can tell, by its power (the fields of `train.models.familiarity.Power`)."""
    power = sound_power(power)
    if power is None:
        return (
            "How well this model recognises photos from elsewhere is not known: an earlier version trained it. "
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
        f"{start} about {photos:.0%} of views that are not of the site unlike it, of {walk} about {walks:.0%}. "
        "This is estimated with made-up views; nearby places that look alike pass more often."
    )


def format_groups(count: int, unit: str) -> str:
    """Return ``12 walks`` or ``1 walk``: how many groups of photos, of a kind that is named in the plural."""
    return format_count(count, _ONE_OF.get(unit, unit), unit)


def sound_power(power: object) -> Mapping[str, float] | None:
    """Return a power whose numbers are what they are to be; None of anything else that a file may hold."""
    if not isinstance(power, Mapping):
        return None
    most = {"photos": 1.0, "walks": 1.0, "looks": 1e6}
    sound = all(isinstance(power.get(name), int | float) and 0 <= power[name] <= high for name, high in most.items())
    return power if sound else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BesideMean:
    """A run's RMSE beside the mean position's on the same photos, and `skill`, 1 - the one / the other.

    `interval` is the 95 % interval of the skill, None where `groups` (such as ``3 walks``) are too few for one.
    """

    rmse_m: float
    mean_rmse_m: float
    skill: float
    interval: tuple[float, float] | None
    groups: str

    @property
    def word(self) -> str:
        """Whether the run's RMSE is better than the mean position's: BETTER, NOT_BETTER, WORSE or TOO_FEW."""
        if self.interval is None:
            return TOO_FEW
        low, high = self.interval
        return WORSE if high < 0 else BETTER if low > 0 else NOT_BETTER


def mean_position_sentence(found: BesideMean | None) -> str | None:
    """Return what is to be said of a run beside the mean position; None where it is better by more than chance."""
    if found is None or found.word == BETTER:
        return None
    figures = f"RMSE {found.rmse_m:.1f} m against {found.mean_rmse_m:.1f} m"
    bounds = found.interval
    spread = f" (skill {found.skill:.2f}, 95 % interval {bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else ""
    if found.word == WORSE:
        return f"Worse than the mean position, by more than chance: {figures}{spread}."
    start = f"Not better than the mean position by more than chance: {figures}"
    if found.word == NOT_BETTER:
        return f"{start}{spread}."
    if found.skill > 0:
        better = f"Better than the mean position on these photos ({figures})"
        return f"{better}; {found.groups} cannot tell whether by chance."
    return f"{start}; {found.groups} can tell no more."


def scored_sentence(run: "RunFolder") -> str | None:
    """Return what the newest evaluation of a run found, where that is not better than the mean position.

    Ignored are photos of training, evaluations of one of its folds or checkpoints, and those that cannot be read. So
    are those from before the model was trained further. None where nothing is left, or the run is better.
    """
    for document in evaluations_of(run):
        if document.get("run") != run.root.resolve().name or document.get("split") == "train":
            continue
        found = _beside_mean(document)
        if found is None or (found.word == TOO_FEW and found.skill > 0):
            return None
        sentence = mean_position_sentence(found)
        if sentence is None:
            return None
        photos = format_count(int(document.get("photos") or 0), "photo")
        return f"Scored on {safe_text(str(document.get('dataset')))} ({photos}): {sentence[0].lower()}{sentence[1:]}"
    return None


def _beside_mean(document: Mapping[str, Any]) -> BesideMean | None:
    """Return what evaluation.json says of the mean position; None where it, or an earlier version's, says nothing."""
    skill = (document.get("skill") or {}).get("rmse_m") or {}
    rmse_m, value = document.get("rmse_m"), skill.get("value")
    mean_rmse_m = (document.get("mean_predictor") or {}).get("rmse_m")
    if rmse_m is None or mean_rmse_m is None or value is None:
        return None
    bounds = skill.get("interval")
    source = document.get("intervals_from") or {}
    return BesideMean(
        rmse_m=rmse_m,
        mean_rmse_m=mean_rmse_m,
        skill=value,
        interval=(bounds[0], bounds[1]) if bounds else None,
        groups=_groups(source),
    )


def _groups(source: Mapping[str, Any]) -> str:
    count, unit = source.get("count"), source.get("unit")
    return format_groups(count, unit) if isinstance(count, int) and isinstance(unit, str) else "so few groups"


def evaluations_of(run: "RunFolder") -> list[dict[str, Any]]:
    """Return what evaluation.json of a run's evaluations say, the newest first; those that cannot be read are left out.

    Evaluations from before the model was trained on are not among them.
    """
    return list(filter(None, map(_read, _newest_first(run))))


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
