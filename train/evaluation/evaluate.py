"""Score runs on photos whose place is known, and write what came out: the facade of this package."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from img2gps.console import jsonable
from img2gps.errors import RunLockedError, UsageError
from img2gps.files import write_json, write_sums
from img2gps.locks import hold
from img2gps.text import safe_path
from img2gps.walks import clock_seconds
from train.evaluation.baselines import THUMBNAIL_LIMIT
from train.evaluation.bootstrap import clusters_of
from train.evaluation.compare import Comparison, compare_pairs
from train.evaluation.document import evaluation_document
from train.evaluation.evaluation_set import Subject, choose_subject
from train.evaluation.plots import write_plots
from train.evaluation.references import reference_errors
from train.evaluation.scores import scores_frame
from train.evaluation.whole_walks import stretches_of
from train.inference.predictions import PREDICTION_COLUMNS, predictions_frame, write_predictions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evaluation", "compare_evaluations", "evaluate_run", "evaluate_runs"]

_OTHERS_WRITE_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One run's evaluation: its document (see `train.evaluation.document`), a row per photo, and where it lies."""

    document: dict[str, Any]
    scores: "pd.DataFrame"
    folder: Path

    @property
    def run(self) -> str:
        """The run's name."""
        return str(self.document["run"])


def evaluate_run(
    path: Path,
    *,
    on: Path | None = None,
    split: str | None = None,
    force: bool = False,
    abstain_m: float | None = None,
    device: str = "auto",
    write: bool = True,
) -> Evaluation:
    """Score the run at `path`; `write` predictions.parquet, evaluation.json, plots and report.html into the run.

    `on` is a dataset other than the run's own; `split` one of train, val, test, all. Without it another dataset
    is scored whole, the run's own on test, or val where there is no test, or by its pooled
    out-of-fold predictions where it has folds. Raises what `choose_subject` raises, UsageError where
    `abstain_m` is asked of a model without uncertainty, InvalidCheckpointError, DeviceError.
    """
    subject = choose_subject(path, on=on, split=split, force=force)
    predictions = _predictions(subject, device)
    site = subject.dataset.site()
    photo_paths, training_paths = _thumbnail_paths(subject)
    references = reference_errors(
        site.frame, subject.rows, subject.training, photo_paths=photo_paths, training_paths=training_paths
    )
    scores = scores_frame(subject.rows, predictions, references, site)
    if abstain_m is not None and not np.isfinite(scores["uncertainty_m"].to_numpy(dtype=np.float64)).all():
        raise UsageError(f"{subject.run_name} states no uncertainty to abstain by: leave --abstain out.")
    folder = subject.run.evaluations_path / _folder_name(subject)
    notes = list(subject.notes)
    if subject.run.is_training:
        notes.append("the run is still being trained: these are the figures of its best epoch so far")
    as_walks = np.isfinite(scores["walk_error_m"].to_numpy(dtype=np.float64))
    if (
        subject.predictions is not None
        and not as_walks.all()
        and (as_walks.any() or subject.info.config.method == "probe")
    ):
        notes.append("no figures of whole walks: an earlier version predicted these folds; train them again")
    document = {
        "run": subject.run_name,
        "dataset": subject.dataset_name,
        "split": subject.split,
        "training_photos": len(subject.training),
        "training_walks": _training_walks(subject),
        "method": subject.info.config.method,
        "left_out": subject.left_out,
        "notes": notes,
        "report": str(folder / "report.html"),
        "provenance": _provenance(subject),
        **evaluation_document(scores, references, site, abstain_m=abstain_m),
    }
    if document["familiarity"]:
        document["familiarity"]["power"] = _familiarity_power(subject)
    evaluation = Evaluation(document=jsonable(document), scores=scores, folder=folder)
    if write:
        _write(evaluation, _today(predictions, scores), subject)
    return evaluation


def evaluate_runs(
    paths: Sequence[Path],
    *,
    on: Path | None = None,
    split: str | None = None,
    force: bool = False,
    abstain_m: float | None = None,
    device: str = "auto",
    write: bool = True,
) -> tuple[list[Evaluation], list[Comparison]]:
    """Evaluate every run and compare each pair on the photos that all of them were scored on.

    With `write`, the page of the comparison lies beside the first run's (`train.evaluation.comparison_page`).
    """
    evaluations = [
        evaluate_run(path, on=on, split=split, force=force, abstain_m=abstain_m, device=device, write=write)
        for path in paths
    ]
    comparisons = compare_evaluations(evaluations)
    if write and comparisons:
        from train.evaluation.comparison_page import write_comparison

        write_comparison(evaluations, comparisons)
    return evaluations, comparisons


def compare_evaluations(evaluations: Sequence[Evaluation]) -> list[Comparison]:
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
    if all(evaluation.document["walks_together"] for evaluation in evaluations):
        whole = [part["walk_error_m"].to_numpy(dtype=np.float64) for part in rows]
        walks = {f"{name}, whole walks": error for name, error in zip(names, whole, strict=True)}
        pairs += compare_pairs(walks, stretches_of(rows[0]))
    return pairs


def _predictions(subject: Subject, device: str) -> "pd.DataFrame":
    if subject.predictions is not None:
        return subject.predictions
    from train.inference.load import load_localizer
    from train.inference.locate import locate_with_walks

    localizer = load_localizer(subject.path, device=device)
    rows = subject.rows
    paths = [subject.dataset.photo_path(photo_id) for photo_id in rows["id"]]
    subject.dataset.tell_changed_copies(rows["id"], rows["photo_sha256"])
    alone, together = locate_with_walks(
        localizer, paths, walks=rows["walk"].to_numpy(dtype=str), seconds=clock_seconds(rows)
    )
    return predictions_frame(
        ids=rows["id"].tolist(),
        lon=rows["lon"],
        lat=rows["lat"],
        estimate=alone,
        together=together,
        frame=localizer.frame,
    )


def _familiarity_power(subject: Subject) -> dict[str, Any] | None:
    """Return what the familiarity of the run's model finds out, of the mean over its folds; None: not known."""
    from train.inference.load import stated

    folds = sorted(set(subject.rows["fold"])) if subject.predictions is not None else [None]
    powers = [stated(subject.path, "familiarity_power", fold=fold) for fold in folds]
    if not powers or not all(isinstance(power, dict) for power in powers):
        return None
    return {key: float(np.mean([power[key] for power in powers])) for key in ("photos", "walks")} | {
        "strangers": sum(power["strangers"] for power in powers),
        "looks": powers[0]["looks"],
    }


def _training_walks(subject: Subject) -> int | None:
    """Return on how many walks the photos of training were taken, None where their dataset is not at hand."""
    if subject.training_dataset is None:
        return None
    frame = subject.training_dataset.frame()
    return int(frame.loc[frame["id"].isin(set(subject.training["id"])), "walk"].nunique())


def _provenance(subject: Subject) -> dict[str, str]:
    info = subject.info
    trained = f"preset {info.config.preset}, {info.config.model}, seed {info.config.seed}"
    manifest = f"SHA-256 of its rows {info.rows_sha256}"
    return {"Training": f"{trained}, img2gps {info.made_by.get('img2gps', '?')}", "Manifest at training": manifest}


def _today(predictions: "pd.DataFrame", scores: "pd.DataFrame") -> "pd.DataFrame":
    """Return the predictions of the scored photos with today's labels and the errors against them."""
    rows = predictions.set_index("id").loc[scores["id"]].reset_index()
    for name in ("lon", "lat", "error_m"):
        rows[name] = scores[name].to_numpy()
    return rows[list(PREDICTION_COLUMNS)]


def _thumbnail_paths(subject: Subject) -> tuple[list[Path] | None, list[Path] | None]:
    """Return the working copies of the scored and of the training photos, None where some are not at hand."""
    source = subject.training_dataset
    if source is None or len(subject.rows) + len(subject.training) > THUMBNAIL_LIMIT:
        return None, None
    source.tell_changed_copies(subject.training["id"], subject.training["photo_sha256"])
    training = [source.photo_path(photo_id) for photo_id in subject.training["id"]]
    scored = [subject.dataset.photo_path(photo_id) for photo_id in subject.rows["id"]]
    return (scored, training) if all(path.is_file() for path in (*scored, *training)) else (None, None)


def _folder_name(subject: Subject) -> str:
    """Return ``<dataset>-<split>``; a checkpoint or fold of the run adds its name in front."""
    part = subject.run_name.partition("/")[2].replace("/", "-")
    name = "-".join(filter(None, (part, subject.dataset_name, subject.split)))
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


def _write(evaluation: Evaluation, predictions: "pd.DataFrame", subject: Subject) -> None:
    """Write an evaluation's files, after those of another process that is writing some of this run's."""
    folder = evaluation.folder
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"{safe_path(folder)} is being written by another evaluation: wait until it has finished."
    with hold(folder.parent / ".lock", otherwise=RunLockedError(busy), wait_s=_OTHERS_WRITE_S):
        _write_files(evaluation, predictions, subject)


def _write_files(evaluation: Evaluation, predictions: "pd.DataFrame", subject: Subject) -> None:
    from train.evaluation.page import write_report

    folder = evaluation.folder
    write_predictions(folder / "predictions.parquet", predictions)
    write_plots(folder / "plots", evaluation.document)
    write_report(folder / "report.html", evaluation.document, dataset=subject.dataset)
    write_json(folder / "evaluation.json", evaluation.document)
    write_sums(folder)
