"""Paints the wall of a building: its texture, and the line of its roof against the sky."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from collect.simulation.arrays import Bytes, Colour, Doubles, Floats, shade
from collect.simulation.drawing.canvas import PIXELS_PER_M, Canvas, Mark
from collect.simulation.facades import features, ornament, windows
from collect.simulation.facades.designs import Design
from collect.simulation.facades.texture import Texture, texture_of

SLATE: Colour = (92, 96, 104)
TILES: Colour = (150, 82, 62)
NARROW_M = 5.0
COARSE_PIXELS_PER_M = 4
MOST_FEATURES = 3
NARROWEST_WITH_WINDOWS_M = 2.2
ROOF_M = {
    "cornice": 0.7, "balustrade": 1.0, "flat": 0.3, "slab": 0.9, "crenels": 1.1, "sawtooth": 2.4, "gables": 3.4,
    "stepped": 3.0, "pediment": 3.2, "slant": 3.5, "mansard": 2.8,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Facade:
    """A painted wall.

    The fourth channel of `texture` is how strongly the masonry shows. `roof_line_m` is the height of the wall at each
    column of the texture's first level. `marks` are the parts of the wall that a mask calls something else.
    """

    texture: Texture
    roof_line_m: Floats
    height_m: float
    masonry: str
    marks: tuple[Mark, ...] = ()


def paint(design: Design, length_m: float, eaves_m: float, rng: np.random.Generator, side: int) -> Facade:
    """Paint a wall `length_m` long and `eaves_m` high below its roof; `side` counts the walls of its building."""
    height_m = eaves_m + ROOF_M[design.archetype.roof]
    canvas = Canvas(length_m, height_m, design.wall)
    kind = design.archetype
    _draw_storeys(canvas, design, eaves_m, rng)
    if length_m > NARROW_M:
        _draw_features(canvas, design, eaves_m, rng, side)
    _draw_roof(canvas, design, eaves_m)
    pixels = canvas.pixels()
    along = (np.arange(pixels.shape[1]) + 0.5) / PIXELS_PER_M
    line = eaves_m + _roof_line(kind.roof, along, length_m) * ROOF_M[kind.roof]
    return Facade(
        texture=texture_of(pixels),
        roof_line_m=line.astype(np.float32),
        height_m=height_m,
        masonry=kind.masonry,
        marks=tuple(canvas.marks),
    )


def mark_raster(facade: Facade) -> Bytes:
    """Return what the marks of a wall are, (rows, columns) from its top at `PIXELS_PER_M`, 0 where it is plain wall."""
    size = (len(facade.roof_line_m), max(1, round(facade.height_m * PIXELS_PER_M)))
    image = Image.new("L", size, 0)
    pen = ImageDraw.Draw(image)
    for mark in facade.marks:
        box = [
            mark.left * PIXELS_PER_M, size[1] - mark.top * PIXELS_PER_M,
            mark.right * PIXELS_PER_M - 1, size[1] - mark.bottom * PIXELS_PER_M - 1,
        ]  # fmt: skip
        box[2:] = [max(box[0], box[2]), max(box[1], box[3])]
        (pen.ellipse if mark.is_round else pen.rectangle)(box, fill=mark.kind)
    return np.asarray(image)


def doors_of(design: Design, length_m: float, eaves_m: float, rng: np.random.Generator) -> list[float]:
    """Return where `paint` puts doors by the same arguments, in metres along the wall: drawn too coarse to see."""
    canvas = Canvas(length_m, eaves_m, design.wall, pixels_per_m=COARSE_PIXELS_PER_M)
    _draw_storeys(canvas, design, eaves_m, rng)
    return canvas.doors_m


def _draw_storeys(canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator) -> None:
    """Everything that the ground floor's place depends on by chance comes before it."""
    ornament.articulate(design.archetype.articulation, canvas, design, eaves_m, rng)
    _draw_windows(canvas, design, eaves_m, rng)
    if canvas.length_m > NARROW_M:
        ornament.draw_ground_floor(design.archetype.ground, canvas, design, rng)


def _draw_windows(canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator) -> None:
    """Windows on each storey; a wall too narrow for one has none."""
    if canvas.length_m < NARROWEST_WITH_WINDOWS_M:
        return
    draw = windows.DRAWERS[design.archetype.window]
    storeys = max(1, int((eaves_m - 0.3) / design.storey_m))
    height = (eaves_m - 0.3) / storeys
    count = max(1, round(canvas.length_m / design.bay_m))
    width = canvas.length_m / count
    unbroken = design.archetype.window in ("ribbon", "curtain", "diagrid")
    for storey in range(storeys):
        for column in range(count):
            if unbroken or count < 3 or design.rhythm[column % len(design.rhythm)]:
                bay = windows.Bay(
                    x=column * width, y=storey * height, width=width, height=height, column=column, storey=storey
                )
                draw(canvas, bay, design, rng)


def _draw_features(canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator, side: int) -> None:
    """One to three features, by the length of the wall, and others than on the sides next to it."""
    count = 1 + (canvas.length_m > 16) + (canvas.length_m > 32)
    for place in range(count):
        low, high = canvas.length_m * place / count, canvas.length_m * (place + 1) / count
        slot = features.Slot(low=low, high=high, eaves=eaves_m)
        kind = design.features[(MOST_FEATURES * side + place) % len(design.features)]
        features.DRAWERS[kind](canvas, design, slot, rng)


def _draw_roof(canvas: Canvas, design: Design, eaves_m: float) -> None:
    roof = design.archetype.roof
    length, top = canvas.length_m, canvas.height_m
    if roof in ("mansard", "gables", "sawtooth"):
        canvas.rect(0, eaves_m, length, top, TILES if roof == "gables" else SLATE)
        for y in np.arange(eaves_m, top, 0.35):
            canvas.line(0, y, length, y, 0.05, shade(SLATE, 0.75))
    if roof == "mansard":
        for x in np.arange(2.5, length - 1, 4.5):
            canvas.rect(x - 0.7, eaves_m + 0.3, x + 0.7, eaves_m + 1.9, (236, 232, 222))
            canvas.rect(x - 0.45, eaves_m + 0.5, x + 0.45, eaves_m + 1.6, shade(design.glass, 0.7), 0)
    if roof == "pediment":
        canvas.rect(0, eaves_m, length, top, design.trim)
        canvas.disc(length / 2, eaves_m + 1.1, 0.7, shade(design.wall, 0.7))
    if roof == "balustrade":
        for x in np.arange(0.2, length, 0.5):
            canvas.rect(x, eaves_m + 0.2, x + 0.2, top - 0.25, shade(design.wall, 0.5))
    deep = 0.9 if roof in ("slab", "cornice") else 0.35
    canvas.rect(0, eaves_m - deep / 2, length, eaves_m + deep / 3, design.trim)
    canvas.rect(0, eaves_m - deep / 2 - 0.18, length, eaves_m - deep / 2, shade(design.wall, 0.5))


def _roof_line(roof: str, along: Doubles, length_m: float) -> Doubles:
    """Return how much of the roof's height stands at each place along the wall, 0..1; most roofs are level."""
    if roof == "crenels":
        return _crenels(along)
    drawn = ROOF_LINES.get(roof)
    return np.ones_like(along) if drawn is None else drawn(along, length_m)


def _crenels(along: Doubles) -> Doubles:
    return (along % 2.0 < 1.1).astype(np.float64)


def _sawtooth(along: Doubles, length_m: float) -> Doubles:
    teeth = max(1, round(length_m / 7))
    return 1 - (along * teeth / length_m) % 1


def _gables(along: Doubles, length_m: float) -> Doubles:
    count = max(1, round(length_m / 8))
    return 1 - np.abs((along * count / length_m) % 1 - 0.5) * 2


def _stepped(along: Doubles, length_m: float) -> Doubles:
    return np.asarray(np.ceil((1 - np.abs(along / length_m - 0.5) * 2) * 4) / 4)


def _pediment(along: Doubles, length_m: float) -> Doubles:
    half = min(length_m / 2, 9.0)
    return np.maximum(0.12, 1 - np.abs(along - length_m / 2) / half)


def _slant(along: Doubles, length_m: float) -> Doubles:
    return along / length_m


ROOF_LINES: dict[str, Callable[[Doubles, float], Doubles]] = {
    "sawtooth": _sawtooth, "gables": _gables, "stepped": _stepped, "pediment": _pediment, "slant": _slant,
}  # fmt: skip
