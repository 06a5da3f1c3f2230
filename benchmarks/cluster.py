"""What a large ingest costs its coordinator, and what a cluster costs beside processes of this machine.

The coordinator takes in made-up readings of photos (no pixels), groups and commits them, then meets the same files
unchanged. Each size has a process of its own; `bytes_per_photo` is what its memory grew by at its peak, for each photo,
the list of files left out; `peak_mb` is all of it. Linux only.
With --files, photos of --size are also read by ``--jobs 2`` and by ``--cluster local:2``; photos per second count
without the start of the workers.

    python benchmarks/cluster.py [--json] [--photos 10000,100000] [--files 0] [--size 4000x3000]
"""

import argparse
import dataclasses
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT / "tests")  # benchmarks/train.py would hide the package

from photos import EAST_CAMPUS, FIRST_PHOTO_AT, photo_bytes, write_site, write_walk  # noqa: E402

from collect.ingestion.dataset_writer import DatasetWriter  # noqa: E402
from collect.ingestion.intake import Intake  # noqa: E402
from collect.ingestion.log import log_ingest  # noqa: E402
from collect.ingestion.outcomes import Outcomes  # noqa: E402
from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings, read_file  # noqa: E402
from collect.ingestion.prepare import make_dataset  # noqa: E402
from collect.ingestion.shards import ShardSettings, read_by_cluster  # noqa: E402
from collect.ingestion.take_in import _given_up  # noqa: E402
from collect.ingestion.workers import Settings, process_items  # noqa: E402
from collect.reading.discover import discover  # noqa: E402
from collect.reading.found_files import FoundFile, FoundFiles  # noqa: E402
from collect.validation.rules import Rules  # noqa: E402
from img2gps.cluster import open_cluster  # noqa: E402
from img2gps.site import load_site  # noqa: E402
from img2gps.types import Photo  # noqa: E402

_WALK = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--photos", default="10000,100000")
    parser.add_argument("--files", type=int, default=0)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(coordinate(options.one)))
        return
    sizes = [int(text) for text in options.photos.split(",") if int(text)]
    figures: dict[str, Any] = {f"coordinator_{size}": _in_its_own_process(size) for size in sizes}
    ratios: dict[str, float] = {}
    if len(sizes) > 1:
        small, large = (figures[f"coordinator_{size}"] for size in (sizes[0], sizes[-1]))
        for name in ("take_in_s", "commit_s", "rerun_s"):
            ratios[f"{name[:-2]}_per_photo"] = round(large[name] / sizes[-1] / (small[name] / sizes[0]), 2)
        ratios["bytes_per_photo"] = round(large["bytes_per_photo"] / small["bytes_per_photo"], 2)
    if options.files:
        width, height = map(int, options.size.split("x"))
        figures["read"] = read(options.files, (width, height))
        ratios["cluster_to_processes"] = round(figures["read"]["cluster"] / figures["read"]["processes"], 3)
    machine = {"cpu_count": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    if options.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": ratios}))
    else:
        for name, value in {**figures, **ratios}.items():
            print(f"{name}: {value}")


def _in_its_own_process(photos: int) -> dict[str, Any]:
    words = [sys.executable, __file__, "--one", str(photos)]
    return dict(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))


def coordinate(count: int) -> dict[str, Any]:
    """Return the processor seconds and the bytes that `count` photos cost whoever writes the dataset."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = load_site(write_site(folder / "site.geojson"))
        rules = Rules(site=site, device_salt="s")
        sample = _sample(folder, rules)
        dataset = make_dataset(folder / "ds", site, 64)
        writer = DatasetWriter.load(dataset)
        files = FoundFiles.gather(
            FoundFile(path=b"/walks/%08d.jpg" % n, name=f"{n:08d}.jpg", size=9, mtime_ns=1) for n in range(count)
        )
        intake = Intake(writer=writer, rules=rules, outcomes=Outcomes(), ingest="i", started=FIRST_PHOTO_AT)
        before = psutil.Process().memory_info().rss
        made_s = 0.0
        started = time.process_time()
        for number, file in enumerate(files):
            making = time.process_time()
            photo = _made_up(sample, number)
            made_s += time.process_time() - making
            reading = Reading(outcome=photo, sha256=photo.id, status=file.status)
            intake.take(FileTask(path=file.path, name=file.name), reading)
        taken = time.process_time()
        writer.commit(final=True)
        committed = time.process_time()
        intake.finish()
        log_ingest(dataset.ingests_path, {"ingest": "i", "command": "benchmark"})
        writer.close()
        del writer, intake
        peak = _peak_bytes()
        again = time.process_time()
        second = DatasetWriter.load(dataset)
        outcomes = Outcomes()
        intake = Intake(writer=second, rules=rules, outcomes=outcomes, ingest="j", started=FIRST_PHOTO_AT)
        unread = intake.recognise(files, [None] * count, rehash=False)
        second.commit(final=True)
        intake.finish()
        rerun_s = time.process_time() - again
        second.close()
        assert not unread
        assert outcomes.unchanged == count
    return {
        "take_in_s": round(taken - started - made_s, 2),
        "commit_s": round(committed - taken, 2),
        "rerun_s": round(rerun_s, 2),
        "bytes_per_photo": round((peak - before) / count),
        "peak_mb": round(peak / 1e6),
        "rerun_peak_mb": round(_peak_bytes() / 1e6),
    }


def _peak_bytes() -> int:
    """Return the most memory that this process had at once since the last call, the files that it mapped included."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak


def _sample(folder: Path, rules: Rules) -> Photo:
    path = folder / "sample.jpg"
    path.write_bytes(photo_bytes(size=(64, 48)))
    settings = ReadSettings(rules=rules, short_side_px=64, pixels="check")
    outcome = read_file(FileTask(path=os.fsencode(path), name="sample.jpg"), settings).outcome
    assert isinstance(outcome, Photo)
    return outcome


def _made_up(sample: Photo, number: int) -> Photo:
    """Return a photo of a walk of a hundred, somewhere on the site, with a hash of its own."""
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    walk, step = divmod(number, _WALK)
    place = np.random.default_rng(walk).uniform(-0.001, 0.001, 2)
    moment = FIRST_PHOTO_AT + timedelta(hours=walk, seconds=10 * step)
    return dataclasses.replace(
        sample,
        id=digest,
        file_name=f"photos/{digest[:2]}/{digest}.jpg",
        photo_sha256=digest[::-1],
        lon=EAST_CAMPUS[0] + float(place[0]),
        lat=EAST_CAMPUS[1] + float(place[1]) + step * 1e-5,
        phash=digest[:16],
        device=hashlib.sha256(b"%d" % (walk % 1000)).hexdigest()[:16],
        captured_at=moment.astimezone(UTC),
        gps_at=moment.astimezone(UTC),
        clock_local=moment.replace(tzinfo=None).isoformat(),
    )


def read(count: int, size: tuple[int, int]) -> dict[str, float]:
    """Return photos per second by two processes and by a cluster of two, the start of both left out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        [first] = write_walk(folder / "in", 1, size=size)
        data = first.read_bytes()
        for number in range(1, count):
            (folder / f"in/{number}.jpg").write_bytes(data + b"%d" % number)
        site = load_site(write_site(folder / "site.geojson"))
        reading = ReadSettings(rules=Rules(site=site, device_salt="s"), short_side_px=512, pixels="check")
        work = [(file, None) for file in discover([folder / "in"])]
        tasks = [FileTask(path=file.path, name=file.name) for file, _ in work]
        return {"processes": _by_processes(tasks, reading), "cluster": _by_cluster(work, reading)}


def _by_processes(tasks: list[FileTask], reading: ReadSettings) -> float:
    from collect.ingestion.photo_reader import read_files

    chunks = iter([tasks[start : start + 4] for start in range(0, len(tasks), 4)])
    settings = Settings(function=read_files, argument=reading, on_failure=_given_up, jobs=2)
    return _rate(process_items(chunks, settings), len(tasks))


def _by_cluster(work: list[Any], reading: ReadSettings) -> float:
    settings = ShardSettings(reading=reading, timeout_s=60.0, given_up=_given_up)
    with open_cluster("local:2") as cluster:
        return _rate(read_by_cluster(work, settings, cluster, again=False), len(work))


def _rate(readings: Any, count: int) -> float:
    started = time.monotonic()
    for _, one in readings:
        assert isinstance(one.outcome, Photo), one.outcome
    return round(count / (time.monotonic() - started), 2)


if __name__ == "__main__":
    main()
