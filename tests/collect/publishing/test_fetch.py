"""`fetch`: a published folder becomes the dataset that it was made of, splits, folds, groups and corrections intact."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from publishing_scene import Published

from collect.api import fetch, publish, verify
from img2gps import cli
from img2gps.dataset import Dataset, frame_info
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.splits import split_hashes

SAME = ("lon", "lat", "ingest_lon", "ingest_lat", "heading_deg", "captured_at", "split", "fold", "phash", "label_state")


def test_what_comes_back_is_what_was_published(published: Published, tmp_path: Path) -> None:
    result = fetch(published.out, tmp_path / "back")
    assert (result.photos, result.splits, result.corrections) == (14, {"train": 4, "val": 5, "test": 5}, 2)
    assert verify(tmp_path / "back").problems == ()
    before = published.dataset.frame()
    before = before[before["id"] != published.excluded].reset_index(drop=True)
    after = Dataset.open(tmp_path / "back").frame()
    assert after["id"].tolist() == before["id"].tolist()  # in this order: training draws its batches by it
    for column in (*SAME, "photo_sha256"):
        assert after[column].equals(before[column]) or after[column].isna().all() == before[column].isna().all(), column
        assert after[column].dropna().tolist() == before[column].dropna().tolist(), column
    for column in ("walk", "group", "device", "burst"):
        pairs = set(zip(before[column].fillna(""), after[column].fillna(""), strict=True))
        assert len(pairs) == before[column].nunique(dropna=False) == after[column].nunique(dropna=False)
    stored = frame_info(after).split
    assert stored is not None
    assert stored["ids_sha256"] == split_hashes(before).ids
    assert stored["labels_sha256"] == split_hashes(before).labels
    assert {key: stored[key] for key in ("by", "val", "test", "folds")} == {
        "by": "walk",
        "val": 5,
        "test": 5,
        "folds": "2",
    }
    assert not [path for path in (tmp_path / "back").rglob("*") if path.is_file() and b"kim" in path.read_bytes()]


def test_publishing_what_was_fetched_gives_the_same_data(published: Published, tmp_path: Path) -> None:
    fetch(published.out, tmp_path / "back")
    publish(tmp_path / "back", tmp_path / "again", license="cc-by-4.0", title="The quad", authors=["The Lab"])
    for path in (published.out / "data").iterdir():
        assert (tmp_path / "again" / "data" / path.name).read_bytes() == path.read_bytes()


def test_a_coarse_dataset_comes_back_sound(published: Published, tmp_path: Path) -> None:
    publish(published.dataset, tmp_path / "out", license="mit", round_m=300, hours=True)
    fetch(tmp_path / "out", tmp_path / "back")
    assert verify(tmp_path / "back").problems == ()


@pytest.mark.parametrize("name", ["data/test-00000-of-00001.parquet", "site.geojson", "img2gps.json"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_damage_is_a_sentence_and_leaves_nothing(published: Published, tmp_path: Path, name: str, how: str) -> None:
    out = shutil.copytree(published.out, tmp_path / "out")
    if how == "gone":
        (out / name).unlink()
    else:
        (out / name).write_bytes((out / name).read_bytes()[:-40])
    with pytest.raises((InvalidDatasetError, NotFoundError), match=r"again|did not|wrote"):
        fetch(out, tmp_path / "back")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_record_cannot_name_files_elsewhere(published: Published, tmp_path: Path) -> None:
    out = shutil.copytree(published.out, tmp_path / "out")
    record = json.loads((out / "img2gps.json").read_text())
    record["files"]["../secret.parquet"] = "0" * 64
    (out / "img2gps.json").write_text(json.dumps(record))
    (tmp_path / "secret.parquet").write_text("mine")
    with pytest.raises(InvalidDatasetError, match="lacks its file"):
        fetch(out, tmp_path / "back")


def test_a_dataset_is_never_overwritten(published: Published, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a dataset already"):
        fetch(published.out, published.dataset.root)
    with pytest.raises(NotFoundError):
        fetch(tmp_path / "nowhere", tmp_path / "back")


def test_the_command_says_what_came(published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = tmp_path / "back"
    assert cli.run(["fetch", str(published.out), str(back), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 14
    assert not back.exists()
    back.mkdir()  # an empty folder will do
    assert cli.run(["fetch", str(published.out), str(back)]) == 0
    told = capsys.readouterr()
    assert "14 photos fetched" in told.out
    assert f"Next: `img2gps train {back}`" in " ".join(told.err.split())
    assert cli.run(["verify", str(back)]) == 0


@pytest.mark.slow
def test_killed_at_any_point_there_is_a_whole_dataset_or_none(published: Published, tmp_path: Path) -> None:
    back = tmp_path / "back"
    words = ["-m", "img2gps", "fetch", str(published.out), str(back)]
    for moment in (0.0, 0.03):
        process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]:
            time.sleep(0.002)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if back.exists():
            assert verify(back).problems == ()
            shutil.rmtree(back)
    fetch(published.out, back)
    assert verify(back).problems == ()
    assert [entry.name for entry in tmp_path.iterdir()] == ["back"]
