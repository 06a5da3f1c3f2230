"""What a phone's camera makes of the light: metering, white balance, contrast, vignetting and noise."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from collect.simulation.arrays import Bytes, Floats

# A camera brings the mean level of a photo towards this one, most of the way.
METERED_LEVEL = 122.0
METERING = 0.8
MIDDLE_GREY = 118.0
LUMA = (np.float32(0.3), np.float32(0.59), np.float32(0.11))
# Levels above this one roll off instead of clipping.
SHOULDER = 205.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How a phone develops a photo: gains of red, green, blue, contrast and saturation around 1, noise in levels."""

    gains: tuple[float, float, float]
    contrast: float
    saturation: float
    noise: float


def develop(pixels: Floats, exposure: Exposure, rng: np.random.Generator) -> Bytes:
    """Turn rendered colours (rows, columns, 3; 0..255 in float32) into an 8-bit photo."""
    rows, columns, _ = pixels.shape
    # Plain sums instead of a matrix product: BLAS would start threads, and its sums depend on how many.
    luma = LUMA[0] * pixels[..., 0] + LUMA[1] * pixels[..., 1] + LUMA[2] * pixels[..., 2]
    metered = float(np.clip(METERED_LEVEL / max(float(luma.mean()), 1.0), 0.6, 1.9)) ** METERING
    vignette, grain = _vignette(rows, columns), _grain(rng, rows, columns, exposure.noise)
    photo = np.empty((rows, columns, 3), np.uint8)
    for channel, gain in enumerate(exposure.gains):
        factor = gain * metered * exposure.contrast
        levels = pixels[..., channel] * np.float32(factor * exposure.saturation)
        levels += luma * np.float32(factor * (1 - exposure.saturation))
        levels += np.float32(MIDDLE_GREY * (1 - exposure.contrast))
        levels *= vignette
        levels += grain
        np.clip(levels, 0, len(TONE_CURVE) - 1, out=levels)
        photo[..., channel] = TONE_CURVE.take(levels.astype(np.int32))
    return photo


@lru_cache(maxsize=4)
def _vignette(rows: int, columns: int) -> Floats:
    down, across = np.linspace(-1, 1, rows, dtype=np.float32), np.linspace(-1, 1, columns, dtype=np.float32)
    return np.float32(1) - np.float32(0.1) * (down[:, None] ** 2 + across**2)


def _grain(rng: np.random.Generator, rows: int, columns: int, deviation: float) -> Floats:
    """Noise: one stretch of random numbers, read from a random place on each row, at a tenth of the cost."""
    stretch = rng.standard_normal(1 << 16, dtype=np.float32) * np.float32(deviation)
    starts = rng.integers(0, stretch.size - columns, rows)
    grain: Floats = stretch[starts[:, None] + np.arange(columns)]
    return grain


def _tone_curve() -> Bytes:
    levels = np.arange(1024, dtype=np.float32)
    room = 255 - SHOULDER
    rolled = SHOULDER + room * (1 - np.exp(-(levels - SHOULDER) / room))
    return np.where(levels < SHOULDER, levels, rolled).astype(np.uint8)


TONE_CURVE = _tone_curve()
