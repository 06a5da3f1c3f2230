"""Labels without the page: in, out, and the queue, as functions."""

import json
from pathlib import Path

import pytest

import collect
from img2gps import Dataset
from img2gps.cli import run
from img2gps.errors import NotFoundError, UsageError
from tests.labelling import labelled_dataset, walk_with_a_slip

PHOTOS = walk_with_a_slip()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return labelled_dataset(tmp_path / "quad", PHOTOS)


def test_corrections_go_in_and_come_out(dataset: Dataset, tmp_path: Path) -> None:
    given, out = tmp_path / "given.csv", tmp_path / "out.csv"
    given.write_text(f"id,lon,lat\n{PHOTOS[12].id},{PHOTOS[11].lon},{PHOTOS[11].lat}\nx,1,2\n")
    report = collect.import_labels(dataset, given, by="kim")
    assert (report.found, report.applied, len(report.unmatched)) == (2, 1, 1)
    assert collect.export_labels(str(dataset.root), out) == 1
    [row] = out.read_text().splitlines()[1:]
    assert PHOTOS[12].id in row
    assert "kim" in row
    given.write_text(f"id,lon,lat\n{PHOTOS[12].id},{PHOTOS[13].lon},{PHOTOS[13].lat}\n")
    assert len(collect.import_labels(dataset, given).conflicts) == 1
    assert collect.import_labels(dataset, given, replace=True).applied == 1


def test_the_queue_is_that_of_the_command(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    queue = collect.label_queue(dataset)
    assert (queue.photos, queue.reviewed, len(queue.labels)) == (24, 0, 24)
    assert (queue.labels[0].rank, queue.labels[0].id) == (1, PHOTOS[12].id)
    assert run(["label", str(dataset.root), "--queue", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(queue.to_dict()))


def test_a_label_that_was_looked_at_leaves_the_queue(dataset: Dataset, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_text(f"id,lon,lat,action\n{PHOTOS[12].id},{PHOTOS[12].lon},{PHOTOS[12].lat},confirm\n")
    collect.import_labels(dataset, given)
    queue = collect.label_queue(dataset)
    assert (queue.reviewed, queue.standing.judged) == (1, 1)
    assert PHOTOS[12].id not in {label.id for label in queue.labels}


def test_a_wrong_layer_is_told_before_anything_is_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        collect.label_queue(dataset, buildings=tmp_path / "none.geojson")
    given = tmp_path / "given.csv"
    given.write_text(f"id,lon,lat\n{PHOTOS[12].id},{PHOTOS[11].lon},{PHOTOS[11].lat}\n")
    words = ["label", str(dataset.root), "--import", str(given), "--buildings", str(tmp_path / "none.geojson")]
    assert run(words) == 3
    assert not dataset.corrections_path.exists()


def test_corrections_without_a_point_are_refused_for_that_reason(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "none.geojson"
    assert collect.export_labels(dataset, out) == 0
    with pytest.raises(UsageError, match=r"none\.geojson is no FeatureCollection with points"):
        collect.import_labels(dataset, out)
