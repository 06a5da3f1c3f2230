"""Positions and times from beside the EXIF: XMP, sidecars, Google Takeout."""

import contextlib
import json
import struct
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_runs import rows, run_ingest
from photos import EAST_CAMPUS, image_bytes, photo_bytes, scene, write_photo
from PIL import PngImagePlugin

from collect.reading.facts import Position, PositionProblem
from collect.reading.xmp import XmpError, moment_of, position_in, read_xmp
from img2gps.types import Photo

LON, LAT = EAST_CAMPUS
PLACE = 'exif:GPSLatitude="50,0.013N" exif:GPSLongitude="8,0.0074E"'
TAKEN_AT = datetime(2024, 5, 6, 7, 0, 0, tzinfo=UTC)


def xmp(attributes: str = PLACE, elements: str = "") -> bytes:
    return f"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def takeout(lat: float = LAT, lon: float = LON, *, key: str = "geoData", title: str = "", **more: object) -> str:
    place = {key: {"latitude": lat, "longitude": lon, "altitude": 0.0}}
    return json.dumps(
        {"title": title, "photoTakenTime": {"timestamp": str(int(TAKEN_AT.timestamp()))}, **place, **more}
    )


def bare(path: Path, seed: int = 0, **options: object) -> Path:
    """Write a photo without position and time."""
    return write_photo(path, seed=seed, lon=None, taken_at=None, size=(32, 24), **options)


def only(root: Path) -> Photo:
    (photo,) = rows(root).values()
    return photo


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_an_embedded_packet_gives_the_position(kind: str, tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp().decode())
    options = {"pnginfo": info} if kind == "PNG" else {"xmp": xmp()}
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").write_bytes(image_bytes(scene((64, 48)), format=kind, **options))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    photo = only(tmp_path / "ds")
    assert (photo.gps_source, photo.gps_accuracy_m) == ("xmp", None)
    assert (photo.lon, photo.lat) == pytest.approx((8 + 0.0074 / 60, 50 + 0.013 / 60))


STANDARD, EXTENDED = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"


def with_segments(*bodies: bytes) -> bytes:
    """Return a JPEG without a position, with APP1 segments in their order."""
    jpeg = photo_bytes(lon=None, size=(64, 48))
    after = 4 + int.from_bytes(jpeg[4:6], "big") if jpeg[2:4] == b"\xff\xe1" else 2
    return jpeg[:after] + b"".join(b"\xff\xe1" + struct.pack(">H", len(b) + 2) + b for b in bodies) + jpeg[after:]


def portions(packet: bytes, size: int) -> list[bytes]:
    head = EXTENDED + b"A" * 32 + struct.pack(">I", len(packet))
    return [head + struct.pack(">I", at) + packet[at : at + size] for at in range(0, len(packet), size)]


@pytest.mark.parametrize(
    "bodies",
    [
        [STANDARD + xmp(), STANDARD + xmp('xmp:Rating="3"')],
        [STANDARD + xmp('xmp:Rating="3"'), STANDARD + xmp()],
        [STANDARD + xmp('xmp:Rating="3"'), *portions(xmp(), 100)],
        [STANDARD + xmp('xmp:Rating="3"'), *reversed(portions(xmp(), 100))],
        [STANDARD + xmp(), STANDARD + xmp()],
    ],
)
def test_any_packet_of_several_gives_the_position(bodies: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(with_segments(*bodies))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    photo = only(tmp_path / "ds")
    assert photo.gps_source == "xmp"
    assert (photo.lon, photo.lat) == pytest.approx((8 + 0.0074 / 60, 50 + 0.013 / 60))


def test_packets_that_name_two_places_name_none(tmp_path: Path) -> None:
    other = xmp('exif:GPSLatitude="50,0.113N" exif:GPSLongitude="8,0.0074E"')
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(with_segments(STANDARD + xmp(), STANDARD + other))
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"gps_not_finite": 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_sidecar_is_read_in_any_encoding_of_xml(encoding: str, tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    (tmp_path / "in/a.xmp").write_bytes(xmp().decode().partition("?>")[2].encode(encoding))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert only(tmp_path / "ds").gps_source == "sidecar"


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "A.JPG.XMP"])
def test_a_sidecar_gives_position_and_time(name: str, tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    (tmp_path / "in" / name).write_bytes(xmp(f'{PLACE} xmp:CreateDate="2024-05-06T09:00:00+02:00"'))
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.new, outcomes.skipped, outcomes.sidecars, outcomes.found) == (1, 1, 1, 2)
    photo = only(tmp_path / "ds")
    assert (photo.gps_source, photo.time_source, photo.captured_at) == ("sidecar", "sidecar", TAKEN_AT)
    assert photo.utc_offset_min == 120


def test_exif_stands_before_xmp_before_a_sidecar_before_takeout(tmp_path: Path) -> None:
    def source(exif: bool, embedded: bool, sidecar: bool, json_too: bool) -> str:
        folder = tmp_path / f"{exif}{embedded}{sidecar}{json_too}"
        write_photo(
            folder / "a.jpg", lon=LON if exif else None, size=(32, 24),
            image_options={"xmp": xmp()} if embedded else {},
        )  # fmt: skip
        if sidecar:
            (folder / "a.jpg.xmp").write_bytes(xmp())
        if json_too:
            (folder / "a.jpg.json").write_text(takeout())
        run_ingest(folder, tmp_path / f"ds-{folder.name}")
        return only(tmp_path / f"ds-{folder.name}").gps_source

    assert source(True, True, True, True) == "exif"
    assert source(False, True, True, True) == "xmp"
    assert source(False, False, True, True) == "sidecar"
    assert source(False, False, False, True) == "takeout"


def test_a_label_stands_before_all_of_them(tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    (tmp_path / "in/a.jpg.json").write_text(takeout())
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file_name,lat,lon\na.jpg,{LAT + 1e-4},{LON}\n")
    run_ingest(tmp_path / "in", tmp_path / "ds", labels=labels)
    assert only(tmp_path / "ds").gps_source == "labels"


LONG = "PXL_20240506_070000123.PORTRAIT-01.COVER-of-the-walk.jpg"


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.suppl.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-edited.jpg", "IMG_1.HEIC.supplemental-metadata.json"),
        ("IMG_1(1).jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
        ("IMG_1-edited(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG (1).jpg", "IMG (1).jpg.json"),
        (LONG, f"{LONG[:46]}.json"),
        (LONG, f"{LONG[:51]}.json"),
        ("IMG_1.JPG", "IMG_1.jpg.json"),
        ("IMG_1-EDITED.jpg", "IMG_1.jpg.json"),
        ("IMG_1-изменено.jpg", "IMG_1.jpg.json"),
        (unicodedata.normalize("NFD", "Käfer-modifié.jpg"), "Käfer.jpg.json"),
        ("Käfer.jpg", unicodedata.normalize("NFD", "Käfer.jpg.json")),
        (LONG, f"{LONG[:-4]}.json"),
        ("IMG_20240506_070000_BURST1.jpg", "IMG_20240506_070000_BURST1.jpg.supplemental-me.json"),
    ],
)
def test_takeout_names_its_json_in_many_ways(photo: str, sidecar: str, tmp_path: Path) -> None:
    bare(tmp_path / "in" / photo)
    (tmp_path / "in" / sidecar).write_text(takeout(title=LONG))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    placed = only(tmp_path / "ds")
    assert (placed.gps_source, placed.time_source, placed.captured_at) == ("takeout", "takeout", TAKEN_AT)
    assert (placed.lon, placed.lat, placed.utc_offset_min) == (LON, LAT, 120)


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [("IMG_1.jpg", "IMG_2.jpg.json"), ("IMG_1.jpg", "IMG_1.json"),
     ("IMG_1(1).jpg", "IMG_1.jpg.json"), ("IMG_1.jpg", "IMG_1.jpg(1).json"),
     ("IMG_1.jpg", "metadata.json"), (LONG, f"{LONG[:46]}.json")],
)  # fmt: skip
def test_the_json_of_another_photo_places_nothing(photo: str, sidecar: str, tmp_path: Path) -> None:
    bare(tmp_path / "in" / photo)
    (tmp_path / "in" / sidecar).write_text(takeout(title="another.jpg"))
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"no_gps": 1}


def test_zero_zero_is_no_place_and_the_exif_part_is_the_second_choice(tmp_path: Path) -> None:
    for number, text in enumerate(
        [takeout(0.0, 0.0), takeout(0.0, 0.0, geoDataExif={"latitude": LAT, "longitude": LON})]
    ):
        bare(tmp_path / f"in/{number}.jpg", seed=number)
        (tmp_path / f"in/{number}.jpg.json").write_text(text)
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.new, outcomes.rejected) == (1, {"no_gps": 1})
    assert only(tmp_path / "ds").source_name == "1.jpg"


def test_a_sidecar_that_comes_later_is_read(tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"no_gps": 1}
    sidecar = tmp_path / "in/a.xmp"
    sidecar.write_bytes(xmp('exif:GPSLatitude="10,0.0N" exif:GPSLongitude="8,0.0074E"'))
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"outside_site": 1}
    sidecar.write_bytes(xmp())
    assert run_ingest(tmp_path / "in", tmp_path / "ds").new == 1
    assert run_ingest(tmp_path / "in", tmp_path / "ds").unchanged == 1


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>"""


@pytest.mark.parametrize(
    "content",
    [b"", b"<x>", b"no xml", BOMB, BOMB.decode().encode("utf-16"), OUTSIDE, b"<a>" * 200 + b"</a>" * 200, b"\0" * 99],
)
def test_a_bad_sidecar_is_a_note(content: bytes, tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    (tmp_path / "in/a.jpg.xmp").write_bytes(content)
    (tmp_path / "in/a.jpg.json").write_text(takeout())
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert outcomes.new == 1
    (note,) = outcomes.notes
    assert note.startswith("a.jpg: its sidecar a.jpg.xmp cannot be read (")


@pytest.mark.parametrize("content", ["{", "[" * 100_000, '{"geoData": ', "\xff"])
def test_bad_json_is_a_note(content: str, tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    (tmp_path / "in/a.jpg.json").write_bytes(content.encode("latin-1"))
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert outcomes.rejected == {"no_gps": 1}
    assert outcomes.notes == ["a.jpg: its sidecar a.jpg.json cannot be read (it is no JSON)."]


def test_links_and_other_json_beside_a_photo_are_left_alone(tmp_path: Path) -> None:
    bare(tmp_path / "in/a.jpg")
    (tmp_path / "a.xmp").write_bytes(xmp())
    (tmp_path / "in/a.xmp").symlink_to(tmp_path / "a.xmp")
    (tmp_path / "in/a.jpg.json").write_text('{"rating": 3, "geo": [1]}')
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"no_gps": 1}


def test_a_photo_with_a_cameras_xmp_was_not_stripped_of_all(tmp_path: Path) -> None:
    for name, packet in (
        ("a", b""),
        ("b", xmp("", "").replace(b"xmlns:exif=", b'xmlns:tiff="t" tiff:Orientation="1" xmlns:exif=')),
    ):
        (tmp_path / f"{name}.jpg").write_bytes(image_bytes(scene((32, 24)), **({"xmp": packet} if packet else {})))
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert run_ingest(files, tmp_path / "ds").rejected == {"no_exif": 1, "no_gps": 1}


def test_a_photo_named_alone_finds_its_sidecar(tmp_path: Path) -> None:
    photo = bare(tmp_path / "in/a.jpg")
    (tmp_path / "in/a.jpg.xmp").write_bytes(xmp())
    outcomes = run_ingest(photo, tmp_path / "ds")
    assert (outcomes.new, outcomes.found) == (1, 1)


def test_a_position_in_another_datum_is_not_replaced_by_its_copy(tmp_path: Path) -> None:
    import piexif

    write_photo(
        tmp_path / "in/a.jpg", gps={piexif.GPSIFD.GPSMapDatum: b"TOKYO"}, image_options={"xmp": xmp()}, size=(32, 24)
    )
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"gps_not_finite": 1}


def said(lat: str, lon: str, more: str = "") -> Position | PositionProblem | None:
    return position_in(read_xmp(xmp(f'exif:GPSLatitude="{lat}" exif:GPSLongitude="{lon}" {more}')))


@pytest.mark.parametrize(
    ("lat", "lon", "expected"),
    [
        ("39,57.066N", "75,11.49W", (-75.1915, 39.9511)),
        ("39,57,3.96N", "75,11,29.4W", (-75.1915, 39.9511)),
        ("39.9511", "-75.1915", (-75.1915, 39.9511)),
        ("39.9511N", "75.1915W", (-75.1915, 39.9511)),
        ("39° 57' 3.96\u2033 N", "75° 11' 29.4\u2033 W", (-75.1915, 39.9511)),
        ("33,52.5s", "151,12.5e", (151.208333, -33.875)),
    ],
)
def test_xmp_spells_positions_in_many_ways(lat: str, lon: str, expected: tuple[float, float]) -> None:
    position = said(lat, lon)
    assert isinstance(position, Position)
    assert (position.lon, position.lat) == pytest.approx(expected, abs=1e-6)


def test_a_decimal_comma_is_not_taken_for_seconds() -> None:
    assert isinstance(said("50,0,013N", "8,0,0074E"), PositionProblem)


def test_the_hemisphere_may_stand_apart_and_is_never_guessed() -> None:
    refs = 'exif:GPSLatitudeRef="N" exif:GPSLongitudeRef="W"'
    position = said("39,57.066", "75,11.49", refs)
    assert isinstance(position, Position)
    assert position.lon == pytest.approx(-75.1915)
    for lat, lon in (("39,57.066", "75,11.49W"), ("39,57.066W", "75,11.49N"), ("39,99.1N", "75,11.49W"), ("x", "y"),
                     ("", "75,11.49W"), ("-39,57.066N", "75,11.49W"), ("39,9511N", "75,1915W")):  # fmt: skip
        assert isinstance(said(lat, lon), PositionProblem)


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_what_adobe_writes_is_read_back(lon: float, lat: float) -> None:
    def written(value: float, letters: str) -> str:
        whole, rest = divmod(round(abs(value) * 60, 6), 60)
        return f"{int(whole)},{rest:.6f}{letters[value < 0]}"

    position = said(written(lat, "NS"), written(lon, "EW"))
    assert isinstance(position, Position)
    assert (position.lon, position.lat) == pytest.approx((lon, lat), abs=1e-7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T09:00:00+02:00", TAKEN_AT),
        ("2024-05-06T07:00:00Z", TAKEN_AT),
        ("2024-05-06T07:00:00.250Z", TAKEN_AT + timedelta(milliseconds=250)),
        ("2024-05-06T07:00Z", TAKEN_AT),
        ("2024-05-06T09:00:00", datetime(2024, 5, 6, 9)),
        ("2024-05-06", None),
        ("0000-00-00T00:00:00", None),
        ("2024-13-06T09:00:00", None),
    ],
)
def test_times_of_xmp(text: str, expected: datetime | None) -> None:
    for name in ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"):
        assert moment_of(read_xmp(xmp(f'{name}="{text}"'))) == expected


def test_elements_say_what_attributes_say() -> None:
    elements = "<exif:GPSLatitude>50,0.013N</exif:GPSLatitude><exif:GPSLongitude>8,0.0074E</exif:GPSLongitude>"
    assert position_in(read_xmp(xmp("", elements))) == position_in(read_xmp(xmp()))
    assert position_in(read_xmp(xmp(""))) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_properties_or_an_error(content: bytes) -> None:
    with contextlib.suppress(XmpError):
        assert all(isinstance(value, str) for value in read_xmp(content).values())


def test_photos_of_the_same_bytes_share_nothing_but_a_position(tmp_path: Path) -> None:
    data = photo_bytes(lon=None, size=(32, 24))
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "b.jpg.json").write_text(takeout())
    outcomes = run_ingest([tmp_path / "a.jpg", tmp_path / "b.jpg"], tmp_path / "ds")
    assert (outcomes.new, outcomes.found) == (1, 2)
