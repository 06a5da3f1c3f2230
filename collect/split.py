"""Splits and folds of a dataset: made once, stored in the manifest, followed by photos that come later."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from collect.split_assign import assign, layout_of
from collect.split_folds import folds_of
from collect.split_inherit import assign_rest, inherit_splits
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.manifest import ManifestInfo, photos_of, read_table, write_manifest
from img2gps.site import Site
from img2gps.splits import split_hashes
from img2gps.text import format_count, safe_path
from img2gps.types import Photo

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["METHODS", "SplitBy", "SplitResult", "inherit_splits", "make_split", "split_dataset"]

SplitBy = Literal["walk", "cell", "random"]
METHODS: Final = ("walk", "cell", "random")

_OPTIONS: Final = ("by", "val", "test", "folds", "seed")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitResult:
    """The photos with their split and fold, the options that made it, and what is to be said, a line each."""

    photos: list[Photo]
    options: dict[str, Any]
    notes: list[str] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts of photos, walks and groups per split, and of photos per fold, fit for JSON."""
        splits = {}
        for split in ("train", "val", "test", "excluded"):
            rows = [photo for photo in self.photos if photo.split == split]
            splits[split] = {
                "photos": len(rows),
                "walks": len({photo.walk for photo in rows}),
                "groups": len({photo.group for photo in rows}),
            }
        folds = Counter(photo.fold for photo in self.photos if photo.fold is not None)
        return {
            **self.options,
            "photos": len(self.photos),
            "splits": splits,
            "fold_sizes": [folds[fold] for fold in sorted(folds)],
            "notes": self.notes,
        }


def make_split(
    photos: Sequence[Photo],
    *,
    by: SplitBy,
    val: int,
    test: int,
    site: Site,
    folds: str | None = None,
    seed: int = 0,
) -> SplitResult:
    """Split photos anew, in the order given; a group is never broken, whatever the counts asked for.

    ``walk`` holds out whole walks that come near the counts and cover most of the site, ``cell`` squares of 20 m with
    a buffer of 10 m set aside around them, ``random`` groups. `val` and `test` are numbers of photos, 0 for none.
    `folds` is ``walk``, ``day``, ``cell`` or a number (see `collect.split_folds.folds_of`). The same photos, options
    and seed give the same split. Raises UsageError where an option makes no sense or there is nothing to split.
    """
    folds = _checked(photos, by, val, test, folds)
    layout = layout_of(photos, site)
    assignment = assign(layout, by=by, val=val, test=test, seed=seed)
    fold_of = folds_of(layout, folds=folds, by=by, seed=seed, site=site).tolist() if folds else [None] * len(photos)
    done = {
        photo.id: dataclasses.replace(photo, split=split, split_reason=reason, fold=fold)
        for photo, split, reason, fold in zip(
            layout.photos, assignment.splits, assignment.reasons, fold_of, strict=True
        )
    }
    options = {"by": by, "val": val, "test": test, "folds": folds, "seed": seed}
    return SplitResult(photos=[done[photo.id] for photo in photos], options=options, notes=assignment.notes)


def split_dataset(
    dataset: Dataset,
    *,
    by: SplitBy = "walk",
    val: int = 60,
    test: int = 60,
    folds: str | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> SplitResult:
    """Split a dataset and store the split, with the hashes of its ids and labels, in the manifest.

    With the options of the stored split, only photos without one are assigned (see `inherit_splits`; what nothing
    stored decides about goes to train); with others the split is drawn anew, and the notes say so. `dry_run` writes
    nothing. Raises UsageError, InvalidDatasetError or DatasetLockedError.
    """
    if dry_run:
        with dataset.lock() if (dataset.root / ".lock").exists() else contextlib.nullcontext():  # a lock is a file
            result = _plan(dataset, by, val, test, folds, seed, dry_run=True)[0]
            _hashes(dataset.read_frame(), result.photos)  # raises what storing the split would
        return result
    with dataset.lock():
        result, info, before = _plan(dataset, by, val, test, folds, seed)
        record = {**result.options, **_hashes(dataset.read_frame(), result.photos)}
        if result.photos != before or record != info.split:
            kept = info.kept_splits if info.split and _options_of(info.split) == result.options else {}
            info = dataclasses.replace(info, split=record, kept_splits=kept)
            write_manifest(dataset.manifest_path, result.photos, info)
    return result


def _plan(
    dataset: Dataset, by: SplitBy, val: int, test: int, folds: str | None, seed: int, *, dry_run: bool = False
) -> tuple[SplitResult, ManifestInfo, list[Photo]]:
    table, info = read_table(dataset.manifest_path)
    dataset.tell_changed_site(info)
    photos = photos_of(table)
    if not photos:
        raise InvalidDatasetError(f"{safe_path(dataset.root)} holds no photo to split: ingest some first.")
    options = {"by": by, "val": val, "test": test, "folds": _checked(photos, by, val, test, folds), "seed": seed}
    stored = _options_of(info.split) if info.split else None
    if stored == options:
        return _extend(photos, info, options, dataset.site(), dry_run=dry_run), info, photos
    result = make_split(photos, by=by, val=val, test=test, folds=folds, seed=seed, site=dataset.site())
    if stored is not None:
        before = ", ".join(f"{key} {value}" for key, value in stored.items() if value is not None)
        result = dataclasses.replace(result, notes=[_redrawn(before, dry_run=dry_run), *result.notes])
    return result, info, photos


def _options_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a stored split was made with."""
    return {key: record.get(key) for key in _OPTIONS}


def _redrawn(before: str, *, dry_run: bool) -> str:
    if dry_run:
        return f"The split would be drawn anew; the stored one ({before}) stays until then."
    return f"The split was drawn anew; the one before ({before}) is gone, and runs made on it score other photos."


def _extend(
    photos: list[Photo], info: ManifestInfo, options: dict[str, Any], site: Site, *, dry_run: bool
) -> SplitResult:
    done = assign_rest(photos, info, site)
    new = [after for photo, after in zip(photos, done, strict=True) if photo.split is None]
    if not new:
        return SplitResult(photos=done, options=options, notes=["The stored split was made with these options: kept."])
    counts = Counter(photo.split for photo in new)
    where = ", ".join(f"{counts[split]} to {split}" for split in ("train", "val", "test", "excluded") if counts[split])
    count = format_count(len(new), "new photo")
    note = (
        f"The stored split would be kept and {count} assigned: {where}."
        if dry_run
        else f"The stored split was kept; {count} assigned: {where}."
    )
    return SplitResult(photos=done, options=options, notes=[note])


def _checked(photos: Sequence[Photo], by: str, val: int, test: int, folds: str | None) -> str | None:
    """Return `folds` in its one spelling. Raises UsageError."""
    if by not in METHODS:
        raise UsageError(f"Cannot split by {by}: choose walk, cell or random.")
    if val < 0 or test < 0:
        raise UsageError("--val and --test are numbers of photos: 0 or more.")
    if not photos:
        raise UsageError("There are no photos to split: ingest some first.")
    if folds is None or folds in ("walk", "day", "cell"):
        return folds
    if not folds.isdecimal() or int(folds) < 2:
        raise UsageError(f"--folds takes walk, day, cell or a number of 2 or more, not {folds}.")
    return str(int(folds))


def _hashes(frame: "gpd.GeoDataFrame", photos: list[Photo]) -> dict[str, Any]:
    """Return the fingerprints of the split that is about to be stored, as readers of the dataset will see it."""
    split_of = {photo.id: photo.split for photo in photos}
    kept_out = frame["label_state"] == "exclude"
    frame["split"] = frame["id"].map(split_of).where(~kept_out, "excluded")
    hashes = split_hashes(frame)
    return {"ids_sha256": hashes.ids, "labels_sha256": hashes.labels}
