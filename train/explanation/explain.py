"""Explain a run by the classes of things over an evaluation's photos: landmarks or people."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import sha256_file, write_json
from img2gps.pixels import read_pixels
from img2gps.progress import Advance, bar, stderr
from img2gps.text import safe_path
from train.config.schema import ProbeConfig, TrainConfig
from train.data.training_data import DatasetPhotos, read_photos
from train.evaluation.bootstrap import clusters_of
from train.evaluation.evaluate import evaluation_folder
from train.evaluation.evaluation_set import EvaluationSet, choose_evaluation_set
from train.evaluation.explained import explanation_path
from train.explanation.class_costs import PhotoCosts, costs_of
from train.explanation.class_figures import ClassExplanation, RefitFigures, Worth, refit_figures, worth_of
from train.explanation.content import Donors, places_of, site_donors
from train.explanation.masked_photos import Masks
from train.explanation.refit import half_models, refit_without
from train.explanation.segmenter import Segmenter, write_segmented
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.models.localizer import Localizer
from train.runtime.devices import pick_device, use_threads

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["explain_split", "split_costs"]

_MOST_TRAINING: Final = 100
"""Training photos that are judged: half of them by each of the two models."""


def explain_split(
    run: Path,
    masks: Path | None = None,
    *,
    segmenter: tuple[Path, Path] | None = None,
    split: str | None = None,
    on: Path | None = None,
    refit: bool = False,
    seed: int = 0,
    device: str = "auto",
    write: bool = True,
) -> ClassExplanation:
    """Return what the classes of things are worth to a run on the photos that `evaluate` would score.

    `masks` is a folder of masks by file names (`img2gps.masks`). Without it, a `segmenter` (ONNX file, table of its
    classes) makes them, into RUN/explanations/masks. Photos of folds are judged by the models that had not
    seen them. Of a run of preset quick or default on its own split, training photos are judged, too: by models of half
    the walks each. With `refit`, models are fitted anew without each class, and networks are judged on training photos,
    too. `write` leaves explanation.json beside the
    evaluation's files. Raises what `choose_evaluation_set` raises, NotFoundError where no photo has a mask.
    """
    chosen = choose_evaluation_set(run, on=on, split=split)
    source = chosen.training_dataset or chosen.dataset
    frame = source.frame()
    if masks is None:
        with contextlib.ExitStack() as stack:
            unkept = None if write else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            made = _segmented(segmenter, chosen, source, unkept)
            return explain_split(run, made, split=split, on=on, refit=refit, seed=seed, device=device, write=write)
    costs, rows = _split_costs(chosen, masks, seed, device)
    worth = worth_of(costs, clusters_of(rows))
    explainer = _Training.of(chosen, Masks.of(masks, frame), seed, device, networks=refit)
    result = ClassExplanation(
        run=chosen.run_name,
        dataset=chosen.dataset_name,
        split=chosen.split,
        without_mask=len(chosen.rows) - len(rows),
        worth=worth,
        training=None if explainer is None else explainer.worth(frame),
        refitted=() if explainer is None or not refit else explainer.refitted(rows),
    )
    if refit and explainer is None:
        stderr().print("Not fitted anew: that needs a run without folds on its own split.")
    if write:
        path = explanation_path(evaluation_folder(chosen))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result.to_dict())
    return result


def split_costs(
    run: Path, masks: Path, *, split: str | None = None, seed: int = 0, device: str = "auto"
) -> "tuple[PhotoCosts, pd.DataFrame]":
    """Return the costs of the classes photo by photo, and the photos' rows. Raises what `explain_split` does."""
    return _split_costs(choose_evaluation_set(run, split=split), masks, seed, device)


def _split_costs(chosen: EvaluationSet, masks: Path, seed: int, device: str) -> "tuple[PhotoCosts, pd.DataFrame]":
    source = chosen.training_dataset or chosen.dataset
    frame = source.frame()
    known = Masks.of(masks, chosen.dataset.frame())
    rows = chosen.rows[chosen.rows["id"].isin(list(known.paths))].reset_index(drop=True)
    if not len(rows):
        raise NotFoundError(f"{safe_path(masks)} has no mask of these photos: name each FILE_NAME.png, as docs say.")
    parts, order = [], []
    with bar("Explaining", len(rows)) as advance:
        for localizer, own in _models(chosen, rows, device):
            donors = site_donors(source, frame, localizer, seed)
            parts += _costs(localizer, rows.iloc[own], chosen.dataset.photo_path, known, donors, seed, advance)
            order += own.tolist()
    return PhotoCosts.concatenate(parts), rows.iloc[order]


def _segmented(
    segmenter: tuple[Path, Path] | None, chosen: EvaluationSet, source: Dataset, unkept: Path | None
) -> Path:
    """Write masks of the photos of the split and of training, and return their folder: the run's, or `unkept`."""
    if segmenter is None:
        raise UsageError("Say what the photos show: --masks FOLDER or --segmenter FILE.")
    model = Segmenter.load(*segmenter)
    training = set(chosen.training["id"])
    scored, known = chosen.rows["id"].tolist(), [one for one in source.frame()["id"].tolist() if one in training]
    photos = list(zip(scored, chosen.dataset.photo_paths(scored), strict=True))
    photos += zip(known, source.photo_paths(known), strict=True)
    digest = sha256_file(segmenter[0])[:12] + sha256_file(segmenter[1])[:4]
    folder = unkept or chosen.run.root / "explanations" / f"masks-{digest}"
    write_segmented(model, photos, folder)
    return folder


def _models(
    chosen: EvaluationSet, rows: "pd.DataFrame", device: str
) -> "Iterator[tuple[Localizer, np.ndarray[tuple[int], np.dtype[np.int64]]]]":
    """Yield the models that had not seen the photos of `rows`, each with the numbers of its own rows."""
    if chosen.predictions is None:
        yield load_localizer(chosen.path, device=device), np.arange(len(rows))
        return
    folds = rows["fold"].to_numpy(dtype=np.int64)
    for fold in np.unique(folds).tolist():
        yield load_localizer(chosen.run.root, fold=fold, device=device), np.flatnonzero(folds == fold)


def _costs(
    localizer: Localizer,
    rows: "pd.DataFrame",
    path_of: Callable[[str], Path],
    masks: Masks,
    donors: Donors,
    seed: int,
    advance: Advance,
) -> list[PhotoCosts]:
    """Return the costs of photos with masks, in the order of `rows`."""
    found = []
    for number, (photo_id, place) in enumerate(zip(rows["id"], places_of(localizer, rows), strict=True)):
        image = read_pixels(path_of(photo_id), localizer.pixels)
        mask = masks.of_photo(photo_id, localizer.pixels)
        truth = (float(place[0]), float(place[1]))
        found.append(costs_of(localizer, image, mask, truth, donors, seed=seed + number))
        advance(1)
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """What a run was trained with, where models can be fitted like it: those of quick and default in seconds."""

    chosen: EvaluationSet
    config: TrainConfig
    source: DatasetPhotos
    masks: Masks
    seed: int
    device: str

    @classmethod
    def of(cls, chosen: EvaluationSet, masks: Masks, seed: int, device: str, *, networks: bool) -> "_Training | None":
        """Return None for folds, photos of a dataset other than the run's, and networks unless asked for."""
        config = chosen.info.config
        dataset = chosen.training_dataset
        if chosen.predictions is not None or dataset is None:
            return None
        if not (networks or isinstance(config, ProbeConfig)):
            return None
        if dataset.root.resolve() != chosen.dataset.root.resolve():
            return None
        use_threads(config.threads)
        source = read_photos(dataset.root)
        return cls(chosen=chosen, config=config, source=source, masks=masks, seed=seed, device=device)

    def worth(self, frame: "pd.DataFrame") -> Worth | None:
        """Return what the classes are worth on training photos; None where they are of one walk or without masks."""
        training = [str(one) for one in self.chosen.training["id"]]
        parts, shown = [], []
        models = half_models(self.config, self.source, training, seed=self.seed, device=pick_device(self.device))
        for localizer, others in models:
            ids = [one for one in others.ids.tolist() if one in self.masks.paths]
            chosen = np.random.default_rng(self.seed).permutation(len(ids))[: _MOST_TRAINING // 2]
            rows = frame[frame["id"].isin([ids[k] for k in chosen])]
            donors = site_donors(self.source.dataset, frame, localizer, self.seed)
            with bar("Explaining training photos", len(rows)) as advance:
                path_of = self.source.dataset.photo_path
                parts += _costs(localizer, rows, path_of, self.masks, donors, self.seed, advance)
            shown.append(rows)
        if not parts:
            return None
        import pandas as pd

        return worth_of(PhotoCosts.concatenate(parts), clusters_of(pd.concat(shown)))

    def refitted(self, rows: "pd.DataFrame") -> tuple[RefitFigures, ...]:
        """Return what models without each class lose on the photos of `rows`."""
        localizer = load_localizer(self.chosen.path, device=self.device)
        donors = site_donors(self.source.dataset, self.source.dataset.frame(), localizer, self.seed)
        places, ids = places_of(localizer, rows), rows["id"].tolist()
        answer = locate_files(localizer, self.source.dataset.photo_paths(ids))
        before = np.hypot(answer.east_m - places[:, 0], answer.north_m - places[:, 1])
        clusters = clusters_of(rows)
        refits = refit_without(
            self.config, self.source, self.masks, donors, places, ids, localizer, device=pick_device(self.device)
        )
        return tuple(refit_figures(one.name, one.share, one.error_m - before, clusters) for one in refits)
