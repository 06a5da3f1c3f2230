"""Small solid things of flat faces: parked cars and benches, drawn as shaded polygons in perspective."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from collect.campus.arrays import Bytes, Colour, Doubles, shade
from collect.campus.camera import Camera

OVERSAMPLING = 2
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
    """A drawn thing: (rows, columns, 4) with opacity last, its upper left corner in the image, and its depth."""

    pixels: Bytes
    left: int
    top: int
    depth_m: float


def car(colour: Colour) -> tuple[Face, ...]:
    """A saloon car."""
    glass: Colour = (52, 62, 70)
    faces = []
    for number, ((x0, z0), (x1, z1)) in enumerate(zip(_PROFILE, _PROFILE[1:], strict=False)):
        across = [(x0, -_HALF_WIDTH, z0), (x1, -_HALF_WIDTH, z1), (x1, _HALF_WIDTH, z1), (x0, _HALF_WIDTH, z0)]
        faces.append(Face(corners=np.array(across), colour=glass if number in _GLASS_EDGES else colour))
    for side in (-1, 1):
        y = side * _HALF_WIDTH
        faces.append(Face(corners=_outline(y, _PROFILE), colour=shade(colour, 0.92), side=side))
        out = y + 0.01 * side
        faces.append(Face(corners=_outline(out, ((-1.55, 1.06), (-1.15, 1.4), (-0.4, 1.42), (-0.4, 1.06))), colour=glass, side=side))
        faces.append(Face(corners=_outline(out, ((-0.3, 1.06), (-0.3, 1.42), (0.3, 1.42), (0.85, 1.06))), colour=glass, side=side))
        for axle in (-1.35, 1.35):
            for radius, tone in ((0.36, (24, 24, 26)), (0.2, (150, 152, 154))):
                faces.append(Face(corners=_wheel(axle, out + 0.01 * side, radius), colour=tone, side=side))
        faces.append(Face(corners=_outline(out, ((2.0, 0.62), (2.0, 0.78), (2.2, 0.72), (2.2, 0.6))), colour=(236, 232, 210), side=side))
        faces.append(Face(corners=_outline(out, ((-2.19, 0.7), (-2.19, 0.9), (-1.95, 0.9), (-1.95, 0.7))), colour=(170, 30, 30), side=side))
    return tuple(faces)


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


def draw(faces: tuple[Face, ...], camera: Camera, east: float, north: float, angle: float) -> Patch | None:
    """Draw a thing that stands at (east, north) and points `angle` radians counter-clockwise from east.

    None where it is out of view or so close that a corner is behind the camera.
    """
    ahead = np.array([math.cos(angle), math.sin(angle)])
    left = np.array([-ahead[1], ahead[0]])
    placed = [face.corners[:, :1] * ahead + face.corners[:, 1:2] * left + (east, north) for face in faces]
    near_side = 1 if (camera.east_m - east) * left[0] + (camera.north_m - north) * left[1] > 0 else -1
    depths, columns, rows = [], [], []
    for face, ground in zip(faces, placed, strict=True):
        depth, right = camera.ahead_and_right(*ground.T)
        if depth.min() < 0.4:
            return None
        column = camera.width / 2 + camera.focal_px * right / depth
        horizon = np.interp(column, np.arange(camera.width) + 0.5, camera.horizon_rows())
        depths.append(depth)
        columns.append(column)
        rows.append(horizon + camera.focal_px * (camera.eye_m - face.corners[:, 2]) / depth)
    order = _painting_order(faces, depths, near_side)
    return _rasterise([faces[k] for k in order], camera, *([listed[k] for k in order] for listed in (depths, columns, rows)))


def _painting_order(faces: tuple[Face, ...], depths: list[Doubles], near_side: int) -> list[int]:
    body = [k for k, face in enumerate(faces) if face.side == 0]
    body.sort(key=lambda k: -float(depths[k].mean()))
    return body + [k for k, face in enumerate(faces) if face.side == near_side]


def _rasterise(
    faces: list[Face], camera: Camera, depths: list[Doubles], columns: list[Doubles], rows: list[Doubles]
) -> Patch | None:
    """Paint the faces in order, those that lie flat a little brighter."""
    left, right = math.floor(min(c.min() for c in columns)), math.ceil(max(c.max() for c in columns))
    top, bottom = math.floor(min(r.min() for r in rows)), math.ceil(max(r.max() for r in rows))
    left, right, top, bottom = max(left, 0), min(right, camera.width), max(top, 0), min(bottom + 2, camera.height)
    if right - left < 2 or bottom - top < 2:
        return None
    image = Image.new("RGBA", ((right - left) * OVERSAMPLING, (bottom - top) * OVERSAMPLING), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for number, face in enumerate(faces):
        xs, ys = (columns[number] - left) * OVERSAMPLING, (rows[number] - top) * OVERSAMPLING
        lit = 1.12 if np.ptp(face.corners[:, 2]) < 0.2 else 0.95
        pen.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=(*shade(face.colour, lit), 255))
    small = image.reduce(OVERSAMPLING)
    return Patch(pixels=np.asarray(small), left=left, top=top, depth_m=float(np.mean([d.mean() for d in depths])))
