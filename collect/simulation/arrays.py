"""Array aliases, seeded generators and small numeric helpers that the generated campus shares."""

import zlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Colour: TypeAlias = tuple[int, int, int]


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """A random generator that depends on `seed` and `keys` alone.

    Every building, walk and photo draws from its own generator. So adding one, or rendering in another order or
    process, changes none of the others.
    """
    words = [zlib.crc32(str(key).encode()) for key in keys]
    return np.random.default_rng([seed, *words])


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], *, octaves: int = 4, base: int = 4) -> Floats:
    """Tileable value noise in 0..1 of `shape` (rows, columns); `base` lattice cells at the coarsest octave."""
    total = np.zeros(shape, np.float32)
    weight = 0.0
    for octave in range(octaves):
        cells = base * 2**octave
        total += 0.5**octave * _lattice(rng, shape, cells)
        weight += 0.5**octave
    total /= weight
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def _lattice(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Random values on a periodic lattice, interpolated smoothly to `shape`."""
    grid = rng.random((cells, cells), dtype=np.float32)
    row0, row1, row_part = _between(shape[0], cells)
    col0, col1, col_part = _between(shape[1], cells)
    rows = grid[row0] * (1 - row_part[:, None]) + grid[row1] * row_part[:, None]
    return (rows[:, col0] * (1 - col_part) + rows[:, col1] * col_part).astype(np.float32)


def _between(size: int, cells: int) -> tuple[Ints, Ints, Floats]:
    at = np.arange(size, dtype=np.float32) * cells / size
    low = at.astype(np.intp)
    part = at - low
    eased = part * part * (3 - 2 * part)
    return low % cells, (low + 1) % cells, eased.astype(np.float32)


def shade(colour: Colour, factor: float) -> Colour:
    """`colour` times `factor`, kept within 0..255."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour)
    return red, green, blue


def jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """`colour` with brightness and each channel moved by up to `amount` (0..1)."""
    common, *parts = rng.uniform(-amount, amount, 4).tolist()
    red, green, blue = (
        min(255, max(0, round(channel * (1 + common) * (1 + part / 3))))
        for channel, part in zip(colour, parts, strict=True)
    )
    return red, green, blue


def tones(rng: np.random.Generator, colour: Colour, amount: float, count: int) -> list[Colour]:
    """`count` jittered colours: enough tones for a thousand leaves, at the price of a few draws."""
    return [jitter(rng, colour, amount) for _ in range(count)]
