"""A validation says what an ingest would, reading as little as it can."""

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import exif_bytes, image_bytes, photo_bytes, scene, write_photo, write_site, write_walk

from collect.ingestion import chunks
from collect.ingestion.options import IngestOptions
from collect.ingestion.photo_reader import FileTask, ReadSettings, Skipped, read_file
from collect.ingestion.pipeline import ingest, validate
from collect.reading.structure import structure_of
from collect.reading.tables import can_start
from collect.validation.rules import Rules
from img2gps.site import load_site
from img2gps.types import Photo, Rejection

KINDS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
WHOLE = {kind: photo_bytes(format=kind, size=(48, 32)) for kind in KINDS}
PROGRESSIVE = photo_bytes(size=(48, 32), image_options={"progressive": True})
FAR = photo_bytes(size=(48, 32), lon=9.0)


def outcomes_of(folder: Path, site: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Return what a validation and what an ingest say about `folder`: counts and the reason of each file."""
    told = []
    with TemporaryDirectory() as root:
        options = IngestOptions(site=site, jobs=0)
        for outcomes in (validate([folder], options), ingest([folder], Path(root) / "ds", options)):
            reasons = sorted((rejection.path, rejection.reason) for rejection in outcomes.rejections)
            told.append({**outcomes.to_dict(), "reasons": reasons, "misnamed": outcomes.misnamed})
    return told[0], told[1]


@contextmanager
def a_folder(contents: list[bytes]) -> Iterator[tuple[Path, Path]]:
    with TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        for number, data in enumerate(contents):
            (folder / f"{number:03d}.jpg").write_bytes(data)
        yield folder, write_site(Path(name) / "site.geojson")


def reading_settings(folder: Path) -> ReadSettings:
    site = load_site(write_site(folder / "site.geojson"))
    return ReadSettings(rules=Rules(site=site, device_salt="s"), short_side_px=64, pixels="doubtful")


def before_the_scan(data: bytes) -> int:
    return structure_of(data, "JPEG").header_bytes


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A photo as it is, cut anywhere, followed by anything, or with bytes of its header changed."""
    data = draw(st.sampled_from([*WHOLE.values(), PROGRESSIVE, FAR, b"", b"text"]))
    change = draw(st.sampled_from(["none", "none", "cut", "trailer", "damage"]))
    if change == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if change == "trailer":
        return data + draw(st.binary(max_size=40))
    if change == "damage" and data[:2] == b"\xff\xd8":  # the coded pixels themselves only an ingest can judge
        damaged = bytearray(data)
        for _ in range(draw(st.integers(1, 3))):
            damaged[draw(st.integers(2, before_the_scan(data) - 1))] = draw(st.integers(0, 255))
        return bytes(damaged)
    return data


@pytest.mark.slow
@given(contents=st.lists(files(), min_size=1, max_size=12))
@settings(max_examples=25)
def test_a_validation_counts_as_an_ingest_would(contents: list[bytes]) -> None:
    with a_folder(contents) as (folder, site):
        validated, ingested = outcomes_of(folder, site)
    assert validated == ingested


def test_copies_are_found_and_files_that_only_look_alike_are_none() -> None:
    data = photo_bytes(size=(64, 48), image_options={"comment": b"c" * 30_000})
    middle = len(data) // 2
    alike = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    with a_folder([data, alike, data, FAR, FAR]) as (folder, site):
        validated, ingested = outcomes_of(folder, site)
    assert validated == ingested
    assert (validated["new"], validated["duplicate"]) == (2, 2)


def test_copies_are_compared_and_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_walk(tmp_path / "in", 3, size=(64, 48))
    shutil.copy(tmp_path / "in/IMG_0000.jpg", tmp_path / "in/copy.jpg")
    (tmp_path / "in/link.jpg").hardlink_to(tmp_path / "in/IMG_0001.jpg")
    hashed: list[int] = []
    original = hashlib.sha256

    def counting(data: bytes = b"") -> object:
        hashed.append(len(data))
        return original(data)

    monkeypatch.setattr("collect.ingestion.photo_reader.hashlib.sha256", counting)
    outcomes = validate([tmp_path / "in"], IngestOptions(site=write_site(tmp_path / "s.geojson"), jobs=0))
    assert (outcomes.new, outcomes.duplicate) == (3, 2)
    assert max(hashed) < (tmp_path / "in/copy.jpg").stat().st_size


def test_files_that_vanish_or_turn_into_something_else_are_no_copies(tmp_path: Path) -> None:
    from collect.reading.discover import discover

    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_bytes(b"x" * 9000)
    found = discover([tmp_path])
    (tmp_path / "a").unlink()
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to(tmp_path / "c")
    work = [(file, None) for file in found]
    tasks = [task for chunk in chunks.chunks_of(work, again=False, hash_all=False, jobs=2) for task in chunk]
    twins = {task.name: task.twin for task in tasks}
    assert (twins["c"], twins["d"]) == (bytes(tmp_path / "c"), bytes(tmp_path / "c"))
    validating = reading_settings(tmp_path)
    for twin in (tmp_path / "a", tmp_path / "b"):  # what stood there is gone
        task = FileTask(path=bytes(tmp_path / "c"), name="c", twin=bytes(twin))
        assert isinstance(read_file(task, validating).outcome, Skipped)


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}, {"keep_rgb": True}]
)
def test_a_sound_header_is_one_that_a_decoder_can_start_on(options: dict[str, object]) -> None:
    structure = structure_of(image_bytes(scene((64, 48)), **options), "JPEG")
    assert structure.plain
    assert can_start(structure.tables)
    frame = structure.tables.index(b"\xff\xc0")
    assert not can_start(structure.tables[frame:])  # the quantization tables come before it
    assert not can_start(structure.tables[: frame + 11] + b"\x77" + structure.tables[frame + 12 :])
    assert not can_start(b"")


def test_a_progressive_photo_is_decoded_to_be_sure(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    scans = PROGRESSIVE.split(b"\xff\xda")
    path.write_bytes(b"\xff\xda".join([*scans[:2], b"\x00\x0c\x09" + scans[2][3:], *scans[3:]]))
    validating = reading_settings(tmp_path)
    for read_settings in (dataclasses.replace(validating, pixels="check"), validating):
        outcome = read_file(FileTask(path=bytes(path), name="a.jpg"), read_settings).outcome
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "unreadable"


def test_damage_that_needs_the_decoder_to_be_seen_is_left_to_the_ingest(tmp_path: Path) -> None:
    """What docs/reference/ingest-rules.md says of `validate`: it does not look into the coded pixels of a JPEG."""
    data = write_photo(tmp_path / "in/a.jpg", size=(640, 480)).read_bytes()
    cut = before_the_scan(data) + 400
    (tmp_path / "in/a.jpg").write_bytes(data[:cut] + b"\xff\xd9")
    validated, ingested = outcomes_of(tmp_path / "in", write_site(tmp_path / "site.geojson"))
    assert (validated["new"], ingested["rejected"]) == (1, {"truncated": 1})


def test_the_header_alone_decides_about_a_plain_photo(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(image_bytes(scene((64, 48)), exif=exif_bytes()))
    outcome = read_file(FileTask(path=bytes(path), name="a.jpg"), reading_settings(tmp_path)).outcome
    assert isinstance(outcome, Photo)
    assert (outcome.width, outcome.phash) == (0, "")
