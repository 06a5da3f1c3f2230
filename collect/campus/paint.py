"""Paints walls and ground into a view: perspective, texture, light and haze."""

import numpy as np

from collect.campus import tiles
from collect.campus.arrays import Bytes, Colour, Doubles, Floats, Ints, Mask
from collect.campus.camera import Camera
from collect.campus.canvas import PIXELS_PER_M
from collect.campus.facade import Facade
from collect.campus.ground import GROUND_PPM, SHADOW_PPM, SURFACES
from collect.campus.light import Light
from collect.campus.scene import Scene
from collect.campus.walls import Hits

SURFACE_COLOURS: dict[str, Colour] = {
    "brick": (150, 92, 78), "slabs": (178, 174, 164), "pavers": (136, 130, 128), "cobbles": (120, 116, 112),
    "gravel": (184, 166, 136), "asphalt": (84, 86, 90), "soil": (104, 80, 62), "kerb": (196, 192, 184),
    "white_line": (226, 226, 222), "yellow_line": (212, 168, 56),
}  # fmt: skip
TILE_OF_SURFACE = np.array(
    [tiles.GROUNDS.index(name if name in tiles.GROUNDS else "plain") for name in SURFACES], np.intp
)


def haze(depth_m: Doubles, light: Light) -> Floats:
    """The share of a colour that haze replaces at each depth."""
    return np.asarray(1 - np.exp2(-depth_m / light.weather.haze_m), np.float32)


def paint_walls(view: Floats, depth: Floats, scene: Scene, camera: Camera, hits: Hits) -> None:
    """Paint what is seen of each wall into `view`, its distance into `depth`."""
    horizon = camera.horizon_rows()
    facades = [scene.world.facade(int(wall)) for wall in hits.wall]
    heights = _heights(facades, hits)
    with np.errstate(invalid="ignore"):
        tops = np.where(
            np.isfinite(hits.depth_m), horizon - camera.focal_px * (heights - camera.eye_m) / hits.depth_m, np.inf
        )
    feet = horizon + camera.focal_px * camera.eye_m / hits.depth_m
    limits = _visible_limits(hits, tops, feet)
    for number, facade in enumerate(facades):
        wall = int(hits.wall[number])
        east, north = scene.world.walls.normals[wall]
        tint = np.array(scene.light.on_wall(float(east), float(north)), np.float32)
        _paint_wall(
            view,
            depth,
            scene.light,
            camera,
            facade,
            tint,
            hits.depth_m[number],
            hits.along_m[number],
            tops[number],
            limits[number],
        )


def _heights(facades: list[Facade], hits: Hits) -> Doubles:
    heights = np.zeros(hits.depth_m.shape)
    for number, facade in enumerate(facades):
        texel = (hits.along_m[number] * PIXELS_PER_M).astype(np.intp)
        heights[number] = facade.roof_line_m[np.clip(texel, 0, len(facade.roof_line_m) - 1)]
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


def _paint_wall(
    view: Floats,
    depth: Floats,
    light: Light,
    camera: Camera,
    facade: Facade,
    tint: Floats,
    depths: Doubles,
    along: Doubles,
    tops: Doubles,
    limits: Doubles,
) -> None:
    """Paint one wall where `tops` < row < `limits`."""
    first = np.clip(np.ceil(tops - 0.5), 0, camera.height)
    last = np.clip(np.ceil(limits - 0.5), 0, camera.height)
    columns = np.flatnonzero((last > first) & np.isfinite(depths))
    if len(columns) == 0:
        return
    low, high = int(first[columns].min()), int(last[columns].max())
    rows = np.arange(low, high)[:, None]
    inside = (rows >= first[columns]) & (rows < last[columns])
    row, place = np.nonzero(inside)
    column = columns[place]
    far = depths[columns]
    up = (camera.eye_m + (camera.horizon_rows()[columns] - rows - 0.5) * far / camera.focal_px)[inside]
    colours = _facade_colours(facade, camera, far, along[columns], up, place)
    fog = haze(far, light)[place][:, None]
    colours *= tint
    colours += (np.array(light.weather.horizon, np.float32) - colours) * fog
    view[row + low, column] = colours
    depth[row + low, column] = far[place]


def _facade_colours(facade: Facade, camera: Camera, far: Doubles, along: Doubles, up: Doubles, place: Ints) -> Floats:
    """Colours (n, 3) of points `up` metres high in the columns `place`: facade texture times masonry."""
    level = _level(PIXELS_PER_M * far / camera.focal_px, along, PIXELS_PER_M, len(facade.levels))
    u, v = along[place] * PIXELS_PER_M, (facade.height_m - up) * PIXELS_PER_M
    texels = np.empty((len(place), 4), np.float32)
    for number in np.unique(level):
        chosen = np.flatnonzero(level[place] == number)
        scale = 0.5**number
        texels[chosen] = _bilinear(
            facade.levels[number], u[chosen] * scale - 0.5, v[chosen] * scale - 0.5, smooth=number == 0
        )
    near = np.flatnonzero((far < 40)[place])
    fade = np.clip(1.6 - far / 25, 0, 1).astype(np.float32)[place[near]] * texels[near, 3] / 255
    bond = _masonry(facade.masonry, along, up, place, near, far, camera)
    colours = texels[:, :3]
    colours[near] *= (1 + (bond - 1) * fade)[:, None]
    return colours


def _masonry(name: str, along: Doubles, up: Doubles, place: Ints, near: Ints, far: Doubles, camera: Camera) -> Floats:
    level = _level(tiles.TILE_PPM * far / camera.focal_px, along, tiles.TILE_PPM, tiles.LEVELS)[place[near]]
    return tiles.masonry_tiles().sample(tiles.MASONRIES.index(name), level, along[place[near]], -up[near])


def _level(texels_per_px: Doubles, along: Doubles, ppm: float, count: int) -> Ints:
    """The pyramid level per column: by the larger part of the two directions in which texels crowd together."""
    across = np.abs(np.gradient(along)) * ppm if len(along) > 1 else texels_per_px
    crowd = np.sqrt(np.maximum(texels_per_px, 1e-3) * np.clip(across, texels_per_px, texels_per_px * 6))
    return np.clip(np.round(np.log2(crowd)), 0, count - 1).astype(np.intp)


def _bilinear(texture: Bytes, u: Doubles, v: Doubles, *, smooth: bool) -> Floats:
    """Texels (n, 4) at columns `u` and rows `v`; smoothly between texels, or the nearest one."""
    rows, columns, _ = texture.shape
    if not smooth:
        near: Floats = texture[
            np.clip(np.round(v), 0, rows - 1).astype(np.intp), np.clip(np.round(u), 0, columns - 1).astype(np.intp)
        ].astype(np.float32)
        return near
    u, v = np.clip(u, 0, columns - 1.001), np.clip(v, 0, rows - 1.001)
    left, upper = u.astype(np.intp), v.astype(np.intp)
    part_u, part_v = (u - left).astype(np.float32)[:, None], (v - upper).astype(np.float32)[:, None]
    flat = texture.reshape(-1, 4)
    at = upper * columns + left
    step = columns if rows > 1 else 0
    over = flat[at] * (1 - part_u) + flat[at + (columns > 1)] * part_u
    under = flat[at + step] * (1 - part_u) + flat[at + step + (columns > 1)] * part_u
    return np.asarray(over * (1 - part_v) + under * part_v, np.float32)


def below_walls(camera: Camera, nearest_m: Doubles) -> Mask:
    """The pixels (height, width) of the ground in front of walls `nearest_m` away per column (inf without one)."""
    rows = np.arange(camera.height)[:, None] + 0.5
    horizon = camera.horizon_rows()
    below: Mask = (rows > horizon + camera.focal_px * camera.eye_m / nearest_m) & (rows > horizon + 1)
    return below


def paint_ground(view: Floats, scene: Scene, camera: Camera, below: Mask) -> None:
    """Paint the ground into the pixels `below` of `view`."""
    horizon = camera.horizon_rows()
    row, column = np.nonzero(below)
    far = camera.focal_px * camera.eye_m / (row + 0.5 - horizon[column])
    aside = far * camera.slopes()[column]
    east = camera.east_m + far * camera.forward[0] + aside * camera.right[0]
    north = camera.north_m + far * camera.forward[1] + aside * camera.right[1]
    colours = ground_colours(scene, east, north, far, camera)
    fog = haze(far, scene.light)[:, None]
    view[row, column] = colours + (np.array(scene.light.weather.horizon, np.float32) - colours) * fog


def ground_colours(scene: Scene, east: Doubles, north: Doubles, far: Doubles, camera: Camera) -> Floats:
    """Colours (n, 3) of points on the ground seen from `far` metres away."""
    ground, light = scene.world.ground, scene.light
    x, y = ground.frame.to_raster(east, north)
    surface = ground.surface[
        _cell(y, GROUND_PPM, ground.surface.shape[0]), _cell(x, GROUND_PPM, ground.surface.shape[1])
    ]
    at = _cell(y, SHADOW_PPM, scene.shadows.shape[0]), _cell(x, SHADOW_PPM, scene.shadows.shape[1])
    sunlit = scene.shadows[at].astype(np.float32) / 255 * np.float32(light.sun[2] * 1.15)
    tone = ground.tone[at].astype(np.float32) / 128 * (1 - 0.3 * light.weather.wet)
    tone *= _paving(TILE_OF_SURFACE[surface], x, y, far, camera)
    lit = np.array(light.ambient, np.float32) + sunlit[:, None] * np.array(light.direct, np.float32)
    return np.asarray(_palette(light)[surface] * lit * tone[:, None], np.float32)


def _palette(light: Light) -> Floats:
    colours = {**SURFACE_COLOURS, "grass": light.season.grass}
    palette = np.array([colours[name] for name in SURFACES], np.float32)
    snowy = np.array([name in ("grass", "soil") for name in SURFACES])[:, None]
    return np.where(snowy, palette + (236 - palette) * np.float32(light.season.snow), palette).astype(np.float32)


def _paving(tile: Ints, x: Doubles, y: Doubles, far: Doubles, camera: Camera) -> Floats:
    """The factor of the paving's texture, faded out with distance."""
    crowd = tiles.TILE_PPM * far / camera.focal_px * np.sqrt(np.maximum(1, far / camera.eye_m / 2))
    level = np.clip(np.round(np.log2(np.maximum(crowd, 1e-3))), 0, tiles.LEVELS - 1).astype(np.intp)
    fade = np.clip(1.5 - far / 22, 0, 1)
    return (1 + (tiles.ground_tiles().sample(tile, level, x, y) - 1) * fade).astype(np.float32)


def _cell(metres: Doubles, ppm: int, count: int) -> Ints:
    return np.clip((metres * ppm).astype(np.intp), 0, count - 1)
