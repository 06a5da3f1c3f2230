"""`publish`: what the folder holds, what it never holds, and that three libraries and a validator read it."""

import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from publishing_scene import Published

from collect.api import publish
from collect.publishing.parquet_files import plan_shards
from collect.publishing.pictures import without_metadata
from collect.publishing.rows import Coarseness, PublishedPhoto, rows_of
from img2gps import cli
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.hub.yaml_text import yaml_text


def table_of(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((out / "data").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def everything(out: Path) -> bytes:
    """Return every byte that left, tables as plain text too: Parquet compresses."""
    files = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    return b"".join([*files, repr([{**row, "image": row["image"]["path"]} for row in table_of(out)]).encode()])


def test_the_folder_holds_each_photo_that_nobody_excluded(published: Published) -> None:
    rows = {row["id"]: row for row in table_of(published.out)}
    frame = published.dataset.frame().set_index("id")
    assert set(rows) == set(frame.index) - {published.excluded}
    for photo_id, row in rows.items():
        expected = frame.loc[photo_id]
        assert (row["lon"], row["lat"]) == (expected["lon"], expected["lat"])
        assert row["split"] == expected["split"]
        assert row["image"]["bytes"] == published.dataset.photo_path(photo_id).read_bytes()
    assert rows[published.turned]["heading_deg"] == 123.0
    assert (rows[published.moved]["phone_lon"], rows[published.moved]["label_state"]) == (
        frame.loc[published.moved, "ingest_lon"],
        "move",
    )


def test_names_serial_numbers_and_exif_never_leave(published: Published) -> None:
    left = everything(published.out)
    names = [
        b"kim",
        b"KIM",
        b"stood at the well",
        b"SERIAL",
        b"Acme",
        b"Phone 1",
        b"Exif",
        published.excluded[:12].encode(),
    ]
    device = str(published.dataset.frame()["device"].iloc[0])
    assert [name for name in [*names, device.encode()] if name in left] == []
    assert all(without_metadata(row["image"]["bytes"]) for row in table_of(published.out))


@pytest.mark.parametrize(
    "extra", [{"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}, {"comment": b"kim"}, {"icc_profile": b"x" * 200}]
)
def test_a_picture_that_tells_more_is_seen(tmp_path: Path, extra: dict[str, Any]) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "plain.jpg")
    Image.new("RGB", (16, 16), "red").save(tmp_path / "telling.jpg", **extra)
    plain = (tmp_path / "plain.jpg").read_bytes()
    assert without_metadata(plain)
    assert not without_metadata((tmp_path / "telling.jpg").read_bytes())
    assert not without_metadata(plain + b"kim")
    assert not without_metadata(b"")


def test_the_card_tells_the_hub_and_people(published: Published) -> None:
    text = (published.out / "README.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    card = yaml.safe_load(front)
    assert (card["license"], card["pretty_name"], card["size_categories"]) == ("cc-by-4.0", "The quad", ["n<1K"])
    info = card["dataset_info"][0]
    assert {split["name"]: split["num_examples"] for split in info["splits"]} == {
        "train": 4,
        "validation": 5,
        "test": 5,
    }
    assert info["features"][0] == {"name": "image", "dtype": "image"}
    assert "Split by walk" in body
    assert "groups with photos in two splits:\n0." in body
    assert "holds the\n  positions of its training photos" in body
    citation = yaml.safe_load((published.out / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["authors"], citation["license"]) == ([{"name": "The Lab"}], "CC-BY-4.0")


def test_a_description_keeps_its_lines(published: Published, tmp_path: Path) -> None:
    publish(published.dataset.root, tmp_path / "out", license="mit", description="Two walks.\n\n\x1b[1mBy kim.\n")
    assert "\n\nTwo walks.\n\n\\x1b[1mBy kim.\n\n## Use\n" in (tmp_path / "out/README.md").read_text()


@pytest.mark.slow
def test_datasets_loads_the_folder(published: Published, tmp_path: Path) -> None:
    said = run_alone(
        f"""
        import datasets
        found = datasets.load_dataset({str(published.out)!r})
        files = {{"train": {[str(path) for path in sorted((published.out / "data").glob("train-*"))]}}}
        plain = datasets.load_dataset("parquet", data_files=files)
        row = plain["train"][0]
        sizes = {{name: len(part) for name, part in found.items()}}
        print(sizes, row["image"].size, row["captured_at"].tzinfo, row["lon"])
        """,
        HF_DATASETS_CACHE=str(tmp_path),
        HF_HUB_OFFLINE="1",
    )
    first = pq.read_table(next((published.out / "data").glob("train-*"))).to_pylist()[0]
    assert said.splitlines()[-1] == f"{{'train': 4, 'validation': 5, 'test': 5}} (96, 72) UTC {first['lon']}"


def test_geopandas_loads_the_files(published: Published) -> None:
    import geopandas

    frame = geopandas.read_parquet(next((published.out / "data").glob("test-*")))
    assert frame.crs.to_epsg() == 4326
    assert frame.geometry.x.tolist() == frame["lon"].tolist()


@pytest.mark.slow
def test_gdal_opens_the_files(published: Published, tmp_path: Path) -> None:
    """GDAL of the wheels reads Parquet through DuckDB's library, which the loader must find by its usual name."""
    duckdb = pytest.importorskip("_duckdb")
    (tmp_path / "libduckdb.so").symlink_to(duckdb.__file__)
    path = next((published.out / "data").glob("test-*"))
    code = f"""
        import pyogrio
        _, _, _, columns = pyogrio.raw.read({str(path)!r}, columns=["lon", "walk"])
        print(sorted(columns[0].tolist()), set(columns[1]))
        """
    said = run_alone(code, LD_LIBRARY_PATH=str(tmp_path))
    rows = pq.read_table(path).to_pylist()
    assert said.strip() == f"{sorted(row['lon'] for row in rows)} { ({row['walk'] for row in rows}) }"


@pytest.mark.slow
def test_croissant_is_valid_and_finds_the_photos(published: Published) -> None:
    said = run_alone(
        f"""
        import mlcroissant
        found = mlcroissant.Dataset(jsonld={str(published.out / "croissant.json")!r})
        rows = list(found.records("test"))
        print(found.metadata.issues.errors, len(rows), rows[0]["test/image"].size)
        """
    )
    assert said.splitlines()[-1] == "set() 5 (96, 72)"
    document = json.loads((published.out / "croissant.json").read_text(encoding="utf-8"))
    assert document["geocr:coordinateReferenceSystem"] == "EPSG:4326"


def run_alone(code: str, **variables: str) -> str:
    """Run code in a process of its own: these libraries warn, read variables when imported, and keep threads."""
    lines = "\n".join(line.removeprefix("        ") for line in code.splitlines())
    result = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, env=os.environ | variables)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_positions_lie_on_a_grid_and_times_on_the_hour(published: Published, tmp_path: Path) -> None:
    publish(published.dataset, tmp_path / "out", license="mit", round_m=25, hours=True)
    site = published.dataset.site()
    exact = published.dataset.frame().set_index("id")
    rows = table_of(tmp_path / "out")
    for row in rows:
        east_m, north_m = (float(value) / 25 for value in site.frame.to_local(row["lon"], row["lat"]))
        assert math.isclose(east_m, round(east_m), abs_tol=1e-2)
        assert math.isclose(north_m, round(north_m), abs_tol=1e-2)
        assert (row["captured_at"].minute, row["captured_at"].second) == (0, 0)
        assert re.search(r"T\d\d:00:00$", row["clock_local"])
    for split in ("train", "validation", "test"):
        ids = [row["id"] for row in pq.read_table(next((tmp_path / "out" / "data").glob(f"{split}-*"))).to_pylist()]
        assert ids == sorted(ids)
    left = everything(tmp_path / "out")
    assert [lon for lon in exact["lon"] if repr(lon).encode() in left] == []
    assert not re.search(rb"\d{8}-\d{6}", left)  # a walk of a dataset is named after the second that it began


@given(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.5, 500))
def test_a_rounded_place_is_near_and_rounds_to_itself(east_m: float, north_m: float, round_m: float) -> None:
    from tests.datasets import box_site

    site = box_site()
    lon, lat = (float(value) for value in site.frame.to_lonlat(east_m, north_m))
    coarse = Coarseness(round_m=round_m)
    there = coarse.place(lon, lat, site)
    moved = [float(value) for value in site.frame.to_local(*there)]
    assert math.dist(moved, (east_m, north_m)) <= round_m * math.sqrt(0.5) + 0.05
    assert coarse.place(*there, site) == there


def test_a_height_is_as_coarse_as_the_place() -> None:
    assert Coarseness(round_m=25).height(61.7) == 50.0
    assert Coarseness(round_m=25).height(None) is None
    assert Coarseness().height(61.7) == 61.7


@pytest.mark.parametrize("value", [0, -1, float("nan"), 1e9])
def test_a_grid_that_makes_no_sense_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="round-m"):
        Coarseness(round_m=value)


def test_a_dry_run_lists_the_files_and_writes_nothing(published: Published, tmp_path: Path) -> None:
    result = publish(published.dataset, tmp_path / "out", license="mit", dry_run=True)
    assert set(result.files) == {path.relative_to(published.out).as_posix() for path in published.out.rglob("*.*")}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("OUT", 2, "Say with --license"),
        ("OUT --license 'my own!'", 2, "is a word of the Hub's list"),
        ("DATASET/out --license mit", 2, "lies in the dataset"),
        ("FULL --license mit", 2, "holds files that `img2gps publish` did not write, such as notes.txt"),
    ],
)
def test_what_cannot_be_published_is_a_sentence(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, said: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    paths = {"OUT": tmp_path / "out", "DATASET": published.dataset.root, "FULL": tmp_path / "full"}
    for word, path in paths.items():
        words = words.replace(word, str(path))
    assert cli.run(["publish", str(published.dataset.root), *shlex.split(words)]) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


def test_a_changed_working_copy_stops_it_and_the_folder_of_before_stays(published: Published, tmp_path: Path) -> None:
    root = shutil.copytree(published.dataset.root, tmp_path / "quad")
    publish(root, tmp_path / "out", license="mit")
    before = (tmp_path / "out" / "img2gps.json").read_bytes()
    path = next((root / "photos").rglob("*.jpg"))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InvalidDatasetError, match="was changed after ingest"):
        publish(root, tmp_path / "out", license="mit")
    assert (tmp_path / "out" / "img2gps.json").read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "quad"]


def test_a_folder_that_was_published_is_replaced(published: Published, tmp_path: Path) -> None:
    publish(published.dataset, tmp_path / "out", license="mit")
    publish(published.dataset, tmp_path / "out", license="cc0-1.0")
    assert "license: cc0-1.0" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "moment"), [(signal.SIGKILL, 0.0), (signal.SIGKILL, 0.05), (signal.SIGINT, 0.02)])
def test_killed_at_any_point_there_is_a_whole_folder_or_none(
    published: Published, tmp_path: Path, number: signal.Signals, moment: float
) -> None:
    out = tmp_path / "out"
    words = ["-m", "img2gps", "publish", str(published.dataset.root), str(out), "--license", "mit"]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]:
        time.sleep(0.002)
    time.sleep(moment)
    process.send_signal(number)
    process.wait()
    if out.exists():
        assert len(table_of(out)) == 14
        assert (out / "img2gps.json").exists()
    publish(published.dataset, out, license="mit")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_files_are_cut_where_they_grow_too_large(published: Published) -> None:
    rows = rows_of(published.dataset, published.dataset.site(), Coarseness())
    photos = rows.photos[:10]
    shards = plan_shards({"train": photos}, {photo.id: 100 for photo in photos}, most_bytes=350)
    assert [shard.name for shard in shards] == [f"data/train-{number:05d}-of-00003.parquet" for number in range(3)]
    assert tuple(photo for shard in shards for photo in shard.photos) == photos
    assert isinstance(photos[0], PublishedPhoto)


_KEYS = st.sampled_from(["license", "tags", "data_files", "num_bytes"])
_TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
_VALUES = st.recursive(
    st.one_of(_TEXT, st.integers(-(10**6), 10**6), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(_KEYS, inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4))
def test_yaml_readers_read_what_was_written(value: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml_text(value)) == value


def test_a_dry_run_prints_what_its_schema_says(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["publish", str(published.dataset.root), str(tmp_path / "out"), "--license", "mit", "--dry-run", "--json"]
    assert cli.run(words) == 0
    schema = Path(__file__).parents[3] / "docs/reference/schemas/publish.json"
    jsonschema.validate(json.loads(capsys.readouterr().out), json.loads(schema.read_text(encoding="utf-8")))
