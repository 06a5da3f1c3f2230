"""What does ingest cost beside the decoder? Photos per second on generated 12-megapixel photos, in one run.

Measured in turns, so that a machine with other work to do slows all of them alike:

- limit: the same bytes through hash, scaled libjpeg-turbo decode, resize and encode in bare worker processes
- ingest, ingest of the unchanged folder, validate
- naive: full Pillow decode and resize in bare worker processes
- ExifTool in one batch call, where it is installed

Then folders of 1,000 and 10,000 small photos (`--full`: 100,000, too): cost per photo, time of an unchanged folder,
and the parent's peak memory.

Usage: python benchmarks/ingest.py [--photos 240] [--rounds 5] [--jobs N] [--many 1000 10000] [--full] [--json]
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import piexif
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from photos import EAST_CAMPUS, FIRST_PHOTO_AT, exif_bytes, write_site

from collect.ingestion.options import IngestOptions
from collect.ingestion.pipeline import ingest, validate
from collect.ingestion.workers import process_context

SIZE = (4032, 3024)
SHORT_SIDE_PX = 512
SCENES = 6
GRAIN = 3.0


@cache
def scene_jpeg(seed: int) -> bytes:
    """Return a 12-megapixel JPEG with detail at every scale and a sensor's grain, 2.5 MB.

    16 phone photos of a campus have 1.5 to 3.6 MB, 2.6 on average, and took a core 32 ms each to decode at a quarter of
    the size; these take 33, and without the grain, at 1.8 MB, 26.
    """
    rng = np.random.default_rng(seed)
    picture = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.float32)
    for cells, weight in ((6, 90.0), (40, 40.0), (300, 22.0), (1500, 12.0)):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        picture += weight / 255 * np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    picture += rng.normal(0, GRAIN, (SIZE[1], SIZE[0], 1)).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(picture + 30, 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write `count` photos of a walk that differ in their EXIF; the pixels are those of a few scenes."""
    folder.mkdir(parents=True)
    scenes = [scene_jpeg(seed) for seed in range(min(SCENES, count))]
    paths = []
    for number in range(count):
        block = exif_bytes(
            lon=EAST_CAMPUS[0] + number % 50 * 1e-5,
            lat=EAST_CAMPUS[1] + number // 50 * 1e-5,
            taken_at=FIRST_PHOTO_AT + timedelta(seconds=10 * number),
            orientation=6,
        )
        path = folder / f"IMG_{number:06d}.jpg"
        buffer = io.BytesIO()
        piexif.insert(block, scenes[number % len(scenes)], buffer)
        path.write_bytes(buffer.getvalue())
        paths.append(path)
    return paths


def limit_one(path: str) -> None:
    """Do what no ingest of this photo can do without: read, hash, decode scaled, resize, encode."""
    data = Path(path).read_bytes()
    hashlib.sha256(data).hexdigest()
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.decodermaxblock = len(data)  # type: ignore[attr-defined]  # all at once, not 64 KiB at a time
    scale = SHORT_SIDE_PX / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    image.draft("RGB", size)
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    small.save(io.BytesIO(), "JPEG", quality=90)


def naive_one(path: str) -> None:
    """Decode in full, resize."""
    with Image.open(path) as image:
        image.convert("RGB").resize((683, 512), Image.Resampling.LANCZOS)


def in_processes(function: Callable[[str], None], paths: list[Path], jobs: int) -> None:
    """Map `function` over the paths in fresh worker processes, as ingest starts its own."""
    with process_context().Pool(jobs) as pool:
        pool.map(function, [str(path) for path in paths], chunksize=4)


def seconds(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def run_exiftool(folder: Path) -> None:
    """Read what a validation looks at, of a whole folder in one call."""
    tags = ["-GPSLatitude", "-GPSLongitude", "-GPSHPositioningError", "-DateTimeOriginal", "-GPSDateTime"]
    call = ["exiftool", "-q", "-n", "-json", *tags, str(folder)]
    subprocess.run(call, stdout=subprocess.DEVNULL, check=True)


class Bench:
    """Folders, options and the measurements by name, in photos per second."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.folder = folder
        self.site = write_site(folder / "site.geojson")
        self.jobs = jobs
        self.rates: dict[str, list[float]] = {}

    def measure(self, name: str, count: int, function: Callable[[], object]) -> None:
        """Run `function` once over `count` photos, with workers that start from nothing, and note its rate."""
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # what else stops it is the end of this process
        self.rates.setdefault(name, []).append(count / seconds(function))

    def options(self) -> IngestOptions:
        """Return the options of every ingest here."""
        return IngestOptions(site=self.site, jobs=self.jobs)

    def ingest(self, photos: Path, dataset: Path) -> None:
        """Ingest, and insist that every photo was accepted."""
        outcomes = ingest([photos], dataset, self.options())
        assert outcomes.found == outcomes.new + outcomes.unchanged + outcomes.duplicate, outcomes.to_dict()

    def round(self, number: int, paths: list[Path]) -> None:
        """Measure everything once, in turns."""
        folder, count = paths[0].parent, len(paths)
        few = paths[: max(8, count // 4)]
        dataset = self.folder / f"dataset-{number}"
        self.measure("limit", count, lambda: in_processes(limit_one, paths, self.jobs))
        self.measure("ingest", count, lambda: self.ingest(folder, dataset))
        self.measure("naive", len(few), lambda: in_processes(naive_one, few, self.jobs))
        self.measure("unchanged", count, lambda: self.ingest(folder, dataset))
        shutil.rmtree(dataset)

    def metadata(self, folder: Path, count: int) -> None:
        """Measure validate against ExifTool on one folder, in turns, five times."""
        for _ in range(5):
            self.measure("validate", count, lambda: validate([folder], self.options()))
            if shutil.which("exiftool"):
                self.measure("exiftool", count, lambda: run_exiftool(folder))


def ingest_alone(photos: Path, dataset: Path, site: Path, jobs: int) -> tuple[float, float]:
    """Ingest in this process and return the seconds it took and the peak memory of this process in MB."""
    elapsed = seconds(lambda: ingest([photos], dataset, IngestOptions(site=site, jobs=jobs)))
    return elapsed, peak_memory_mb()


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process; ru_maxrss would still hold that of whoever started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_new_process(photos: Path, dataset: Path, bench: Bench) -> tuple[float, float]:
    """Return what `ingest_alone` does, run where nothing else has taken memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(ingest_alone, photos, dataset, bench.site, bench.jobs).result()


def scaling(bench: Bench, counts: list[int]) -> dict[str, float]:
    """Return, for folders of so many small photos, milliseconds per photo, and of an unchanged folder the seconds."""
    figures: dict[str, float] = {}
    for count in counts:
        photos = small_photos(bench.folder / f"many-{count}", count)
        dataset = bench.folder / f"ds-{count}"
        elapsed, peak_mb = in_new_process(photos, dataset, bench)
        figures[f"ms_per_photo_at_{count}"] = round(elapsed / count * 1000, 3)
        figures[f"parent_peak_mb_at_{count}"] = round(peak_mb, 1)
        figures[f"unchanged_s_at_{count}"] = round(in_new_process(photos, dataset, bench)[0], 2)
        shutil.rmtree(photos)
        shutil.rmtree(dataset)
    return figures


def small_photos(folder: Path, count: int) -> Path:
    """Write `count` distinct photos of 320 x 240 pixels."""
    from photos import scene

    buffer = io.BytesIO()
    scene().save(buffer, "JPEG", quality=80)
    for number in range(count):
        block = exif_bytes(
            lon=EAST_CAMPUS[0] + number % 300 * 1e-5,
            lat=EAST_CAMPUS[1] + number // 300 % 300 * 1e-5,
            taken_at=FIRST_PHOTO_AT + timedelta(seconds=20 * number),
        )
        target = folder / f"{number // 1000:03d}" / f"IMG_{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        piexif.insert(block, buffer.getvalue(), out)
        target.write_bytes(out.getvalue())
    return folder


def ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    """Return the median over the rounds of the ratio within each: what slows a round slows both sides of it."""
    pairs = {
        "ingest_to_limit": ("ingest", "limit"),
        "ingest_to_naive": ("ingest", "naive"),
        "validate_to_exiftool": ("validate", "exiftool"),
    }
    return {
        name: round(statistics.median(a / b for a, b in zip(rates[ours], rates[other], strict=True)), 3)
        for name, (ours, other) in pairs.items()
        if ours in rates and other in rates
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--photos", type=int, default=240)
    parser.add_argument("--metadata-photos", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=cpus)
    parser.add_argument("--many", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), arguments.jobs)
        paths = write_photos(bench.folder / "photos", arguments.photos)
        for number in range(arguments.rounds):
            bench.round(number, paths)
        more = write_photos(bench.folder / "more", arguments.metadata_photos)
        bench.metadata(more[0].parent, len(more))
        shutil.rmtree(more[0].parent)
        counts = [*arguments.many, 100_000] if arguments.full else arguments.many
        figures: dict[str, Any] = {
            f"{key}_photos_per_s": [round(v, 2) for v in values] for key, values in bench.rates.items()
        }
        figures |= scaling(bench, counts)
    machine = {"cpus": cpus, "python": platform.python_version(), "system": platform.platform()}
    document = {"machine": machine, "figures": figures, "ratios": ratios(bench.rates)}
    if arguments.json:
        print(json.dumps(document))
        return
    for part in ("figures", "ratios"):
        for key, value in document[part].items():
            print(f"{key:32} {value}")


if __name__ == "__main__":
    # workers leave the file that was started alone: they find its functions in the module of its name
    import ingest

    ingest.main()
