"""Small solid things of flat faces: parked cars and benches, drawn as shaded polygons in perspective."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from collect.simulation.arrays import Bytes, Colour, Doubles, shade
from collect.simulation.drawing.camera import Viewpoint

OVERSAMPLING = 2
NEAREST_CORNER_M = 0.4
CAR_COLOURS: tuple[Colour, ...] = (
    (202, 204, 206), (60, 62, 66), (30, 32, 36), (140, 34, 36), (42, 66, 110), (232, 232, 228), (112, 116, 120),
    (74, 92, 78), (176, 142, 90),
)  # fmt: skip
# A car seen from its left side: (metres from the middle towards the front, metres up).
_PROFILE = (
    (-2.15, 0.35), (-2.2, 0.85), (-2.05, 1.0), (-1.75, 1.05), (-1.2, 1.48), (0.35, 1.5), (1.05, 1.05), (1.95, 0.9),
    (2.2, 0.7), (2.2, 0.35),
)  # fmt: skip
_GLASS_EDGES = (3, 5)
_HALF_WIDTH = 0.88


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A flat polygon: corners (n, 3) of metres ahead, left and up in the thing's own frame.

    Faces with a `side` (1 left, -1 right) are painted last, in the order given, and only when seen from that side.
    """

    corners: Doubles
    colour: Colour
    side: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A drawn thing: (rows, columns, 4) with opacity last, its upper left corner in the image, its depth and class."""

    pixels: Bytes
    left: int
    top: int
    depth_m: float
    kind: str = "other"


@lru_cache(maxsize=32)
def car(colour: Colour) -> tuple[Face, ...]:
    """A saloon car."""
    glass: Colour = (52, 62, 70)
    faces = []
    for number, ((x0, z0), (x1, z1)) in enumerate(pairwise(_PROFILE)):
        across = [(x0, -_HALF_WIDTH, z0), (x1, -_HALF_WIDTH, z1), (x1, _HALF_WIDTH, z1), (x0, _HALF_WIDTH, z0)]
        faces.append(Face(corners=np.array(across), colour=glass if number in _GLASS_EDGES else colour))
    for side in (-1, 1):
        y = side * _HALF_WIDTH
        faces.append(Face(corners=_outline(y, _PROFILE), colour=shade(colour, 0.92), side=side))
        out = y + 0.01 * side
        faces.append(
            Face(
                corners=_outline(out, ((-1.55, 1.06), (-1.15, 1.4), (-0.4, 1.42), (-0.4, 1.06))),
                colour=glass,
                side=side,
            )
        )
        faces.append(
            Face(
                corners=_outline(out, ((-0.3, 1.06), (-0.3, 1.42), (0.3, 1.42), (0.85, 1.06))), colour=glass, side=side
            )
        )
        for axle in (-1.35, 1.35):
            for radius, tone in ((0.36, (24, 24, 26)), (0.2, (150, 152, 154))):
                faces.append(Face(corners=_wheel(axle, out + 0.01 * side, radius), colour=tone, side=side))
        faces.append(
            Face(
                corners=_outline(out, ((2.0, 0.62), (2.0, 0.78), (2.2, 0.72), (2.2, 0.6))),
                colour=(236, 232, 210),
                side=side,
            )
        )
        faces.append(
            Face(
                corners=_outline(out, ((-2.19, 0.7), (-2.19, 0.9), (-1.95, 0.9), (-1.95, 0.7))),
                colour=(170, 30, 30),
                side=side,
            )
        )
    return tuple(faces)


@lru_cache(maxsize=1)
def bench() -> tuple[Face, ...]:
    """A park bench that faces to the right of its direction."""
    wood: Colour = (142, 104, 68)
    faces = [_slab(-0.9, 0.9, y, y + 0.12, 0.44, wood) for y in (-0.25, -0.1, 0.05)]
    faces += [_board(-0.9, 0.9, 0.22, z, z + 0.12, wood) for z in (0.55, 0.72, 0.89)]
    for x in (-0.8, 0.74):
        faces += [_board(x, x + 0.07, y, 0.0, 0.44, (40, 42, 44)) for y in (-0.22, 0.2)]
    return tuple(faces)


def _outline(y: float, points: tuple[tuple[float, float], ...]) -> Doubles:
    return np.array([(x, y, z) for x, z in points])


def _wheel(x: float, y: float, radius: float) -> Doubles:
    turns = np.linspace(0, 2 * math.pi, 14, endpoint=False)
    return np.column_stack([x + radius * np.cos(turns), np.full(14, y), 0.36 + radius * np.sin(turns)])


def _slab(x0: float, x1: float, y0: float, y1: float, z: float, colour: Colour) -> Face:
    return Face(corners=np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]), colour=shade(colour, 1.15))


def _board(x0: float, x1: float, y: float, z0: float, z1: float, colour: Colour) -> Face:
    return Face(corners=np.array([(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)]), colour=colour)


def draw(faces: tuple[Face, ...], camera: Viewpoint, east: float, north: float, angle: float) -> Patch | None:
    """Draw a thing that stands at (east, north) and points `angle` radians counter-clockwise from east.

    None where it is out of view or so close that a corner is behind the camera.
    """
    ahead, left = (math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))
    corners = np.concatenate([face.corners for face in faces])
    depth, right = camera.ahead_and_right(
        east + corners[:, 0] * ahead[0] + corners[:, 1] * left[0],
        north + corners[:, 0] * ahead[1] + corners[:, 1] * left[1],
    )
    if depth.min() < NEAREST_CORNER_M:
        return None
    column = camera.width / 2 + camera.focal_px * right / depth
    row = camera.horizon_at(column) + camera.focal_px * (camera.eye_m - corners[:, 2]) / depth
    near_side = 1 if (camera.east_m - east) * left[0] + (camera.north_m - north) * left[1] > 0 else -1
    ends = np.cumsum([len(face.corners) for face in faces])[:-1]
    order = _painting_order(faces, np.split(depth, ends), near_side)
    return _rasterise(faces, order, np.split(np.column_stack([column, row]), ends), camera, float(depth.mean()))


def _painting_order(faces: tuple[Face, ...], depths: list[Doubles], near_side: int) -> list[int]:
    body = [k for k, face in enumerate(faces) if face.side == 0]
    body.sort(key=lambda k: -float(depths[k].mean()))
    return body + [k for k, face in enumerate(faces) if face.side == near_side]


def _rasterise(
    faces: tuple[Face, ...], order: list[int], places: list[Doubles], camera: Viewpoint, depth_m: float
) -> Patch | None:
    """Paint the faces, corners at `places` (column, row), in `order`; those that lie flat are a little brighter."""
    low, high = np.concatenate(places).min(axis=0), np.concatenate(places).max(axis=0)
    left, top = max(math.floor(low[0]), 0), max(math.floor(low[1]), 0)
    right, bottom = min(math.ceil(high[0]), camera.width), min(math.ceil(high[1]), camera.height)
    if right - left < 2 or bottom - top < 2:
        return None
    image = Image.new("RGBA", ((right - left) * OVERSAMPLING, (bottom - top) * OVERSAMPLING), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for number in order:
        lit = 1.12 if np.ptp(faces[number].corners[:, 2]) < 0.2 else 0.95
        outline = [tuple(place) for place in ((places[number] - (left, top)) * OVERSAMPLING).tolist()]
        pen.polygon(outline, fill=(*shade(faces[number].colour, lit), 255))
    return Patch(pixels=np.asarray(image.reduce(OVERSAMPLING)), left=left, top=top, depth_m=depth_m)
