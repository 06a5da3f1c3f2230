"""Photos that were forgotten are nowhere found, do not come back, and nothing else changes."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from ingest_runs import fingerprint, rows, run_ingest
from interruptions import Fault, assert_sound, content, failing_operation
from photos import write_photo, write_walk

from collect import forget, publish, split, take_back, verify
from img2gps.cli import run
from img2gps.corrections import Correction, append_corrections, newest, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.forgotten import read_forgotten
from img2gps.redactions import Box, PictureRegion, Redactions, load_redactions, save_redactions
from img2gps.refined import RefinedLabels, write_refinement
from img2gps.tables import frame_table, load_table, save_table
from img2gps.types import Photo

AUDIT = ("report.html", "audit.json", "walk-list.gpx", "walk-list.geojson")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return photos of two phones (`in`) and their dataset (`quad`): split, corrected, audited, cached."""
    folder = tmp_path_factory.mktemp("forget")
    first = write_walk(folder / "in", 6, size=(64, 48), every_s=2.0)[0]
    write_walk(folder / "in", 4, size=(64, 48), first_seed=50, prefix="B_", model="Phone 2", start=(8.0005, 50.001))
    write_photo(folder / "in/far.jpg", seed=9000, lon=9.0, size=(64, 48))
    (folder / "in/copy.jpg").write_bytes(first.read_bytes())
    root = folder / "quad"
    run_ingest(folder / "in", root)
    split(root, val=1, test=4, folds="walk")
    photos = rows(root)
    for number, name in enumerate(["IMG_0000.jpg", "B_0001.jpg", "IMG_0000.jpg", "IMG_0003.jpg"]):
        line = moved(photos[name], number)
        append_corrections(root / "corrections.csv", [line])
    undone = dataclasses.replace(moved(photos["B_0001.jpg"], 9), action="reset", lon=None, lat=None)
    lines = read_corrections(root / "corrections.csv")
    append_corrections(root / "corrections.csv", [dataclasses.replace(undone, undoes=lines[1].digest)])
    add_layers(Dataset.open(root), list(photos.values()))
    for name in (
        ".cache/CACHEDIR.TAG",
        ".cache/pixels-1.npy",
        *(f"audit/{name}" for name in AUDIT),
        "audit/mine.txt",
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(photos["IMG_0000.jpg"].id if "cache/p" in name or name.endswith("html") else "x")
    return folder


def add_layers(dataset: Dataset, photos: list[Photo]) -> None:
    """Add a refinement of all photos, and regions of people in their pictures."""
    rows = {"id": [photo.id for photo in photos], "gross": 0.0, "radius_50_m": 3.0, "radius_90_m": 8.0}
    rows |= {
        name.replace("*", key): [getattr(p, key) for p in photos] for key in ("lon", "lat") for name in ("*", "from_*")
    }
    made = dict.fromkeys(("at", "run", "run_sha256", "site_sha256"), "x")
    labels = RefinedLabels(rows=pd.DataFrame(rows), used=tuple(rows["id"]), method={}, **made)  # type: ignore[arg-type]
    region = PictureRegion(box=Box(left=1, top=1, right=9, bottom=9), kind="face", score=0.2, verdict="hide")
    known = Redactions(regions={photo.id: [region] for photo in photos[:3]}, looked={p.id: "a:b" for p in photos})
    with dataset.lock():
        write_refinement(dataset.refined_path, labels)
        save_redactions(dataset, known)


def moved(photo: Photo, number: int) -> Correction:
    return Correction(
        at=f"2025-06-02T16:00:{number:02d}Z",
        by="kim",
        photo_id=photo.id,
        action="move",
        from_lon=photo.lon,
        from_lat=photo.lat,
        lon=photo.lon + 1e-5,
        lat=photo.lat,
        why="=1+1",
    )


@pytest.fixture(autouse=True)
def hub_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty place for the caches of the Hub's libraries: no test looks into a person's own."""
    for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def quad(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "quad", tmp_path / "quad")


def words_in(root: Path) -> Iterator[tuple[str, str]]:
    """Yield every file of a folder as text, tables value by value, with its name."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name != "forgotten.txt":
            yield path.name, path.name
            yield path.name, path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                table = load_table(path).table
                yield path.name, f"{table.to_pydict()} {table.schema.metadata}"


def assert_nowhere(root: Path, photo: Photo, copy: bytes) -> None:
    for name, text in words_in(root):
        for word in (photo.id[:16], photo.photo_sha256, photo.phash):
            assert word not in text, name
        assert copy[-200:].decode("latin-1") not in text, name


def test_a_photo_is_nowhere_found_and_nothing_else_changes(quad: Path, made: Path) -> None:
    before, copies = rows(quad), {path.name for path in quad.glob("photos/*/*")}
    gone = before["IMG_0000.jpg"]
    assert gone.group == before["IMG_0001.jpg"].group  # a burst that is named after it
    picture = (quad / gone.file_name).read_bytes()
    result = forget(quad, ids=[gone.id[:10]])
    assert [photo.id for photo in result.chosen.photos] == [gone.id]
    counts = result.traces.counts()
    nothing = dict.fromkeys(("outside", "rejected", "splits"), 0)
    assert counts == {
        "photos": 1,
        "sources": 2,
        "corrections": 2,
        "redactions": 1,
        "copies": 1,
        "derived": 6,
        **nothing,
    }
    assert_nowhere(quad, gone, picture)
    assert verify(quad).problems == ()
    assert verify(quad).orphans == ()
    after = rows(quad)
    assert set(after) == set(before) - {"IMG_0000.jpg"}
    for name, photo in after.items():
        assert dataclasses.replace(photo, group="", burst=None) == dataclasses.replace(
            before[name], group="", burst=None
        )
        alike = {other for other in after if before[other].group == before[name].group}
        assert {other for other in after if after[other].group == photo.group} == alike
    assert copies - {path.name for path in quad.glob("photos/*/*")} == {f"{gone.id}.jpg"}
    assert sorted(path.name for path in (quad / "audit").iterdir()) == ["mine.txt"]
    assert [path.name for path in (quad / ".cache").iterdir()] == ["CACHEDIR.TAG"]
    kept = [line for line in read_corrections(made / "quad/corrections.csv") if line.photo_id != gone.id]
    lines = read_corrections(quad / "corrections.csv")
    plain = [dataclasses.replace(line, digest="", undoes="") for line in lines]
    assert plain == [dataclasses.replace(line, digest="", undoes="") for line in kept]
    assert lines[2].undoes == lines[0].digest
    assert set(newest(lines)) == {before["IMG_0003.jpg"].id}
    assert dict(read_forgotten(quad / "forgotten.txt")).keys() == {gone.id}
    regions, known = load_redactions(Dataset.open(made / "quad")), load_redactions(Dataset.open(quad))
    assert known.looked == {key: stamp for key, stamp in regions.looked.items() if key != gone.id}
    assert known.regions == {key: some for key, some in regions.regions.items() if key != gone.id}


def test_a_forgotten_photo_does_not_come_back_until_it_is_let_in(quad: Path, made: Path) -> None:
    gone = rows(quad)["IMG_0000.jpg"]
    forget(quad, ids=[gone.id])
    before = fingerprint(quad)
    for options in ({}, {"rehash": True}, {"dry_run": True}):
        outcomes = run_ingest(made / "in", quad, **options)
        assert outcomes.to_dict()["rejected"] == {"outside_site": 1, "forgotten": 1}
        assert (outcomes.found, outcomes.new, outcomes.duplicate) == (12, 0, 1)
        assert fingerprint(quad) == before
    assert take_back(quad, [gone.id[:8]]) == 1
    assert not (quad / "forgotten.txt").exists()
    assert run_ingest(made / "in", quad).new == 1
    assert rows(quad)["IMG_0000.jpg"].photo_sha256 == gone.photo_sha256 or rows(quad)["copy.jpg"]


def test_photos_are_chosen_by_device_walk_name_and_looks(quad: Path, made: Path, tmp_path: Path) -> None:
    photos = rows(quad)
    second = {photo.id for name, photo in photos.items() if name.startswith("B_")}
    device = photos["B_0000.jpg"].device

    def chosen(**options: Any) -> set[str]:
        return {photo.id for photo in forget(quad, dry_run=True, **options).chosen.photos}

    assert chosen(devices=[device[:6]]) == chosen(devices=["acme  phone 2"]) == second
    assert chosen(walks=[photos["B_0000.jpg"].walk]) == second
    assert chosen(source_names=["B_*"]) == second
    assert chosen(source_names=["B_000[01].jpg"], ids=[photos["IMG_0005.jpg"].id]) == {
        photos[name].id for name in ("B_0000.jpg", "B_0001.jpg", "IMG_0005.jpg")
    }
    from PIL import Image

    smaller = tmp_path / "smaller.png"
    Image.open(made / "in/B_0002.jpg").resize((60, 45)).save(smaller)
    result = forget(quad, similar=smaller, dry_run=True)
    assert [photo.source_name for photo in result.chosen.photos] == ["B_0002.jpg"]
    assert max(result.chosen.bits.values()) <= 6
    assert forget(quad, source_names=["far*"], dry_run=True).chosen.rejected[0].file == "far.jpg"
    assert set(rows(quad)) == set(photos)


def test_a_rejected_file_can_be_forgotten_too(quad: Path, made: Path) -> None:
    forget(quad, source_names=["far.jpg"])
    assert (quad / "audit/audit.json").exists()  # nothing in it is of that file
    assert "far.jpg" not in (quad / "rejected.csv").read_text()
    assert run_ingest(made / "in", quad).to_dict()["rejected"] == {"forgotten": 1}
    assert "far.jpg" not in (quad / "rejected.csv").read_text()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ids": ["0" * 64]}, NotFoundError),
        ({"ids": ["zebra"]}, UsageError),
        ({"walks": ["none"]}, NotFoundError),
        ({"devices": ["none"]}, NotFoundError),
        ({"source_names": ["*.heic"]}, NotFoundError),
        ({"similar": "absent.jpg"}, NotFoundError),
        ({"runs": "absent"}, NotFoundError),
    ],
)
def test_what_names_nothing_is_refused_and_changes_nothing(
    quad: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    before = fingerprint(quad)
    with pytest.raises(error):
        forget(quad, **options)
    assert fingerprint(quad) == before


def test_no_choice_is_refused_while_nothing_was_forgotten(quad: Path, made: Path) -> None:
    for dry_run in (True, False):
        with pytest.raises(UsageError, match="Say which photos: their ids, --device"):
            forget(quad, dry_run=dry_run)
    assert content(quad) == content(made / "quad")
    forget(quad, source_names=["IMG_0001.jpg"])
    assert forget(quad).traces.is_empty  # what was begun is finished


def test_a_damaged_list_is_told_by_verify_and_stops_an_ingest(quad: Path, made: Path) -> None:
    forget(quad, ids=[rows(quad)["B_0000.jpg"].id])
    path = quad / "forgotten.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2:]]))
    assert [problem.where for problem in verify(quad).problems] == ["forgotten.txt"]
    with pytest.raises(InvalidDatasetError, match=r"forgotten\.txt"):
        run_ingest(made / "in", quad)


def test_runs_that_hold_the_photos_are_named(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = rows(quad)
    frame = Dataset.open(quad).frame()[["id", "photo_sha256", "lon", "lat"]]
    runs = quad.parent / "runs"
    for name, part in (("old/net-001", frame), ("net-002", frame[frame["id"] == photos["B_0000.jpg"].id])):
        (runs / name / "evaluations/quad-test").mkdir(parents=True)
        (runs / name / "config.toml").touch()
        save_table(runs / name / "photos.parquet", frame_table(part))
        save_table(runs / name / "evaluations/quad-test/predictions.parquet", frame_table(part[["id", "lon"]]))
    before = fingerprint(runs)
    assert run(["forget", str(quad), photos["IMG_0001.jpg"].id, photos["IMG_0002.jpg"].id, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    [held] = report["held_by"]
    assert held["folder"].endswith("old/net-001")
    assert (held["kind"], held["photos"]) == ("run", 2)
    assert held["files"] == ["evaluations/quad-test/predictions.parquet", "photos.parquet"]
    assert fingerprint(runs) == before
    assert run(["forget", str(quad)]) == 0  # also later
    assert "old/net-001" in capsys.readouterr().out


def test_what_was_published_or_exported_beside_it_is_named(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = rows(quad)
    gone = photos["IMG_0001.jpg"]
    publish(quad, quad.parent / "quad-hub", license="mit")
    for name, ids in (("space", [gone.id]), ("other", [photos["B_0000.jpg"].id])):
        (quad.parent / name / "model").mkdir(parents=True)
        (quad.parent / name / "model/model.json").write_text(json.dumps({"gallery": {"ids": ids}}))
        (quad.parent / name / "SHA256SUMS").touch()
    assert run(["forget", str(quad), gone.id, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["held_by"]
    held = {Path(one["folder"]).relative_to(quad.parent).as_posix(): one for one in report}
    assert {name: (one["kind"], one["photos"]) for name, one in held.items()} == {
        "quad-hub": ("published", 1),
        "space": ("export", 1),
    }
    assert all(name.startswith("data/") for name in held["quad-hub"]["files"])
    publish(quad, quad.parent / "quad-hub", license="mit")
    for name, text in words_in(quad.parent / "quad-hub"):
        assert gone.id[:16] not in text, name
        assert gone.phash not in text, name
    assert run(["forget", str(quad), "--json"]) == 0
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)["held_by"]] == ["export"]


def test_another_dataset_with_the_photos_is_named(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = rows(quad)["IMG_0001.jpg"]
    shutil.copytree(quad, quad.parent / "quad-of-last-year")
    assert run(["forget", str(quad), gone.id, "--json"]) == 0
    [held] = json.loads(capsys.readouterr().out)["held_by"]
    assert (Path(held["folder"]).name, held["kind"], held["photos"]) == ("quad-of-last-year", "dataset", 1)


def test_the_log_of_ingests_names_no_forgotten_file(quad: Path, made: Path, tmp_path: Path) -> None:
    portrait = tmp_path / "of kim.jpg"
    data = next((made / "in").rglob("IMG_0001.jpg")).read_bytes()
    portrait.write_bytes(data[:2] + b"\xff\xfe\x00\x03x" + data[2:])  # a comment makes it another file
    assert run(["ingest", str(portrait), str(quad)]) == 0
    log = quad / "ingests.jsonl"
    assert "of kim" in log.read_text()
    assert run(["forget", str(quad), "--source-name", "of kim.jpg"]) == 0
    assert "of kim" not in log.read_text()
    assert run(["ingest", str(portrait), str(quad)]) != 0  # it must not come back
    assert "of kim" not in log.read_text()
    assert run(["verify", str(quad)]) == 0


def test_an_export_without_a_gallery_is_named_by_its_run(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_folder, page = quad.parent / "runs/net-001", quad.parent / "page"
    (run_folder / "best").mkdir(parents=True)
    (run_folder / "config.toml").touch()
    (run_folder / "best/model.safetensors").write_bytes(b"weights")
    save_table(run_folder / "photos.parquet", frame_table(Dataset.open(quad).frame()[["id", "lon", "lat"]]))
    for folder, weights in ((page / "model", b"weights"), (quad.parent / "other", b"other weights")):
        folder.mkdir(parents=True)
        made_of = {"model_sha256": hashlib.sha256(weights).hexdigest()}
        (folder / "model.json").write_text(json.dumps({"gallery": None, "run": made_of}))
    (page / "SHA256SUMS").touch()
    assert run(["forget", str(quad), "--source-name", "IMG_000[12]*", "--json"]) == 0
    held = {Path(one["folder"]).name: one for one in json.loads(capsys.readouterr().out)["held_by"]}
    assert {name: (one["kind"], one["photos"]) for name, one in held.items()} == {
        "net-001": ("run", 2),
        "page": ("export", 2),
    }


def test_copies_in_the_caches_of_the_hub_are_named(quad: Path, hub_home: Path) -> None:
    publish(quad, quad.parent / "out/quad-hub", license="mit")
    snapshot = shutil.copytree(quad.parent / "out/quad-hub", hub_home / "hub/datasets--lab--quad/snapshots/abc")
    table = load_table(next(snapshot.glob("data/train*"))).table.select(["id", "lon"])
    other = pa.table({"id": [1], "lon": [2.0]})
    for name, written in (("quad", table), ("other", other)):
        path = hub_home / f"datasets/{name}/default/0.0.0/{name}-train.arrow"
        path.parent.mkdir(parents=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, written.schema) as stream:
            stream.write_table(written)
    (path.parent / "damaged.arrow").write_bytes(b"no table")
    gone = table.column("id")[0].as_py()
    held = {one.folder: one for one in forget(quad, ids=[gone]).holders}
    assert {one.kind for one in held.values()} == {"cache"}
    assert {folder.relative_to(hub_home).parts[:2] for folder in held} == {
        ("hub", "datasets--lab--quad"),
        ("datasets", "quad"),
    }
    assert all("hf cache rm" in one.remedy for one in held.values())


def test_a_dry_run_writes_nothing(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = fingerprint(quad, without=())
    assert run(["forget", str(quad), "--source-name", "IMG*", "--dry-run"]) == 0
    assert "6 photos would be forgotten" in capsys.readouterr().out
    assert fingerprint(quad, without=()) == before
    assert not os.path.lexists(quad / "forgotten.txt")


@pytest.mark.slow
def test_killed_at_any_operation_a_rerun_completes(quad: Path, made: Path, tmp_path: Path) -> None:
    walk = rows(quad)["IMG_0000.jpg"].walk
    with failing_operation(0, Fault(), removals=True) as operations:
        forget(shutil.copytree(quad, tmp_path / "reference"), walks=[walk])
    expected = content(tmp_path / "reference"), read_corrections(tmp_path / "reference/corrections.csv")
    people = (tmp_path / "reference/redaction.json").read_bytes()
    assert operations() > 25
    for number in range(1, operations() + 1, 5):
        root = shutil.copytree(quad, tmp_path / f"ds-{number}")
        with failing_operation(number, Fault(), removals=True), contextlib.suppress(Fault):
            forget(root, walks=[walk])
        assert_sound(root)
        left = verify(root).to_forget
        if number % 2:  # the next ingest finishes it as well
            with contextlib.suppress(NotFoundError):
                forget(root, walks=[walk])
        else:
            run_ingest(made / "in", root)
        if not (root / "forgotten.txt").exists():  # killed before anything was forgotten
            assert left == 0
            forget(root, walks=[walk])
        assert_sound(root)
        assert verify(root).orphans == ()
        found = content(root), read_corrections(root / "corrections.csv")
        assert found[0] | {"sources": 0} == expected[0] | {"sources": 0}, number
        assert found[1] == expected[1]
        assert (root / "redaction.json").read_bytes() == people
        assert not list((root / ".cache").glob("pixels*"))
