"""Windows of every kind, drawn on a facade; each fills the bay and storey that it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from collect.simulation.arrays import Colour, jitter, shade
from collect.simulation.drawing.canvas import PLAIN, SMOOTH, Canvas
from collect.simulation.facades.designs import Design


@dataclass(frozen=True, slots=True, kw_only=True)
class Bay:
    """One bay of one storey: its lower left corner and size in metres, and its number along and up the wall."""

    x: float
    y: float
    width: float
    height: float
    column: int
    storey: int


WindowDrawer: TypeAlias = Callable[[Canvas, Bay, Design, np.random.Generator], None]


def _glass(design: Design, rng: np.random.Generator) -> Colour:
    """Panes differ: most are dark, some reflect the sky, a few are lit or have a blind down."""
    lot = rng.random()
    if lot < 0.1:
        return (214, 190, 130)
    if lot < 0.25:
        return (196, 196, 188)
    return jitter(rng, design.glass, 0.25)


def _pane(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, glass: Colour) -> None:
    """A pane set back into the wall: in the shadow of its head, with a brighter lower half."""
    canvas.rect(x0, y0, x1, y1, glass, SMOOTH)
    canvas.rect(x0, y0, x1, y0 + (y1 - y0) * 0.45, shade(glass, 1.18), SMOOTH)
    canvas.rect(x0, y1 - 0.16, x1, y1, shade(glass, 0.45), SMOOTH)


def _bars(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, across: int, up: int, colour: Colour) -> None:
    """Glazing bars that divide a window into `across` by `up` panes, and its frame."""
    for k in range(across + 1):
        x = x0 + (x1 - x0) * k / across
        canvas.line(x, y0, x, y1, 0.09, colour)
    for k in range(up + 1):
        y = y0 + (y1 - y0) * k / up
        canvas.line(x0, y, x1, y, 0.09, colour)


def sash(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """An upright window of six panes between a stone lintel and sill."""
    half, middle = min(0.6, bay.width * 0.24), bay.x + bay.width / 2
    y0, y1 = bay.y + 0.9, bay.y + bay.height - 0.6
    canvas.rect(middle - half - 0.2, y0 - 0.2, middle + half + 0.2, y0, design.trim)
    canvas.polygon(
        [
            (middle - half - 0.1, y1),
            (middle + half + 0.1, y1),
            (middle + half + 0.3, y1 + 0.4),
            (middle - half - 0.3, y1 + 0.4),
        ],
        design.trim,
    )
    _pane(canvas, middle - half, y0, middle + half, y1, _glass(design, rng))
    _bars(canvas, middle - half, y0, middle + half, y1, 2, 3, (236, 234, 228))


def arched(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A round-arched window in a wide surround with a keystone."""
    half, middle = bay.width * 0.27, bay.x + bay.width / 2
    y0, spring = bay.y + 0.8, bay.y + bay.height - half - 0.7
    glass = _glass(design, rng)
    canvas.disc(middle, spring, half + 0.35, design.trim)
    canvas.rect(middle - half - 0.35, y0 - 0.2, middle + half + 0.35, spring, design.trim)
    canvas.disc(middle, spring, half, shade(glass, 0.8), SMOOTH)
    _pane(canvas, middle - half, y0, middle + half, spring, glass)
    for k in range(1, 5):
        angle = np.pi * k / 5
        canvas.line(middle, spring, middle + half * np.cos(angle), spring + half * np.sin(angle), 0.08, design.trim)
    _bars(canvas, middle - half, y0, middle + half, spring, 2, 2, design.trim)


def ribbon(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A piece of a band of glass that runs the whole length of the wall."""
    y0, y1 = bay.y + 1.3, bay.y + bay.height - 0.55
    canvas.rect(bay.x, y0 - 0.25, bay.x + bay.width, y0, design.accent)
    for k in range(4):
        x = bay.x + bay.width * k / 4
        _pane(canvas, x, y0, x + bay.width / 4, y1, _glass(design, rng))
        canvas.line(x, y0, x, y1, 0.08, (40, 42, 44))


def curtain(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """All glass, with spandrels in the accent colour on some panels."""
    _pane(canvas, bay.x, bay.y + 0.9, bay.x + bay.width, bay.y + bay.height, _glass(design, rng))
    panel = design.accent if (bay.column * 2 + bay.storey * 3) % 5 == 0 else shade(design.glass, 0.55)
    canvas.rect(bay.x, bay.y, bay.x + bay.width, bay.y + 0.9, panel, SMOOTH)
    _bars(canvas, bay.x, bay.y, bay.x + bay.width, bay.y + bay.height, 1, 1, (206, 210, 212))


def eggcrate(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A deep concrete box around each window, dark on its upper left."""
    x0, x1, y0, y1 = bay.x + 0.3, bay.x + bay.width - 0.3, bay.y + 0.3, bay.y + bay.height - 0.25
    canvas.rect(x0, y0, x1, y1, shade(design.wall, 0.42))
    canvas.polygon([(x0, y0), (x1, y0), (x1 - 0.55, y0 + 0.5), (x0 + 0.75, y0 + 0.5)], shade(design.wall, 1.2))
    _pane(canvas, x0 + 0.75, y0 + 0.5, x1 - 0.35, y1 - 0.7, _glass(design, rng))


def pointed(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A pointed window of two lights."""
    half, middle = bay.width * 0.25, bay.x + bay.width / 2
    y0, spring, top = bay.y + 0.8, bay.y + bay.height * 0.55, bay.y + bay.height - 0.3
    glass = _glass(design, rng)
    for grow, colour, detail in ((0.3, design.trim, PLAIN), (0.0, glass, SMOOTH)):
        corners = [
            (middle - half - grow, y0 - grow / 2),
            (middle - half - grow, spring),
            (middle - half * 0.6 - grow, top - 0.8),
        ]
        mirrored = [(2 * middle - x, y) for x, y in reversed(corners)]
        canvas.polygon([*corners, (middle, top - 0.15 + grow * 0.8), *mirrored], colour, detail)
    canvas.line(middle, y0, middle, top - 0.4, 0.16, design.trim)
    canvas.disc(middle, spring + 0.4, half * 0.42, design.trim)
    canvas.disc(middle, spring + 0.4, half * 0.26, shade(glass, 0.8), SMOOTH)


def factory(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A wide steel window of many small panes under a flat brick arch."""
    x0, x1, y0, y1 = bay.x + 0.7, bay.x + bay.width - 0.7, bay.y + 0.8, bay.y + bay.height - 0.9
    canvas.disc((x0 + x1) / 2, y1, (x1 - x0) / 2 + 0.15, shade(design.wall, 0.7), tall=0.24)
    canvas.rect(x0, y0, x1, y1, design.glass, SMOOTH)
    for k in range(24):
        x, y = x0 + (x1 - x0) * (k % 6) / 6, y0 + (y1 - y0) * (k // 6) / 4
        canvas.rect(x, y, x + (x1 - x0) / 6, y + (y1 - y0) / 4, jitter(rng, design.glass, 0.35), SMOOTH)
    _bars(canvas, x0, y0, x1, y1, 6, 4, (48, 62, 58))


def scattered(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """Square windows of differing size at differing heights, framed in white."""
    half = rng.uniform(0.35, 0.75)
    x, y = bay.x + bay.width * rng.uniform(0.35, 0.65), bay.y + bay.height * rng.uniform(0.42, 0.6)
    canvas.rect(x - half - 0.15, y - half - 0.15, x + half + 0.15, y + half + 0.15, (238, 236, 230))
    _pane(canvas, x - half, y - half, x + half, y + half, _glass(design, rng))
    _bars(canvas, x - half, y - half, x + half, y + half, 2, 1, (238, 236, 230))


def porthole(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A round window in a broad ring."""
    radius = min(bay.width, bay.height) * 0.3
    x, y = bay.x + bay.width / 2, bay.y + bay.height / 2
    canvas.disc(x, y, radius + 0.32, design.trim)
    canvas.disc(x, y, radius, shade(_glass(design, rng), 0.85), SMOOTH)
    canvas.line(x - radius, y, x + radius, y, 0.1, design.trim)
    canvas.line(x, y - radius, x, y + radius, 0.1, design.trim)


def tall(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A tall window under a small pediment of its own."""
    half, middle = bay.width * 0.2, bay.x + bay.width / 2
    y0, y1 = bay.y + 0.9, bay.y + bay.height - 1.5
    canvas.rect(middle - half - 0.2, y0 - 0.25, middle + half + 0.2, y1 + 0.2, design.trim)
    canvas.polygon([(middle - half - 0.4, y1 + 0.2), (middle + half + 0.4, y1 + 0.2), (middle, y1 + 1.0)], design.trim)
    _pane(canvas, middle - half, y0, middle + half, y1, _glass(design, rng))
    _bars(canvas, middle - half, y0, middle + half, y1, 2, 4, shade(design.trim, 0.8))


def diagrid(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """Glass behind diagonal steel, mirrored from bay to bay into large diamonds."""
    x0, x1, y0, y1 = bay.x, bay.x + bay.width, bay.y, bay.y + bay.height
    canvas.rect(x0, y0, x1, y1, _glass(design, rng), SMOOTH)
    canvas.rect(x0, y0, x1, y0 + 0.35, shade(design.glass, 0.5), SMOOTH)
    rising = (bay.column + bay.storey) % 2 == 0
    canvas.line(x0, y0 if rising else y1, x1, y1 if rising else y0, 0.42, design.trim)


def slits(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """Narrow slits at an irregular beat on an otherwise blank wall."""
    for _ in range(int(rng.integers(1, 3))):
        x = bay.x + rng.uniform(0.3, bay.width - 0.5)
        canvas.rect(x, bay.y + 0.5, x + 0.32, bay.y + bay.height - 0.2, shade(design.glass, 0.55), SMOOTH)


def balcony(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A glazed door behind a balcony, shifted on every other floor."""
    x0 = bay.x + bay.width * (0.12 if bay.storey % 2 else 0.3)
    x1 = x0 + bay.width * 0.55
    _pane(canvas, x0 + 0.2, bay.y + 0.15, x1 - 0.2, bay.y + 2.3, _glass(design, rng))
    canvas.line((x0 + x1) / 2, bay.y + 0.15, (x0 + x1) / 2, bay.y + 2.3, 0.12, (240, 240, 236))
    canvas.rect(x0 - 0.1, bay.y - 0.15, x1 + 0.1, bay.y + 0.12, shade(design.wall, 0.6))
    canvas.rect(x0, bay.y + 0.12, x1, bay.y + 1.1, design.accent if (bay.column + bay.storey) % 3 else design.trim)


def oriel(canvas: Canvas, bay: Bay, design: Design, rng: np.random.Generator) -> None:
    """A bay window in timber, its sides in shadow."""
    x0, x1, y0, y1 = bay.x + bay.width * 0.2, bay.x + bay.width * 0.8, bay.y + 0.4, bay.y + bay.height - 0.3
    canvas.rect(x0, y0, x1, y1, design.accent)
    canvas.rect(x0, y0, x0 + 0.35, y1, shade(design.accent, 0.6))
    canvas.rect(x1 - 0.35, y0, x1, y1, shade(design.accent, 0.75))
    _pane(canvas, x0 + 0.5, y0 + 0.8, x1 - 0.5, y1 - 0.3, _glass(design, rng))
    _bars(canvas, x0 + 0.5, y0 + 0.8, x1 - 0.5, y1 - 0.3, 3, 2, (240, 236, 226))


DRAWERS: dict[str, WindowDrawer] = {
    drawer.__name__: drawer
    for drawer in (
        sash, arched, ribbon, curtain, eggcrate, pointed, factory, scattered, porthole, tall, diagrid, slits, balcony,
        oriel,
    )
}  # fmt: skip
