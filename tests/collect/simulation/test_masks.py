"""The masks of the generated campus: what each pixel shows, told by the renderer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from shapely.geometry import box

from collect.simulation.campus.world import CampusWorld, build_world
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.drawing.light import WEATHERS, light_at
from collect.simulation.rendering.render import render
from collect.simulation.rendering.scene import Scene, set_scene
from collect.simulation.simulate import simulate
from img2gps.masks import CLASSES, read_class_table, read_mask
from img2gps.site import load_site

SKY, GROUND, BUILDING = CLASSES.index("sky"), CLASSES.index("ground"), CLASSES.index("building")
CENTRE = (48, 64)


@pytest.fixture(scope="module")
def world() -> CampusWorld:
    return build_world(box(-110, -120, 110, 120).wkb, 1)


@pytest.fixture(scope="module")
def scene(world: CampusWorld) -> Scene:
    """A campus without anything that stands on it."""
    from datetime import UTC, datetime

    light = light_at(datetime(2025, 6, 21, 16, tzinfo=UTC), 39.95, -75.19, WEATHERS[0])
    full = set_scene(world, light, seed=1, walk=0)
    plan = world.plan
    bare = replace(plan, trees=plan.trees[:0], lamps=plan.lamps[:0], benches=plan.benches[:0])
    return replace(full, world=replace(world, plan=bare), cars=full.cars[:0], people=full.people[:0])


def across_a_path(world: CampusWorld) -> tuple[Viewpoint, float, float]:
    """A camera with twelve free metres ahead, and the spot six metres before it."""
    for path in world.plan.footpaths:
        spot = path.line.interpolate(0.5, normalized=True)
        for heading in range(0, 360, 15):
            east, north = np.sin(np.radians(heading)), np.cos(np.radians(heading))
            steps = [np.array([spot.x + far * east, spot.y + far * north]) for far in (0, 3, 6, 9, 12)]
            if all(world.walkable(step) for step in steps):
                camera = Viewpoint(east_m=spot.x, north_m=spot.y, heading_deg=heading, width=128, height=96)
                return camera, float(steps[2][0]), float(steps[2][1])
    raise AssertionError("no path has room")


def test_what_stands_in_front_is_told_from_what_lies_behind(scene: Scene) -> None:
    camera, east, north = across_a_path(scene.world)
    empty = render(scene, camera, classify=True).classes
    assert empty is not None
    assert set(np.unique(empty)) <= {SKY, GROUND, BUILDING, CLASSES.index("sign"), CLASSES.index("vegetation")}
    for kind, things in (
        ("person", {"people": np.array([[east, north, 3.0]])}),
        ("vehicle", {"cars": np.array([[east, north, 0.0, 1.0]])}),
    ):
        shown = render(replace(scene, **things), camera, classify=True).classes  # type: ignore[arg-type]
        assert shown is not None
        changed = shown != empty
        assert changed.any()
        assert set(shown[changed]) == {CLASSES.index(kind)}


def test_pixels_change_exactly_where_the_class_does(scene: Scene) -> None:
    camera, east, north = across_a_path(scene.world)
    before, after = (
        render(replace(scene, people=np.array(people).reshape(-1, 3)), camera, classify=True)
        for people in ([], [[east, north, 3.0]])
    )
    assert before.classes is not None
    assert after.classes is not None
    moved = np.abs(after.colours - before.colours).max(axis=2) > 0
    person = after.classes == CLASSES.index("person")
    assert moved[person].mean() > 0.99
    assert (moved & ~person).sum() < 0.2 * person.sum()  # half-covered pixels along the outline


def test_sky_lies_above_buildings_and_these_above_the_ground(scene: Scene) -> None:
    camera, _, _ = across_a_path(scene.world)
    classes = render(scene, camera, classify=True).classes
    assert classes is not None
    assert (classes[-1] == GROUND).all()
    for column in classes.T:
        ground = np.flatnonzero(column == GROUND)
        assert (np.diff(ground) == 1).all()
        assert not (column[ground[0] :] == SKY).any()


def test_signs_are_where_facades_have_them(scene: Scene) -> None:
    """Straight before a wall with a name board, the board's pixels are sign and its surroundings building."""
    world, sign = scene.world, CLASSES.index("sign")
    for wall in np.flatnonzero(world.walls.on_site):
        marks = [mark for mark in world.facade(int(wall)).marks if mark.kind == sign and mark.right - mark.left > 3]
        if not marks:
            continue
        middle = (marks[0].left + marks[0].right) / 2
        spot = world.walls.start[wall] + world.walls.along[wall] * middle + world.walls.normals[wall] * 7
        if not world.walkable(spot):
            continue
        east, north = -world.walls.normals[wall]
        heading = float(np.degrees(np.arctan2(east, north)) % 360)
        camera = Viewpoint(east_m=spot[0], north_m=spot[1], heading_deg=heading, width=128, height=96, pitch_deg=20)
        classes = render(scene, camera, classify=True).classes
        assert classes is not None
        row = round(
            float(camera.horizon_rows()[64])
            - camera.focal_px * ((marks[0].top + marks[0].bottom) / 2 - camera.eye_m) / 7
        )
        assert classes[row, 64] == sign
        assert (classes == BUILDING).any()
        return
    raise AssertionError("no name board can be stood before")


def test_the_colours_are_the_same_with_and_without_classes(scene: Scene) -> None:
    camera, _, _ = across_a_path(scene.world)
    assert (render(scene, camera).colours == render(scene, camera, classify=True).colours).all()


def test_passers_by_differ_between_walks_and_leave_all_else_as_it_is(world: CampusWorld, scene: Scene) -> None:
    usual, crowded, other = (
        set_scene(world, scene.light, seed=1, walk=walk, passers_by=more) for walk, more in ((0, 0), (0, 4), (1, 4))
    )
    assert len(crowded.people) > 3 * len(usual.people)
    assert len(crowded.cars) > len(usual.cars)
    assert (crowded.people[: len(usual.people)] == usual.people).all()
    assert (crowded.sky == usual.sky).all()
    assert not set(map(tuple, crowded.people)) & set(map(tuple, other.people))


@pytest.mark.slow
def test_every_picture_has_its_mask_upright(tmp_path: Path) -> None:
    simulate(
        tmp_path / "out",
        photos=12,
        seed=3,
        site=load_site("penn-engineering-quad"),
        long_side_px=96,
        jobs=1,
        masks=True,
    )
    photos = sorted((tmp_path / "out" / "photos").glob("*.jpg"))
    table = read_class_table(tmp_path / "out" / "masks" / "classes.csv")
    for path in photos:
        mask = read_mask(tmp_path / "out" / "masks" / f"{path.name}.png", table)
        with Image.open(path) as image:
            assert mask.shape == ImageOps.exif_transpose(image).size[::-1]
    assert len(photos) >= 12
    assert list(table[:8]) == list(range(8))
