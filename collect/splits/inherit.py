"""Photos that come after a split was made: they follow their group, and never move a photo that was there before."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collect.splits.assign import BUFFER_M, BUFFER_REASON, within_m
from collect.splits.folds import fold_keys
from img2gps.geo import geocentric_m
from img2gps.manifest import ManifestInfo
from img2gps.site import Site
from img2gps.text import join_words
from img2gps.types import Photo

__all__ = ["assign_rest", "inherit_splits"]


def inherit_splits(photos: Sequence[Photo], info: ManifestInfo) -> list[Photo]:
    """Return the photos, those without a split or fold given that of their group (with by ``walk``, of their walk).

    A photo that would join two splits or two folds becomes ``excluded`` with the reason. Photos whose group and walk
    are new stay without a split until `img2gps split` is run again. Without a stored split nothing changes.
    """
    if info.split is None:
        return list(photos)
    by, folds = str(info.split.get("by")), info.split.get("folds")
    stored = [_as_before(photo, info) for photo in photos]
    stored = [photo for photo in stored if photo.split is not None]
    known = _splits_by(stored, by_walk=by == "walk")
    known_folds = _folds_by(stored, by_walk=folds == "walk") if folds else {}
    inherited = [photo if photo.split is not None else _follow(photo, known, known_folds) for photo in photos]
    return _keep_buffer(photos, inherited) if by == "cell" else inherited


def assign_rest(photos: Sequence[Photo], info: ManifestInfo, site: Site) -> list[Photo]:
    """Return the photos with none left without a split: what nothing stored decides about is for training."""
    assert info.split is not None
    inherited = inherit_splits(photos, info)
    trained = [photo if photo.split else dataclasses.replace(photo, split="train") for photo in inherited]
    if info.split["by"] == "cell":
        trained = _keep_buffer(photos, trained)
    return _rest_of_folds(trained, info.split, site)


def _as_before(photo: Photo, info: ManifestInfo) -> Photo:
    """Return a photo that lost its split (it was outside the site for a while, or its time was mended) with it.

    It is one voice among those of its group and walk: where they differ, the photo is set aside like a new one.
    """
    if photo.split is not None or photo.id not in info.kept_splits:
        return photo
    split, split_reason, fold = info.kept_splits[photo.id]
    return dataclasses.replace(photo, split=split, split_reason=split_reason, fold=fold)


Known = Mapping[tuple[str, str], Mapping[Any, str | None]]


def _keys(photo: Photo, *, by_walk: bool) -> list[tuple[str, str]]:
    return [("group", photo.group), *([("walk", photo.walk)] if by_walk else [])]


def _splits_by(stored: list[Photo], *, by_walk: bool) -> Known:
    """Return the splits (with a reason) that each group or walk already has."""
    known: dict[tuple[str, str], dict[Any, str | None]] = defaultdict(dict)
    for photo in stored:
        for key in _keys(photo, by_walk=by_walk):
            known[key].setdefault(photo.split, photo.split_reason)
    return known


def _folds_by(stored: list[Photo], *, by_walk: bool) -> Known:
    known: dict[tuple[str, str], dict[Any, str | None]] = defaultdict(dict)
    for photo in stored:
        for key in _keys(photo, by_walk=by_walk):
            if photo.fold is not None:
                known[key][photo.fold] = None
    return known


def _follow(photo: Photo, known: Known, known_folds: Known) -> Photo:
    places = _keys(photo, by_walk=True)
    found = {split: why for key in places for split, why in known.get(key, {}).items()}
    splits = sorted(set(found) - {"excluded"})
    folds = sorted({fold for key in places for fold in known_folds.get(key, {})})
    if len(splits) > 1 or len(folds) > 1:
        ends = join_words(splits if len(splits) > 1 else [f"fold {fold}" for fold in folds])
        return dataclasses.replace(photo, split="excluded", split_reason=f"joined: it would join {ends}")
    fold = folds[0] if folds else photo.fold
    if splits:
        return dataclasses.replace(photo, split=splits[0], fold=fold)
    if "excluded" in found:
        return dataclasses.replace(photo, split="excluded", split_reason=found["excluded"], fold=fold)
    return dataclasses.replace(photo, fold=fold)


def _keep_buffer(before: Sequence[Photo], after: list[Photo]) -> list[Photo]:
    """Set new photos aside that would stand within the buffer between training and the held-out photos."""
    points_m = geocentric_m([photo.lon for photo in after], [photo.lat for photo in after])
    new = np.array([photo.split is None for photo in before], dtype=np.bool_)
    splits = np.array([photo.split or "" for photo in after], dtype=object)
    near = np.zeros(len(after), dtype=np.bool_)
    # Training photos give way first; a new held-out photo may then still stand beside an old training photo.
    for side, others in ((("train",), ("val", "test")), (("val", "test"), ("train",))):
        rows = np.flatnonzero(new & ~near & np.isin(splits, side))
        fixed = np.isin(splits, others) & ~near & (~new if others == ("train",) else np.ones_like(new))
        near[rows] = within_m(points_m[rows], points_m[fixed], BUFFER_M)
    return [
        dataclasses.replace(photo, split="excluded", split_reason=BUFFER_REASON) if close else photo
        for photo, close in zip(after, near.tolist(), strict=True)
    ]


def _rest_of_folds(photos: list[Photo], options: Mapping[str, Any], site: Site) -> list[Photo]:
    """Give a fold to the photos without one: their walk's or day's, else a new one; else the nearest or smallest."""
    folds = options.get("folds")
    open_rows = [row for row, photo in enumerate(photos) if photo.fold is None and photo.split != "excluded"]
    if not folds or not open_rows:
        return photos
    if folds in ("walk", "day"):
        found = _by_key(photos, open_rows, fold_keys(photos, folds=folds, zone=site.zone))
    elif folds == "cell" or options["by"] == "cell":
        found = _by_nearest(photos, open_rows)
    else:
        keys = [photo.walk if options["by"] == "walk" else photo.group for photo in photos]
        found = _by_smallest(photos, open_rows, keys)
    return [dataclasses.replace(photo, fold=found.get(row, photo.fold)) for row, photo in enumerate(photos)]


def _by_key(photos: list[Photo], open_rows: list[int], keys: list[str]) -> dict[int, int]:
    known = {key: photo.fold for key, photo in zip(keys, photos, strict=True) if photo.fold is not None}
    following = max(known.values(), default=-1) + 1
    for key in sorted({keys[row] for row in open_rows} - set(known)):
        known[key] = following
        following += 1
    return {row: known[keys[row]] for row in open_rows}


def _by_nearest(photos: list[Photo], open_rows: list[int]) -> dict[int, int]:
    from scipy.spatial import cKDTree

    with_fold = [photo for photo in photos if photo.fold is not None]
    if not with_fold:
        return {}
    fixed_m = geocentric_m([photo.lon for photo in with_fold], [photo.lat for photo in with_fold])
    first_of_group = {photos[row].group: row for row in reversed(open_rows)}
    rows = list(first_of_group.values())
    points_m = geocentric_m([photos[row].lon for row in rows], [photos[row].lat for row in rows])
    nearest = cKDTree(fixed_m).query(points_m)[1]
    fold_of = {photos[row].group: with_fold[index].fold for row, index in zip(rows, nearest.tolist(), strict=True)}
    return {row: fold for row in open_rows if (fold := fold_of[photos[row].group]) is not None}


def _by_smallest(photos: list[Photo], open_rows: list[int], keys: list[str]) -> dict[int, int]:
    counts: dict[int, int] = defaultdict(int)
    known: dict[str, int] = {}
    for key, photo in zip(keys, photos, strict=True):
        if photo.fold is not None:
            counts[photo.fold] += 1
            known.setdefault(key, photo.fold)
    if not counts:
        return {}
    for row in sorted(open_rows, key=lambda row: photos[row].id):
        fold = known.setdefault(keys[row], min(counts, key=lambda fold: (counts[fold], fold)))
        counts[fold] += 1
    return {row: known[keys[row]] for row in open_rows}
