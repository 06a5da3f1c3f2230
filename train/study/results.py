"""What a study's runs amount to: means and spreads per setting, and the differences that exceed the noise."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from img2gps.geo import FloatArray
from img2gps.metrics import metrics_of
from train.data.training_data import read_photos, select_split
from train.evaluation.bootstrap import LEVEL, Clusters, clusters_of
from train.evaluation.compare import Comparison, compare_errors
from train.study.grid import settings_of
from train.study.runs import StudyRun, mean_position_errors

__all__ = ["Setting", "StudyResult", "study_result"]

_ROWS, _COLUMNS = "lr", "batch_size"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The runs that differ only in their seed: validation RMSE (m) of each, their mean and standard deviation."""

    name: str
    values: Mapping[str, object]
    seeds: tuple[int, ...]
    rmse_m: tuple[float, ...]
    failures: tuple[str, ...]

    @property
    def mean_m(self) -> float:
        """The mean over seeds; NaN where every run failed."""
        return float(np.mean(self.rmse_m)) if self.rmse_m else float("nan")

    @property
    def spread_m(self) -> float:
        """The standard deviation over seeds (n - 1); NaN for fewer than two."""
        return float(np.std(self.rmse_m, ddof=1)) if len(self.rmse_m) > 1 else float("nan")

    def text(self) -> str:
        """Return ``68.8 ± 1.2``, without spread for one seed, ``failed`` where no run is left."""
        if not self.rmse_m:
            return "failed"
        return f"{self.mean_m:.1f} ± {self.spread_m:.1f}" if len(self.rmse_m) > 1 else f"{self.mean_m:.1f}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """A study in figures. `comparisons` sets the best setting against the mean position and every other setting."""

    photos: int
    mean_predictor_rmse_m: float
    settings: tuple[Setting, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def verdicts(self) -> list[str]:
        """Each comparison in plain words: first by its photos, then by its seeds, since either can be luck."""
        named = {setting.name: setting for setting in self.settings}
        verdicts: list[str] = []
        for comparison in self.comparisons:
            by_seeds = seeds_verdict(named[comparison.run_a], named.get(comparison.run_b), self)
            verdicts.append(f"{comparison.sentence('rmse_m')} {by_seeds}")
        return verdicts

    @property
    def best(self) -> Setting | None:
        """The setting of the lowest mean RMSE, None where every run failed."""
        working = [setting for setting in self.settings if setting.rmse_m]
        return min(working, key=lambda setting: setting.mean_m) if working else None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        settings = [
            dataclasses.asdict(setting) | {"mean_m": setting.mean_m, "spread_m": setting.spread_m}
            for setting in self.settings
        ]
        return {
            "photos": self.photos,
            "mean_predictor_rmse_m": self.mean_predictor_rmse_m,
            "best": self.best.name if self.best else None,
            "settings": settings,
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
            "verdicts": self.verdicts,
        }

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Return the published table per remaining axis value: title, columns, rows of learning rate by batch size."""
        titles: dict[str, list[Setting]] = {}
        for setting in self.settings:
            others = {name: value for name, value in setting.values.items() if name not in (_ROWS, _COLUMNS)}
            titles.setdefault(", ".join(f"{name} {value}" for name, value in others.items()), []).append(setting)
        return [(title or "All runs", *_table(settings)) for title, settings in titles.items()]


def seeds_verdict(ours: Setting, theirs: Setting | None, result: StudyResult) -> str:
    """Return whether a difference also exceeds what seeds do (t-tests: Welch's; Student's for the mean position).

    A study's best setting was picked among many, and a lucky seed is picked first.
    """
    from scipy.stats import ttest_1samp, ttest_ind

    if min(len(ours.rmse_m), 2 if theirs is None else len(theirs.rmse_m)) < 2:
        return "One seed each cannot tell luck from merit: give --seeds 3."
    if theirs is None:
        chance = float(ttest_1samp(ours.rmse_m, result.mean_predictor_rmse_m).pvalue)
    else:
        chance = float(ttest_ind(ours.rmse_m, theirs.rmse_m, equal_var=False).pvalue)
    if chance < (1 - LEVEL) / len(result.comparisons):
        return f"Seeds agree ({len(ours.rmse_m)} each)."
    return f"Between {len(ours.rmse_m)} seeds the figures vary as much: that can be luck."


def study_result(root: Path, runs: Sequence[StudyRun]) -> StudyResult:
    """Return what the runs amount to on the validation photos of the dataset at `root`."""
    grouped = settings_of([run.cell for run in runs])
    by_cell = {(run.cell.setting, run.cell.seed): run for run in runs}
    mean_errors = mean_position_errors(root)
    settings: list[Setting] = []
    errors: dict[str, dict[int, FloatArray]] = {}
    ids = sorted(mean_errors)
    for name, cells in grouped.items():
        members = [by_cell[name, cell.seed] for cell in cells]
        errors[name] = {
            run.cell.seed: run.predictions().set_index("id").loc[ids, "error_m"].to_numpy(dtype=np.float64)
            for run in members
            if run.failure is None
        }
        settings.append(
            Setting(
                name=name,
                values=dict(cells[0].values),
                seeds=tuple(errors[name]),
                rmse_m=tuple(metrics_of(values).rmse_m for values in errors[name].values()),
                failures=tuple(run.failure for run in members if run.failure is not None),
            )
        )
    baseline = np.asarray([mean_errors[photo_id] for photo_id in ids])
    result = StudyResult(
        photos=len(ids),
        mean_predictor_rmse_m=metrics_of(baseline).rmse_m,
        settings=tuple(settings),
        comparisons=(),
    )
    compared = _compare(result.best, errors, baseline, _clusters(root, ids))
    return dataclasses.replace(result, comparisons=tuple(compared))


def _clusters(root: Path, ids: list[str]) -> Clusters:
    import pandas as pd

    val = select_split(read_photos(root)).val
    assert val is not None
    frame = pd.DataFrame({"walk": val.walk, "group": val.group}, index=val.ids)
    return clusters_of(frame.loc[ids])


def _compare(
    best: Setting | None, errors: Mapping[str, Mapping[int, FloatArray]], baseline: FloatArray, clusters: Clusters
) -> list[Comparison]:
    """Return the best setting against the mean position and each other setting, paired by photo and seed.

    A photo appears once per seed and stays in its group, so that seeds do not pass for more photos. The level of
    each interval is raised (Bonferroni), so that all of them together hold with 95 %.
    """
    if best is None:
        return []
    others = [name for name, of_seed in errors.items() if name != best.name and of_seed]
    level = 1 - (1 - LEVEL) / (len(others) + 1)
    compared: list[Comparison] = []
    for name in [None, *others]:
        ours = errors[best.name]
        seeds = sorted(ours if name is None else set(ours) & set(errors[name]))
        if not seeds:
            continue
        theirs = [baseline if name is None else errors[name][seed] for seed in seeds]
        codes = np.tile(clusters.codes, len(seeds))
        repeated = dataclasses.replace(clusters, codes=codes)
        names = (best.name, name or "the mean position")
        mine = np.concatenate([ours[seed] for seed in seeds])
        compared_pair = compare_errors(names, mine, np.concatenate(theirs), repeated, level=level)
        compared.append(dataclasses.replace(compared_pair, photos=len(baseline)))
    return compared


def _table(settings: Sequence[Setting]) -> tuple[list[str], list[list[str]]]:
    at = {(setting.values.get(_ROWS), setting.values.get(_COLUMNS)): setting for setting in settings}
    rows, columns = list(dict.fromkeys(key[0] for key in at)), list(dict.fromkeys(key[1] for key in at))
    header = ["learning rate", *("RMSE m" if column is None else f"batch {column}" for column in columns)]
    body = [
        [
            "as given" if row is None else f"{row:g}",
            *(at[row, column].text() if (row, column) in at else "" for column in columns),
        ]
        for row in rows
    ]
    return header, body
