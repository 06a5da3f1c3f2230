"""What facades carry besides windows: articulation of the wall, ground floors and features such as signs and murals."""

from collections.abc import Callable

import numpy as np

from collect.simulation.arrays import Colour, jitter, shade
from collect.simulation.drawing.canvas import MASONRY, SMOOTH, Canvas
from collect.simulation.facades.designs import ACCENTS, Design

DOOR_M = 1.1


def quoins(canvas: Canvas, design: Design, eaves_m: float) -> None:
    """Corner stones, long and short by turns."""
    for k in range(int(eaves_m / 0.5)):
        width = 0.9 if k % 2 else 0.55
        for x in (0.0, canvas.length_m - width):
            canvas.rect(x, k * 0.5, x + width, k * 0.5 + 0.44, design.trim)


def courses(canvas: Canvas, design: Design, eaves_m: float) -> None:
    """Deep horizontal joints below and a string course at each floor."""
    for y in np.arange(0.6, design.storey_m, 0.6):
        canvas.rect(0, y, canvas.length_m, y + 0.09, shade(design.wall, 0.6))
    for y in np.arange(design.storey_m, eaves_m, design.storey_m):
        canvas.rect(0, y - 0.15, canvas.length_m, y + 0.15, design.trim)


def piers(canvas: Canvas, design: Design, eaves_m: float) -> None:
    """Upright piers between the bays."""
    for x in np.arange(0, canvas.length_m, design.bay_m):
        canvas.rect(x - 0.3, 0, x + 0.3, eaves_m, shade(design.wall, 1.15), MASONRY)
        canvas.rect(x + 0.3, 0, x + 0.42, eaves_m, shade(design.wall, 0.6), MASONRY)


def buttresses(canvas: Canvas, design: Design, eaves_m: float) -> None:
    """Stepped buttresses between the bays."""
    for x in np.arange(0, canvas.length_m + 0.1, design.bay_m):
        for half, top in ((0.6, 0.35), (0.42, 0.65), (0.26, 0.92)):
            canvas.rect(x - half, 0, x + half, eaves_m * top, shade(design.wall, 1.2), MASONRY)
            canvas.rect(x - half, eaves_m * top - 0.2, x + half, eaves_m * top, design.trim)


def stripes(canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator) -> None:
    """Bands of a second colour of brick."""
    step = float(rng.uniform(0.9, 1.5))
    for y in np.arange(0.5, eaves_m, 2 * step):
        canvas.rect(0, y, canvas.length_m, y + step * 0.7, design.trim, MASONRY)


def checker(canvas: Canvas, design: Design, eaves_m: float) -> None:
    """A chequered belt of light and dark squares at each floor."""
    for y in np.arange(design.storey_m - 0.5, eaves_m, design.storey_m):
        for k in range(int(canvas.length_m / 0.5) + 1):
            colour = design.trim if k % 2 else shade(design.wall, 0.6)
            canvas.rect(k * 0.5, y, k * 0.5 + 0.5, y + 0.5, colour)
            canvas.rect(k * 0.5 + 0.5, y + 0.5, k * 0.5 + 1.0, y + 1.0, colour)


def columns(canvas: Canvas, design: Design, eaves_m: float) -> None:
    """Giant columns with capitals, lit from one side."""
    for x in np.arange(0.6, canvas.length_m, design.bay_m):
        for k, light in enumerate((0.75, 0.95, 1.1, 1.0, 0.7)):
            canvas.rect(x - 0.5 + 0.2 * k, 0.8, x - 0.3 + 0.2 * k, eaves_m - 0.8, shade(design.trim, light))
        canvas.rect(x - 0.75, eaves_m - 0.9, x + 0.75, eaves_m - 0.4, design.trim)
        canvas.rect(x - 0.75, 0, x + 0.75, 0.8, design.trim)


def frame(canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator) -> None:
    """Dark timbers: posts, rails and braces."""
    dark: Colour = (66, 48, 38)
    for x in np.arange(0, canvas.length_m + 0.1, design.bay_m):
        canvas.rect(x - 0.14, 0, x + 0.14, eaves_m, dark)
        for y in np.arange(0, eaves_m - 1, design.storey_m):
            lean = 1 if rng.random() < 0.5 else -1
            canvas.line(x, y, x + lean * design.bay_m * 0.5, y + design.storey_m, 0.22, dark)
    for y in np.arange(design.storey_m, eaves_m, design.storey_m):
        canvas.rect(0, y - 0.16, canvas.length_m, y + 0.16, dark)


def fins(canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator) -> None:
    """Close upright fins over the upper floors."""
    gap = float(rng.uniform(0.7, 1.3))
    for x in np.arange(0.3, canvas.length_m, gap):
        canvas.rect(x, design.storey_m, x + 0.16, eaves_m - 0.4, shade(design.wall, 1.25))
        canvas.rect(x + 0.16, design.storey_m, x + 0.3, eaves_m - 0.4, shade(design.wall, 0.55))


def _door(canvas: Canvas, x: float, width: float, height: float, design: Design) -> None:
    canvas.note_door(x)
    canvas.rect(x - width / 2 - 0.2, 0, x + width / 2 + 0.2, height + 0.25, design.trim)
    canvas.rect(x - width / 2, 0, x + width / 2, height, design.accent, SMOOTH)
    canvas.rect(x - width / 2 + 0.15, height * 0.5, x - 0.1, height - 0.2, shade(design.glass, 0.7), SMOOTH)
    canvas.rect(x + 0.1, height * 0.5, x + width / 2 - 0.15, height - 0.2, shade(design.glass, 0.7), SMOOTH)
    canvas.line(x, 0, x, height, 0.06, shade(design.accent, 0.5))


def _spread(canvas: Canvas, gap_m: float, rng: np.random.Generator) -> list[float]:
    """Places along the wall about `gap_m` apart, starting anywhere."""
    return [float(x) for x in np.arange(rng.uniform(1.8, max(1.9, gap_m * 0.8)), canvas.length_m - 1.5, gap_m)]


def stoops(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """House doors under small roofs."""
    for x in _spread(canvas, 9.5, rng):
        canvas.rect(x - 1.1, 0, x + 1.1, 3.1, design.wall, MASONRY)
        _door(canvas, x, DOOR_M, 2.3, design)
        canvas.polygon([(x - 1.1, 2.6), (x + 1.1, 2.6), (x, 3.3)], design.trim)


def arcade(canvas: Canvas, design: Design) -> None:
    """An arcade in deep shadow."""
    half, spring = design.bay_m * 0.36, design.storey_m * 0.5
    for x in np.arange(design.bay_m / 2, canvas.length_m - half, design.bay_m):
        canvas.disc(x, spring, half + 0.3, design.trim)
        canvas.disc(x, spring, half, (44, 40, 40), SMOOTH)
        canvas.rect(x - half, 0, x + half, spring, (52, 48, 46), SMOOTH)
        canvas.rect(x - 0.5, 0, x + 0.5, 2.2, shade(design.accent, 0.5), SMOOTH)


def shops(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """Shop windows under striped awnings, each shop in a colour of its own."""
    width = float(rng.uniform(4.5, 6.5))
    for x in np.arange(0.4, canvas.length_m - width + 0.3, width):
        colour = ACCENTS[int(rng.integers(len(ACCENTS)))]
        canvas.rect(x, 0, x + width - 0.4, 3.2, shade(colour, 0.55))
        canvas.rect(x + 0.3, 0.5, x + width - 1.8, 2.4, jitter(rng, (150, 150, 130), 0.3), SMOOTH)
        canvas.rect(x + width - 1.5, 0, x + width - 0.6, 2.3, shade(design.glass, 0.6), SMOOTH)
        for k in range(8):
            left = x + (width - 0.4) * k / 8
            canvas.rect(left, 2.3, left + (width - 0.4) / 8, 3.0, colour if k % 2 else (236, 232, 222))


def lobby(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """A glazed lobby behind slim posts with one broad entrance."""
    canvas.rect(0, 0, canvas.length_m, 3.3, shade(design.glass, 0.6), SMOOTH)
    canvas.rect(0, 3.3, canvas.length_m, 3.7, design.trim)
    for x in np.arange(0, canvas.length_m, 1.8):
        canvas.line(x, 0, x, 3.3, 0.1, (210, 212, 214))
    x = canvas.length_m * rng.uniform(0.25, 0.75)
    canvas.note_door(x)
    canvas.rect(x - 2.6, 0, x + 2.6, 3.6, design.accent)
    canvas.rect(x - 1.6, 0, x + 1.6, 2.6, (196, 200, 190), SMOOTH)


def pilotis(canvas: Canvas, design: Design) -> None:
    """An open, dark ground floor between round posts."""
    canvas.rect(0, 0, canvas.length_m, 3.1, (50, 50, 52), SMOOTH)
    for x in np.arange(0.5, canvas.length_m, design.bay_m):
        canvas.rect(x - 0.28, 0, x, 3.1, shade(design.wall, 1.1))
        canvas.rect(x, 0, x + 0.28, 3.1, shade(design.wall, 0.7))


def portal(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """One large arched entrance, its arch in rings."""
    x = canvas.length_m * rng.uniform(0.25, 0.75)
    canvas.note_door(x)
    for ring in range(4):
        radius = 2.3 - 0.35 * ring
        colour = design.trim if ring % 2 == 0 else shade(design.wall, 0.6)
        canvas.disc(x, 2.4, radius, colour)
        canvas.rect(x - radius, 0, x + radius, 2.4, colour)
    canvas.disc(x, 2.4, 1.2, shade(design.accent, 0.6), SMOOTH)
    canvas.rect(x - 1.2, 0, x + 1.2, 2.4, design.accent, SMOOTH)
    canvas.line(x, 0, x, 3.5, 0.08, (30, 28, 26))


def docks(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """Wide roller doors with numbers."""
    for k, x in enumerate(_spread(canvas, 11.0, rng)):
        canvas.rect(x - 2.0, 0, x + 2.0, 3.4, shade(design.accent, 0.9))
        for y in np.arange(0.3, 3.4, 0.3):
            canvas.line(x - 2.0, y, x + 2.0, y, 0.05, shade(design.accent, 0.6))
        canvas.text(x, 2.1, str(k + 1), 1.6, (240, 240, 236))


def steps(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """A flight of steps up to a tall door."""
    x = canvas.length_m * rng.uniform(0.35, 0.65)
    canvas.note_door(x)
    canvas.rect(x - 1.3, 1.0, x + 1.3, 4.6, design.trim)
    canvas.rect(x - 0.95, 1.0, x + 0.95, 4.2, design.accent, SMOOTH)
    for k in range(5):
        canvas.rect(x - 3.0 + 0.25 * k, 0.2 * k, x + 3.0 - 0.25 * k, 0.2 * k + 0.2, shade(design.trim, 0.75 + 0.08 * k))


def plinth(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """A dark base with a recessed entrance."""
    canvas.rect(0, 0, canvas.length_m, 1.2, shade(design.wall, 0.55), MASONRY)
    x = canvas.length_m * rng.uniform(0.2, 0.8)
    canvas.rect(x - 2.4, 0, x + 2.4, 3.6, shade(design.accent, 0.5))
    _door(canvas, x, 1.8, 2.6, design)


_REGULAR: dict[str, Callable[[Canvas, Design, float], None]] = {
    "quoins": quoins, "courses": courses, "piers": piers, "buttresses": buttresses, "checker": checker,
    "columns": columns,
}  # fmt: skip
_VARIED: dict[str, Callable[[Canvas, Design, float, np.random.Generator], None]] = {
    "stripes": stripes, "frame": frame, "fins": fins,
}  # fmt: skip
_OPEN_GROUNDS: dict[str, Callable[[Canvas, Design], None]] = {"arcade": arcade, "pilotis": pilotis}
_GROUNDS: dict[str, Callable[[Canvas, Design, np.random.Generator], None]] = {
    "stoops": stoops, "shops": shops, "lobby": lobby, "portal": portal, "docks": docks, "steps": steps,
    "plinth": plinth,
}  # fmt: skip


def articulate(name: str, canvas: Canvas, design: Design, eaves_m: float, rng: np.random.Generator) -> None:
    """Draw the articulation of that name over the whole wall; "none" draws nothing."""
    if name in _REGULAR:
        _REGULAR[name](canvas, design, eaves_m)
    elif name != "none":
        _VARIED[name](canvas, design, eaves_m, rng)


def draw_ground_floor(name: str, canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """Draw the ground floor of that name."""
    if name in _OPEN_GROUNDS:
        _OPEN_GROUNDS[name](canvas, design)
    else:
        _GROUNDS[name](canvas, design, rng)
