"""What can be had without a model, and what no retrieval could beat: the frame around a model's figures.

Every function takes positions in local east/north metres, shape (N, 2), and returns positions or distances in the same
metres. `train.evaluation.references` turns them into geodesic errors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.pixels import PixelSpec, read_pixels

__all__ = [
    "THUMBNAIL_LIMIT",
    "Thumbnails",
    "colour_thumbnail",
    "colour_thumbnails",
    "mean_position",
    "median_position",
    "nearest_distance_m",
    "nearest_rows",
    "random_positions",
]

Thumbnails = NDArray[np.float32]

THUMBNAIL_LIMIT: Final = 10_000
"""Photos above which the comparison of thumbnails is left out: it would take longer than the model."""

_THUMBNAIL: Final = PixelSpec(height=16, width=16, fit="squash")
_BLOCK_ROWS: Final = 512


def mean_position(train_m: FloatArray) -> FloatArray:
    """Return the mean of training positions (N, 2), shape (2,): what a model that learned nothing answers under MSE."""
    mean: FloatArray = train_m.mean(axis=0)
    return mean


def median_position(train_m: FloatArray) -> FloatArray:
    """Return the coordinate-wise median of training positions (N, 2), shape (2,)."""
    median: FloatArray = np.median(train_m, axis=0)
    return median


def random_positions(train_m: FloatArray, count: int, seed: int = 0) -> FloatArray:
    """Return the positions of `count` training photos drawn at random with replacement, shape (count, 2)."""
    return train_m[np.random.default_rng(seed).integers(len(train_m), size=count)]


def nearest_distance_m(queries_m: FloatArray, train_m: FloatArray) -> FloatArray:
    """Return the distance of each query (Q, 2) to the nearest training photo (N, 2), shape (Q,).

    As an error this is the oracle of retrieval: whoever answers with the position of one training photo
    cannot do better.
    """
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(train_m).query(queries_m)
    return np.asarray(distances, dtype=np.float64)


def colour_thumbnail(path: Path) -> Thumbnails:
    """Return a photo as a unit vector of 16 x 16 RGB values with mean zero: brightness and contrast are divided out.

    Torralba, Fergus and Freeman, "80 Million Tiny Images", PAMI 30 (2008), sec. 3.2, who find neighbours in just
    such normalised thumbnails. Raises UnreadableImageError.
    """
    values = read_pixels(path, _THUMBNAIL).astype(np.float32).ravel()
    values -= values.mean()
    unit: Thumbnails = values / max(float(np.linalg.norm(values)), 1e-6)
    return unit


def colour_thumbnails(paths: Sequence[Path]) -> Thumbnails:
    """Return the thumbnails of `paths`, shape (N, 768); decoding runs in two threads. Raises UnreadableImageError."""
    from concurrent.futures import ThreadPoolExecutor

    from img2gps.progress import track

    if not paths:
        return np.empty((0, 768), dtype=np.float32)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return np.stack(list(track(pool.map(colour_thumbnail, paths), "Colour thumbnails", len(paths))))


def nearest_rows(queries: Thumbnails, references: Thumbnails) -> NDArray[np.int64]:
    """Return the row of the most similar reference (N, D) for each query (Q, D) of unit vectors, shape (Q,)."""
    blocks = [
        np.argmax(queries[start : start + _BLOCK_ROWS] @ references.T, axis=1)
        for start in range(0, len(queries), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.int64)
