"""Cut-outs that face the camera: trees, people and lamps, each drawn once and reused."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from collect.simulation.arrays import Bytes, Colour, generator, jitter, shade, tones
from collect.simulation.drawing.light import SEASONS, Season

TREES_PER_SEASON = 7
PEOPLE = 14
LEAF_TONES = 23
BARK: Colour = (84, 68, 54)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """Levels of (rows, columns, 4), opacity last, each half the size of the one before; feet at the bottom."""

    levels: tuple[Bytes, ...]
    width_to_height: float


@lru_cache(maxsize=64)
def tree(season_name: str, variant: int) -> Sprite:
    """A tree with the foliage of a season."""
    rng = generator(11, "tree", variant)
    season = SEASONS[season_name]
    image = Image.new("RGBA", (640, 600), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    tips: list[tuple[float, float]] = []
    lean = rng.normal(0, 0.05)
    _branch(draw, rng, (320.0, 599.0), -math.pi / 2 + lean, 150.0 * rng.uniform(0.85, 1.15), 22.0, 6, tips)
    _foliage(draw, rng, tips, season, variant)
    return _sprite(image)


def _branch(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    foot: tuple[float, float],
    angle: float,
    length: float,
    thickness: float,
    depth: int,
    tips: list[tuple[float, float]],
) -> None:
    """A branch and, from its end, two or three thinner ones; `tips` collects where leaves grow."""
    end = (foot[0] + length * math.cos(angle), foot[1] + length * math.sin(angle))
    draw.line((*foot, *end), fill=(*jitter(rng, BARK, 0.12), 255), width=max(1, round(thickness)))
    draw.line(
        (foot[0] + thickness / 4, foot[1], end[0] + thickness / 4, end[1]),
        fill=(*shade(BARK, 0.72), 255),
        width=max(1, round(thickness / 2.5)),
    )
    if depth <= 3:
        tips.append(end)
    if depth == 0:
        return
    for _ in range(2 + int(rng.random() < 0.6)):
        turn = rng.normal(0, 0.52)
        upward = 0.14 * math.sin(angle + math.pi / 2)
        _branch(
            draw, rng, end, angle + turn - upward, length * rng.uniform(0.6, 0.8), thickness * 0.62, depth - 1, tips
        )


def _foliage(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, tips: list[tuple[float, float]], season: Season, variant: int
) -> None:
    """Leaves around the tips: dark ones behind, lighter ones above and to the left."""
    base = season.foliage[variant % len(season.foliage)]
    count = int(len(tips) * season.leaves)
    chosen = [tips[k] for k in rng.permutation(len(tips))[:count]]
    for light, spread, size in ((0.5, 17, 10), (0.78, 16, 7), (1.0, 15, 5), (1.25, 14, 3.2)):
        leaves = tones(rng, shade(base, light), 0.14, LEAF_TONES)
        middles = np.repeat(np.array(chosen).reshape(-1, 2), 2, axis=0) - (6 * (light - 0.7), 14 * (light - 0.7))
        middles += rng.normal(0, spread, middles.shape)
        radii = size * rng.uniform(0.6, 1.4, len(middles))
        for k, ((x, y), radius) in enumerate(zip(middles.tolist(), radii.tolist(), strict=True)):
            box = (x - radius, y - radius * 0.8, x + radius, y + radius * 0.8)
            draw.ellipse(box, fill=(*leaves[k % LEAF_TONES], 255))


@lru_cache(maxsize=64)
def person(variant: int) -> Sprite:
    """Somebody walking or standing about."""
    rng = generator(13, "person", variant)
    image = Image.new("RGBA", (168, 400), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    clothes: tuple[Colour, ...] = (
        (44, 52, 76),
        (150, 44, 48),
        (64, 90, 70),
        (196, 186, 170),
        (38, 38, 42),
        (104, 124, 160),
        (206, 160, 60),
    )
    top, legs = clothes[int(rng.integers(len(clothes)))], clothes[int(rng.integers(5))]
    skin: Colour = ((232, 190, 160), (198, 148, 112), (140, 98, 70), (92, 62, 46))[int(rng.integers(4))]
    hair: Colour = ((40, 30, 26), (92, 62, 40), (170, 132, 80), (60, 60, 62))[int(rng.integers(4))]
    stride = float(rng.uniform(4, 30))
    for sign in (-1, 1):
        draw.line((84, 215, 84 + sign * stride, 388), fill=(*shade(legs, 0.8 + 0.2 * sign), 255), width=27)
        draw.ellipse((84 + sign * stride - 18, 382, 84 + sign * stride + 20, 400), fill=(34, 32, 32, 255))
    draw.rounded_rectangle((50, 72, 118, 232), radius=24, fill=(*top, 255))
    draw.rectangle((92, 84, 118, 228), fill=(*shade(top, 0.82), 255))
    for sign in (-1, 1):
        swing = sign * stride * 0.6
        draw.line((84 + sign * 32, 92, 84 + sign * 38 + swing, 205), fill=(*shade(top, 0.75), 255), width=19)
        draw.ellipse((76 + sign * 38 + swing, 198, 92 + sign * 38 + swing, 216), fill=(*skin, 255))
    if rng.random() < 0.4:
        draw.rounded_rectangle((34, 84, 66, 170), radius=10, fill=(*shade(clothes[int(rng.integers(7))], 0.7), 255))
    draw.rectangle((75, 56, 93, 78), fill=(*shade(skin, 0.85), 255))
    draw.ellipse((61, 4, 107, 66), fill=(*skin, 255))
    draw.pieslice((58, 0, 110, 62), 150, 390, fill=(*hair, 255))
    return _sprite(image)


@lru_cache(maxsize=1)
def lamp() -> Sprite:
    """A lamp post with a globe, 4 m tall."""
    image = Image.new("RGBA", (80, 480), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((36, 60, 44, 480), fill=(38, 50, 46, 255))
    draw.rectangle((36, 60, 38, 480), fill=(74, 88, 82, 255))
    draw.polygon([(28, 480), (52, 480), (46, 400), (34, 400)], fill=(34, 44, 42, 255))
    draw.rectangle((24, 56, 56, 64), fill=(38, 50, 46, 255))
    draw.ellipse((20, 4, 60, 58), fill=(246, 240, 220, 255))
    draw.polygon([(26, 10), (54, 10), (40, 0)], fill=(38, 50, 46, 255))
    return _sprite(image)


def _sprite(image: Image.Image) -> Sprite:
    box = image.getbbox() or (0, 0, *image.size)
    cut = image.crop((box[0], box[1], box[2], image.height))
    levels = [np.asarray(cut)]
    while min(cut.size) >= 16 and len(levels) < 6:
        cut = cut.reduce(2)
        levels.append(np.asarray(cut))
    return Sprite(levels=tuple(levels), width_to_height=levels[0].shape[1] / levels[0].shape[0])
