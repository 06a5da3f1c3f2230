"""Does ingest survive anything? The long version of test_interruptions.py, test_exif.py and test_signals.py.

With --signals: SIGINT, SIGTERM, SIGHUP and SIGKILL to the parent alone and to its group, in turn to an ingest, a
training and a label server; counted are processes left after 5 s, tracebacks, reruns that differ, lost corrections.

Usage: python benchmarks/kill_ingest.py [--kills 200] [--signals 200 --seed 0 --only train] [--faults]
           [--mutations 10000] [--truncations] [--json]
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent / "tests")  # benchmarks/train.py would hide the package

from interruptions import fail_every_operation, kill_at_random_moments  # noqa: E402
from photos import EAST_CAMPUS, photo_bytes, write_site  # noqa: E402
from signals import BAD, TRIALS, sweep  # noqa: E402

from collect.ingestion.photo_reader import FileTask, ReadSettings, read_file  # noqa: E402
from collect.validation.rules import Rules  # noqa: E402
from img2gps.imaging import open_image, upright_rgb  # noqa: E402
from img2gps.site import load_site  # noqa: E402
from img2gps.types import Photo, Rejection  # noqa: E402

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")


def settings_in(folder: Path) -> ReadSettings:
    """Return settings that judge by the square site and decode every pixel."""
    site = load_site(write_site(folder / "site.geojson"))
    return ReadSettings(rules=Rules(site=site, device_salt="s"), short_side_px=64, pixels="check")


def outcome_of(data: bytes, folder: Path, settings: ReadSettings) -> Photo | str:
    """Return the photo, or the reason why `data` is none."""
    path = folder / "photo"
    path.write_bytes(data)
    outcome = read_file(FileTask(path=bytes(path), name="photo"), settings).outcome
    return outcome if isinstance(outcome, Photo) else outcome.reason if isinstance(outcome, Rejection) else "skipped"


def mutate_exif(folder: Path, count: int) -> dict[str, int]:
    """Read `count` photos with mutated EXIF; a photo accepted elsewhere than it was taken is counted as wrong."""
    settings, data, generator = settings_in(folder), photo_bytes(size=(48, 32)), random.Random(1)
    start = data.index(b"Exif\0\0") + 6
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(generator.randint(1, 8)):
            changed[generator.randrange(start, start + 400)] = generator.choice((0, 255, 127, generator.randrange(256)))
        outcome = outcome_of(bytes(changed), folder, settings)
        if isinstance(outcome, str):
            outcomes[outcome] += 1
        else:
            near = abs(outcome.lon - EAST_CAMPUS[0]) < 0.01 and abs(outcome.lat - EAST_CAMPUS[1]) < 0.01
            outcomes["accepted" if near else "accepted at a wrong position"] += 1
    return dict(outcomes)


def truncate_everywhere(folder: Path) -> dict[str, int]:
    """Cut one photo per format at every offset; one accepted with other pixels than the whole is counted as wrong."""
    settings = settings_in(folder)
    outcomes: Counter[str] = Counter()
    for kind in FORMATS:
        data = photo_bytes(format=kind, size=(48, 32))
        whole = upright_rgb(open_image(data)).tobytes()
        for offset in range(len(data)):
            outcome = outcome_of(data[:offset], folder, settings)
            if isinstance(outcome, str):
                outcomes[outcome] += 1
            else:
                with warnings.catch_warnings(action="ignore"):
                    same = upright_rgb(open_image(data[:offset])).tobytes() == whole
                outcomes["accepted whole" if same else "accepted with pixels missing"] += 1
    return dict(outcomes)


def main() -> None:
    """Run what was asked for and print it; exits with 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--signals", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(TRIALS), nargs="+", default=list(TRIALS), help="the programs to stop")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--mutations", type=int, default=0)
    parser.add_argument("--truncations", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.monotonic()
        if arguments.kills:
            figures["kills"] = kill_at_random_moments(folder / "kills", kills=arguments.kills)
        if arguments.signals:
            trials = {name: TRIALS[name] for name in arguments.only}
            figures["signals"] = sweep(folder / "signals", trials, count=arguments.signals, seed=arguments.seed)
        if arguments.faults:
            figures["faults"] = fail_every_operation(folder / "faults")
        if arguments.mutations:
            figures["mutated_exif"] = mutate_exif(folder, arguments.mutations)
        if arguments.truncations:
            figures["truncations"] = truncate_everywhere(folder)
        figures["seconds"] = round(time.monotonic() - started, 1)
    machine = {"python": platform.python_version(), "system": platform.platform()}
    if arguments.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": {}}))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")
    wrong = {"accepted at a wrong position", "accepted with pixels missing"}
    stopped = figures.get("signals", {})
    failed = any(found.get(name) for found in stopped.values() for name in BAD)
    sys.exit(failed or any(wrong & set(value) for value in figures.values() if isinstance(value, dict)))


if __name__ == "__main__":
    main()
