"""Labels that were refined with the very photos a run is scored on: such a score says nothing."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from img2gps.errors import InvalidCheckpointError
from img2gps.tables import read_rows
from img2gps.text import format_count, safe_path
from train.runs.folder import RunFolder

__all__ = ["circles", "refuse_circles"]


def refuse_circles(run: RunFolder, ids: Iterable[str], folds: Iterable[int], trained: Iterable[str]) -> None:
    """Raise InvalidCheckpointError where photos to be scored had a part in refining the labels of their model.

    `ids` and `folds` are those of the photos to be scored (-1: the one model of the run). `trained` are the photos that
    the one model learned from; they are no test.
    """
    learned, used = {str(one) for one in trained}, dict[int, frozenset[str]]()
    caught = 0
    for photo_id, fold in zip(ids, folds, strict=True):
        number = int(fold)
        if number not in used:
            used[number] = (run if number < 0 else run.fold(number)).refined_with()
        own = number < 0 and str(photo_id) in learned
        caught += str(photo_id) in used[number] and not own
    if caught:
        raise InvalidCheckpointError(
            f"{safe_path(run.root)} was trained on labels that were refined with {format_count(caught, 'photo')} "
            "it would be scored on: train again with --labels refined, which leaves them out."
        )


def circles(run: RunFolder) -> Iterator[tuple[RunFolder, int]]:
    """Yield the models of a run whose labels were refined with photos that chose or judge them, and how many."""
    for folder in (run, *(run.fold(int(path.name)) for path in run.folds_path.glob("*") if path.name.isdigit())):
        used = folder.refined_with()
        if not used or not folder.photos_path.is_file():
            continue
        rows = folder.read_photos()
        judges = set(rows.loc[rows["role"] == "val", "id"].astype(str))
        stored = folder.root / "predictions.parquet"
        if stored.is_file():
            judges |= set(_ids(stored))
        if used & judges:
            yield folder, len(used & judges)


def _ids(path: Path) -> list[str]:
    remedy = "restore it from a backup, or train again"
    return [str(one) for one in read_rows(path, error=InvalidCheckpointError, remedy=remedy)["id"].to_pylist()]
