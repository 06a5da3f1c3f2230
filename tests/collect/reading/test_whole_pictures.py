"""Whether a picture is whole, its decoder decides: what stands behind it does no harm, what is missing is missed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from photos import exif_bytes, image_bytes, photo_bytes, scene, write_site
from PIL import ImageFile

from collect.ingestion.photo_reader import FileTask, ReadSettings, Skipped, read_file
from collect.reading.structure import structure_of
from collect.validation.rules import Rules
from img2gps.site import load_site
from img2gps.types import Photo

VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42"
SAMSUNG = b"\x00\x00\x01\x0aImage_UTC_Data1700000000000SEFH\x6b\x00\x00\x00SEFT"
JPEG = photo_bytes(size=(96, 64))
VARIANTS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 2},
    "grey": {},
}
function_scoped = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)


def jpeg(variant: str) -> bytes:
    picture = scene((96, 64))
    return image_bytes(picture.convert("L") if variant == "grey" else picture, exif=exif_bytes(), **VARIANTS[variant])


def coded_from(data: bytes) -> int:
    return structure_of(data, "JPEG").header_bytes


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    site = load_site(write_site(tmp_path_factory.mktemp("site") / "site.geojson"))
    return Rules(site=site, device_salt=site.sha256)


def verdicts(data: bytes, rules: Rules, folder: Path) -> set[str]:
    """Return what an ingest and a validation say of a file with these bytes."""
    path = folder / "file"
    path.write_bytes(data)
    said = set()
    for pixels in ("check", "doubtful"):
        how = ReadSettings(rules=rules, short_side_px=512, pixels=pixels)  # type: ignore[arg-type]
        outcome = read_file(FileTask(path=bytes(path), name="file"), how).outcome
        said.add(
            "photo" if isinstance(outcome, Photo) else "skipped" if isinstance(outcome, Skipped) else outcome.reason
        )
    return said


@function_scoped
@given(trailer=st.binary(max_size=300), closed=st.booleans())
@example(trailer=b"\xff", closed=False)
@example(trailer=bytes(2000), closed=False)
@example(trailer=VIDEO + b"\xff\xd9" + b"m" * 50, closed=False)
@example(trailer=VIDEO + b"\xff\xd9", closed=False)
@example(trailer=SAMSUNG, closed=False)
def test_any_bytes_behind_a_whole_jpeg_do_no_harm(trailer: bytes, closed: bool, rules: Rules, tmp_path: Path) -> None:
    data = JPEG if closed else JPEG[:-2]
    assert verdicts(data + trailer, rules, tmp_path) == {"photo"}


@function_scoped
@given(variant=st.sampled_from(list(VARIANTS)), share=st.floats(0, 1, exclude_max=True))
@example(variant="baseline", share=0.999999)
@example(variant="restarts", share=0.5)
def test_any_cut_inside_the_coded_pixels_of_a_jpeg_is_found(
    variant: str, share: float, rules: Rules, tmp_path: Path
) -> None:
    data = jpeg(variant)
    start = coded_from(data)
    cut = start + int(share * (len(data) - 2 - start))
    assert verdicts(data[:cut], rules, tmp_path) == {"truncated"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_jpeg_without_its_end_marker_is_whole(variant: str, rules: Rules, tmp_path: Path) -> None:
    data = jpeg(variant)
    for ending in (b"", b"\xff", SAMSUNG, VIDEO):
        assert verdicts(data[:-2] + ending, rules, tmp_path) == {"photo"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("tail", [VIDEO + b"\xff\xd9", VIDEO, SAMSUNG, bytes(3000), b"\xff\xe5\x00\x04ab"])
def test_half_a_jpeg_stays_half_whatever_follows(variant: str, tail: bytes, rules: Rules, tmp_path: Path) -> None:
    data = jpeg(variant)
    middle = (coded_from(data) + len(data)) // 2
    assert verdicts(data[:middle] + tail, rules, tmp_path) == {"truncated"}


def test_a_cut_jpeg_that_was_closed_again_is_found_by_an_ingest(rules: Rules, tmp_path: Path) -> None:
    middle = (coded_from(JPEG) + len(JPEG)) // 2
    assert "truncated" in verdicts(JPEG[:middle] + b"\xff\xd9", rules, tmp_path)


def test_a_whole_jpeg_that_ends_in_the_grey_of_fillers_is_whole(rules: Rules, tmp_path: Path) -> None:
    picture = scene((96, 64))
    picture.paste((128, 128, 128), (0, 32, 96, 64))
    data = image_bytes(picture, exif=exif_bytes())
    assert verdicts(data, rules, tmp_path) == {"photo"}
    assert verdicts(data[:-2], rules, tmp_path) == {"photo"}


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
@pytest.mark.parametrize(
    "trailer",
    [b"\n\n", b"/>\n<x:xmpmeta>left over</x:xmpmeta>", bytes(64), SAMSUNG, VIDEO + b"m" * 500,
     b"\x00\x00\x0b\xf0mpvd" + VIDEO, b"MotionPhoto_Data" + VIDEO],
)  # fmt: skip
def test_bytes_behind_boxes_do_no_harm(kind: str, trailer: bytes, rules: Rules, tmp_path: Path) -> None:
    data = photo_bytes(size=(96, 64), format=kind)
    assert verdicts(data + trailer, rules, tmp_path) == {"photo"}


@function_scoped
@given(kind=st.sampled_from(["HEIF", "AVIF"]), trailer=st.binary(max_size=200))
def test_any_bytes_behind_boxes_do_no_harm(kind: str, trailer: bytes, rules: Rules, tmp_path: Path) -> None:
    assert verdicts(BOXES[kind] + trailer, rules, tmp_path) == {"photo"}


BOXES = {kind: photo_bytes(size=(96, 64), format=kind) for kind in ("HEIF", "AVIF")}


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "PNG", "WEBP"])
def test_cut_pictures_of_other_formats_are_truncated(kind: str, rules: Rules, tmp_path: Path) -> None:
    data = photo_bytes(size=(96, 64), format=kind)
    for share in (0.3, 0.6, 0.9):
        assert verdicts(data[: int(len(data) * share)], rules, tmp_path) == {"truncated"}


def test_a_large_picture_is_compared_band_by_band(rules: Rules, tmp_path: Path) -> None:
    data = image_bytes(scene((64, 1300)), exif=exif_bytes())
    assert verdicts(data[:-2], rules, tmp_path) == {"photo"}
    assert verdicts(data[:-12], rules, tmp_path) == {"truncated"}


def test_the_decoder_is_asked_without_its_indulgence() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
