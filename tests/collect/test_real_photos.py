"""Real photos: the Penn block, a campus in two forms, and a collection of odd and broken files."""

import csv
import io
import os
from pathlib import Path

import pytest
from ingest_runs import rows, run_ingest
from PIL import Image

from collect.ingestion.options import IngestOptions
from collect.ingestion.pipeline import ingest, validate
from collect.verification import verify_dataset

DATA = Path(os.environ.get("IMG2GPS_REAL_DATA", "nowhere"))
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="IMG2GPS_REAL_DATA names no folder of real photos"),
]


@pytest.mark.slow
def test_the_penn_block(tmp_path: Path) -> None:
    outcomes = run_ingest(DATA / "penn", tmp_path / "quad", site="penn-engineering-quad")
    assert (outcomes.found, outcomes.new, outcomes.flags["edge"]) == (16, 16, 1)
    photos = rows(tmp_path / "quad").values()
    assert sorted(photo.site_relation for photo in photos) == ["edge"] + ["inside"] * 15
    for photo in photos:
        data = (tmp_path / "quad" / photo.file_name).read_bytes()
        with Image.open(io.BytesIO(data)) as copy:
            assert copy.height > copy.width
            assert not copy.getexif()
        assert b"Exif" not in data
    assert verify_dataset(tmp_path / "quad").problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["penn", "exif"])
def test_a_validation_says_what_the_ingest_says(folder: str, tmp_path: Path) -> None:
    options = IngestOptions(site="penn-engineering-quad", jobs=2)
    validated = validate([DATA / folder], options)
    ingested = ingest([DATA / folder], tmp_path / "ds", options)
    assert validated.to_dict() == ingested.to_dict()
    assert {(r.path, r.reason) for r in validated.rejections} == {(r.path, r.reason) for r in ingested.rejections}


@pytest.mark.slow
def test_the_bare_campus_with_labels(tmp_path: Path) -> None:
    campus = DATA / "campus"
    outcomes = run_ingest(
        campus / "images", tmp_path / "ds", site=campus / "site.geojson", labels=campus / "labels.csv", jobs=2
    )
    assert (outcomes.new, outcomes.duplicate, outcomes.rejected) == (1220, 2, {})
    assert len([note for note in outcomes.notes if "same bytes" in note]) == 1
    photos = rows(tmp_path / "ds")
    assert len({photo.walk for photo in photos.values()}) == 7
    with (campus / "labels.csv").open(newline="") as file:
        labels = {row["file_name"]: row for row in csv.DictReader(file)}
    for name, photo in photos.items():
        assert (photo.lat, photo.lon) == (float(labels[name]["latitude"]), float(labels[name]["longitude"]))


@pytest.mark.slow
def test_odd_and_broken_files_all_end_in_an_outcome(tmp_path: Path) -> None:
    files = [path for path in (DATA / "exif").rglob("*") if path.is_file()]
    outcomes = run_ingest(DATA / "exif", tmp_path / "ds", site="penn-engineering-quad", jobs=2)
    assert outcomes.found == len(files)
    assert outcomes.to_dict()["rejected"] == {
        "truncated": 1, "no_exif": 22, "no_gps": 94, "gps_redacted": 1, "outside_site": 25
    }  # fmt: skip
    assert (outcomes.new, outcomes.duplicate) == (0, 3)
