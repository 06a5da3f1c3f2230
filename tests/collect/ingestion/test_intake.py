"""From readings to outcomes: working copies are kept or thrown away, and what is read twice is told once."""

from pathlib import Path

import pytest
from ingest_runs import rows, run_ingest
from photos import write_photo, write_walk

from img2gps.dataset import Dataset
from img2gps.files import TEMPORARY_PREFIX
from img2gps.manifest import read_table, write_manifest


def leftovers(root: Path) -> list[Path]:
    return list((root / "photos").rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_photo_whose_row_was_lost_is_read_again_and_its_notes_come_once(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg")
    (tmp_path / "labels.csv").write_text("name,lat,lng\na.jpg,50.001,8.001\n")
    dataset = Dataset(root=tmp_path / "ds")
    before = run_ingest(tmp_path / "in", dataset.root, labels=tmp_path / "labels.csv")
    stored = rows(dataset.root)["a.jpg"]
    _, info = read_table(dataset.manifest_path)
    write_manifest(dataset.manifest_path, [], info)
    after = run_ingest(tmp_path / "in", dataset.root, labels=tmp_path / "labels.csv")
    assert sum("the label stands" in note for note in before.notes) == 1
    assert sum("the label stands" in note for note in after.notes) == 1
    assert after.new == 1
    found = rows(dataset.root)["a.jpg"]
    assert (found.photo_sha256, found.lon, found.lat) == (stored.photo_sha256, stored.lon, stored.lat)
    assert leftovers(dataset.root) == []


def test_a_working_copy_that_had_gone_is_put_back(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 2, size=(64, 48))
    dataset = Dataset(root=tmp_path / "ds")
    run_ingest(tmp_path / "in", dataset.root)
    copy = dataset.photo_path(rows(dataset.root)["IMG_0000.jpg"].id)
    stored = copy.read_bytes()
    copy.unlink()
    outcomes = run_ingest(tmp_path / "in", dataset.root, rehash=True)
    assert (outcomes.unchanged, outcomes.new) == (2, 0)
    assert copy.read_bytes() == stored
    assert leftovers(dataset.root) == []


@pytest.mark.parametrize("swept", [True, False])
def test_the_copy_of_a_duplicate_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swept: bool) -> None:
    if not swept:  # the sweep at the end of an ingest is for what crashes leave
        monkeypatch.setattr("collect.ingestion.take_in.sweep_temporary_files", lambda _: 0)
    first = write_photo(tmp_path / "in/a.jpg", size=(64, 48))
    (tmp_path / "in/b.jpg").write_bytes(first.read_bytes())
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.new, outcomes.duplicate) == (1, 1)
    assert leftovers(tmp_path / "ds") == []
