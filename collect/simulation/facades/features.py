"""The one-off features of a wall: signs, murals, clocks, banners, roundels, big letters and ivy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from collect.simulation.arrays import Colour, jitter, shade, tones
from collect.simulation.drawing.canvas import SMOOTH, Canvas, Mark
from collect.simulation.facades.designs import ACCENTS, Design
from img2gps.masks import CLASSES

WHITE: Colour = (240, 238, 230)
SIGN, VEGETATION = CLASSES.index("sign"), CLASSES.index("vegetation")
IVY_LEAVES = 700
IVY_TONES = 37


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The stretch of wall that a feature has to itself, and the height of the eaves, in metres."""

    low: float
    high: float
    eaves: float

    @property
    def length(self) -> float:
        """Length of the stretch in metres."""
        return self.high - self.low

    def place(self, half: float, rng: np.random.Generator) -> float:
        """A middle for a feature `half` metres to each side."""
        middle, play = (self.low + self.high) / 2, max(0.0, self.length / 2 - half - 0.3)
        return float(middle + rng.uniform(-play, play))


Drawer: TypeAlias = Callable[[Canvas, Design, Slot, np.random.Generator], None]


def sign(canvas: Canvas, design: Design, slot: Slot, rng: np.random.Generator) -> None:
    """The building's name on a board above the ground floor."""
    half = min(slot.length * 0.48, 5.5)
    x, y = slot.place(half, rng), min(design.storey_m + 0.5, slot.eaves - 1)
    canvas.rect(x - half - 0.12, y - 0.82, x + half + 0.12, y + 0.82, WHITE, SMOOTH)
    canvas.rect(x - half, y - 0.7, x + half, y + 0.7, design.accent, SMOOTH)
    canvas.text(x, y, design.name, 1.3, WHITE, widest=2 * half - 0.6)
    canvas.marks.append(Mark(kind=SIGN, left=x - half - 0.12, bottom=y - 0.82, right=x + half + 0.12, top=y + 0.82))


def mural(canvas: Canvas, design: Design, slot: Slot, rng: np.random.Generator) -> None:
    """A wall painting of large shapes."""
    width, height = min(slot.length * 0.8, 13.0), slot.eaves * 0.8
    x0, y0 = slot.place(width / 2, rng) - width / 2, slot.eaves * 0.12
    canvas.rect(x0, y0, x0 + width, y0 + height, jitter(rng, design.trim, 0.15))
    for _ in range(9):
        colour = ACCENTS[int(rng.integers(len(ACCENTS)))]
        x, y = x0 + width * rng.uniform(0.15, 0.85), y0 + height * rng.uniform(0.15, 0.85)
        reach = min(width * rng.uniform(0.06, 0.15), x - x0, x0 + width - x)
        kind = int(rng.integers(3))
        if kind == 0:
            canvas.disc(x, y, min(reach * 1.4, y - y0, y0 + height - y, x - x0, x0 + width - x), colour)
        elif kind == 1:
            canvas.polygon([(x - reach, y0), (x + reach, y0), (x, min(y + reach, y0 + height))], colour)
        else:
            canvas.line(x0 + 0.3, y, x0 + width - 0.3, y0 + height * rng.uniform(0.1, 0.9), 0.6, colour)


def clock(canvas: Canvas, design: Design, slot: Slot, rng: np.random.Generator) -> None:
    """A large clock face below the eaves."""
    x, y, radius = slot.place(2.2, rng), slot.eaves - 2.3, 1.7
    canvas.disc(x, y, radius + 0.3, design.accent)
    canvas.disc(x, y, radius, WHITE, SMOOTH)
    for k in range(12):
        angle = k * np.pi / 6
        canvas.disc(x + 1.4 * np.sin(angle), y + 1.4 * np.cos(angle), 0.12, (30, 30, 34), SMOOTH)
    for reach, angle in ((1.3, rng.uniform(0, 6.28)), (0.9, rng.uniform(0, 6.28))):
        canvas.line(x, y, x + reach * np.sin(angle), y + reach * np.cos(angle), 0.14, (30, 30, 34), SMOOTH)


def banners(canvas: Canvas, design: Design, slot: Slot, rng: np.random.Generator) -> None:
    """Upright banners in a row."""
    gap = min(2.4, slot.length / 5.5)
    x, second = slot.place(2.5 * gap, rng), ACCENTS[int(rng.integers(len(ACCENTS)))]
    low, high = slot.eaves * 0.3, slot.eaves * 0.88
    for k in range(-2, 3):
        left = x + gap * k - 0.6
        canvas.rect(left, low, left + 1.2, high, design.accent if k % 2 else second, SMOOTH)
        canvas.disc(left + 0.6, (low + high) / 2, 0.4, WHITE, SMOOTH)
        canvas.marks.append(Mark(kind=SIGN, left=left, bottom=low, right=left + 1.2, top=high))


def roundel(canvas: Canvas, design: Design, slot: Slot, rng: np.random.Generator) -> None:
    """Rings like a rose window or a target."""
    radius = min(3.0, slot.eaves * 0.28, slot.length * 0.3)
    x, y = slot.place(radius, rng), slot.eaves * 0.6
    second = ACCENTS[int(rng.integers(len(ACCENTS)))]
    for k, colour in enumerate((design.trim, second, WHITE, design.accent)):
        canvas.disc(x, y, radius * (1 - 0.22 * k), colour, SMOOTH)
    for k in range(8):
        angle = k * np.pi / 4
        canvas.line(x, y, x + radius * np.cos(angle), y + radius * np.sin(angle), 0.12, shade(design.trim, 0.7))


def letters(canvas: Canvas, design: Design, slot: Slot, rng: np.random.Generator) -> None:
    """One or three letters of the building's name, as tall as a storey."""
    name, count = design.name.split()[0], 3 if slot.length > 12 else 1
    first = int(rng.integers(len(name) - count + 1))
    words = name[first : first + count]
    x = slot.place(5.0, rng)
    canvas.text(x + 0.12, slot.eaves * 0.62 - 0.12, words, slot.eaves * 0.42, (40, 38, 36), widest=slot.length * 0.8)
    canvas.text(x, slot.eaves * 0.62, words, slot.eaves * 0.42, design.accent, widest=slot.length * 0.8)


def ivy(canvas: Canvas, slot: Slot, rng: np.random.Generator) -> None:
    """Ivy climbing from the ground."""
    x, width, reach = slot.place(4.0, rng), float(rng.uniform(2.5, 5)), slot.eaves * rng.uniform(0.6, 0.95)
    greens = tones(rng, (62, 92, 44), 0.35, IVY_TONES)
    ups = rng.random(IVY_LEAVES) ** 1.3
    acrosses = rng.normal(0, width * 0.42, IVY_LEAVES) * (1 - 0.55 * ups)
    radii = rng.uniform(0.1, 0.28, IVY_LEAVES)
    for k, (up, across, radius) in enumerate(zip(ups.tolist(), acrosses.tolist(), radii.tolist(), strict=True)):
        middle, height = x + across, up * reach
        canvas.disc(middle, height, radius, greens[k % IVY_TONES])
        bounds = {"left": middle - radius, "right": middle + radius, "bottom": height - radius, "top": height + radius}
        canvas.marks.append(Mark(kind=VEGETATION, **bounds, is_round=True))


DRAWERS: dict[str, Drawer] = {
    "sign": sign, "mural": mural, "clock": clock, "banners": banners, "roundel": roundel, "letters": letters,
    "ivy": lambda canvas, _, slot, rng: ivy(canvas, slot, rng),
}  # fmt: skip
