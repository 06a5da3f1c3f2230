"""Damaged, oversized and foreign files end in the reason that fits, before they can do harm."""

import io
import struct
import time
import zlib
from pathlib import Path

import pytest
from photos import exif_bytes, image_bytes, photo_bytes, scene, write_photo, write_site
from PIL import Image

from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings, Skipped, read_file
from collect.reading.structure import structure_of
from collect.validation.rules import Rules
from img2gps import formats
from img2gps.site import load_site
from img2gps.types import Photo, Rejection


@pytest.fixture
def settings(tmp_path: Path) -> ReadSettings:
    site = load_site(write_site(tmp_path / "site.geojson"))
    return ReadSettings(rules=Rules(site=site, device_salt=site.sha256), short_side_px=512, pixels="check")


def read(path: Path, settings: ReadSettings) -> Reading:
    return read_file(FileTask(path=bytes(path), name=path.name), settings)


def reason(data: bytes, settings: ReadSettings, tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(data)
    outcome = read(path, settings).outcome
    return "photo" if isinstance(outcome, Photo) else "skipped" if isinstance(outcome, Skipped) else outcome.reason


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    scene((40, 30)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "skipped"),
        (b"hello", "skipped"),
        (b"\x00" * 5000, "skipped"),
        (b"%PDF-1.7", "skipped"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "skipped"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 100, "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"II*\x00\x08\x00\x00\x00", "unreadable"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "unsupported_format"),
        (b"8BPS\x00\x01", "unsupported_format"),
        (encoded("GIF"), "unsupported_format"),
        (encoded("BMP"), "unsupported_format"),
        (encoded("JPEG"), "no_exif"),
        (encoded("PNG"), "no_exif"),
        (photo_bytes(), "photo"),
    ],
)
def test_content_decides(data: bytes, expected: str, settings: ReadSettings, tmp_path: Path) -> None:
    assert reason(data, settings, tmp_path) == expected


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.slow
def test_a_decompression_bomb_is_refused_by_its_header(settings: ReadSettings, tmp_path: Path) -> None:
    rows = zlib.compress(b"\x00" * 300_000_000, 1)[:300_000]
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"eXIf", exif_bytes()[6:]) + chunk(b"IDAT", rows)
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb + chunk(b"IEND", b""))
    started = time.process_time()
    outcome = read(path, settings).outcome
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, "50000 x 50000" in outcome.detail) == ("too_large", True)
    assert time.process_time() - started < 1  # not a benchmark: decoding would take minutes and gigabytes


def test_a_file_beyond_the_size_limit_is_not_read(
    settings: ReadSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collect.ingestion.photo_reader.MAX_FILE_BYTES", 5000)
    reading = read(write_photo(tmp_path / "a.jpg"), settings)
    assert isinstance(reading.outcome, Rejection)
    assert (reading.outcome.reason, reading.sha256) == ("too_large", None)


def test_exif_beyond_its_limit_is_refused(
    settings: ReadSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("img2gps.header.MAX_EXIF_BYTES", 100)
    assert reason(photo_bytes(), settings, tmp_path) == "too_large"


def test_a_raw_photo_in_a_tiff_container_is_no_photo(settings: ReadSettings, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    scene((40, 30)).save(buffer, "TIFF", tiffinfo={50706: b"\x01\x04\x00\x00"})
    assert reason(buffer.getvalue(), settings, tmp_path) == "unsupported_format"


def test_links_are_not_followed_even_where_one_appears_after_the_walk(settings: ReadSettings, tmp_path: Path) -> None:
    target = write_photo(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(target)
    assert isinstance(read(tmp_path / "link.jpg", settings).outcome, Skipped)


def test_a_file_that_vanished_is_unreadable(settings: ReadSettings, tmp_path: Path) -> None:
    outcome = read(tmp_path / "gone.jpg", settings).outcome
    assert isinstance(outcome, Rejection)
    assert outcome.reason == "unreadable"


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_a_photo_cut_anywhere_is_never_accepted_with_pixels_missing(
    kind: str, settings: ReadSettings, tmp_path: Path
) -> None:
    data = photo_bytes(format=kind, size=(96, 64))
    whole = _pixels(data)
    for offset in range(1, len(data), max(1, len(data) // 60)):
        cut = data[:offset]
        path = tmp_path / "cut"
        path.write_bytes(cut)
        outcome = read(path, settings).outcome
        if isinstance(outcome, Photo):  # what is missing lies behind the picture (the second frame of an MPO)
            assert _pixels(cut) == whole
        elif isinstance(outcome, Rejection):
            assert outcome.reason in ("truncated", "unreadable")


def _pixels(data: bytes) -> bytes:
    from img2gps.imaging import open_image, upright_rgb

    return upright_rgb(open_image(data)).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_structure_finds_every_cut_without_decoding(kind: str) -> None:
    data = photo_bytes(format=kind, size=(96, 64))
    name = formats.sniff(data).name
    assert structure_of(data, name).doubt is None
    assert structure_of(data, name).plain == (kind == "JPEG")
    for offset in range(40, len(data) - 1, 97):
        structure = structure_of(data[:offset], name)
        assert structure.cut_off or structure.doubt


def test_a_damaged_profile_or_scan_costs_no_photo(settings: ReadSettings, tmp_path: Path) -> None:
    data = bytearray(photo_bytes(size=(640, 480)))
    data[-2000] ^= 0xFF
    assert reason(bytes(data), settings, tmp_path) == "photo"
    assert reason(photo_bytes(image_options={"icc_profile": b"rubbish"}), settings, tmp_path) == "photo"


@pytest.mark.parametrize("tail", [False, True])
def test_a_hole_of_zeros_in_the_pixels_is_found(tail: bool, settings: ReadSettings, tmp_path: Path) -> None:
    data = bytearray(photo_bytes(size=(640, 480)))
    start = len(data) // 2
    end = len(data) - 2 if tail else start + 4096
    data[start:end] = bytes(end - start)
    assert reason(bytes(data), settings, tmp_path) == "truncated"
    assert reason(bytes(data[:start]) + b"\xff\xd9", settings, tmp_path) == "truncated"


def test_flat_pictures_may_be_coded_as_zeros(settings: ReadSettings, tmp_path: Path) -> None:
    data = image_bytes(Image.new("L", (4000, 3000), 128), exif=exif_bytes(), optimize=True)
    assert bytes(512) in data
    assert reason(data, settings, tmp_path) == "photo"


TRAILERS = {
    "motion photo": b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 12 + b"\xff\xd9" * 9 + b"m" * 500,
    "Samsung": b"\x00\x00\x01\x0aImage_UTC_Data1700000000000SEFH\x6b\x00\x00\x00SEFT",
    "gain map": image_bytes(scene((40, 30), 3)),
    "zeros": b"\x00" * 5000,
}


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=list(TRAILERS))
def test_what_phones_append_to_a_photo_does_no_harm(trailer: bytes, settings: ReadSettings, tmp_path: Path) -> None:
    data = photo_bytes(size=(96, 64))
    assert reason(data + trailer, settings, tmp_path) == "photo"
    assert _pixels(data + trailer) == _pixels(data)


@pytest.mark.parametrize("size", [b"\x00\x00", b"\x00\x01", b"\xff\xff"])
def test_segments_with_impossible_lengths_end_in_a_reason(size: bytes, settings: ReadSettings, tmp_path: Path) -> None:
    data = photo_bytes(size=(96, 64))
    assert reason(data[:2] + b"\xff\xe5" + size + data[2:], settings, tmp_path) in ("truncated", "unreadable", "photo")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xfe\x00\x02" * 200_000,
        b"\xff\xd8\xff" + b"\xff" * 3_000_000 + b"\xd9",
        b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\x00abCd\x00\x00\x00\x00" * 200_000,
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00\x00\x00\x08free" * 200_000,
    ],
    ids=["segments", "fill bytes", "chunks", "boxes"],
)
def test_files_made_to_keep_their_readers_busy_are_left_early(
    data: bytes, settings: ReadSettings, tmp_path: Path
) -> None:
    started = time.process_time()
    assert reason(data, settings, tmp_path) == "unreadable"
    assert time.process_time() - started < 1  # not a benchmark: at full length they took minutes


def test_decoding_errors_name_their_cause(settings: ReadSettings, tmp_path: Path) -> None:
    data = photo_bytes(format="PNG")
    middle = data.index(b"IDAT") + 200
    path = tmp_path / "a.png"
    path.write_bytes(data[:middle] + b"\x00" * 400 + data[middle + 400 :])
    outcome = read(path, settings).outcome
    assert isinstance(outcome, Rejection)
    assert outcome.reason in ("unreadable", "truncated")
    assert outcome.detail
    assert Image.MAX_IMAGE_PIXELS is None
