"""The rows of two datasets as those of one: the same bytes once, nothing forgotten, walks and groups computed anew."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from collect.ingestion.rejudge import judge_again
from collect.merging.side import Side
from collect.merging.splits import agreed, comparable_folds, parted
from collect.splits.groups import assign_groups
from collect.splits.inherit import inherit_splits
from collect.validation.flags import with_flags
from collect.validation.timeline import decisions_of, timed
from img2gps.errors import UsageError
from img2gps.rejected import RejectedFile
from img2gps.text import safe_path
from img2gps.types import Photo

__all__ = ["MergedRows", "merged_rows"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MergedRows:
    """The rows of the merged dataset, by id.

    `both` counts the photos that both datasets had, `left_out` those that one had and the other was asked to forget.
    `set_aside` are photos that lost their split to the merge; `split` are the options of the stored split.
    """

    photos: Mapping[str, Photo]
    outside: Mapping[str, Photo]
    rejected: Mapping[str, RejectedFile]
    kept_splits: Mapping[str, Any]
    split: Mapping[str, Any] | None
    both: int
    left_out: int
    set_aside: tuple[Photo, ...]
    notes: tuple[str, ...]


def merged_rows(first: Side, second: Side) -> MergedRows:
    """Return the rows of two datasets of one site, judged by the first one's polygon.

    Raises UsageError where the datasets are not of one site, or their working copies are of different sizes.
    """
    notes = _checked(first, second)
    second, judged = _judged_by(first, second)
    lead, other = (first, second) if first.info.split or not second.info.split else (second, first)
    options = lead.info.split
    same_kind = other.info.split is None or other.info.split.get("by") == (options or {}).get("by")
    if not same_kind:
        notes.append(
            f"The splits are of different kinds: that of {safe_path(lead.dataset.root)} stays, and photos of "
            f"{safe_path(other.dataset.root)} follow it."
        )
    folds = comparable_folds(lead.info.split, other.info.split)
    theirs = {key: _as_other(photo, splits=same_kind, folds=folds) for key, photo in other.photos.items()}
    forgotten = {*first.forgotten, *second.forgotten}
    union = _union(lead.photos, theirs, folds=folds)
    photos = {key: photo for key, photo in union.items() if key not in forgotten}
    outside = _union(lead.outside, other.outside, folds=folds)
    outside = {key: row for key, row in outside.items() if key not in forgotten and key not in photos}
    info = dataclasses.replace(lead.info, kept_splits={**other.info.kept_splits, **lead.info.kept_splits})
    decisions = decisions_of(list(photos.values()), first.site.zone)
    grouped = assign_groups([timed(photo, decisions.get(photo.id)) for photo in photos.values()])
    settled = parted(grouped, options) if options else grouped
    rows = {photo.id: photo for photo in with_flags(inherit_splits(settled, info), decisions)}
    if _has_val([*first.photos.values(), *second.photos.values()]) and not _has_val(rows.values()):
        notes.append("No validation photo is left, as walks of both datasets met: `img2gps split` draws a split anew.")
    rejected = {**second.rejected, **first.rejected, **judged}
    return MergedRows(
        photos=rows,
        outside=outside,
        rejected={key: row for key, row in rejected.items() if key not in rows and row.sha256 not in forgotten},
        kept_splits={k: v for k, v in info.kept_splits.items() if k not in forgotten and not _split_of(rows, k)},
        split=options,
        both=len(first.photos.keys() & second.photos.keys()),
        left_out=len((first.photos.keys() | second.photos.keys()) & forgotten),
        set_aside=tuple(_set_aside(rows.values(), [first, second])),
        notes=tuple(notes),
    )


def _has_val(photos: Iterable[Photo]) -> bool:
    return any(photo.split == "val" for photo in photos)


def _checked(first: Side, second: Side) -> list[str]:
    """Return what should be known of two datasets. Raises UsageError where they cannot become one."""
    one, other = safe_path(first.dataset.root), safe_path(second.dataset.root)
    if not first.site.polygon.intersects(second.site.polygon):
        raise UsageError(f"{one} and {other} are of different sites: merge datasets of one site.")
    sizes = first.info.short_side_px, second.info.short_side_px
    if sizes[0] != sizes[1] and first.photos and second.photos:
        raise UsageError(
            f"The working copies of {one} and {other} have short sides of {sizes[0]} and {sizes[1]} px: ingest the "
            "photos of one of them again with --short-side."
        )
    if first.info.device_salt == second.info.device_salt:
        return []
    return ["The datasets began with different polygons: a phone that both have counts as two devices."]


def _judged_by(first: Side, second: Side) -> tuple[Side, dict[str, RejectedFile]]:
    """Return the second dataset as the first one's site sees it, and the rejections of what fell outside."""
    if first.site.sha256 == second.site.sha256:
        return second, {}
    after = judge_again(second.photos.values(), second.outside.values(), second.site, first.site, exact=False)
    photos = {photo.id: photo for photo in (*after.kept, *after.back)}
    outside = {photo.id: photo for photo in (*after.outside, *(photo for photo, _ in after.fell))}
    fell = {photo.id: RejectedFile.of(rejection, photo.id) for photo, rejection in after.fell}
    return dataclasses.replace(second, photos=photos, outside=outside), fell


def _as_other(photo: Photo, *, splits: bool, folds: bool) -> Photo:
    """Return a photo of the dataset whose split does not lead, without what does not count."""
    if not splits:
        return dataclasses.replace(photo, split=None, split_reason=None, fold=None)
    return photo if folds else dataclasses.replace(photo, fold=None)


def _union(lead: Mapping[str, Photo], other: Mapping[str, Photo], *, folds: bool) -> dict[str, Photo]:
    """Return the rows of both; of two rows of one photo the one that knows more stays, else the older."""
    rows = dict(other)
    for key, photo in lead.items():
        rows[key] = photo
        if key in other:
            split = agreed(photo, other[key], folds=folds)
            better = max(photo, other[key], key=_knowledge)
            rows[key] = dataclasses.replace(better, split=split.split, split_reason=split.split_reason, fold=split.fold)
    return rows


def _knowledge(photo: Photo) -> tuple[int, float]:
    values = [getattr(photo, field.name) for field in dataclasses.fields(photo)]
    since = photo.ingested_at.timestamp() if photo.ingested_at else 0.0
    return sum(value is not None for value in values), -since


def _split_of(rows: Mapping[str, Photo], photo_id: str) -> str | None:
    return rows[photo_id].split if photo_id in rows else None


def _set_aside(rows: Iterable[Photo], sides: list[Side]) -> list[Photo]:
    """Return the photos that were in a split of either dataset and are in none now."""
    had = {key for side in sides for key, photo in side.photos.items() if photo.split not in (None, "excluded")}
    return [photo for photo in rows if photo.id in had and photo.split == "excluded"]
