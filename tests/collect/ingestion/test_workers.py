"""A file that crashes, hangs or eats memory costs itself, and everything else comes through in order."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import reduction
from pathlib import Path

import psutil
import pytest
from ingest_runs import rows, run_ingest
from pebble.pool.process import PoolManager
from photos import write_site, write_walk
from signals import another_thread_signalled
from worker_faults import environment, misbehave, modules, process_ids

from collect.ingestion.chunks import chunks_of
from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings
from collect.ingestion.workers import Failure, KeptWorkers, Settings, process_items
from collect.reading.found_files import FoundFile
from collect.verification import verify_dataset
from img2gps.interrupts import interruptible


def settings(folder: Path, *, timeout_s: float = 20.0, jobs: int = 2) -> Settings[str, str]:
    def given_up(_item: str, failure: Failure, detail: str) -> str:
        return f"{failure}: {detail}"

    return Settings(function=misbehave, argument=str(folder), on_failure=given_up, jobs=jobs, timeout_s=timeout_s)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_pool_that_pebble_gives_up_costs_no_item(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies before its word arrives that it took a task leaves pebble without a culprit."""

    def give_up(_manager: object, _worker: int) -> None:
        raise BrokenProcessPool("All workers expired")

    original = PoolManager.find_expired_task
    given_up: list[int] = []

    def once(manager: PoolManager, worker: int) -> object:
        given_up.append(worker)
        return give_up(manager, worker) if len(given_up) == 1 else original(manager, worker)

    monkeypatch.setattr(PoolManager, "find_expired_task", once)
    chunks = [[f"a{n}", f"b{n}"] for n in range(40)]
    chunks[3].insert(1, "segfault")
    results = dict(process_items(iter(chunks), settings(tmp_path, jobs=jobs)))
    assert list(results) == [item for chunk in chunks for item in chunk]
    assert {item: result for item, result in results.items() if result != item * 2} == {
        "segfault": "crashed: the decoder ended with SIGSEGV"
    }
    assert len(given_up) > 1


@pytest.mark.slow
def test_a_file_that_hangs_is_given_up(tmp_path: Path) -> None:
    started = time.monotonic()
    results = dict(process_items(iter([["a", "hang"], ["b"]]), settings(tmp_path, timeout_s=2.0)))
    assert results == {"a": "aa", "hang": "timed_out: over 2 s", "b": "bb"}
    assert time.monotonic() - started < 40


def test_what_decoders_print_reaches_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert dict(process_items(iter([["noisy"]]), settings(tmp_path))) == {"noisy": "noisynoisy"}
    assert capfd.readouterr().err == ""


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


def process_of(kept: KeptWorkers, argument: str) -> int:
    told: Settings[str, str] = Settings(function=process_ids, argument=argument, on_failure=lambda item, *_: item)
    [(_, process)] = kept.process_items(iter([["a"]]), told)
    return int(process)


def ends(process: int) -> bool:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not psutil.pid_exists(process)


def test_kept_workers_serve_until_another_argument_comes() -> None:
    kept, (one, other) = KeptWorkers(idle_s=60.0), ("one", "other")
    first = process_of(kept, one)
    assert process_of(kept, one) == first
    second = process_of(kept, other)
    assert second != first
    assert ends(first)
    os.kill(second, signal.SIGKILL)  # idle: it costs nothing
    assert process_of(kept, other) not in (first, second)


def test_kept_workers_end_when_nobody_calls() -> None:
    assert ends(process_of(KeptWorkers(idle_s=0.2), "one"))


def test_kept_workers_that_failed_are_not_kept(tmp_path: Path) -> None:
    kept, told = KeptWorkers(idle_s=60.0), settings(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        dict(kept.process_items(iter([["disk-full"]]), told))
    assert dict(kept.process_items(iter([["a", "segfault", "b"]]), told))["b"] == "bb"


def test_workers_load_neither_torch_nor_geopandas() -> None:
    plain: Settings[str, str] = Settings(function=modules, argument="", on_failure=lambda item, *_: item)
    assert list(process_items(iter([["x"]]), plain)) == [("x", "")]


@pytest.mark.slow
def test_workers_import_nothing_from_among_the_photos(tmp_path: Path) -> None:
    write_walk(tmp_path, 3, size=(64, 48))
    for module in ("PIL", "numpy", "shapely", "collect"):
        (tmp_path / f"{module}.py").write_text("from pathlib import Path; Path('imported').touch()\n")
    script = tmp_path / "bin/run.py"
    script.parent.mkdir()
    script.write_text("from img2gps.cli import main\nif __name__ == '__main__':\n    main()\n")
    call = [sys.executable, str(script), "validate", ".", "--site", str(write_site(tmp_path / "s.geojson")), "--json"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["new"] == 3
    assert not (tmp_path / "imported").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked off a server on Linux alone")
def test_a_server_that_was_killed_is_started_again_as_it_was(tmp_path: Path) -> None:
    from multiprocessing import forkserver

    plain: Settings[str, str] = Settings(function=environment, argument="", on_failure=lambda item, *_: item)
    before = dict(os.environ)
    expected = [("PYTHONSAFEPATH", "1"), ("MALLOC_TRIM_THRESHOLD_", str(64 << 20))]
    assert list(process_items(iter([["PYTHONSAFEPATH"], ["MALLOC_TRIM_THRESHOLD_"]]), plain)) == expected
    server: int = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(server, signal.SIGKILL)
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)  # until it is dead, and no further
    assert list(process_items(iter([["PYTHONSAFEPATH"], ["MALLOC_TRIM_THRESHOLD_"]]), plain)) == expected
    assert dict(os.environ) == before


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked off a server on Linux alone")
def test_an_interrupt_while_a_worker_is_asked_for_makes_the_server_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with another_thread_signalled(monkeypatch, reduction, "sendfds"), interruptible(), pytest.raises(KeyboardInterrupt):
        dict(process_items(iter([["a"]]), settings(tmp_path)))
    assert dict(process_items(iter([["b"]]), settings(tmp_path))) == {"b": "bb"}  # the server has told all it would
    assert capfd.readouterr().err == ""


def test_every_file_travels_in_one_chunk_and_the_last_chunks_are_small() -> None:
    files = [FoundFile(path=f"{n}".encode(), name=f"{n}", size=2_500_000) for n in range(200)]
    sizes: list[int] = []
    names: list[str] = []
    for chunk in chunks_of([(file, None) for file in files], again=False, hash_all=True, jobs=2):
        sizes.append(len(chunk))
        names += [task.name for task in chunk]
    assert names == [file.name for file in files]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1] == 1


def test_copies_that_a_crashed_worker_left_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import collect.ingestion.take_in as run

    write_walk(tmp_path / "in", 3, size=(64, 48))
    original = run.read_file

    def leaving_one_behind(task: FileTask, settings: ReadSettings) -> Reading:
        original(task, settings)  # its first, whose worker then crashed
        return original(task, settings)

    monkeypatch.setattr(run, "read_file", leaving_one_behind)
    assert run_ingest(tmp_path / "in", tmp_path / "ds").new == 3
    assert verify_dataset(tmp_path / "ds").orphans == ()


@pytest.mark.slow
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
