"""How long grouping, splitting and auditing take, and how much memory, from a walk's photos to 100,000 rows.

Each size runs in a process of its own on a generated manifest: walks of 20 to 300 photos by six phones wandering over
a square site, perceptual hashes at random. Seconds are of
CPU time; there are no images, so no thumbnails.

    python benchmarks/audit.py [--json] [--sizes 741 100000]
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from shapely.geometry import Polygon

from collect.auditing.audit import audit_dataset, write_audit
from collect.splits.groups import assign_groups
from collect.splits.split import split_dataset
from img2gps.dataset import Dataset
from img2gps.files import write_json
from img2gps.geo import LocalFrame
from img2gps.manifest import ManifestInfo, write_manifest
from img2gps.site import Site
from img2gps.types import Photo

FRAME = LocalFrame(origin_lon=-75.1914, origin_lat=39.9517)
START = datetime(2025, 6, 2, 12, 0, tzinfo=UTC)


def main() -> None:
    """Measure each size in a process of its own and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[741, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.one)))
        return
    figures = {str(size): _in_own_process(size) for size in options.sizes}
    smallest, largest = str(min(options.sizes)), str(max(options.sizes))
    growth = figures[largest]["audit_s"] / figures[smallest]["audit_s"]
    machine = {"cpu_count": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()}
    report = {"machine": machine, "figures": figures, "ratios": {"audit_largest_to_smallest": round(growth, 2)}}
    if options.json:
        print(json.dumps(report, indent=1))
        return
    names = list(figures[smallest])
    print(f"{'photos':>10}" + "".join(f"{name:>16}" for name in names))
    for size, row in figures.items():
        print(f"{size:>10}" + "".join(f"{row[name]:>16}" for name in names))


def measure(count: int) -> dict[str, Any]:
    """Return CPU seconds per step, and the peak memory of the process in MiB."""
    side_m = 300.0 if count < 5000 else 600.0
    photos = generate(count, side_m)
    found: dict[str, Any] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = step()
        found[name] = round(time.process_time() - began, 2)
        return result

    with tempfile.TemporaryDirectory() as folder:
        grouped = timed("groups_s", lambda: assign_groups(photos))
        dataset = write_dataset(Path(folder), grouped, side_m)
        held_out = count // 12
        timed("split_s", lambda: split_dataset(dataset, by="walk", val=held_out, test=held_out))
        result = timed("audit_s", lambda: audit_dataset(dataset))
        report = timed("write_s", lambda: write_audit(result))
        found["report_mib"] = round(report.stat().st_size / 2**20, 2)
    found["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def generate(count: int, side_m: float) -> list[Photo]:
    """Return photos of wandering walks on a square of `side_m`."""
    rng = np.random.default_rng(0)
    photos: list[Photo] = []
    walk = 0
    while len(photos) < count:
        size = int(min(rng.integers(20, 300), count - len(photos)))
        steps_m = rng.normal(0, 4, (size, 2)).cumsum(axis=0) + rng.uniform(-side_m / 2, side_m / 2, 2)
        lons, lats = FRAME.to_lonlat(*np.clip(steps_m, -side_m / 2, side_m / 2).T)
        seconds = rng.choice([2, 3, 8, 15], size).cumsum()
        began = START + timedelta(hours=5 * walk + float(rng.uniform(0, 4)))
        device = f"{rng.integers(6):016x}"
        for index in range(size):
            moment = began + timedelta(seconds=int(seconds[index]))
            photos.append(_photo(len(photos), float(lons[index]), float(lats[index]), moment, device, rng))
        walk += 1
    return photos


def write_dataset(root: Path, photos: list[Photo], side_m: float) -> Dataset:
    """Write a dataset folder without images."""
    half_m = side_m / 2 + 1
    lons, lats = FRAME.to_lonlat([-half_m, half_m, half_m, -half_m], [-half_m, -half_m, half_m, half_m])
    site = Site(name="square", polygon=Polygon(zip(lons.tolist(), lats.tolist(), strict=True)), time_zone="UTC")
    dataset = Dataset(root=root)
    write_json(dataset.site_path, site.to_geojson())
    info = ManifestInfo(site_name=site.name, site_sha256=site.sha256, device_salt=site.sha256)
    write_manifest(dataset.manifest_path, photos, info)
    return dataset


def _photo(number: int, lon: float, lat: float, moment: datetime, device: str, rng: np.random.Generator) -> Photo:
    return Photo(
        id=sha256(f"{number}".encode()).hexdigest(),
        file_name=f"{number:06d}.jpg",
        photo_sha256=sha256(f"pixels {number}".encode()).hexdigest(),
        lon=lon,
        lat=lat,
        gps_source="exif",
        gps_accuracy_m=float(rng.uniform(3, 20)) if rng.random() < 0.5 else None,
        captured_at=moment,
        heading_deg=float(rng.uniform(0, 360)) if rng.random() < 0.7 else None,
        heading_ref="T",
        device=device,
        width=384,
        height=512,
        phash=f"{rng.integers(2**63):016x}",
        source_name=f"{number:06d}.jpg",
        bytes=3_000_000,
        site_relation="inside",
        ingested_at=moment,
        ingest="generated",
    )


def _in_own_process(size: int) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, __file__, "--one", str(size)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


if __name__ == "__main__":
    main()
