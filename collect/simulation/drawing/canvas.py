"""A drawing surface in metres for facades: east along the wall, up from the ground."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from collect.simulation.arrays import Bytes, Colour

PIXELS_PER_M = 20
OVERSAMPLING = 2
MASONRY, PLAIN, SMOOTH = 255, 90, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A part of a wall that is no building: an upright rectangle or ellipse in metres, and its class of a mask."""

    kind: int
    left: float
    bottom: float
    right: float
    top: float
    is_round: bool = False


class Canvas:
    """Draws an upright rectangle of wall.

    The fourth channel says how strongly the texture of the masonry shows: fully on a bare wall, not at all on glass.
    """

    def __init__(
        self, length_m: float, height_m: float, colour: Colour, *, pixels_per_m: int = PIXELS_PER_M * OVERSAMPLING
    ) -> None:
        self.length_m, self.height_m = length_m, height_m
        self.doors_m: list[float] = []
        self.marks: list[Mark] = []
        self._scale = pixels_per_m
        size = (max(4, round(length_m * self._scale)), max(4, round(height_m * self._scale)))
        self._image = Image.new("RGBA", size, (*colour, MASONRY))
        self._draw = ImageDraw.Draw(self._image)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * self._scale, self._image.height - y * self._scale

    def note_door(self, x: float) -> None:
        """Remember that a door stands at `x`, for the campus's map."""
        if 0 <= x <= self.length_m:
            self.doors_m.append(float(x))

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, detail: int = PLAIN) -> None:
        """Fill from (x0, y0) at the lower left to (x1, y1)."""
        if x1 > x0 and y1 > y0:
            (left, bottom), (right, top) = self._at(x0, y0), self._at(x1, y1)
            self._draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=(*colour, detail))

    def polygon(self, corners: Sequence[tuple[float, float]], colour: Colour, detail: int = PLAIN) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._at(x, y) for x, y in corners], fill=(*colour, detail))

    def disc(
        self, x: float, y: float, radius: float, colour: Colour, detail: int = PLAIN, *, tall: float = 1.0
    ) -> None:
        """Fill a circle, or an ellipse `tall` times as high as wide; nothing where the radius is not positive."""
        if radius <= 0:
            return
        (left, bottom), (right, top) = self._at(x - radius, y - radius * tall), self._at(x + radius, y + radius * tall)
        self._draw.ellipse((left, top, right, bottom), fill=(*colour, detail))

    def line(
        self, x0: float, y0: float, x1: float, y1: float, width: float, colour: Colour, detail: int = PLAIN
    ) -> None:
        """Draw a straight line `width` metres thick."""
        pixels = max(1, round(width * self._scale))
        self._draw.line((*self._at(x0, y0), *self._at(x1, y1)), fill=(*colour, detail), width=pixels)

    def text(self, x: float, y: float, words: str, height: float, colour: Colour, *, widest: float = 1e9) -> None:
        """Centre `words` on (x, y), `height` metres tall or less where they would be over `widest` metres."""
        size = height * self._scale
        extent = ImageFont.load_default(size).getlength(words)
        font = ImageFont.load_default(max(6.0, size * min(1.0, widest * self._scale / max(extent, 1))))
        self._draw.text(self._at(x, y), words, fill=(*colour, SMOOTH), font=font, anchor="mm")

    def pixels(self) -> Bytes:
        """The drawing as (rows, columns, 4), row 0 at the top, `PIXELS_PER_M` to the metre."""
        # Channel by channel: reducing RGBA at once would weigh colours by the fourth channel.
        bands = [band.reduce(OVERSAMPLING) for band in self._image.split()]
        return np.asarray(Image.merge("RGBA", bands))
