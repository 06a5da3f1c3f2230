"""Paints walls into a view: perspective, texture, light and haze."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from collect.simulation.arrays import Bytes, Doubles, Floats, Ints, Mask
from collect.simulation.campus.walls import Hits
from collect.simulation.drawing import tiles
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.drawing.canvas import PIXELS_PER_M
from collect.simulation.drawing.light import Light
from collect.simulation.drawing.spans import Spans, covered
from collect.simulation.facades.facade import Facade
from collect.simulation.facades.texture import LEVELS, PAD, Packed, blend, unpacked, weight_of
from collect.simulation.rendering.scene import Scene
from img2gps.masks import CLASSES

# Nearer than this a texel spans more than a pixel or two and is blended with its neighbours.
SMOOTH_M = 18.0
BUILDING = CLASSES.index("building")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The visible spans of walls; the other arrays, of length n, say where each meets its wall.

    `wall` counts the walls hit. `far_m` is measured along the heading, `along_m` from the wall's start. `slant` is how
    many times a wall seen aslant is shortened.
    """

    spans: Spans
    wall: Ints
    far_m: Floats
    along_m: Floats
    slant: Floats

    def chosen(self, which: Mask) -> "_Seen":
        """Return what is seen at `which` places alone."""
        return _Seen(
            spans=self.spans.chosen(which),
            wall=self.wall[which],
            far_m=self.far_m[which],
            along_m=self.along_m[which],
            slant=self.slant[which],
        )


def haze(depth_m: Doubles | Floats, light: Light) -> Floats:
    """The share of a colour that haze replaces at each depth."""
    return np.asarray(1 - np.exp2(-depth_m / light.weather.haze_m), np.float32)


def paint_walls(
    view: Floats, depth: Floats, scene: Scene, camera: Viewpoint, hits: Hits, classes: Bytes | None = None
) -> Ints:
    """Paint what is seen of each wall into `view` (3, height, width), its distance into `depth` (height, width).

    What it is goes into `classes` (height, width), where they are asked for.
    Returns the row of the highest painted pixel of each column, `camera.height` where there is none.
    """
    facades = [scene.world.facade(int(wall)) for wall in hits.wall]
    seen = _seen(scene, camera, hits, facades)
    smooth = seen.far_m < SMOOTH_M
    for part, smoothly in ((seen.chosen(smooth), True), (seen.chosen(~smooth), False)):
        if len(part.wall):
            _paint(view, depth, scene, camera, hits, facades, part, smoothly=smoothly)
    if classes is not None and len(seen.wall):
        _classify(classes, scene, camera, hits, facades, seen)
    highest = np.full(camera.width, camera.height)
    np.minimum.at(highest, seen.spans.column, seen.spans.first)
    return highest


def _seen(scene: Scene, camera: Viewpoint, hits: Hits, facades: list[Facade]) -> _Seen:
    horizon = camera.horizon_rows()
    with np.errstate(invalid="ignore"):
        tops = horizon - camera.focal_px * (_heights(facades, hits) - camera.eye_m) / hits.depth_m
    tops[~np.isfinite(hits.depth_m)] = np.inf
    feet = horizon + camera.focal_px * camera.eye_m / hits.depth_m
    limits = _visible_limits(hits, tops, feet)
    wall, column = np.nonzero(np.ceil(limits - 0.5) > np.maximum(np.ceil(tops - 0.5), 0))
    at = wall, column
    normals = scene.world.walls.normals[hits.wall[wall]]
    slopes = camera.slopes()[column]
    ray_east = camera.forward[0] + slopes * camera.right[0]
    ray_north = camera.forward[1] + slopes * camera.right[1]
    turned = np.abs(normals[:, 0] * ray_east + normals[:, 1] * ray_north)
    return _Seen(
        spans=covered(column, tops[at], limits[at], camera.height),
        wall=wall,
        far_m=hits.depth_m[at].astype(np.float32),
        along_m=hits.along_m[at].astype(np.float32),
        slant=(1 / np.maximum(turned, 1e-3)).astype(np.float32),
    )


def _heights(facades: list[Facade], hits: Hits) -> Doubles:
    heights = np.zeros(hits.depth_m.shape)
    for number, facade in enumerate(facades):
        texel = (hits.along_m[number] * PIXELS_PER_M).astype(np.intp)
        heights[number] = facade.roof_line_m.take(texel, mode="clip")
    return heights


def _visible_limits(hits: Hits, tops: Doubles, feet: Doubles) -> Doubles:
    """Per wall and column the row down to which the wall shows: its foot, or the highest roof in front of it."""
    order = np.argsort(hits.depth_m, axis=0)
    sorted_tops = np.take_along_axis(tops, order, axis=0)
    before = np.full_like(sorted_tops, np.inf)
    before[1:] = np.minimum.accumulate(sorted_tops, axis=0)[:-1]
    limits = np.empty_like(before)
    np.put_along_axis(limits, order, before, axis=0)
    return np.minimum(limits, feet)


def _paint(
    view: Floats,
    depth: Floats,
    scene: Scene,
    camera: Viewpoint,
    hits: Hits,
    facades: list[Facade],
    seen: _Seen,
    *,
    smoothly: bool,
) -> None:
    spans, far = seen.spans, seen.far_m
    metres_per_row = far / np.float32(camera.focal_px)
    top_up = camera.eye_m + (camera.horizon_rows()[spans.column] - 0.5) * metres_per_row
    rows = spans.rows()
    up = spans.each(top_up)
    up -= spans.each(metres_per_row) * rows.astype(np.float32)
    channels = unpacked(_texels(camera, facades, seen, up, smoothly=smoothly))
    grain = _masonry(camera, facades, seen, up, channels[:, 3])
    tints, fog = _tints(scene, hits)[seen.wall], haze(far, scene.light)
    at = rows * camera.width + spans.repeated(spans.column)
    for channel, veil in enumerate(scene.light.weather.horizon):
        colour = channels[:, channel] * grain
        colour *= spans.each(tints[:, channel] * (1 - fog))
        colour += spans.each(veil * fog)
        view[channel].reshape(-1)[at] = colour
    depth.reshape(-1)[at] = spans.each(far)


def _classify(classes: Bytes, scene: Scene, camera: Viewpoint, hits: Hits, facades: list[Facade], seen: _Seen) -> None:
    """Write the class of each pixel of walls: building, but for signs and climbers."""
    spans = seen.spans
    up = spans.each(camera.eye_m + (camera.horizon_rows()[spans.column] - 0.5) * seen.far_m / camera.focal_px)
    up -= spans.each(seen.far_m / np.float32(camera.focal_px)) * spans.rows().astype(np.float32)
    number, along = spans.repeated(seen.wall), spans.each(seen.along_m)
    found = np.full(len(up), BUILDING, np.uint8)
    for wall in np.unique(seen.wall).tolist():
        if not facades[wall].marks:
            continue
        own, marks = number == wall, scene.world.marks(int(hits.wall[wall]))
        row = ((facades[wall].height_m - up[own]) * PIXELS_PER_M).astype(np.intp)
        column = (along[own] * PIXELS_PER_M).astype(np.intp)
        kind = marks[np.clip(row, 0, marks.shape[0] - 1), np.clip(column, 0, marks.shape[1] - 1)]
        found[own] = np.where(kind > 0, kind, BUILDING)
    classes.reshape(-1)[spans.rows() * camera.width + spans.repeated(spans.column)] = found


def _tints(scene: Scene, hits: Hits) -> Floats:
    """The light (red, green, blue) on each wall hit."""
    normals = scene.world.walls.normals[hits.wall]
    return np.array([scene.light.on_wall(float(east), float(north)) for east, north in normals], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The columns of texels that spans read: `start` and `count` of those of the span's level, `stride` apart.

    `across` is the place between columns, `bottom` the foot of the wall and `texels_per_m` the scale down a column.
    """

    start: Ints
    count: Ints
    stride: Ints
    across: Floats
    bottom: Floats
    texels_per_m: Floats


def _texels(camera: Viewpoint, facades: list[Facade], seen: _Seen, up: Floats, *, smoothly: bool) -> Packed:
    """The texels of the facades at the pixels of `seen`, `up` metres above the ground."""
    spans, columns = seen.spans, _columns(camera, facades, seen)
    down = spans.each(columns.bottom)
    down -= up * spans.each(columns.texels_per_m)
    if not smoothly:
        column = np.clip(columns.across.astype(np.intp), 0, columns.count - 1)
        return _read(facades, seen, spans.repeated(columns.start + column * columns.stride) + down.astype(np.intp))
    across = np.clip(columns.across - 0.5, 0, columns.count - 1)
    left = np.minimum(across.astype(np.intp), np.maximum(columns.count - 2, 0))
    down -= 0.5
    upper = down.astype(np.int32)
    part_down = weight_of(down - upper)
    place: Ints = spans.repeated(columns.start + left * columns.stride) + upper.astype(np.intp)
    first = blend(_read(facades, seen, place), _read(facades, seen, place + 1), part_down)
    place += spans.repeated(np.where(columns.count > 1, columns.stride, 0))
    second = blend(_read(facades, seen, place), _read(facades, seen, place + 1), part_down)
    return blend(first, second, spans.repeated(weight_of(across - left)))


def _columns(camera: Viewpoint, facades: list[Facade], seen: _Seen) -> _Columns:
    textures = [facade.texture for facade in facades]
    levels = np.array([len(texture.start) for texture in textures])
    level = np.minimum(_level(seen, PIXELS_PER_M / camera.focal_px), levels[seen.wall] - 1)
    at = (np.cumsum(levels) - levels)[seen.wall] + level
    texels_per_m = (PIXELS_PER_M * 0.5**level).astype(np.float32)
    height_m = np.array([facade.height_m for facade in facades], np.float32)[seen.wall]
    return _Columns(
        start=np.concatenate([texture.start for texture in textures])[at],
        count=np.concatenate([texture.columns for texture in textures])[at],
        stride=np.concatenate([texture.stride for texture in textures])[at],
        across=seen.along_m * texels_per_m,
        bottom=height_m * texels_per_m + PAD,
        texels_per_m=texels_per_m,
    )


def _read(facades: list[Facade], seen: _Seen, place: Ints) -> Packed:
    """The texels at `place`, each in the texture of the wall that its pixel shows; spans lie wall by wall."""
    ends = np.searchsorted(seen.wall, np.arange(len(facades) + 1))
    bounds = np.concatenate([[0], np.cumsum(seen.spans.lengths)])[ends]
    found = np.empty(len(place), np.uint32)
    for facade, (low, high) in zip(facades, pairwise(bounds), strict=True):
        facade.texture.texels.take(place[low:high], out=found[low:high], mode="clip")
    return found


def _masonry(camera: Viewpoint, facades: list[Facade], seen: _Seen, up: Floats, shown: Bytes) -> Floats:
    """The factor of the masonry's texture, where it is `shown` (0..255), faded out with distance."""
    spans, pile = seen.spans, tiles.masonry_tiles()
    kinds = np.array([tiles.MASONRIES.index(facade.masonry) for facade in facades])
    level = np.minimum(_level(seen, tiles.TILE_PPM / camera.focal_px), tiles.LEVELS - 1)
    bond = pile.sample(spans.repeated(pile.place(kinds[seen.wall], level)), spans.each(seen.along_m), up)
    bond -= 1
    bond *= shown
    bond *= spans.each(np.clip(1.6 - seen.far_m / 25, 0, 1) / 255)
    bond += 1
    return bond


def _level(seen: _Seen, texels_per_px: float) -> Ints:
    """The level of each span: by both directions in which texels crowd together, `texels_per_px` at one metre."""
    crowd = texels_per_px * seen.far_m * np.sqrt(np.minimum(seen.slant, 6))
    return np.asarray(np.clip(np.round(np.log2(crowd)), 0, LEVELS - 1), np.intp)
