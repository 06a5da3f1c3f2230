"""Paints the ground into a view: its surfaces, their texture, sun and shadow, wear and haze."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from collect.simulation.arrays import Bytes, Colour, Doubles, Floats, Ints
from collect.simulation.campus.ground import GROUND_PPM, SHADOW_PPM, SURFACES
from collect.simulation.drawing import tiles
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.drawing.light import Light
from collect.simulation.drawing.spans import Spans, covered
from collect.simulation.rendering.paint import haze
from collect.simulation.rendering.scene import Scene

SURFACE_COLOURS: dict[str, Colour] = {
    "brick": (150, 92, 78), "slabs": (178, 174, 164), "pavers": (136, 130, 128), "cobbles": (120, 116, 112),
    "gravel": (184, 166, 136), "asphalt": (84, 86, 90), "soil": (104, 80, 62), "kerb": (196, 192, 184),
    "white_line": (226, 226, 222), "yellow_line": (212, 168, 56),
}  # fmt: skip
PLACE_OF_SURFACE = np.array(
    [tiles.GROUNDS.index(name if name in tiles.GROUNDS else "plain") * tiles.TILE**2 for name in SURFACES], np.intp
)
# Whatever depends on the distance of the ground alone is looked up by the rows below the horizon, in steps of this.
STEPS_PER_ROW = 2
NEUTRAL_TONE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByDepth:
    """What depends on the distance of the ground, an entry for each step below the horizon.

    `pile` is where the tiles of the right level of detail begin, `fade` how strongly they show.
    """

    fog: Floats
    fade: Floats
    pile: Ints


def paint_ground(view: Floats, scene: Scene, camera: Viewpoint, nearest_m: Doubles) -> Ints:
    """Paint the ground in front of walls `nearest_m` away per column (inf without one) into `view` (3, height, width).

    Returns the row of the highest painted pixel of each column.
    """
    horizon = camera.horizon_rows()
    top = np.maximum(horizon + camera.focal_px * camera.eye_m / nearest_m, horizon + 1)
    spans = covered(np.arange(camera.width), top, np.full(camera.width, float(camera.height)), camera.height)
    rows = spans.rows()
    below = rows.astype(np.float32)
    below -= spans.each(horizon - 0.5)
    far = np.float32(camera.focal_px * camera.eye_m) / below
    x, y = _raster_places(scene, camera, spans, far)
    surface = _cells(scene.world.ground.surface, x, y, GROUND_PPM).astype(np.intp)
    sunlit, tone = (_cells(raster, x, y, SHADOW_PPM) for raster in (scene.shadows, scene.world.ground.tone))
    step = (below * np.float32(STEPS_PER_ROW)).astype(np.intp)
    by_depth = _by_depth(scene.light, camera, int(step.max(initial=0)) + 1)
    fog = by_depth.fog.take(step)
    factor = tiles.ground_tiles().sample(by_depth.pile.take(step) + PLACE_OF_SURFACE.take(surface), x, y)
    factor -= 1
    factor *= by_depth.fade.take(step)
    factor += 1
    factor *= tone
    factor *= (1 - fog) * np.float32((1 - 0.3 * scene.light.weather.wet) / NEUTRAL_TONE)
    entry = surface * 256 + sunlit
    at = rows * camera.width + spans.repeated(spans.column)
    for channel, (veil, palette) in enumerate(zip(scene.light.weather.horizon, _lit_palette(scene.light), strict=True)):
        colour = palette.take(entry)
        colour *= factor
        colour += fog * np.float32(veil)
        view[channel].reshape(-1)[at] = colour
    return spans.first


def _raster_places(scene: Scene, camera: Viewpoint, spans: Spans, far: Floats) -> tuple[Floats, Floats]:
    """Metres to the right of and below the first pixel of the ground's rasters, kept within them."""
    frame, slopes = scene.world.ground.frame, camera.slopes()
    here = frame.to_raster(np.array(camera.east_m), np.array(camera.north_m))
    ahead = frame.to_raster(
        camera.east_m + camera.forward[0] + slopes * camera.right[0],
        camera.north_m + camera.forward[1] + slopes * camera.right[1],
    )
    places = []
    for start, end, size_m in zip(here, ahead, (frame.width_m, frame.height_m), strict=True):
        place = spans.each((end - start)[spans.column])
        place *= far
        place += np.float32(start)
        places.append(np.clip(place, 0, np.float32(size_m - 0.01), out=place))
    return places[0], places[1]


def _cells(raster: Bytes, x: Floats, y: Floats, ppm: int) -> Bytes:
    """The raster's values at places in metres."""
    cell = (y * np.float32(ppm)).astype(np.intp)
    cell *= raster.shape[1]
    cell += (x * np.float32(ppm)).astype(np.int32)
    return raster.reshape(-1).take(cell)


def _by_depth(light: Light, camera: Viewpoint, steps: int) -> _ByDepth:
    far = camera.focal_px * camera.eye_m / ((np.arange(steps) + 0.5) / STEPS_PER_ROW)
    crowd = tiles.TILE_PPM * far / camera.focal_px * np.sqrt(np.maximum(1, far / camera.eye_m / 2))
    level = np.clip(np.round(np.log2(crowd)), 0, tiles.LEVELS - 1).astype(np.intp)
    fade = np.clip(1.5 - far / 22, 0, 1).astype(np.float32)
    return _ByDepth(fog=haze(far, light), fade=fade, pile=tiles.ground_tiles().place(0, level))


@lru_cache(maxsize=2)
def _lit_palette(light: Light) -> tuple[Floats, ...]:
    """For red, green and blue: the colour of each surface at each of 256 shares of sunlight."""
    colours = {**SURFACE_COLOURS, "grass": light.season.grass}
    palette = np.array([colours[name] for name in SURFACES], np.float32)
    snowy = np.array([name in ("grass", "soil") for name in SURFACES])[:, None]
    palette = np.where(snowy, palette + (236 - palette) * np.float32(light.season.snow), palette)
    sunlit = np.arange(256, dtype=np.float32) / 255 * np.float32(light.sun[2] * 1.15)
    return tuple(
        (palette[:, channel, None] * (light.ambient[channel] + sunlit * light.direct[channel]))
        .astype(np.float32)
        .ravel()
        for channel in range(3)
    )
