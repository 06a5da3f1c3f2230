"""How dark and how sharp photos are, for the causes of errors."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.pixels import PixelSpec, UnreadableImageError, read_pixels

__all__ = ["brightness_and_sharpness"]

_SPEC: Final = PixelSpec(height=256, width=256, fit="squash")
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def brightness_and_sharpness(paths: Sequence[Path]) -> FloatArray:
    """Return the mean luma (0 to 255) and the sharpness of photos, (N, 2); NaN for a file that cannot be read.

    Sharpness is the mean absolute Laplacian over the spread of luma. Contrast is divided out, so that dusk is not blur:
    the Laplacian's variance falls with both (Pech-Pacheco et al., ICPR 2000).
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        return np.array(list(pool.map(_measured, paths)), dtype=np.float64).reshape(-1, 2)


def _measured(path: Path) -> tuple[float, float]:
    try:
        pixels = read_pixels(path, _SPEC)
    except UnreadableImageError:
        return float("nan"), float("nan")
    luma = np.tensordot(_LUMA, pixels.astype(np.float64), axes=1)
    middle = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    return float(luma.mean()), float(np.abs(laplacian).mean() / max(float(luma.std()), 1.0))
