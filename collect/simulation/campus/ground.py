"""The ground of the generated campus as a raster of surfaces, and the shadows that fall on it.

Rasters lie in the frame of the block grid, so that the edges of most paths follow the pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from shapely import affinity
from shapely.geometry import LineString, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from collect.simulation.arrays import Bytes, Doubles, generator, smooth_noise
from collect.simulation.campus.plan import FAR_FRONT_M, FAR_KERB_M, KERB_INSET_M, CampusPlan

Fill: TypeAlias = Callable[[BaseGeometry, str], None]

GROUND_PPM = 10
SHADOW_PPM = 4
MARGIN_M = 45.0

SURFACES = (
    "grass", "brick", "slabs", "pavers", "cobbles", "gravel", "asphalt", "soil", "kerb", "white_line", "yellow_line",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Places local metres on rasters: turned by `axis_deg`, `west`, `north` (metres, turned) at the first pixel."""

    axis_deg: float
    west: float
    north: float
    width_m: float
    height_m: float

    def turned(self, shape: BaseGeometry) -> BaseGeometry:
        """`shape` in the frame of the grid."""
        return affinity.rotate(shape, -self.axis_deg, origin=(0, 0))

    def pixels(self, coords: Sequence[tuple[float, ...]], ppm: int) -> list[tuple[float, float]]:
        """Raster positions (column, row) of turned coordinates."""
        return [((point[0] - self.west) * ppm, (self.north - point[1]) * ppm) for point in coords]

    def to_raster(self, east: Doubles, north: Doubles) -> tuple[Doubles, Doubles]:
        """Metres to the right of and below the first pixel for points in local metres."""
        angle = math.radians(self.axis_deg)
        x = east * math.cos(angle) + north * math.sin(angle)
        y = north * math.cos(angle) - east * math.sin(angle)
        return x - self.west, self.north - y

    def size(self, ppm: int) -> tuple[int, int]:
        """Width and height of a raster in pixels."""
        return math.ceil(self.width_m * ppm), math.ceil(self.height_m * ppm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """`surface` numbers a place's entry in SURFACES, `tone` darkens corners and patches (128 is neutral)."""

    frame: Frame
    surface: Bytes
    tone: Bytes


def lay_ground(plan: CampusPlan, seed: int) -> Ground:
    """Paint the surfaces of `plan`."""
    frame = _frame(plan)
    image = Image.new("L", frame.size(GROUND_PPM), SURFACES.index("slabs"))
    draw = ImageDraw.Draw(image)

    def fill(shape: BaseGeometry, surface: str) -> None:
        _fill(draw, frame, frame.turned(shape), SURFACES.index(surface), GROUND_PPM)

    fill(plan.outline.buffer(FAR_KERB_M + 0.2, join_style="mitre"), "kerb")
    fill(plan.outline.buffer(FAR_KERB_M, join_style="mitre"), "asphalt")
    _mark_street(fill, plan.outline)
    fill(plan.outline.buffer(-KERB_INSET_M, join_style="mitre"), "kerb")
    fill(plan.outline.buffer(-KERB_INSET_M - 0.2, join_style="mitre"), "slabs")
    fill(plan.outline.buffer(-KERB_INSET_M - 5.5, join_style="mitre"), "grass")
    for lawn in plan.lawns:
        fill(lawn, "grass")
    for building in plan.buildings:
        if building.on_site:
            fill(building.footprint.buffer(1.6, join_style="mitre"), ("soil", "gravel", "slabs")[building.design % 3])
    for path in plan.footpaths[1:]:
        fill(path.line.buffer(path.width_m / 2 + 0.22, cap_style="square"), "kerb")
    for path in plan.footpaths[1:]:
        fill(path.line.buffer(path.width_m / 2, cap_style="square"), path.paving)
    return Ground(frame=frame, surface=np.asarray(image), tone=_tone(plan, frame, seed))


def _mark_street(fill: Fill, outline: Polygon) -> None:
    """A double yellow line in the middle, white parking lines, and zebra crossings here and there."""
    lines = (
        (-0.15, "yellow_line"),
        (0.15, "yellow_line"),
        (-KERB_INSET_M + 2.4, "white_line"),
        (FAR_KERB_M - 2.4, "white_line"),
    )
    for offset, surface in lines:
        for a, b in pairwise(outline.buffer(offset, join_style="mitre").exterior.coords):
            fill(LineString([a, b]).buffer(0.07), surface)
    ring = outline.exterior
    for at in np.arange(18.0, ring.length - 6, 52.0):
        for stripe in range(6):
            here, ahead = ring.interpolate(at + stripe), ring.interpolate(at + stripe + 0.1)
            angle = math.atan2(ahead.y - here.y, ahead.x - here.x)
            across = (math.sin(angle) * 5.6, -math.cos(angle) * 5.6)
            bar = LineString([(here.x - across[0], here.y - across[1]), (here.x + across[0], here.y + across[1])])
            fill(bar.buffer(0.27, cap_style="flat"), "white_line")


def _tone(plan: CampusPlan, frame: Frame, seed: int) -> Bytes:
    """Patches of wear, and the dimmer ground close to walls, at the resolution of shadows."""
    size = frame.size(SHADOW_PPM)
    built = Image.new("L", size, 0)
    draw = ImageDraw.Draw(built)
    for building in plan.buildings:
        _fill(draw, frame, frame.turned(building.footprint), 255, SHADOW_PPM)
    near = np.asarray(built.filter(ImageFilter.GaussianBlur(1.5 * SHADOW_PPM)), np.float32) / 255
    patches = smooth_noise(generator(seed, "ground"), (512, 512), octaves=5, base=6)
    repeats = (size[1] // 512 + 1, size[0] // 512 + 1)
    wear = np.tile(patches, repeats)[: size[1], : size[0]]
    return np.clip(128 * (0.88 + 0.24 * wear) * (1 - 0.55 * near), 0, 255).astype(np.uint8)


def cast_shadows(plan: CampusPlan, frame: Frame, sun_azimuth_deg: float, sun_elevation_deg: float) -> Bytes:
    """The share of sunlight that reaches the ground, 0..255, at SHADOW_PPM pixels to the metre."""
    reach = 1 / math.tan(math.radians(max(sun_elevation_deg, 8.0)))
    azimuth = math.radians(sun_azimuth_deg)
    away = (-math.sin(azimuth) * reach, -math.cos(azimuth) * reach)
    image = Image.new("L", frame.size(SHADOW_PPM), 255)
    draw = ImageDraw.Draw(image)
    for building in plan.buildings:
        shift = (away[0] * building.height_m, away[1] * building.height_m)
        for shape in _swept(building.footprint, shift):
            _fill(draw, frame, frame.turned(shape), 0, SHADOW_PPM)
    for east, north, height, _ in plan.trees:
        crown = Point(east + away[0] * height * 0.62, north + away[1] * height * 0.62).buffer(height * 0.27)
        stem = LineString([(east, north), (crown.centroid.x, crown.centroid.y)]).buffer(0.2)
        for shape in (crown, stem):
            _fill(draw, frame, frame.turned(shape), 70, SHADOW_PPM)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1)))


def _swept(footprint: Polygon, shift: tuple[float, float]) -> list[Polygon]:
    """Polygons that together cover what `footprint` covers while it moves by `shift`."""
    corners = list(footprint.exterior.coords)
    moved = [(x + shift[0], y + shift[1]) for x, y in corners]
    sides = zip(corners, corners[1:], moved[1:], moved, strict=False)
    return [footprint, Polygon(moved), *(Polygon(side) for side in sides)]


def _frame(plan: CampusPlan) -> Frame:
    turned = affinity.rotate(plan.outline, -plan.axis_deg, origin=(0, 0))
    west, south, east, north = turned.bounds
    reach = FAR_FRONT_M + MARGIN_M
    return Frame(
        axis_deg=plan.axis_deg,
        west=west - reach,
        north=north + reach,
        width_m=east - west + 2 * reach,
        height_m=north - south + 2 * reach,
    )


def _fill(draw: ImageDraw.ImageDraw, frame: Frame, shape: BaseGeometry, value: int, ppm: int) -> None:
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    for part in parts:
        if isinstance(part, Polygon) and not part.is_empty:
            draw.polygon(frame.pixels(list(part.exterior.coords), ppm), fill=value)
