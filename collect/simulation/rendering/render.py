"""Renders what a phone sees on the campus: sky, walls, ground, then everything that stands on it from far to near."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from collect.simulation.arrays import Bytes, Doubles, Floats, Ints
from collect.simulation.campus.walls import cast
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.rendering import sprites
from collect.simulation.rendering.paint import haze, paint_walls
from collect.simulation.rendering.paving import paint_ground
from collect.simulation.rendering.scene import PERSON_M, Scene
from collect.simulation.rendering.sky import paint_visible_sky
from collect.simulation.rendering.solids import CAR_COLOURS, Face, Patch, bench, car, draw
from img2gps.masks import CLASSES

NEAREST_THING_M = 1.2
REACH_M = 130.0
LAMP_M = 4.2


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A rendered view: colours (height, width, 3) in 0..255, distance of walls and things (height, width), else inf.

    `classes` (height, width) says what each pixel shows, by its number in `img2gps.masks.CLASSES`; None: not asked for.
    """

    colours: Floats
    depth_m: Floats
    classes: Bytes | None = None


def render(scene: Scene, camera: Viewpoint, *, classify: bool = False) -> View:
    """Render the view of `camera`; `classify` its pixels, too. The colours are the same either way."""
    colours = np.zeros((3, camera.height, camera.width), np.float32)
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    classes = np.full(depth.shape, CLASSES.index("sky"), np.uint8) if classify else None
    hits = cast(scene.world.walls, camera)
    nearest_m = np.min(hits.depth_m, axis=0, initial=np.inf)
    roofs = paint_walls(colours, depth, scene, camera, hits, classes)
    ground = paint_ground(colours, scene, camera, nearest_m)
    if classes is not None:
        _classify_ground(classes, ground)
    paint_visible_sky(colours, scene.sky, camera, np.minimum(roofs, ground))
    things = [*_billboards(scene, camera, nearest_m), *_solids(scene, camera, nearest_m)]
    for thing in sorted(things, key=lambda thing: -thing.depth_m):
        _compose(colours, depth, scene, thing, classes)
    return View(colours=colours.transpose(1, 2, 0), depth_m=depth, classes=classes)


def _classify_ground(classes: Bytes, top: Ints) -> None:
    """Call everything from row `top` of each column downwards ground."""
    classes[np.arange(len(classes))[:, None] >= top[None]] = CLASSES.index("ground")


def _billboards(scene: Scene, camera: Viewpoint, nearest_m: Doubles) -> Iterator[Patch]:
    """Trees, lamps and people in view, scaled to their distance."""
    season = scene.light.season.name
    plan = scene.world.plan
    for east, north, height, variant in _near(plan.trees, camera, nearest_m, 4.5):
        sprite = sprites.tree(season, int(variant * sprites.TREES_PER_SEASON))
        yield from _stand(sprite, camera, east, north, height, "vegetation")
    for east, north in _near(plan.lamps, camera, nearest_m, 0.4):
        yield from _stand(sprites.lamp(), camera, east, north, LAMP_M, "other")
    for east, north, variant in _near(scene.people, camera, nearest_m, 0.5):
        tall_m = PERSON_M * (0.93 + 0.012 * (variant % 10))
        yield from _stand(sprites.person(int(variant)), camera, east, north, tall_m, "person")


def _near(things: Doubles, camera: Viewpoint, nearest_m: Doubles, half_m: float) -> Doubles:
    """The rows of `things`, about `half_m` metres to each side, that are ahead, in view and not hidden by walls.

    `nearest_m` is the distance of the nearest wall per column.
    """
    ahead, right = camera.ahead_and_right(things[:, 0], things[:, 1])
    in_reach = np.flatnonzero((ahead > NEAREST_THING_M) & (ahead < REACH_M))
    ahead, right = ahead[in_reach], right[in_reach]
    middle, half = camera.width / 2 + camera.focal_px * right / ahead, camera.focal_px * half_m / ahead
    first = np.clip(middle - half, 0, camera.width).astype(np.intp)
    last = np.clip(middle + half + 1, 0, camera.width).astype(np.intp)
    in_view = first < last
    first, last, ahead = first[in_view], last[in_view], ahead[in_view]
    # The maxima over [first, last) are at the even places; the sentinel lets `last` be the width.
    pairs = np.column_stack([first, last]).ravel()
    open_m = np.maximum.reduceat(np.append(nearest_m, 0.0), pairs)[::2] if len(pairs) else ahead
    return things[in_reach[in_view][open_m > ahead]]


def _stand(
    sprite: sprites.Sprite, camera: Viewpoint, east: float, north: float, height_m: float, kind: str
) -> Iterator[Patch]:
    """The cut of a sprite that falls inside the image, at the size it has there; none where it has left it."""
    ahead, right = camera.ahead_and_right(np.array([east]), np.array([north]))
    far, scale = float(ahead[0]), camera.focal_px / float(ahead[0])
    middle = camera.width / 2 + scale * float(right[0])
    foot, tall = float(camera.horizon_at(np.array(middle))) + scale * camera.eye_m, scale * height_m
    wide = tall * sprite.width_to_height
    left, right_end = max(0, round(middle - wide / 2)), min(camera.width, round(middle + wide / 2))
    top, bottom = max(0, round(foot - tall)), min(camera.height, round(foot))
    if right_end <= left or bottom <= top or tall < 3:
        return
    ratio = sprite.levels[0].shape[0] / tall
    level = int(np.clip(np.round(np.log2(max(ratio, 1e-3))), 0, len(sprite.levels) - 1))
    texture = sprite.levels[level]
    u = (np.arange(left, right_end) + 0.5 - (middle - wide / 2)) / wide * texture.shape[1]
    v = (np.arange(top, bottom) + 0.5 - (foot - tall)) / tall * texture.shape[0]
    columns = np.clip(u.astype(np.intp), 0, texture.shape[1] - 1)
    rows = np.clip(v.astype(np.intp), 0, texture.shape[0] - 1)
    yield Patch(pixels=texture[rows[:, None], columns], left=left, top=top, depth_m=far, kind=kind)


def _solids(scene: Scene, camera: Viewpoint, nearest_m: Doubles) -> Iterator[Patch]:
    """Cars and benches in view."""
    for east, north, angle, colour in _near(scene.cars, camera, nearest_m, 2.3):
        yield from _solid(car(CAR_COLOURS[int(colour)]), camera, east, north, angle, "vehicle")
    for east, north, angle in _near(scene.world.plan.benches, camera, nearest_m, 1.0):
        yield from _solid(bench(), camera, east, north, angle, "other")


def _solid(
    faces: tuple[Face, ...], camera: Viewpoint, east: float, north: float, angle: float, kind: str
) -> Iterator[Patch]:
    patch = draw(faces, camera, east, north, angle)
    if patch is not None:
        yield replace(patch, kind=kind)


def _compose(colours: Floats, depth: Floats, scene: Scene, thing: Patch, classes: Bytes | None) -> None:
    """Lay a thing over what is farther away, in the light that it stands in."""
    height, width, _ = thing.pixels.shape
    rows, columns = slice(thing.top, thing.top + height), slice(thing.left, thing.left + width)
    opacity = thing.pixels[..., 3] * np.float32(1 / 255)
    opacity *= depth[rows, columns] > thing.depth_m
    light = scene.light
    fog = float(haze(np.array(thing.depth_m), light))
    for channel, veil in enumerate(light.weather.horizon):
        lit = (light.ambient[channel] + 0.6 * light.direct[channel]) * (1 - fog)
        shown = thing.pixels[..., channel] * np.float32(lit)
        shown += np.float32(veil * fog)
        window = colours[channel, rows, columns]
        shown -= window
        shown *= opacity
        window += shown
    depth[rows, columns][opacity > 0.5] = thing.depth_m
    if classes is not None:
        classes[rows, columns][opacity > 0.5] = CLASSES.index(thing.kind)
