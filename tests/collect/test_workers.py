"""A file that crashes, hangs or eats memory costs itself, and everything else comes through in order."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ingest_runs import rows, run_ingest
from photos import write_walk
from worker_faults import misbehave, modules

from collect.ingesting.workers import Failure, Settings, process_items


def settings(folder: Path, *, timeout_s: float = 20.0, jobs: int = 2) -> Settings[str, str]:
    def given_up(_item: str, failure: Failure, detail: str) -> str:
        return f"{failure}: {detail}"

    return Settings(function=misbehave, argument=str(folder), on_failure=given_up, jobs=jobs, timeout_s=timeout_s)


def test_every_fault_costs_its_own_item_only(tmp_path: Path) -> None:
    chunks = [["a", "segfault", "b"], ["c"], ["exit"], ["eat", "d"], ["once", "e"], ["bug"]]
    results = dict(process_items(iter(chunks), settings(tmp_path)))
    assert list(results) == ["a", "segfault", "b", "c", "exit", "eat", "d", "once", "e", "bug"]
    assert {item: results[item] for item in ("a", "b", "c", "d", "once", "e")} == {
        item: item * 2 for item in ("a", "b", "c", "d", "once", "e")
    }
    assert results["segfault"] == "crashed: the decoder ended with SIGSEGV"
    assert results["exit"] == "crashed: the decoder ended with exit code 3"
    assert results["eat"] == "crashed: over 3.0 GiB of memory"
    assert results["bug"] == "crashed: ZeroDivisionError: division by zero"
    assert len((tmp_path / "segfault").read_text()) == 2


def test_a_file_that_hangs_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    results = dict(process_items(iter([["a", "hang"], ["b"]]), settings(tmp_path, timeout_s=2.0)))
    assert results == {"a": "aa", "hang": "timed_out: over 2 s", "b": "bb"}
    assert time.monotonic() - started < 40


def test_a_full_disk_ends_the_work(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        dict(process_items(iter([["a"], ["disk-full"], ["b"]]), settings(tmp_path)))
    assert caught.value.errno == 28


def test_a_reader_that_stops_midway_leaves_no_process(tmp_path: Path) -> None:
    results: Iterator[tuple[str, str]] = process_items(iter([["a"], ["hang"]]), settings(tmp_path))
    assert next(results) == ("a", "aa")
    started = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 20


def test_workers_load_neither_torch_nor_geopandas() -> None:
    plain: Settings[str, str] = Settings(function=modules, argument="", on_failure=lambda item, *_: item)
    assert list(process_items(iter([["x"]]), plain)) == [("x", "")]


def test_an_ingest_by_worker_processes_equals_one_without(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 40, size=(64, 48))
    assert run_ingest(tmp_path / "in", tmp_path / "by-workers", jobs=2).new == 40
    run_ingest(tmp_path / "in", tmp_path / "alone")
    pairs = zip(rows(tmp_path / "by-workers").values(), rows(tmp_path / "alone").values(), strict=True)
    for ours, theirs in pairs:
        assert (ours.id, ours.photo_sha256, ours.walk, ours.group) == (
            theirs.id,
            theirs.photo_sha256,
            theirs.walk,
            theirs.group,
        )
