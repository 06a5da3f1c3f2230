"""Photos that a run was trained on: they must not test it, and what overlaps is noted."""

from typing import TYPE_CHECKING, Any, Final

from img2gps.splits import split_hashes
from img2gps.text import agree, format_count
from train.runs.info import RunInfo

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["label_notes", "learned_from", "overlap_notes", "without_overlap"]

_INFORMATIVE_BITS: Final = range(8, 57)  # of 64; the hash of a black or blank photo has hardly any bit set


def without_overlap(rows: "gpd.GeoDataFrame", run_photos: "pd.DataFrame") -> tuple["gpd.GeoDataFrame", dict[str, int]]:
    """Return the rows that neither trained nor chose the epoch, and how many were dropped for which match.

    `run_photos` is the run's photos.parquet. A photo is the same by its file, by the pixels of its copy, or by an
    identical perceptual hash.
    """
    left_out: dict[str, int] = {}
    tests: dict[str, Any] = {
        "same_file": rows["id"].isin(run_photos["id"]),
        "same_pixels": rows["photo_sha256"].isin(run_photos["photo_sha256"]),
        "same_picture": rows["phash"].isin(_informative(run_photos)),
    }
    gone = rows["id"].isna()
    for reason, hit in tests.items():
        left_out[reason] = int((hit & ~gone).sum())
        gone |= hit
    return rows[~gone], left_out


def _informative(run_photos: "pd.DataFrame") -> set[str]:
    phashes = run_photos["phash"] if "phash" in run_photos.columns else ()  # runs of the first days do not have it
    return {text for text in phashes if text and int(text, 16).bit_count() in _INFORMATIVE_BITS}


def learned_from(run_photos: "pd.DataFrame") -> "pd.DataFrame":
    """Return the photos whose positions fitted the weights: those that only chose the epoch do not count."""
    learned = run_photos[run_photos["role"] == "train"].drop(columns="role").reset_index(drop=True)
    return learned.assign(fold=-1)


def label_notes(info: RunInfo, frame: "gpd.GeoDataFrame", split: str) -> list[str]:
    """Return a note where positions of the split or of the training photos were corrected since the run."""
    now = split_hashes(frame)
    notes: list[str] = []
    for name in dict.fromkeys((split, "train")):
        same_photos = now.ids[name] == info.split_ids[name]
        if same_photos and now.labels[name] != info.split_labels[name]:
            notes.append(f"labels of {name} photos changed since the run was trained; today's are used")
    return notes


def overlap_notes(split: str, rows: "gpd.GeoDataFrame", run_photos: "pd.DataFrame") -> list[str]:
    """Return a note where scored photos were in training, look the same to the pixel, or chose the epoch."""
    trained = set(run_photos.loc[run_photos["role"] == "train", "id"])
    count = int(rows["id"].isin(trained).sum())
    if count:
        return [
            f"{format_count(count, 'photo')} of {split} {agree(count, 'was', 'were')} in training: "
            "these figures are no measure of a new photo"
        ]
    twins = int(rows["photo_sha256"].isin(run_photos.loc[run_photos["role"] == "train", "photo_sha256"]).sum())
    if twins:
        verb = agree(twins, "has", "have")
        return [f"{format_count(twins, 'photo')} of {split} {verb} the very pixels of a training photo"]
    if split == "val" and (run_photos["role"] == "val").any():
        return ["the validation photos chose the epoch: expect somewhat larger errors on others"]
    return []
