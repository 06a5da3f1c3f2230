"""Two halves merged equal the whole; people and splits that disagree are told; what was forgotten stays out."""

import contextlib
import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import pytest
from datasets import box_site, line, make_dataset, make_photo, make_walk
from ingest_runs import fingerprint, rows, run_ingest
from interruptions import Fault, assert_sound, failing_operation
from photos import write_photo, write_walk

from collect import forget, merge, split, verify
from collect.merging.corrections import merged_corrections
from collect.merging.splits import parted
from img2gps.cli import run
from img2gps.corrections import Correction, append_corrections, histories, newest, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.manifest import read_table
from img2gps.redactions import Box, PictureRegion, Redactions, Verdict, load_redactions, save_redactions
from img2gps.types import Photo


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return `a` and `b`, datasets of two laptops with one photo and one rejected file in both, and the `whole`."""
    folder = tmp_path_factory.mktemp("merge")
    walk = write_walk(folder / "in/a", 6, size=(64, 48), every_s=2.0)
    write_walk(folder / "in/b", 4, size=(64, 48), first_seed=50, prefix="B_", model="Phone 2", start=(8.0005, 50.001))
    write_photo(folder / "in/a/far.jpg", seed=9000, lon=9.0, size=(64, 48))
    for name in ("far.jpg", walk[3].name, walk[4].name):  # of the same walk, on both laptops
        shutil.copy(folder / "in/a" / name, folder / "in/b" / name)
    walk[4].unlink()
    run_ingest(folder / "in/a", folder / "a")
    run_ingest(folder / "in/b", folder / "b")
    run_ingest([folder / "in/a", folder / "in/b"], folder / "whole")
    return folder


def plain(root: Path) -> dict[str, Photo]:
    """Return the rows of a dataset by id, without what tells when they came and from where."""
    without = {"ingested_at": None, "ingest": "", "source_name": ""}
    return {photo.id: dataclasses.replace(photo, **without) for photo in rows(root).values()}  # type: ignore[arg-type]


def correction(photo: Photo, at: int, *, by: str = "kim", **fields: object) -> Correction:
    values = {"at": f"2025-06-02T16:00:{at:02d}Z", "by": by, "action": "move", "lon": photo.lon + 1e-5 * at}
    values |= {"lat": photo.lat, "from_lon": photo.lon, "from_lat": photo.lat, "photo_id": photo.id}
    return Correction(**{**values, **fields})  # type: ignore[arg-type]


def test_two_halves_equal_the_whole_without_originals(halves: Path, tmp_path: Path) -> None:
    before = {name: fingerprint(halves / name, without=()) for name in "ab"}
    result = merge(halves / "a", halves / "b", tmp_path / "both")
    assert (result.of_first, result.of_second, result.rows.both, len(result.rows.photos)) == (5, 6, 1, 10)
    assert plain(tmp_path / "both") == plain(halves / "whole")
    copies = {path.name: path.read_bytes() for path in (halves / "whole/photos").glob("*/*")}
    assert {path.name: path.read_bytes() for path in (tmp_path / "both/photos").glob("*/*")} == copies
    assert verify(tmp_path / "both").problems == ()
    assert verify(tmp_path / "both").orphans == ()
    assert {name: fingerprint(halves / name, without=()) for name in "ab"} == before
    other_way = merge(halves / "b", halves / "a", tmp_path / "other")
    assert plain(other_way.dataset) == plain(halves / "whole")
    outcomes = run_ingest([halves / "in/a", halves / "in/b"], tmp_path / "both")
    assert (outcomes.new, outcomes.unchanged) == (0, 10)


def test_corrections_stand_in_order_of_time_and_conflicts_are_listed(halves: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(halves / name, tmp_path / name)
    shared = next(photo for photo in rows(halves / "a").values() if photo.id in plain(halves / "b"))
    own = rows(halves / "a")["IMG_0000.jpg"]
    append_corrections(tmp_path / "a/corrections.csv", [correction(own, 1), correction(shared, 5)])
    append_corrections(tmp_path / "b/corrections.csv", [correction(shared, 3, by="lee")])
    result = merge(tmp_path / "a", tmp_path / "b", tmp_path / "both")
    lines = read_corrections(tmp_path / "both/corrections.csv")
    assert [line.at[-3:-1] for line in lines] == ["01", "03", "05"]
    [conflict] = result.conflicts
    assert (conflict.photo_id, conflict.first.by, conflict.second.by) == (shared.id, "kim", "lee")
    assert conflict.holds is conflict.first
    assert newest(lines)[shared.id].lon == pytest.approx(shared.lon + 5e-5)
    assert verify(tmp_path / "both").problems == ()
    # again, with a copy of itself: every line once
    again = merge(tmp_path / "both", tmp_path / "a", tmp_path / "again")
    assert again.conflicts == ()
    assert [line.at for line in read_corrections(tmp_path / "again/corrections.csv")] == [line.at for line in lines]


def test_a_line_taken_back_beside_somebody_elses_stays_a_state(tmp_path: Path) -> None:
    photo = make_photo("p")
    first = append_corrections(tmp_path / "one.csv", [correction(photo, 1)])
    first += append_corrections(
        tmp_path / "one.csv", [correction(photo, 5, action="reset", lon=None, lat=None, undoes=first[0].digest)]
    )
    second = append_corrections(tmp_path / "two.csv", [correction(photo, 3, by="lee")])
    lines, conflicts = merged_corrections(first, second, {photo.id})
    assert [(line.by, bool(line.undoes)) for line in lines] == [("kim", False), ("lee", False), ("kim", False)]
    assert len(histories(lines)[photo.id]) == 3
    assert newest(lines) == {}
    assert len(conflicts) == 1
    alone, none = merged_corrections(first, [], {photo.id})
    assert [bool(line.undoes) for line in alone] == [False, True]
    assert none == []


def test_what_somebody_hid_stays_hidden(halves: Path, tmp_path: Path) -> None:
    shared = next(photo for photo in rows(halves / "a").values() if photo.id in plain(halves / "b"))
    own = rows(halves / "b")["B_0000.jpg"]
    box, other = Box(left=0, top=0, right=8, bottom=8), Box(left=20, top=0, right=30, bottom=8)
    face = PictureRegion(box=box, kind="face", score=0.2)
    drawn = PictureRegion(box=other, kind="hand")
    said: dict[str, Verdict] = {"a": "show", "b": "hide"}
    for name, more in (("a", {}), ("b", {own.id: [drawn]})):
        dataset = Dataset.open(shutil.copytree(halves / name, tmp_path / name))
        regions = {shared.id: [dataclasses.replace(face, verdict=said[name])], **more}
        with dataset.lock():
            save_redactions(dataset, Redactions(regions=regions, looked={shared.id: "x:y"}))
    merged = Dataset.open(merge(tmp_path / "a", tmp_path / "b", tmp_path / "both").dataset)
    known = load_redactions(merged)
    assert known.regions == {shared.id: [dataclasses.replace(face, verdict="hide")], own.id: [drawn]}
    assert known.looked == {shared.id: "x:y"}
    (tmp_path / "both/redaction.json").write_text("{}")
    assert [problem.where for problem in verify(tmp_path / "both").problems] == ["redaction.json"]


def test_a_merge_that_leaves_no_validation_photo_says_so(halves: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(halves / name, tmp_path / name)
    split(tmp_path / "a", by="random", val=0, test=0)
    noted = set()
    for seed in (0, 11):  # two photos of the other walk; the burst that the first dataset trains on
        split(tmp_path / "b", by="random", val=2, test=0, seed=seed)
        held = {photo.source_name for photo in rows(tmp_path / "b").values() if photo.split == "val"}
        merged = merge(tmp_path / "a", tmp_path / "b", tmp_path / "both", dry_run=True).rows
        left = any(photo.split == "val" for photo in merged.photos.values())
        assert any("No validation photo is left" in note for note in merged.notes) == (not left), held
        noted.add(left)
    assert noted == {True, False}


def test_splits_are_kept_and_a_group_on_two_sides_gives_its_smaller_part_up(halves: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(halves / name, tmp_path / name)
    split(tmp_path / "a", by="random", val=0, test=0)  # the burst of the first phone: all train
    split(tmp_path / "b", by="random", val=0, test=2, seed=1)
    before = {**{p.id: p for p in rows(tmp_path / "b").values()}, **{p.id: p for p in rows(tmp_path / "a").values()}}
    result = merge(tmp_path / "a", tmp_path / "b", tmp_path / "both")
    after = rows(tmp_path / "both").values()
    for photo in after:
        assert photo.split in (before[photo.id].split, "excluded")
    sides: dict[str, set[str]] = {}
    for photo in after:
        if photo.split != "excluded":
            sides.setdefault(photo.group, set()).add(str(photo.split))
    assert all(len(found) == 1 for found in sides.values())
    assert {photo.id for photo in result.rows.set_aside} == {photo.id for photo in after if photo.split == "excluded"}
    assert all("merged" in str(photo.split_reason) for photo in result.rows.set_aside)
    _, info = read_table(tmp_path / "both/manifest.parquet")
    assert info.split is not None
    assert info.split["by"] == "random"


def test_the_larger_side_of_a_group_or_walk_stays() -> None:
    photos = [
        dataclasses.replace(photo, walk="w", group=f"g-{number // 3}", split="train" if number % 3 else "test", fold=0)
        for number, photo in enumerate(make_walk("w", places=line((0, 0), (50, 0), 6)))
    ]
    by_group = parted(photos, {"by": "random"})
    assert [photo.split for photo in by_group] == ["excluded", "train", "train"] * 2
    assert by_group[0].split_reason == "merged: its group is in train, it was in test"
    photos[5] = dataclasses.replace(photos[5], group="g-9", split="test")
    photos[4] = dataclasses.replace(photos[4], split="test", group="g-9")
    assert [photo.split for photo in parted(photos, {"by": "walk"})].count("excluded") == 2
    assert {photo.split for photo in parted(photos, {"by": "walk"})} == {"test", "excluded"}
    beside = [make_photo("t", 0, 0, split="test", group="a"), make_photo("n", 5, 0, split="train", group="b")]
    assert [photo.split for photo in parted(beside, {"by": "cell"})] == ["test", "excluded"]


def test_what_one_forgot_stays_out(halves: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(halves / name, tmp_path / name)
    shared = next(photo for photo in rows(halves / "a").values() if photo.id in plain(halves / "b"))
    forget(tmp_path / "b", ids=[shared.id])
    result = merge(tmp_path / "a", tmp_path / "b", tmp_path / "both")
    assert result.rows.left_out == 1
    assert shared.id not in plain(tmp_path / "both")
    assert run_ingest(halves / "in/a", tmp_path / "both").to_dict()["rejected"]["forgotten"] == 1


def test_the_log_names_no_file_that_one_forgot(halves: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(halves / name, tmp_path / name)
    shared = next(photo for photo in rows(halves / "a").values() if photo.id in plain(halves / "b"))
    name = shared.source_name.rpartition("/")[2]
    command = ["img2gps", "ingest", str(halves / "in/a" / name), str(halves / "in/a/more"), "a"]
    run_ingest(halves / "in/a" / name, tmp_path / "a", command=shlex.join(command))
    assert name in Dataset(root=tmp_path / "a").ingests_path.read_text()
    forget(tmp_path / "b", ids=[shared.id])
    merge(tmp_path / "a", tmp_path / "b", tmp_path / "both")
    log = Dataset(root=tmp_path / "both").ingests_path.read_text()
    assert name not in log
    assert "FORGOTTEN" in log
    assert "more" in log


def test_a_polygon_that_was_redrawn_judges_both(halves: Path, tmp_path: Path) -> None:
    shutil.copytree(halves / "a", tmp_path / "a")
    (tmp_path / "nothing").mkdir()
    small = tmp_path / "small.geojson"
    small.write_text((halves / "square.geojson").read_text().replace("50.005", "50.0006"))
    run_ingest(tmp_path / "nothing", tmp_path / "a", site=small, allow_shrink=True)
    result = merge(tmp_path / "a", halves / "b", tmp_path / "both")
    assert {photo.lat < 50.001 for photo in result.rows.photos.values()} == {True}
    assert len(result.rows.outside) == 4
    assert verify(tmp_path / "both").problems == ()
    assert len(merge(halves / "b", tmp_path / "a", tmp_path / "wide").rows.photos) == 10


def test_what_cannot_be_merged_is_refused(halves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = make_dataset(tmp_path / "elsewhere", [make_photo("p")], site=box_site()).root
    with pytest.raises(UsageError, match="different sites"):
        merge(halves / "a", elsewhere, tmp_path / "both")
    with pytest.raises(UsageError, match="there already"):
        merge(halves / "a", halves / "b", halves / "whole")
    with pytest.raises(UsageError, match="given twice"):
        merge(halves / "a", halves / "a", tmp_path / "both")
    with pytest.raises(UsageError, match="outside of both"):
        merge(halves / "a", halves / "b", halves / "b/both")
    shutil.copytree(halves / "a", tmp_path / "a")
    next((tmp_path / "a/photos").glob("*/*")).write_bytes(b"x")
    with pytest.raises(InvalidDatasetError, match="verify"):
        merge(tmp_path / "a", halves / "b", tmp_path / "both")
    assert not (tmp_path / "both").exists()
    assert run(["merge", str(halves / "a"), str(halves / "b"), "--into", str(tmp_path / "both"), "--dry-run"]) == 0
    assert "would hold 10 photos" in capsys.readouterr().out
    assert not (tmp_path / "both").exists()
    assert run(["merge", str(halves / "a"), str(halves / "b"), "--into", str(tmp_path / "both"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["of_both"] == 1


@pytest.mark.slow
def test_killed_at_any_operation_there_is_all_or_nothing(halves: Path, tmp_path: Path) -> None:
    with failing_operation(0, Fault(), removals=True) as operations:
        merge(halves / "a", halves / "b", tmp_path / "reference")
    expected = plain(tmp_path / "reference")
    for number in range(1, operations() + 1, 7):
        root = tmp_path / f"ds-{number}"
        with failing_operation(number, Fault(), removals=True), contextlib.suppress(Fault):
            merge(halves / "a", halves / "b", root)
        assert_sound(root)
        if not root.exists():
            merge(halves / "a", halves / "b", root)
        assert plain(root) == expected
        assert Dataset.open(root).frame().shape[0] == 10


def test_a_dataset_is_a_folder_that_can_be_moved_and_only_read(halves: Path, tmp_path: Path) -> None:
    root = shutil.copytree(halves / "a", tmp_path / "elsewhere/renamed")
    assert verify(root).problems == ()
    assert Dataset.open(root).frame().shape == Dataset.open(halves / "a").frame().shape
    moved = shutil.copytree(halves / "in/a", tmp_path / "other-laptop")  # other paths, the same bytes
    assert run_ingest(moved, root).unchanged == 5
    for path in sorted(root.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root.chmod(0o555)
    try:
        before = fingerprint(root, without=())
        assert verify(root).problems == ()
        assert len(merge(root, halves / "b", tmp_path / "both").rows.photos) == 10
        assert fingerprint(root, without=()) == before
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)
