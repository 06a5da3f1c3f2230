"""What a cluster trains is what one process trains, file by file, but for the seconds that it took."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster_faults import Workers, two_workers
from photos import write_walk

from img2gps.cluster_jobs import SharedFile
from img2gps.errors import UsageError
from img2gps.files import SUMS, sha256_bytes
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train.api import predict
from train.config.presets import preset
from train.config.values import changed
from train.study.grid import study_cells
from train.study.runs import run_study
from train.training.session import resume_run, start_run

_SECONDS = {"images_per_s", "seconds"}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with two_workers() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)


def digests(root: Path) -> dict[str, str]:
    """Return a digest of each file of a run, without the times that training took."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.parent.name != "plots"):
        data = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            data = json.dumps([_timeless(json.loads(line)) for line in _documents(path)]).encode()
        elif path.name in (SUMS, "metrics.sha256", "README.md"):  # digests of the above, and a table of them
            data = b""
        found[str(path.relative_to(root))] = sha256_bytes(data)
    return found


def _documents(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _timeless(one) for name, one in value.items() if name not in _SECONDS}
    return value


@pytest.mark.slow
def test_folds_of_a_cluster_are_those_of_one_process(workers: Workers, tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 12, folds=3).root
    alone = start_run(root, tiny_config(epochs=1), folds=True, runs=tmp_path / "runs", name="alone")
    spread = start_run(
        root, tiny_config(epochs=1), folds=True, runs=tmp_path / "runs", name="spread", cluster=workers.address
    )
    assert digests(spread.root) == digests(alone.root)
    assert len(digests(spread.root)) > 20
    resume_run(alone.root, epochs=2)
    resume_run(spread.root, epochs=2, cluster=workers.address)
    assert digests(spread.root) == digests(alone.root)


@pytest.mark.slow
def test_a_study_of_a_cluster_is_that_of_one_process_with_its_failures(workers: Workers, tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    cells = study_cells(tiny_config(epochs=2), {"model": (TINY, "timm/none")}, seeds=1)
    alone = run_study(root, cells, tmp_path / "alone")
    spread = run_study(root, cells, tmp_path / "spread", cluster=workers.address)
    assert [one.run.root.name for one in spread] == [one.run.root.name for one in alone]
    assert [one.failure for one in spread] == [one.failure for one in alone]
    assert [one.failure is None for one in spread] == [True, False]
    assert digests(tmp_path / "spread") == digests(tmp_path / "alone")


@pytest.mark.slow
def test_photos_are_where_one_process_places_them_alone_and_on_walks(workers: Workers, tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 30).root
    tiny = {"model": TINY, "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 5}
    run = start_run(root, changed(preset("quick"), tiny), runs=tmp_path / "runs", name="probe").root
    write_walk(tmp_path / "walk", 40, size=(64, 48), every_s=5.0)
    (tmp_path / "walk" / "cut.jpg").write_bytes(b"no photo")
    for walks in (False, True):
        here = predict(run, tmp_path / "walk", walks=walks, device="cpu")
        assert len(here) == 41
        assert predict(run, tmp_path / "walk", walks=walks, device="cpu", cluster=workers.address) == here


@pytest.mark.slow
def test_workers_that_do_not_see_the_dataset_are_told_of_before_a_run_begins(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = colour_dataset(tmp_path / "ds", 12, folds=3).root
    real = SharedFile.of

    def elsewhere(path: Path) -> SharedFile:
        return dataclasses.replace(real(path), path=Path("/of/this/machine") / path.name)

    monkeypatch.setattr(SharedFile, "of", elsewhere)
    with pytest.raises(UsageError, match=r"does not find /of/this/machine/manifest\.parquet as it is here"):
        start_run(root, tiny_config(), folds=True, runs=tmp_path / "runs", cluster=workers.address)
    assert not list((tmp_path / "runs").iterdir())
