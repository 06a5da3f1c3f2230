"""What other work on the machine costs: processor time of commands alone, and beside two busy processes per core.

A generated campus is split once. Then `train --preset quick` and `--preset default`, `predict` and `evaluate` run alone
and in company, one after the other in each round, as whole processes. Seconds are of processor time (user and system)
and of the wall; the least of all rounds counts. `busy_to_idle_cpu` is the largest ratio of processor time among them.

    python benchmarks/busy.py [--json] [--photos 240] [--rounds 2] [--only quick,predict] [--spin]

`--spin` lets threads wait by spinning, as the libraries do unless told otherwise: the figures of before.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BUSY_PER_CORE = 2
_COMMANDS = {
    "quick": ("train", "quad", "--preset", "quick", "--name", "quick", "--device", "cpu"),
    "default": ("train", "quad", "--preset", "default", "--name", "default", "--device", "cpu"),
    "predict": ("predict", "runs/quick", "campus/photos", "--device", "cpu"),
    "evaluate": ("evaluate", "runs/quick", "--device", "cpu"),
}
_TRAININGS = ("quick", "default")
_SPINNING = {"OMP_WAIT_POLICY": "active", "OPENBLAS_THREAD_TIMEOUT": "26"}


def main() -> None:
    """Measure every command alone and in company, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--photos", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default=",".join(_COMMANDS), help="of quick, default, predict and evaluate")
    parser.add_argument("--spin", action="store_true")
    options = parser.parse_args()
    only = options.only.split(",")
    if not set(only) <= _COMMANDS.keys():
        parser.error(f"--only takes names of {', '.join(_COMMANDS)}")
    environment = os.environ | (_SPINNING if options.spin else {})
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), environment, photos=options.photos, rounds=options.rounds, only=only)
    ratios = {name: _ratios(found) for name, found in figures.items()}
    worst = max(found["cpu"] for found in ratios.values())
    machine = {"cpu_count": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()}
    flat = {f"{name}_busy_to_idle_{kind}": value for name, found in ratios.items() for kind, value in found.items()}
    report = {"machine": machine, "figures": figures, "ratios": {"busy_to_idle_cpu": worst, **flat}}
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{'command':<10}{'alone':>20}{'in company':>20}{'processor':>12}{'wall':>8}")
    for name, found in figures.items():
        idle, busy = (f"{found[how]['cpu_s']:.1f} s, {found[how]['wall_s']:.1f} s" for how in ("idle", "busy"))
        print(f"{name:<10}{idle:>20}{busy:>20}{ratios[name]['cpu']:>12.2f}{ratios[name]['wall']:>8.2f}")


def measure(folder: Path, environment: dict[str, str], *, photos: int, rounds: int, only: list[str]) -> dict[str, Any]:
    """Return processor and wall seconds of the commands in `only`, alone (``idle``) and in company (``busy``)."""

    def run(*words: str) -> dict[str, float]:
        return _timed([sys.executable, "-m", "img2gps", *words], folder, environment)

    run("simulate", "campus", "--photos", str(photos), "--size", "320")
    run("ingest", "campus/photos", "quad", "--site", "penn-engineering-quad")
    run("split", "quad", "--val", "30", "--test", "30")
    if "quick" not in only:  # what the others need
        run(*_COMMANDS["quick"])
    figures: dict[str, Any] = {name: {} for name in _COMMANDS if name in only}
    for _ in range(rounds):
        for how in ("idle", "busy"):
            with _company() if how == "busy" else contextlib.nullcontext():
                for name in figures:
                    if name in _TRAININGS:  # as on the first day: no pixels or features are kept
                        shutil.rmtree(folder / f"runs/{name}", ignore_errors=True)
                        shutil.rmtree(folder / "quad/.cache", ignore_errors=True)
                    found = run(*_COMMANDS[name])
                    best = figures[name].setdefault(how, found)
                    figures[name][how] = {key: min(best[key], found[key]) for key in found}
    return figures


@contextlib.contextmanager
def _company() -> Iterator[None]:
    """Keep every core busy with other work meanwhile."""
    count = _BUSY_PER_CORE * (os.cpu_count() or 1)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _timed(words: list[str], folder: Path, environment: dict[str, str]) -> dict[str, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user_s, system_s = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    wall_s = time.monotonic() - started
    return {"cpu_s": round(user_s + system_s, 2), "system_s": round(system_s, 2), "wall_s": round(wall_s, 2)}


def _ratios(found: dict[str, dict[str, float]]) -> dict[str, float]:
    return {kind: round(found["busy"][f"{kind}_s"] / found["idle"][f"{kind}_s"], 3) for kind in ("cpu", "wall")}


if __name__ == "__main__":
    main()
