"""What a split is, as a fingerprint: the ids in it, and their labels.

The dataset stores these hashes when a split is made, and a run stores them when it trains. So an evaluation can tell
"other photos" (refused) from "same photos, corrected labels" (reported).
"""

import dataclasses
from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.files import canonical_json, sha256_bytes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SPLITS", "SplitHashes", "emptied_splits", "in_split", "split_hashes"]

SPLITS: Final = ("train", "val", "test")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitHashes:
    """SHA-256 over the sorted ids of each split, and over ids with their positions (1e-7 degrees)."""

    ids: dict[str, str]
    labels: dict[str, str]


def in_split(frame: "pd.DataFrame", split: str) -> "pd.DataFrame":
    """Return the rows of one split (``all``: every row a person has not excluded), in frame order."""
    if split == "all":
        return frame[frame["split"].fillna("") != "excluded"]
    return frame[frame["split"].fillna("") == split]


def emptied_splits(frame: "pd.DataFrame") -> tuple[str, ...]:
    """Return the splits that had photos when they were made, and have none since a person excluded them all."""
    then, today = set(frame["stored_split"].dropna()), set(frame["split"].dropna())
    return tuple(name for name in SPLITS if name in then - today)


def split_hashes(frame: "pd.DataFrame") -> SplitHashes:
    """Return the fingerprints of the splits of a frame of `img2gps.dataset.Dataset.frame`."""
    ids: dict[str, str] = {}
    labels: dict[str, str] = {}
    for split in (*SPLITS, "all"):
        rows = in_split(frame, split).sort_values("id")
        ids[split] = sha256_bytes(canonical_json(rows["id"].tolist()))
        positions = np.round(rows[["lon", "lat"]].to_numpy(dtype=np.float64), 7) + 0.0  # +0.0 folds -0.0 into 0.0
        labels[split] = sha256_bytes(canonical_json([rows["id"].tolist(), positions.tolist()]))
    return SplitHashes(ids=ids, labels=labels)
