"""Explain a run by the classes of things over an evaluation's photos: landmarks or people."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import write_json
from img2gps.masks import TABLE_NAME, find_mask, fit_mask, read_class_table, read_mask
from img2gps.pixels import read_pixels
from img2gps.progress import bar
from img2gps.text import safe_path
from train.evaluation.bootstrap import clusters_of
from train.evaluation.evaluate import evaluation_folder
from train.evaluation.evaluation_set import EvaluationSet, choose_evaluation_set
from train.evaluation.explained import explanation_path
from train.explanation.class_costs import PhotoCosts, costs_of
from train.explanation.class_figures import ClassExplanation, figures_of_classes
from train.explanation.content import places_of, site_donors
from train.inference.load import load_localizer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["explain_split"]


def explain_split(
    run: Path,
    masks: Path,
    *,
    split: str | None = None,
    on: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    write: bool = True,
) -> ClassExplanation:
    """Return what the classes of things are worth to a run on the photos that `evaluate` would score.

    `masks` is a folder of masks by file names (`img2gps.masks`). `write` leaves explanation.json beside the
    evaluation's files. Raises what `choose_evaluation_set` raises, NotFoundError where no photo has a mask, UsageError
    for a run of folds.
    """
    chosen = choose_evaluation_set(run, on=on, split=split)
    if chosen.predictions is not None:
        raise UsageError(f"{safe_path(run)} holds one model per fold: explain one, as {safe_path(run)}/folds/0.")
    table_path = masks / TABLE_NAME
    table = read_class_table(table_path) if table_path.is_file() else None
    rows = chosen.rows
    found = [find_mask(masks, str(name), str(own)) for name, own in zip(rows["source_name"], rows["id"], strict=True)]
    with_mask = np.flatnonzero([mask is not None for mask in found])
    if not len(with_mask):
        raise NotFoundError(f"{safe_path(masks)} has no mask of these photos: name each FILE_NAME.png, as docs say.")
    localizer = load_localizer(run, device=device)
    source = chosen.training_dataset or chosen.dataset
    donors = site_donors(source, source.frame(), localizer, seed)
    truths = places_of(localizer, rows)
    parts = []
    with bar("Explaining", len(with_mask)) as advance:
        for row in with_mask.tolist():
            image = read_pixels(chosen.dataset.photo_path(rows["id"].iloc[row]), localizer.pixels)
            own = found[row]
            assert own is not None
            mask = fit_mask(read_mask(own, table), localizer.pixels)
            truth = (float(truths[row, 0]), float(truths[row, 1]))
            parts.append(costs_of(localizer, image, mask, truth, donors, seed=seed + row))
            advance(1)
    result = _explanation(chosen, _stacked(parts), rows.iloc[with_mask], len(rows) - len(with_mask))
    if write:
        path = explanation_path(evaluation_folder(chosen))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result.to_dict())
    return result


def _explanation(chosen: EvaluationSet, costs: PhotoCosts, rows: "pd.DataFrame", without_mask: int) -> ClassExplanation:
    clusters = clusters_of(rows)
    classes, headline = figures_of_classes(costs, clusters)
    return ClassExplanation(
        run=chosen.run_name,
        dataset=chosen.dataset_name,
        split=chosen.split,
        photos=len(rows),
        without_mask=without_mask,
        classes=classes,
        headline=headline,
        intervals_from=clusters.source,
    )


def _stacked(parts: Sequence[PhotoCosts]) -> PhotoCosts:
    names = [field.name for field in dataclasses.fields(PhotoCosts)]
    return PhotoCosts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
