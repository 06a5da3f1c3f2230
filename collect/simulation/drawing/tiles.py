"""Close-up textures that repeat: masonry on walls and paving on the ground.

A tile is a (TILE, TILE) factor around 1 that multiplies a surface's colour, `TILE_PPM` pixels to the metre. Each
comes in several levels of detail, and fades to 1 with distance, so that courses of brick do not turn into moiré.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from collect.simulation.arrays import Bytes, Floats, Ints, generator, smooth_noise

TILE = 256
TILE_PPM = 64.0
LEVELS = 4
NEUTRAL = 128
MASONRIES = ("brick", "stone", "concrete", "panel", "timber", "stucco")
GROUNDS = ("grass", "brick", "slabs", "pavers", "cobbles", "gravel", "asphalt", "soil", "plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """A pile of `count` tiles at each level of detail: the same size at each, coarser ones with larger flat squares.

    `flat` holds bytes, a factor of 1 as `NEUTRAL`.
    """

    flat: Bytes
    count: int

    def place(self, tile: Ints | int, level: Ints) -> Ints:
        """Where tile number `tile` begins at a level of detail."""
        return (level * self.count + tile) * (TILE * TILE)

    def sample(self, place: Ints, x_m: Floats, y_m: Floats) -> Floats:
        """The factors (n) of the tiles that begin at `place`, at places in metres."""
        column = (x_m * np.float32(TILE_PPM)).astype(np.int32) & (TILE - 1)
        row = (y_m * np.float32(TILE_PPM)).astype(np.int32) & (TILE - 1)
        column += row * TILE
        return self.flat.take(place + column) * np.float32(1 / NEUTRAL)


@cache
def masonry_tiles() -> Tiles:
    """The masonry of walls, in the order of MASONRIES."""
    made = {
        "brick": _bonded("brick", 17, 6, 0.26, 0.16),
        "stone": _bonded("stone", 48, 25.6, 0.14, 0.12),
        "panel": _bonded("panel", 128, 64, 0.06, 0.12),
        "concrete": _grained("concrete", 0.16, base=3),
        "stucco": _grained("stucco", 0.1, base=12),
        "timber": _boards(),
    }
    return _piled([made[name] for name in MASONRIES])


@cache
def ground_tiles() -> Tiles:
    """The ground, in the order of GROUNDS."""
    made = {
        "grass": _blades(),
        "brick": _bonded("paving", 14, 6.4, 0.3, 0.2),
        "slabs": _bonded("slabs", 128, 85.4, 0.08, 0.35),
        "pavers": _bonded("pavers", 32, 21.4, 0.22, 0.25),
        "cobbles": _bonded("cobbles", 9.2, 8, 0.34, 0.45),
        "gravel": _grained("gravel", 0.4, base=32),
        "asphalt": _grained("asphalt", 0.22, base=24),
        "soil": _grained("soil", 0.5, base=16),
        "plain": np.ones((TILE, TILE), np.float32),
    }
    return _piled([made[name] for name in GROUNDS])


def _bonded(name: str, length: float, height: float, variation: float, joint: float) -> Floats:
    """Courses of blocks `length` by `height` pixels in running bond, joints darker or lighter by `joint`."""
    rng = generator(7, "tile", name)
    image = Image.new("L", (TILE, TILE), int(128 * (1 - joint)))
    draw = ImageDraw.Draw(image)
    rows, across = max(1, round(TILE / height)), max(1, round(TILE / length))
    high, wide = TILE / rows, TILE / across
    for row in range(rows):
        for column in range(across + 1):
            left = (column - 0.5 * (row % 2)) * wide
            tone = int(128 * (1 + rng.uniform(-variation, variation)))
            draw.rectangle((left + 0.5, row * high + 0.5, left + wide - 1.5, (row + 1) * high - 1.5), fill=tone)
    grain = smooth_noise(rng, (TILE, TILE), octaves=3, base=24) - 0.5
    return np.asarray(image, np.float32) / 128 + 0.14 * grain


def _grained(name: str, amount: float, *, base: int) -> Floats:
    rng = generator(7, "tile", name)
    fine = smooth_noise(rng, (TILE, TILE), octaves=3, base=base) - 0.5
    return (1 + amount * fine * 2).astype(np.float32)


def _boards() -> Floats:
    """Upright boards with a dark gap between."""
    rng = generator(7, "tile", "timber")
    tile = np.ones((TILE, TILE), np.float32)
    for k in range(20):
        left, right = TILE * k // 20, TILE * (k + 1) // 20
        tile[:, left:right] *= 1 + rng.uniform(-0.14, 0.14)
        tile[:, left : left + 1] *= 0.6
    return tile


def _blades() -> Floats:
    rng = generator(7, "tile", "grass")
    streaks = smooth_noise(rng, (TILE, TILE), octaves=2, base=64)
    patches = smooth_noise(rng, (TILE, TILE), octaves=3, base=4)
    return (0.62 + 0.46 * streaks + 0.3 * patches).astype(np.float32)


def _piled(tiles: list[Floats]) -> Tiles:
    """`tiles` at all levels of detail."""
    levels = [np.stack(tiles)]
    while len(levels) < LEVELS:
        size = 2 ** len(levels)
        squares = levels[0].reshape(len(tiles), TILE // size, size, TILE // size, size).mean(axis=(2, 4))
        levels.append(squares.repeat(size, axis=1).repeat(size, axis=2))
    return Tiles(flat=np.clip(np.stack(levels) * NEUTRAL, 0, 255).astype(np.uint8).ravel(), count=len(tiles))
