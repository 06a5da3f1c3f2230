"""Splits and folds of a dataset: made once, stored in the manifest, followed by photos that come later."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from collect.splits.advice import advice
from collect.splits.assign import assign, layout_of
from collect.splits.folds import folds_of
from collect.splits.inherit import assign_rest, inherit_splits
from img2gps.corrections import newest, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.manifest import ManifestInfo, photos_of, read_table, write_manifest
from img2gps.site import Site
from img2gps.splits import split_hashes
from img2gps.text import format_count, safe_path, shell_path
from img2gps.types import Photo

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["METHODS", "SplitBy", "SplitResult", "inherit_splits", "make_split", "split_dataset"]

SplitBy = Literal["walk", "cell", "random"]
DEFAULT_COUNT: Final = 60
METHODS: Final = ("walk", "cell", "random")

_OPTIONS: Final = ("by", "val", "test", "folds", "seed")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitResult:
    """The photos with their split and fold, the options that made it, and what is to be said, a line each.

    `left_out` are the ids of photos that a person excluded: they are dealt to no split and count as excluded.
    """

    photos: list[Photo]
    options: dict[str, Any]
    notes: list[str] = dataclasses.field(default_factory=list)
    left_out: frozenset[str] = frozenset()

    def part(self, split: str) -> list[Photo]:
        """Return the usable photos of a split, or all that are set aside (``excluded``)."""
        aside = [photo for photo in self.photos if photo.id in self.left_out] if split == "excluded" else []
        return aside + [photo for photo in self.photos if photo.split == split and photo.id not in self.left_out]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts of photos, walks and groups per split, and of photos per fold, fit for JSON."""
        splits = {}
        for split in ("train", "val", "test", "excluded"):
            rows = self.part(split)
            splits[split] = {
                "photos": len(rows),
                "walks": len({photo.walk for photo in rows}),
                "groups": len({photo.group for photo in rows}),
            }
        usable = [photo for photo in self.photos if photo.id not in self.left_out]
        folds = Counter(photo.fold for photo in usable if photo.fold is not None)
        return {
            **self.options,
            "photos": len(self.photos),
            "usable": len(usable),
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

    ``walk`` holds out whole walks that come near the counts and cover most of the site. ``cell`` holds out squares of
    20 m, with a buffer of 10 m set aside around them, and ``random`` groups. `val` and `test` are numbers of photos, 0
    for none. `folds` is ``walk``, ``day``, ``cell`` or a number (see `collect.splits.folds.folds_of`). The same photos,
    options and seed give the same split. Raises UsageError where an option makes no sense or there is nothing to split.
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
    val: int = DEFAULT_COUNT,
    test: int = DEFAULT_COUNT,
    folds: str | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> SplitResult:
    """Split a dataset and store the split, with the hashes of its ids and labels, in the manifest.

    With the options of the stored split, only photos without one are assigned (see `inherit_splits`); if nothing stored
    decides, they train. With other options the split is drawn anew, and the notes say so. Photos that a person excluded
    are dealt to no split. `dry_run` writes nothing. Raises UsageError, InvalidDatasetError or DatasetLockedError.
    """
    if dry_run:
        with dataset.reading():
            result = _plan(dataset, by, val, test, folds, seed, dry_run=True)[0]
            _hashes(dataset.frame(), result.photos)  # raises what storing the split would
        return _advised(result, dataset)
    with dataset.lock():
        result, info, before = _plan(dataset, by, val, test, folds, seed)
        record = {**result.options, **_hashes(dataset.frame(), result.photos)}
        if result.photos != before or record != info.split:
            kept = info.kept_splits if info.split and _options_of(info.split) == result.options else {}
            info = dataclasses.replace(info, split=record, kept_splits=kept)
            write_manifest(dataset.manifest_path, result.photos, info)
    return _advised(result, dataset)


def _plan(
    dataset: Dataset, by: SplitBy, val: int, test: int, folds: str | None, seed: int, *, dry_run: bool = False
) -> tuple[SplitResult, ManifestInfo, list[Photo]]:
    table, info = read_table(dataset.manifest_path)
    dataset.tell_changed_site(info)
    photos = photos_of(table)
    if not photos:
        raise InvalidDatasetError(f"{safe_path(dataset.root)} holds no photo to split: ingest some first.")
    excluded = _excluded(dataset)
    usable = [photo for photo in photos if photo.id not in excluded]
    if not usable:
        raise InvalidDatasetError(
            f"Every photo of {safe_path(dataset.root)} is excluded by a correction: "
            f"take some back with `img2gps label {shell_path(dataset.root)}`."
        )
    options = {"by": by, "val": val, "test": test, "folds": _checked(usable, by, val, test, folds), "seed": seed}
    stored = _options_of(info.split) if info.split else None
    if stored == options and not _emptied(photos, excluded):
        return _extend(photos, info, options, dataset.site(), excluded, dry_run=dry_run), info, photos
    result = make_split(usable, by=by, val=val, test=test, folds=folds, seed=seed, site=dataset.site())
    dealt = {photo.id: photo for photo in result.photos}
    rows = [dealt.get(photo.id) or _without_split(photo) for photo in photos]
    result = dataclasses.replace(result, photos=rows, left_out=excluded)
    if stored is not None:
        before = ", ".join(f"{key} {value}" for key, value in stored.items() if value is not None)
        result = dataclasses.replace(result, notes=[_redrawn(before, dry_run=dry_run), *result.notes])
    return result, info, photos


def _excluded(dataset: Dataset) -> frozenset[str]:
    """Return the ids of the photos that a person excluded."""
    latest = newest(read_corrections(dataset.corrections_path))
    return frozenset(photo_id for photo_id, entry in latest.items() if entry.action == "exclude")


def _emptied(photos: Sequence[Photo], excluded: frozenset[str]) -> bool:
    """Return whether a stored split has lost all of its photos to exclusions: then it is dealt anew."""
    stored = {photo.split for photo in photos} - {None, "excluded"}
    return stored != {photo.split for photo in photos if photo.id not in excluded} - {None, "excluded"}


def _without_split(photo: Photo) -> Photo:
    """Return a photo that is in no split: if its exclusion is taken back, it follows its group."""
    return dataclasses.replace(photo, split=None, split_reason=None, fold=None)


def _advised(result: SplitResult, dataset: Dataset) -> SplitResult:
    """Return the result with what a small held-out part can show among its notes."""
    return dataclasses.replace(result, notes=[*result.notes, *advice(result, safe_path(dataset.root))])


def _options_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a stored split was made with."""
    return {key: record.get(key) for key in _OPTIONS}


def _redrawn(before: str, *, dry_run: bool) -> str:
    if dry_run:
        return f"The split would be drawn anew; the stored one ({before}) stays until then."
    return f"The split was drawn anew; the one before ({before}) is gone, and runs made on it score other photos."


def _extend(
    photos: list[Photo],
    info: ManifestInfo,
    options: dict[str, Any],
    site: Site,
    excluded: frozenset[str],
    *,
    dry_run: bool,
) -> SplitResult:
    rested = assign_rest(photos, info, site)
    done = [photo if photo.id in excluded else after for photo, after in zip(photos, rested, strict=True)]
    new = [after for photo, after in zip(photos, done, strict=True) if photo.split is None and after.split is not None]
    if not new:
        kept = ["The stored split was made with these options: kept."]
        return SplitResult(photos=done, options=options, notes=kept, left_out=excluded)
    counts = Counter(photo.split for photo in new)
    where = ", ".join(f"{counts[split]} to {split}" for split in ("train", "val", "test", "excluded") if counts[split])
    count = format_count(len(new), "new photo")
    note = (
        f"The stored split would be kept and {count} assigned: {where}."
        if dry_run
        else f"The stored split was kept; {count} assigned: {where}."
    )
    return SplitResult(photos=done, options=options, notes=[note], left_out=excluded)


def _checked(photos: Sequence[Photo], by: str, val: int, test: int, folds: str | None) -> str | None:
    """Return `folds` in its one spelling. Raises UsageError."""
    if by not in METHODS:
        raise UsageError(f"Cannot split by {by}: choose walk, cell or random.")
    if not isinstance(val, int) or not isinstance(test, int) or val < 0 or test < 0:
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
