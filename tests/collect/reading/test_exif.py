"""EXIF to facts: nothing is guessed, and nothing that a file holds raises."""

import io
import math
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import piexif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import EAST_CAMPUS, exif_bytes, image_bytes, photo_bytes, scene, write_site
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from collect.ingestion.photo_reader import FileTask, ReadSettings, read_file
from collect.reading.exif import read_facts
from collect.reading.facts import Facts, Position, PositionProblem
from collect.reading.gps_tags import position_of
from collect.validation.rules import Rules
from img2gps.imaging import open_image, upright_rgb
from img2gps.site import load_site
from img2gps.types import Photo

GPS = piexif.GPSIFD


def facts(**options: Any) -> Facts:
    return read_facts(open_image(photo_bytes(size=(32, 24), **options)))


def problem(**options: Any) -> str:
    position = facts(**options).position
    assert isinstance(position, PositionProblem)
    return position.reason


@pytest.mark.parametrize(("lon", "lat"), [(8.5, 50.25), (-75.19, 39.95), (151.2, -33.87), (-70.6, -33.4)])
def test_every_hemisphere(lon: float, lat: float) -> None:
    position = facts(lon=lon, lat=lat).position
    assert isinstance(position, Position)
    assert (position.lon, position.lat) == pytest.approx((lon, lat), abs=1e-9)


ZERO_OVER_ZERO = ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("no_gps", {"lon": None}),
        ("no_gps", {"without": (GPS.GPSLatitude,)}),
        ("gps_redacted", {"gps": {GPS.GPSLatitude: ZERO_OVER_ZERO, GPS.GPSLongitude: ZERO_OVER_ZERO}}),
        (
            "gps_redacted",
            {"gps": {GPS.GPSLatitude: ZERO_OVER_ZERO, GPS.GPSLongitude: ZERO_OVER_ZERO, GPS.GPSLatitudeRef: b"\0"}},
        ),
        ("gps_not_finite", {"gps": {GPS.GPSLatitude: ((50, 0), (0, 1), (0, 1))}}),
        ("gps_not_finite", {"gps": {GPS.GPSLatitude: ZERO_OVER_ZERO}}),
        ("gps_not_finite", {"gps": {GPS.GPSLatitude: ((50, 1), (0, 1))}}),
        ("gps_not_finite", {"gps": {GPS.GPSLatitude: ((50, 1), (75, 1), (0, 1))}}),
        ("gps_not_finite", {"gps": {GPS.GPSMapDatum: b"TOKYO"}}),
        ("gps_not_finite", {"gps": {GPS.GPSMapDatum: b"Nad-27"}}),
        ("gps_not_finite", {"gps": {GPS.GPSMapDatum: b"GCJ-02"}}),
        ("gps_ref_missing", {"without": (GPS.GPSLongitudeRef,)}),
        ("gps_ref_missing", {"gps": {GPS.GPSLatitudeRef: b"X"}}),
        ("gps_ref_missing", {"gps": {GPS.GPSLatitudeRef: b"E"}}),
        ("null_island", {"lon": 0.0, "lat": 0.0}),
        ("null_island", {"lon": 0.009, "lat": -0.009}),
        ("null_island", {"lon": 0.0, "lat": 0.0, "without": (GPS.GPSLatitudeRef, GPS.GPSLongitudeRef)}),
    ],
)
def test_positions_that_are_none(reason: str, options: dict[str, Any]) -> None:
    assert problem(**options) == reason


def test_no_exif_at_all() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    position = read_facts(open_image(buffer.getvalue())).position
    assert position == PositionProblem(reason="no_exif")


@pytest.mark.parametrize("datum", [b"WGS-84", b"WGS 84", b"wgs84\0", b"NAD83", b"JGD2000", b"", b"   "])
def test_datums_that_are_wgs_84_or_within_metres_of_it(datum: bytes) -> None:
    assert isinstance(facts(gps={GPS.GPSMapDatum: datum}).position, Position)


def with_second_exif(first: bytes, second: bytes) -> Image.Image:
    """Return a photo with the EXIF block `first`, and `second` in a further segment behind it."""
    data = image_bytes(scene((32, 24)), exif=first)
    end = data.index(b"\xff\xe1") + 4 + len(first)
    return open_image(data[:end] + b"\xff\xe1" + (len(second) + 2).to_bytes(2, "big") + second + data[end:])


def test_two_exif_blocks_may_agree_and_may_not_disagree() -> None:
    here, elsewhere = exif_bytes(), exif_bytes(lat=EAST_CAMPUS[1] + 0.001)
    assert isinstance(read_facts(with_second_exif(here, here)).position, Position)
    assert isinstance(read_facts(with_second_exif(here, exif_bytes(lon=None))).position, Position)
    position = read_facts(with_second_exif(here, elsewhere)).position
    assert isinstance(position, PositionProblem)
    assert position.reason == "gps_not_finite"


def test_a_resolution_or_orientation_that_is_text_costs_no_photo() -> None:
    block = bytearray(exif_bytes(zeroth={piexif.ImageIFD.XResolution: (72, 1)}, orientation=6))
    for tag in (piexif.ImageIFD.XResolution, piexif.ImageIFD.Orientation):
        entry = block.index(tag.to_bytes(2, "big") + b"\0")
        block[entry + 2 : entry + 12] = b"\0\x02\0\0\0\x01\0\0\0\0"
    image = open_image(image_bytes(scene((32, 24)), exif=bytes(block)))
    assert isinstance(read_facts(image).position, Position)
    assert upright_rgb(image).size == (32, 24)


def test_zero_accuracy_means_unknown() -> None:
    assert facts(accuracy_m=0.0).accuracy_m is None
    assert facts(accuracy_m=None).accuracy_m is None
    assert facts(gps={GPS.GPSHPositioningError: (5, 0)}).accuracy_m is None
    assert facts(accuracy_m=4.75).accuracy_m == 4.75


def test_heading_zero_is_north_and_none_is_unknown() -> None:
    assert (facts(heading_deg=0.0).heading_deg, facts(heading_deg=360.0).heading_deg) == (0.0, 0.0)
    assert facts(heading_deg=None).heading_deg is None
    assert facts(heading_deg=400.0).heading_deg is None
    assert facts(heading_ref="M").heading_ref == "M"
    assert facts(heading_ref="?").heading_ref is None


def test_times_are_read_with_their_offset() -> None:
    zone = timezone(timedelta(hours=-4, minutes=-30))
    read = facts(taken_at=datetime(2024, 9, 23, 16, 6, 58, 250_000, tzinfo=zone), fix_age_s=2.25)
    assert read.local_time == datetime(2024, 9, 23, 16, 6, 58, 250_000)
    assert read.utc_offset_min == -270
    assert read.gps_time == datetime(2024, 9, 23, 20, 36, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    "written", [b"0000:00:00 00:00:00", b"    :  :     :  :  ", b"2024:13:01 00:00:00", b"gestern"]
)
def test_times_that_are_none(written: bytes) -> None:
    assert facts(exif={piexif.ExifIFD.DateTimeOriginal: written}).local_time is None


def test_text_is_cut_at_its_nul() -> None:
    read = facts(make="Acme\0rubbish", model="  Phone 1  ")
    assert (read.make, read.model) == ("Acme", "Phone 1")


rationals = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
parts = st.one_of(
    rationals.map(lambda pair: IFDRational(*pair)), st.floats(), st.integers(), st.text(max_size=3), st.none()
)
coordinates = st.one_of(
    parts, st.tuples(parts, parts, parts), st.lists(parts, max_size=4).map(tuple), st.binary(max_size=4)
)


@pytest.mark.slow
@given(
    latitude=coordinates,
    longitude=coordinates,
    refs=st.tuples(*[st.sampled_from(["N", "S", "E", "W", "", None, b"N", "n\0", 7])] * 2),
)
@settings(max_examples=300)
def test_any_tag_values_give_finite_degrees_or_a_reason(latitude: Any, longitude: Any, refs: tuple[Any, Any]) -> None:
    position = position_of({1: refs[0], 2: latitude, 3: refs[1], 4: longitude})
    if isinstance(position, Position):
        assert math.isfinite(position.lon)
        assert math.isfinite(position.lat)
        assert isinstance(latitude, tuple)
        assert len(latitude) == 3


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
@settings(max_examples=60)
def test_positions_survive_the_way_through_a_file(lon: float, lat: float) -> None:
    block = exif_bytes(lon=lon, lat=lat)
    exif = Image.Exif()
    exif.load(block)
    position = position_of(exif.get_ifd(0x8825))
    if isinstance(position, Position):
        assert (position.lon, position.lat) == pytest.approx((lon, lat), abs=1e-9)
    else:
        assert position.reason == "null_island"
        assert max(abs(lon), abs(lat)) <= 0.0100001


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Return a photo with some bytes of its EXIF block changed."""
    start = data.index(b"Exif\0\0") + 6
    changed = bytearray(data)
    for _ in range(generator.randint(1, 8)):
        changed[generator.randrange(start, start + 400)] = generator.choice((0, 0xFF, 0x7F, generator.randrange(256)))
    return bytes(changed)


@pytest.mark.slow
def test_mutated_exif_never_raises_and_never_moves_a_photo_unnoticed(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path / "site.geojson"))
    read_settings = ReadSettings(rules=Rules(site=site, device_salt="s"), short_side_px=64, pixels="check")
    generator = random.Random(0)
    data = photo_bytes(size=(48, 32))
    path = tmp_path / "a.jpg"
    for _ in range(400):
        path.write_bytes(mutated(data, generator))
        outcome = read_file(FileTask(path=bytes(path), name="a.jpg"), read_settings).outcome
        if isinstance(outcome, Photo):
            assert abs(outcome.lon - EAST_CAMPUS[0]) < 0.01
            assert abs(outcome.lat - EAST_CAMPUS[1]) < 0.01
