"""What the generated campus looks like and how its receivers err, in numbers."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from collect.simulation.campus.plan import Building
from collect.simulation.campus.walls import cast, walls_of
from collect.simulation.campus.world import build_world
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.drawing.light import WEATHERS, Light, light_at
from collect.simulation.drawing.spans import covered
from collect.simulation.facades.texture import PAD, blend, texture_of, unpacked
from collect.simulation.phones.receiver import drift, held_inside
from collect.simulation.phones.sights import find_sights, team_sights
from collect.simulation.phones.walks import Place, plan_walks, take_photos
from collect.simulation.rendering.render import render
from collect.simulation.rendering.scene import Scene, set_scene
from collect.simulation.rendering.solids import CAR_COLOURS, car, draw

SITE = box(-110, -120, 110, 120)
PLACE = Place(latitude=39.95, longitude=-75.19, zone=ZoneInfo("America/New_York"))


def light(hour: int = 16, weather: int = 0) -> Light:
    return light_at(datetime(2025, 6, 21, hour, tzinfo=UTC), 39.95, -75.19, WEATHERS[weather])


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A campus without trees, people and cars, so that only walls stand between the camera and the sky."""
    full = set_scene(build_world(SITE.wkb, 1), light(), seed=1, walk=0)
    plan = full.world.plan
    bare = replace(plan, trees=plan.trees[:0], lamps=plan.lamps[:0], benches=plan.benches[:0])
    return replace(full, world=replace(full.world, plan=bare), cars=full.cars[:0], people=full.people[:0])


def facing_a_wall(scene: Scene, distance_m: float) -> tuple[Viewpoint, int]:
    """A camera straight in front of the middle of a wall with nothing in between, and the wall's number."""
    walls = scene.world.walls
    for wall in np.flatnonzero(walls.on_site & (walls.length_m > 12)):
        east, north = (
            walls.start[wall] + walls.along[wall] * walls.length_m[wall] / 2 + walls.normals[wall] * distance_m
        )
        heading = np.degrees(np.arctan2(-walls.normals[wall][0], -walls.normals[wall][1]))
        camera = Viewpoint(east_m=east, north_m=north, heading_deg=heading % 360, width=160, height=120)
        hits = cast(walls, camera)
        middle = hits.depth_m[:, 80]
        if hits.wall[np.argmin(middle)] == wall and middle.min() == pytest.approx(distance_m, abs=0.05):
            return camera, int(wall)
    raise AssertionError("no wall stands free")


@pytest.mark.slow
def test_a_wall_straight_ahead_spans_the_rows_that_its_height_and_distance_say(scene: Scene) -> None:
    camera, wall = facing_a_wall(scene, 11.0)
    depth = render(scene, camera).depth_m[:, 80]
    rows = np.flatnonzero(np.isclose(depth, 11.0, atol=0.05))
    foot = 60 + camera.focal_px * camera.eye_m / 11.0
    facade = scene.world.facade(wall)
    top = 60 - camera.focal_px * (facade.roof_line_m[len(facade.roof_line_m) // 2] - camera.eye_m) / 11.0
    assert rows.max() == pytest.approx(foot, abs=1.5)
    assert rows.min() == pytest.approx(max(0.0, top), abs=1.5)


def test_pitch_lowers_the_horizon_in_the_picture_and_distance_shrinks_the_wall(scene: Scene) -> None:
    camera, _ = facing_a_wall(scene, 9.0)
    raised = replace(camera, pitch_deg=6.0)
    assert raised.horizon_rows()[0] > camera.horizon_rows()[0]
    feet = [np.flatnonzero(np.isfinite(render(scene, each).depth_m[:, 80])).max() for each in (camera, raised)]
    assert feet[1] > feet[0]


def test_a_view_depends_on_heading_and_place(scene: Scene) -> None:
    camera, _ = facing_a_wall(scene, 9.0)
    turned = replace(camera, heading_deg=camera.heading_deg + 40)
    moved = replace(camera, east_m=camera.east_m + 2.5, north_m=camera.north_m + 2.5)
    base = render(scene, camera).colours
    for other in (turned, moved):
        assert np.abs(render(scene, other).colours - base).mean() > 4
    assert np.array_equal(render(scene, camera).colours, base)


@pytest.mark.slow
def test_no_pixel_is_left_unpainted(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    for path in scene.world.plan.footpaths[:4]:
        spot = path.line.interpolate(0.4, normalized=True)
        camera = Viewpoint(
            east_m=spot.x, north_m=spot.y, heading_deg=rng.uniform(0, 360), roll_deg=1.5, width=160, height=120
        )
        colours = render(scene, camera).colours
        assert np.isfinite(colours).all()
        assert (colours.sum(axis=2) > 0).all()


def test_a_nearer_wall_hides_a_farther_one_and_back_walls_are_never_seen() -> None:
    near = Building(footprint=box(-5, 10, 5, 15), height_m=6, design=0, on_site=True)
    far = Building(footprint=box(-20, 30, 20, 35), height_m=20, design=1, on_site=True)
    walls = walls_of((near, far))
    hits = cast(walls, Viewpoint(east_m=0, north_m=0, heading_deg=0, width=64, height=48))
    assert set(walls.design[hits.wall].tolist()) == {0, 1}
    assert len(hits.wall) == 2
    assert np.sort(hits.depth_m[:, 32]) == pytest.approx([10, 30])


def test_a_thing_in_front_of_a_wall_hides_it_and_one_behind_does_not_show(scene: Scene) -> None:
    camera, _ = facing_a_wall(scene, 12.0)
    plain = render(scene, camera)
    ahead = np.array(camera.forward)
    here = np.array([camera.east_m, camera.north_m])
    for distance, seen in ((5.0, True), (16.0, False)):
        people = np.array([[*(here + ahead * distance), 0.0]])
        view = render(replace(scene, people=people), camera)
        assert bool(np.abs(view.colours - plain.colours).max() > 20) is seen
    closest = render(replace(scene, people=np.array([[*(here + ahead * 5), 0.0]])), camera).depth_m
    assert closest[np.isfinite(closest)].min() == pytest.approx(5.0, abs=0.01)


def test_a_parked_car_is_as_large_as_its_distance_says() -> None:
    camera = Viewpoint(east_m=0, north_m=0, heading_deg=0)
    patch = draw(car(CAR_COLOURS[0]), camera, 0, 12, 0.0)
    assert patch is not None
    width = np.flatnonzero((patch.pixels[..., 3] > 128).any(axis=0))
    assert np.ptp(width) == pytest.approx(4.4 / (12 - 0.88) * camera.focal_px, rel=0.05)
    assert draw(car(CAR_COLOURS[0]), camera, 0, -12, 0.0) is None


def test_sunlit_walls_are_brighter_than_walls_in_shadow_and_seasons_turn() -> None:
    noon = light()
    to_sun = np.array(noon.sun[:2]) / np.hypot(*noon.sun[:2])
    assert sum(noon.on_wall(*to_sun)) > sum(noon.on_wall(*-to_sun))
    assert 0.9 < np.linalg.norm(noon.sun) < 1.1
    assert light_at(datetime(2025, 1, 9, 16, tzinfo=UTC), -33.0, 151.0, WEATHERS[0]).season.name == "summer"


def test_receiver_errors_have_the_stated_size_and_fade_over_time() -> None:
    errors = drift(np.random.default_rng(0), np.arange(0.0, 400_000.0, 10.0), 8.0)
    assert np.median(np.hypot(*errors.T)) == pytest.approx(8.0, rel=0.05)
    for lag, expected in ((1, np.exp(-10 / 90)), (9, np.exp(-1)), (60, 0.0)):
        correlation = np.corrcoef(errors[lag:, 0], errors[:-lag, 0])[0, 1]
        assert correlation == pytest.approx(expected, abs=0.06)


def test_an_error_that_would_leave_the_site_is_shortened() -> None:
    site = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)])
    error = held_inside(np.array([8.0, 5.0]), np.array([6.0, 0.0]), site)
    assert 0 <= error[0] <= 2
    assert held_inside(np.array([2.0, 5.0]), np.array([6.0, 0.0]), site) == pytest.approx([6.0, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize("photos", [60, 240])
def test_nearly_every_view_was_photographed_on_another_walk_too(photos: int) -> None:
    shots = take_photos(build_world(SITE.wkb, 2), plan_walks(PLACE, photos, 2), photos, 2)
    assert len(shots) == photos
    spots = np.array([(shot.camera.east_m, shot.camera.north_m) for shot in shots])
    headings = np.array([shot.camera.heading_deg for shot in shots])
    walks = np.array([shot.walk.number for shot in shots])
    apart = np.hypot(*(spots[:, None] - spots[None]).transpose(2, 0, 1))
    turned = np.abs((headings[:, None] - headings[None] + 180) % 360 - 180)
    alike = (apart < 8) & (turned < 30)
    for held_out in combinations(range(walks.max() + 1), 2):
        test = np.isin(walks, held_out)
        assert alike[np.ix_(test, ~test)].any(axis=1).mean() > 0.85


@pytest.mark.slow
def test_fewer_photos_visit_the_first_of_the_same_sights() -> None:
    world = build_world(SITE.wkb, 2)
    few, many = team_sights(world, 120), team_sights(world, 400)
    assert len(few) < len(many) <= len(find_sights(world))
    assert np.array_equal(many[: len(few)], few)
    assert len(np.unique(team_sights(world, 5000), axis=0)) == len(find_sights(world))


def test_walks_of_one_day_differ_in_weather_and_no_two_walks_in_exposure() -> None:
    walks = plan_walks(PLACE, 600, 4)
    days: dict[str, list[str]] = {}
    for walk in walks:
        days.setdefault(walk.start.astimezone(PLACE.zone).date().isoformat(), []).append(walk.light.weather.name)
    assert all(len(set(weathers)) == len(weathers) for weathers in days.values())
    warmths = [walk.exposure.gains[0] / walk.exposure.gains[2] for walk in walks]
    assert len({round(warmth, 6) for warmth in warmths}) == len(walks)


@pytest.mark.slow
def test_sides_of_a_building_carry_different_features() -> None:
    world = build_world(SITE.wkb, 1)
    design = int(world.walls.design[0])
    sides = [int(wall) for wall in np.flatnonzero(world.walls.design == design) if world.walls.length_m[wall] > 12][:2]
    first, second = (world.facade(side).texture for side in sides)
    assert first.texels.size != second.texels.size or not np.array_equal(first.texels, second.texels)
    assert np.array_equal(build_world(SITE.wkb, 1).facade(sides[0]).texture.texels, first.texels)


@given(first=st.integers(0, 255), second=st.integers(0, 255), weight=st.integers(0, 256))
def test_blending_packed_texels_is_blending_each_byte(first: int, second: int, weight: int) -> None:
    one = np.array([[first, second, 255, 0]], np.uint8).view(np.uint32)[0]
    other = np.array([[second, first, 0, 255]], np.uint8).view(np.uint32)[0]
    mixed = unpacked(blend(one, other, np.array([weight], np.uint32)))[0].astype(int)
    exact = unpacked(one)[0].astype(int) * (256 - weight) + unpacked(other)[0].astype(int) * weight
    assert mixed.tolist() == (exact // 256).tolist()


def test_a_texture_holds_the_columns_of_a_picture_and_of_its_halvings() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 20, 4), np.uint8)
    texture = texture_of(pixels)
    for column in (0, 19):
        place = texture.start[0] + column * texture.stride[0]
        stored = unpacked(texture.texels[place : place + texture.stride[0]])
        assert np.array_equal(stored[PAD:-PAD], pixels[:, column])
        assert np.array_equal(stored[:PAD], np.repeat(pixels[:1, column], PAD, axis=0))
    assert texture.columns.tolist() == [20, 10, 5]
    mean = pixels[:2, :2].reshape(4, 4).mean(axis=0)
    assert unpacked(texture.texels[texture.start[1] + PAD :][:1])[0] == pytest.approx(mean, abs=0.51)


def test_spans_cover_the_pixels_whose_middles_lie_within() -> None:
    spans = covered(np.array([3, 7, 9]), np.array([-2.0, 1.5, 4.0]), np.array([1.6, 3.5, 2.0]), 10)
    assert spans.lengths.tolist() == [2, 2, 0]
    assert spans.rows().tolist() == [0, 1, 1, 2]
    assert spans.repeated(spans.column).tolist() == [3, 3, 7, 7]
