"""Whether one kind of model looks at other things than another: class costs on the same photos, compared in pairs."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from train.evaluation.bootstrap import clusters_of, interval
from train.explanation.class_costs import PhotoCosts
from train.explanation.class_figures import Figure, Worth, headline_samples, worth_of
from train.explanation.explain import split_costs

__all__ = ["ComparedWorth", "SettingWorth", "WorthPair", "compare_worth"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SettingWorth:
    """What the classes are worth to the runs of one setting, of the mean of their costs."""

    setting: str
    runs: int
    worth: Worth


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorthPair:
    """The headline of the second setting less that of the first, in metres per tenth of the area."""

    first: str
    second: str
    difference: Figure

    @property
    def sentence(self) -> str:
        """What the interval allows to say."""
        start = f"{self.second} less {self.first}: headline"
        value, bounds = self.difference.value, self.difference.interval
        if value is None:
            return f"{start} not known: no photo shows both what lasts and what moves."
        if bounds is None:
            return f"{start} {value:+.1f} m per tenth; there are too few walks for an interval."
        if bounds.low <= 0 <= bounds.high:
            verdict = "no difference beyond chance"
        else:
            verdict = f"{self.second if bounds.low > 0 else self.first} leans more on buildings and trees"
        return f"{start} {value:+.1f} m per tenth ({bounds.low:+.1f} to {bounds.high:+.1f}): {verdict}."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ComparedWorth:
    """The settings, and each pair of them. Intervals tell the chance of the walks, not of the seeds."""

    settings: tuple[SettingWorth, ...]
    pairs: tuple[WorthPair, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the comparison for JSON, each pair with its sentence."""
        pairs = [dataclasses.asdict(pair) | {"sentence": pair.sentence} for pair in self.pairs]
        return {"settings": [dataclasses.asdict(one) for one in self.settings], "pairs": pairs}


def compare_worth(
    runs: Mapping[str, Sequence[Path]], masks: Path, *, split: str = "val", seed: int = 0, device: str = "auto"
) -> ComparedWorth:
    """Return what the classes are worth to the runs of each setting on the same photos, and the differences.

    Raises what `train.explanation.explain.explain_split` raises.
    """
    costs: dict[str, PhotoCosts] = {}
    clusters = None
    for setting, paths in runs.items():
        found = [split_costs(path, masks, split=split, seed=seed, device=device) for path in paths]
        costs[setting] = PhotoCosts.mean([one for one, _ in found])
        clusters = clusters_of(found[0][1])
    assert clusters is not None, "a study has a run at least"
    settings = [
        SettingWorth(setting=setting, runs=len(runs[setting]), worth=worth_of(own, clusters))
        for setting, own in costs.items()
    ]
    pairs = []
    for first, second in itertools.combinations(settings, 2):
        values = (first.worth.headline.value, second.worth.headline.value)
        difference = Figure(value=None, interval=None)
        if values[0] is not None and values[1] is not None:
            samples = [headline_samples(costs[one.setting], clusters) for one in (first, second)]
            bounds = interval(np.asarray(samples[1] - samples[0]), clusters.count)
            difference = Figure(value=values[1] - values[0], interval=bounds)
        pairs.append(WorthPair(first=first.setting, second=second.setting, difference=difference))
    return ComparedWorth(settings=tuple(settings), pairs=tuple(pairs))
