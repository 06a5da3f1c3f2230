"""Score runs on photos whose place is known, and write what came out: the facade of this package."""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from img2gps.basemap.file import usable_basemap
from img2gps.errors import RunLockedError, UsageError
from img2gps.files import write_json, write_sums
from img2gps.locks import hold
from img2gps.text import safe_path, safe_text
from img2gps.walks import clock_seconds
from train.evaluation.baselines import THUMBNAIL_LIMIT
from train.evaluation.bootstrap import clusters_of
from train.evaluation.causes import causes_of, same_view_m
from train.evaluation.compare import Comparison, compare_pairs
from train.evaluation.document import document_of
from train.evaluation.evaluation_set import FOLDS, EvaluationSet, choose_evaluation_set
from train.evaluation.forecast import Where, forecast_figures, why_no_forecast
from train.evaluation.image_quality import brightness_and_sharpness
from train.evaluation.placing import with_places
from train.evaluation.plots import write_plots
from train.evaluation.references import reference_errors
from train.evaluation.result import EvaluationResult, Scored
from train.evaluation.score import evaluation_result
from train.evaluation.scores import scores_frame
from train.evaluation.whole_walks import stretches_of
from train.inference.predictions import PREDICTION_COLUMNS, predictions_frame, write_predictions
from train.models.familiarity import Power
from train.runs.remarks import sound_power

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EvaluationResult", "compare_evaluations", "evaluate_run", "evaluate_runs", "evaluation_folder"]

_OTHERS_WRITE_S = 60.0
_SPLITS: Final = ("train", "val", "test", "all")
_WHERE: Final = get_args(Where)


def evaluate_run(
    path: Path,
    *,
    on: Path | None = None,
    split: str | None = None,
    force: bool = False,
    abstain_m: float | None = None,
    where: Where = "photos",
    device: str = "auto",
    write: bool = True,
) -> EvaluationResult:
    """Score the run at `path`; `write` predictions.parquet, evaluation.json, plots and report.html into the run.

    `on` is a dataset other than the run's own; `split` one of train, val, test, all. Without it another dataset is
    scored whole, and the run's own on test, or val without a test. A run with folds is scored by its pooled out-of-fold
    predictions. Of these the next walk is forecast, on the ground that `where` names; with `write` RUN/forecast.json
    tells the audit. Raises what `choose_evaluation_set` raises, UsageError where `abstain_m` is asked of a model
    without uncertainty, InvalidCheckpointError, DeviceError.
    """
    _check(split, where, abstain_m)
    evaluation_set = choose_evaluation_set(path, on=on, split=split, force=force)
    predictions = _predictions(evaluation_set, device)
    site = evaluation_set.dataset.site()
    photo_paths, training_paths = _thumbnail_paths(evaluation_set)
    references = reference_errors(
        site.frame, evaluation_set.rows, evaluation_set.training, photo_paths=photo_paths, training_paths=training_paths
    )
    scores = scores_frame(evaluation_set.rows, predictions, references, site)
    scores = scores.assign(cause=causes_of(_with_views(scores, evaluation_set)))
    scores = with_places(scores, evaluation_set.dataset, device=device)
    if abstain_m is not None and not np.isfinite(scores["uncertainty_m"].to_numpy(dtype=np.float64)).all():
        raise UsageError(f"{evaluation_set.run_name} states no uncertainty to abstain by: leave --abstain out.")
    result = evaluation_result(
        scores,
        references,
        site,
        _scored(evaluation_set, scores),
        abstain_m=abstain_m,
        power=_familiarity_power(evaluation_set),
    )
    if evaluation_set.split == FOLDS:
        found = forecast_figures(scores, site, usable_basemap(evaluation_set.dataset), where=where)
        result = dataclasses.replace(result, forecast=found, no_forecast=why_no_forecast(scores))
    if write:
        _write(result, _today(predictions, scores), evaluation_set)
    return result


def _check(split: str | None, where: str, abstain_m: float | None) -> None:
    if split not in (None, *_SPLITS):
        raise UsageError(f"No split {safe_text(str(split))!r}: choose one of {', '.join(_SPLITS)}.")
    if where not in _WHERE:
        raise UsageError(f"No ground {safe_text(str(where))!r} to forecast for: choose {' or '.join(_WHERE)}.")
    if abstain_m is not None and not 0 < abstain_m < math.inf:
        raise UsageError(f"Abstaining takes a radius of more than 0 m, not {abstain_m}.")


def evaluate_runs(
    paths: Sequence[Path],
    *,
    on: Path | None = None,
    split: str | None = None,
    force: bool = False,
    abstain_m: float | None = None,
    where: Where = "photos",
    device: str = "auto",
    write: bool = True,
) -> tuple[list[EvaluationResult], list[Comparison]]:
    """Evaluate every run and compare each pair on the photos that all of them were scored on.

    With `write`, the page of the comparison lies beside the first run's (`train.evaluation.comparison_page`).
    """
    evaluations = [
        evaluate_run(
            path, on=on, split=split, force=force, abstain_m=abstain_m, where=where, device=device, write=write
        )
        for path in paths
    ]
    comparisons = compare_evaluations(evaluations)
    if write and comparisons:
        from train.evaluation.comparison_page import write_comparison

        write_comparison(evaluations, comparisons)
    return evaluations, comparisons


def compare_evaluations(evaluations: Sequence[EvaluationResult]) -> list[Comparison]:
    """Return each pair of evaluations on the photos that all share; none for a single one.

    Where all have figures of whole walks, the pairs of those follow, by the same names with ``, whole walks``.
    Raises UsageError where two have the same name or no photo is shared.
    """
    if len(evaluations) < 2:
        return []
    names = [evaluation.run for evaluation in evaluations]
    if len(set(names)) < len(names):
        raise UsageError("Two of the runs have the same name: give each run once, or rename a folder.")
    shared = set(evaluations[0].scores["id"]).intersection(*(evaluation.scores["id"] for evaluation in evaluations[1:]))
    if not shared:
        raise UsageError("The runs were scored on different photos: name one dataset for all with --on.")
    rows = [
        evaluation.scores[evaluation.scores["id"].isin(shared)].sort_values("id").reset_index(drop=True)
        for evaluation in evaluations
    ]
    errors = {name: part["error_m"].to_numpy(dtype=np.float64) for name, part in zip(names, rows, strict=True)}
    pairs = compare_pairs(errors, clusters_of(rows[0]))
    if all(evaluation.whole_walks for evaluation in evaluations):
        whole = [part["walk_error_m"].to_numpy(dtype=np.float64) for part in rows]
        walks = {f"{name}, whole walks": error for name, error in zip(names, whole, strict=True)}
        pairs += compare_pairs(walks, stretches_of(rows[0]))
    return pairs


def _predictions(evaluation_set: EvaluationSet, device: str) -> "pd.DataFrame":
    if evaluation_set.predictions is not None:
        return evaluation_set.predictions
    from train.inference.load import load_localizer
    from train.inference.locate import locate_with_walks

    localizer = load_localizer(evaluation_set.path, device=device)
    rows = evaluation_set.rows
    paths = evaluation_set.dataset.photo_paths(rows["id"])
    evaluation_set.dataset.tell_changed_copies(rows["id"], rows["photo_sha256"])
    alone, with_walks = locate_with_walks(
        localizer,
        paths,
        walks=rows["walk"].to_numpy(dtype=str),
        seconds=clock_seconds(rows),
        labels=(rows["lon"].to_numpy(dtype=np.float64), rows["lat"].to_numpy(dtype=np.float64)),
    )
    return predictions_frame(
        ids=rows["id"].tolist(),
        lon=rows["lon"],
        lat=rows["lat"],
        estimate=alone,
        with_walks=with_walks,
        frame=localizer.frame,
    )


def _with_views(scores: "pd.DataFrame", evaluation_set: EvaluationSet) -> "pd.DataFrame":
    """Return scores with what causes rest on: light, sharpness, and the nearest photo that looks the same way."""
    rows, training = evaluation_set.rows, evaluation_set.training
    source, frame = evaluation_set.training_dataset, evaluation_set.dataset.site().frame
    known = {} if source is None else dict(zip(*(source.frame()[name] for name in ("id", "heading_deg")), strict=True))
    training = training.assign(heading_deg=[known.get(photo_id, np.nan) for photo_id in training["id"]])
    places, others = (np.stack(frame.to_local(table["lon"], table["lat"]), axis=1) for table in (rows, training))
    views = np.full((len(rows), 2), np.nan)
    if len(rows) <= THUMBNAIL_LIMIT:
        views = brightness_and_sharpness(evaluation_set.dataset.photo_paths(rows["id"]))
    return scores.assign(
        luma=views[:, 0], sharpness=views[:, 1], same_view_m=same_view_m(rows, places, training, others)
    )


def _scored(evaluation_set: EvaluationSet, scores: "pd.DataFrame") -> Scored:
    return Scored(
        run=evaluation_set.run_name,
        dataset=evaluation_set.dataset_name,
        dataset_root=evaluation_set.dataset.root,
        split=evaluation_set.split,
        method=evaluation_set.info.config.method,
        training_photos=len(evaluation_set.training),
        training_walks=_training_walks(evaluation_set),
        left_out=evaluation_set.left_out,
        notes=(*evaluation_set.notes, *_run_notes(evaluation_set, scores)),
        provenance=_provenance(evaluation_set),
        folder=evaluation_folder(evaluation_set),
    )


def _run_notes(evaluation_set: EvaluationSet, scores: "pd.DataFrame") -> list[str]:
    """Return a note where the run is still being trained, or its stored predictions are of an earlier version."""
    notes = []
    if evaluation_set.run.is_training:
        notes.append("the run is still being trained: these are the figures of its best epoch so far")
    as_walks = np.isfinite(scores["walk_error_m"].to_numpy(dtype=np.float64))
    expected = as_walks.any() or evaluation_set.info.config.method == "probe"
    if evaluation_set.predictions is not None and expected and not as_walks.all():
        notes.append("no figures of whole walks: an earlier version predicted these folds; train them again")
    return notes


def _familiarity_power(evaluation_set: EvaluationSet) -> Power | None:
    """Return what the familiarity of the run's model finds out, of the mean over its folds; None: not known."""
    from train.inference.load import stated

    folds = sorted(set(evaluation_set.rows["fold"])) if evaluation_set.predictions is not None else [None]
    stored = [sound_power(stated(evaluation_set.path, "familiarity_power", fold=fold)) for fold in folds]
    powers = [power for power in stored if power is not None]
    if not powers or len(powers) < len(stored):
        return None
    return Power(
        photos=float(np.mean([power["photos"] for power in powers])),
        walks=float(np.mean([power["walks"] for power in powers])),
        strangers=sum(int(power.get("strangers", 0)) for power in powers),
        looks=int(powers[0]["looks"]),
    )


def _training_walks(evaluation_set: EvaluationSet) -> int | None:
    """Return on how many walks the photos of training were taken, None where their dataset is not at hand."""
    if evaluation_set.training_dataset is None:
        return None
    frame = evaluation_set.training_dataset.frame()
    return int(frame.loc[frame["id"].isin(set(evaluation_set.training["id"])), "walk"].nunique())


def _provenance(evaluation_set: EvaluationSet) -> dict[str, str]:
    info = evaluation_set.info
    trained = f"preset {info.config.preset}, {info.config.model}, seed {info.config.seed}"
    manifest = f"SHA-256 of its rows {info.rows_sha256}"
    return {"Training": f"{trained}, img2gps {info.made_by.get('img2gps', '?')}", "Manifest at training": manifest}


def _today(predictions: "pd.DataFrame", scores: "pd.DataFrame") -> "pd.DataFrame":
    """Return the predictions of the scored photos with today's labels and the errors against them."""
    rows = predictions.set_index("id").loc[scores["id"]].reset_index()
    for name in ("lon", "lat", "error_m"):
        rows[name] = scores[name].to_numpy()
    return rows[list(PREDICTION_COLUMNS)]


def _thumbnail_paths(evaluation_set: EvaluationSet) -> tuple[list[Path] | None, list[Path] | None]:
    """Return the working copies of the scored and of the training photos, None where some are not at hand."""
    source = evaluation_set.training_dataset
    if source is None or len(evaluation_set.rows) + len(evaluation_set.training) > THUMBNAIL_LIMIT:
        return None, None
    source.tell_changed_copies(evaluation_set.training["id"], evaluation_set.training["photo_sha256"])
    training = source.photo_paths(evaluation_set.training["id"])
    scored = evaluation_set.dataset.photo_paths(evaluation_set.rows["id"])
    return (scored, training) if all(path.is_file() for path in (*scored, *training)) else (None, None)


def evaluation_folder(evaluation_set: EvaluationSet) -> Path:
    """Return where an evaluation is written: ``<dataset>-<split>``, a checkpoint or fold adds its name in front."""
    part = evaluation_set.run_name.partition("/")[2].replace("/", "-")
    name = "-".join(filter(None, (part, evaluation_set.dataset_name, evaluation_set.split)))
    return evaluation_set.run.evaluations_path / re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _write(result: EvaluationResult, predictions: "pd.DataFrame", evaluation_set: EvaluationSet) -> None:
    """Write an evaluation's files, after those of another process that is writing some of this run's."""
    folder = result.folder
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"{safe_path(folder)} is being written by another evaluation: wait until it has finished."
    with hold(folder.parent / ".lock", otherwise=RunLockedError(busy), wait_s=_OTHERS_WRITE_S):
        _write_files(result, predictions, evaluation_set)


def _write_files(result: EvaluationResult, predictions: "pd.DataFrame", evaluation_set: EvaluationSet) -> None:
    from train.evaluation.page import write_report

    folder = result.folder
    write_predictions(folder / "predictions.parquet", predictions)
    write_plots(folder / "plots", result, basemap=usable_basemap(evaluation_set.dataset))
    write_report(result.report, result, dataset=evaluation_set.dataset)
    write_json(folder / "evaluation.json", document_of(result))
    if result.forecast:
        ids = [str(one) for one in predictions["id"]]
        write_json(evaluation_set.run.forecast_path, result.forecast.table(ids))
    write_sums(folder)
