"""What is no photo of the walk by its name, and what is no ordinary photo by its picture."""

import json
from collections import Counter
from pathlib import Path

import pytest
from ingest_runs import rows, run_ingest
from photos import exif_bytes, image_bytes, scene, write_photo, write_site
from PIL import Image

from collect.diagnosis.diagnose import diagnose, sentences
from collect.reading.left_out import LEFT_OUT, left_out_as
from img2gps.cli import run
from img2gps.reasons import FLAGS

NAMES = {
    "DCIM/Camera/.trashed-1774607641-IMG_2.jpg": "trash",
    "$RECYCLE.BIN/S-1-5/$R1.jpg": "trash",
    ".Trashes/501/IMG_8.jpg": "trash",
    ".Trash-1000/files/IMG_8.jpg": "trash",
    "DCIM/.globalTrash/IMG_9.jpg": "trash",
    "photo/#recycle/IMG_9.jpg": "trash",
    ".FilesByGoogleTrash/IMG_9.jpg": "trash",
    "Android/.vivoRecycle/IMG_9.jpg": "trash",
    ".Recycle.Bin/IMG_9.jpg": "trash",
    "Takeout/Google Photos/Trash/IMG_9.jpg": "trash",
    "Google Fotos/Papierkorb/IMG_9.jpg": "trash",
    "DCIM/.dthumb/IMG_9.jpg": "thumbnails",
    "walk.photoslibrary/resources/derivatives/A/IMG_9.jpg": "thumbnails",
    "#snapshot/daily/IMG_9.jpg": "system",
    "DCIM/Camera/.pending-1774607641-IMG_3.jpg": "unfinished",
    "DCIM/.thumbnails/1000.jpg": "thumbnails",
    "@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_XL.jpg": "thumbnails",
    "a/.@__thumb/s100IMG_1.jpg": "thumbnails",
    "._IMG_1.jpg": "system",
    "__MACOSX/walk/._IMG_1.jpg": "system",
}


@pytest.mark.parametrize(("name", "code"), NAMES.items())
def test_names_tell_what_is_no_photo_of_the_walk(name: str, code: str) -> None:
    assert left_out_as(name) == code
    assert code in LEFT_OUT


@pytest.mark.parametrize(
    "name",
    ["IMG_1.jpg", ".hidden/IMG_1.jpg", ".IMG_1.jpg", "trash/IMG_1.jpg", "my.thumbnails.d/a.jpg", "pending-1-IMG.jpg",
     "walk.photoslibrary/originals/A/IMG_9.jpg", "Photos/Trash/IMG_1.jpg", "recycle/IMG_1.jpg",
     "_IMG_1.jpg", "Recycled art/a.jpg"],
)  # fmt: skip
def test_other_names_are_photos(name: str) -> None:
    assert left_out_as(name) is None


@pytest.mark.slow
def test_they_are_left_out_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate([*NAMES, "DCIM/Camera/IMG_1.jpg"]):
        write_photo(tmp_path / "in" / name, seed=seed, size=(32, 24))
    site = str(write_site(tmp_path / "site.geojson"))
    assert run(["validate", str(tmp_path / "in"), "--site", site, "--json", "--jobs", "1"]) == 0
    shown = capsys.readouterr()
    counts = json.loads(shown.out)
    assert (counts["new"], counts["skipped"], counts["found"]) == (1, len(NAMES), len(NAMES) + 1)
    assert counts["left_out"] == Counter(NAMES.values())
    assert f"{len(NAMES)} skipped files are left out" in shown.err
    assert "--include-hidden" in shown.err
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", include_hidden=True)
    assert (outcomes.new, outcomes.left_out.total(), outcomes.found) == (len(NAMES) + 1, 0, len(NAMES) + 1)
    again = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (again.unchanged, again.skipped) == (1, len(NAMES))
    assert len(rows(tmp_path / "ds")) == len(NAMES) + 1  # what was taken in on purpose stays


def test_what_is_named_itself_is_meant(tmp_path: Path) -> None:
    trashed = write_photo(tmp_path / ".Trashes/501/.trashed-1-a.jpg", size=(32, 24))
    assert run_ingest([trashed], tmp_path / "one").new == 1
    assert run_ingest(tmp_path / ".Trashes/501", tmp_path / "two").new == 0
    write_photo(tmp_path / ".Trashes/501/a.jpg", seed=1, size=(32, 24))
    assert run_ingest(tmp_path / ".Trashes", tmp_path / "three").new == 1


def test_the_doctor_tells_of_them(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/.thumbnails/a.jpg", size=(32, 24))
    write_photo(tmp_path / "in/a.jpg", size=(320, 240))
    report = diagnose([tmp_path / "in"], jobs=0)
    assert (report.files, report.usable) == (2, 1)
    assert "1 of 2 photos lie in recycle bins" in sentences(report.findings)[0]
    assert diagnose([tmp_path / "in"], jobs=0, include_hidden=True).usable == 2


def xmp(attributes: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" '
        f'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" {attributes}/></rdf:RDF></x:xmpmeta>'
    ).encode()


ORDINARY = (320, 240)


@pytest.mark.parametrize(
    ("size", "camera", "packet", "expected"),
    [
        (ORDINARY, {}, b"", set()),
        (ORDINARY, {}, xmp('GPano:ProjectionType="equirectangular"'), {"panorama"}),
        ((800, 400), {}, b"", set()),
        ((800, 400), {"make": "RICOH", "model": "RICOH THETA V"}, b"", {"panorama"}),
        ((800, 400), {"make": "Arashi Vision", "model": "Insta360 X3"}, b"", {"panorama"}),
        ((900, 240), {}, b"", {"panorama"}),
        ((240, 900), {}, b"", {"panorama"}),
        (ORDINARY, {"make": "DJI", "model": "FC6310R"}, b"", {"drone"}),
        (ORDINARY, {"make": "Hasselblad", "model": "L1D-20c"}, b"", {"drone"}),
        (ORDINARY, {"make": "DJI", "model": "DJI Osmo Pocket"}, b"", set()),
        (ORDINARY, {}, xmp('drone-dji:RelativeAltitude="+100.0"'), {"drone"}),
        (ORDINARY, {"make": "Xiaomi", "model": "FIMI X8"}, b"", {"drone"}),
        (ORDINARY, {"make": "ZeroZero", "model": "HOVERAir X1"}, b"", {"drone"}),
        (ORDINARY, {"make": "Xiaomi", "model": "Mi 11"}, b"", set()),
        ((800, 400), {"make": "XiaoYI", "model": "YI 360 VR"}, b"", {"panorama"}),
        (ORDINARY, {}, xmp('GPano:FullPanoWidthPixels="800"'), {"panorama"}),
        ((160, 120), {}, b"", {"small_picture"}),
        ((8, 8), {}, b"", {"small_picture"}),
    ],
)
def test_pictures_that_are_not_ordinary_are_flagged(
    size: tuple[int, int], camera: dict[str, str], packet: bytes, expected: set[str], tmp_path: Path
) -> None:
    write_photo(tmp_path / "in/a.jpg", size=size, image_options={"xmp": packet} if packet else {}, **camera)
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    (photo,) = rows(tmp_path / "ds").values()
    assert set(photo.traits) == expected
    assert set(photo.flags) & {"panorama", "drone", "small_picture", "dark_frame"} == expected
    assert {code for code in expected if outcomes.flags[code] == 1} == expected <= set(FLAGS)


def test_dark_frames_are_flagged_and_nights_are_not(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    night = Image.new("RGB", ORDINARY, (8, 8, 12))
    night.paste((240, 220, 180), (100, 80, 130, 110))
    pictures = {"black": Image.new("RGB", ORDINARY, (6, 5, 7)), "night": night, "day": scene(ORDINARY)}
    for name, picture in pictures.items():
        (tmp_path / f"in/{name}.jpg").write_bytes(image_bytes(picture, exif=exif_bytes()))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    for _ in range(2):
        assert [name for name, photo in rows(tmp_path / "ds").items() if "dark_frame" in photo.flags] == ["black.jpg"]
        run_ingest(tmp_path / "in", tmp_path / "ds", rehash=True)


def test_working_copies_of_another_dataset_among_the_photos_are_left_out(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", size=(32, 24))
    run_ingest(tmp_path / "in", tmp_path / "in/sub/old")
    write_photo(tmp_path / "in/sub/old/raw/b.jpg", size=(32, 24), seed=1)
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.new, outcomes.rejected.total()) == (2, 0)
    assert set(outcomes.left_out) == {"dataset"}
    assert all(name.startswith("sub/old/photos/") for name in outcomes.left_out_names)
    assert run_ingest(tmp_path / "in", tmp_path / "ds2", include_hidden=True).rejected == {"no_exif": 1}
