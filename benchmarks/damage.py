"""What do commands make of damaged files? The long version of tests/test_damage.py.

Files of a dataset and of runs (network, probe, folds) are flipped, zeroed, cut, or forged with their sums; after each
damage one of the commands that read the file runs. Compared is what it prints and what it writes. Counted are answers
that were refused, the same, different with a word on stderr (named), different without one, and tracebacks; and what
`verify` does not see (a log that is cut at its end, a state whose sums were forged, too). Exits with 1 where there is a
difference without a word or a traceback.

Usage: python benchmarks/damage.py [--damages 2000] [--seed 0] [--only NAME] [--json]
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent / "tests")  # benchmarks/train.py would hide the package

from damage_scene import make_scene, without_drawing  # noqa: E402
from damages import Sweep, changed_contents  # noqa: E402


def sweep(folder: Path, *, damages: int, seed: int, only: str) -> tuple[Counter[str], list[str]]:
    """Return the counts, and a line for each damage that went wrong."""
    with without_drawing():
        scene = make_scene(folder / "scene")
    trial, generator = Sweep(scene, folder / "pristine"), random.Random(seed)
    files = [path for path in trial.files if only in str(path.relative_to(scene.root))]
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    kinds = sorted({_kind_of(path) for path in files})
    for number in range(damages):
        kind_of_file = kinds[number % len(kinds)]
        path = generator.choice([path for path in files if _kind_of(path) == kind_of_file])
        kind = generator.choice(trial.choices(path))
        name = generator.choice(sorted(scene.commands(path)))
        where = f"{number}: {kind} {path.relative_to(scene.root)}, {name}"
        if number % 50 == 49:  # a long sweep that is stopped has told something
            print(f"{number}: {dict(counts)}", file=sys.stderr, flush=True)
        found, answer = trial.try_one(path, kind, name, generator)
        counts[found] += 1
        if found in ("unseen", "different", "traceback"):
            tail = (answer.escaped or answer.said).strip().splitlines()[-1:]
            changed = changed_contents(answer, trial.expected(scene.commands(path)[name])) if answer.files else []
            wrong.append(f"{found}: {where}: {' '.join([*tail, *changed])}")
            print(wrong[-1], file=sys.stderr, flush=True)
            if answer.escaped:
                print(answer.escaped, file=sys.stderr, flush=True)
    return counts, wrong


def _kind_of(path: Path) -> str:
    """Return what a file is, so that a folder of photos does not take all the damages."""
    return path.suffix if path.suffix in (".jpg", ".npy") else "/".join(path.parts[-2:])


def main() -> None:
    """Run the sweep and print it; exits with 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="damage only files whose path holds this text")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        counts, wrong = sweep(Path(name), damages=arguments.damages, seed=arguments.seed, only=arguments.only)
    figures = {verdict: counts[verdict] for verdict in ("refused", "same", "named", "unseen", "different", "traceback")}
    machine = {"python": platform.python_version(), "system": platform.platform()}
    if arguments.json:
        found = {**figures, "seconds": round(time.monotonic() - started, 1), "wrong": wrong}
        print(json.dumps({"machine": machine, "figures": found, "ratios": {}}))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")
    sys.exit(bool(figures["different"] or figures["traceback"]))


if __name__ == "__main__":
    main()
