"""Do the commands that publish, fetch, merge, forget and move a dataset survive SIGKILL? The long test_kills.py.

Each command is killed at random moments, what it leaves is checked, and a rerun must end as one that nobody stopped
did; a fifth of the reruns is killed, too. The Hub is a fake on the loopback address.

Usage: python benchmarks/kill_commands.py [--kills 100] [--seed 0] [--only publish merge] [--json]
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(_ROOT / "tests")  # benchmarks/train.py would hide the package
sys.path.insert(1, str(_ROOT))

from fake_hub import FakeHub, fake_hub  # noqa: E402
from forked_commands import ForkedCommands, forked_commands  # noqa: E402
from killed_commands import (  # noqa: E402
    COLLECT_MODULES,
    TRAIN_MODULES,
    export_killed,
    fetch_from_hub_killed,
    fetch_killed,
    forget_killed,
    make_scene,
    merge_killed,
    migrate_killed,
    publish_killed,
    push_killed,
    variables_of,
)
from kills import kill_command, kill_drawing  # noqa: E402

NAMES = ("publish", "push", "fetch", "fetch_from_hub", "merge", "forget", "migrate", "site_draw", "export")


def main() -> None:
    """Kill what was asked for and print counts; the first fault ends it with 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=NAMES, nargs="+", default=list(NAMES))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, fake_hub() as hub:
        folder = Path(name)
        scene = make_scene(folder / "scene")
        with forked_commands(COLLECT_MODULES, variables_of(hub)) as commands:
            for one in (one for one in arguments.only if one != "export"):
                figures[one] = killed_often(commands, one, scene, hub, arguments.kills, arguments.seed)
                sys.stderr.write(f"{one}: {figures[one]}\n")
        if "export" in arguments.only:
            run = trained_run(folder)
            with forked_commands(TRAIN_MODULES, variables_of(hub)) as commands:
                killed = export_killed(run, hub)
                counts = kill_command(commands, killed, folder / "export", kills=arguments.kills, seed=arguments.seed)
                figures["export"] = dict(counts)
    figures["seconds"] = round(time.monotonic() - began, 1)
    machine = {"python": platform.python_version(), "system": platform.platform()}
    if arguments.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": {}}))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")


def killed_often(
    commands: ForkedCommands, name: str, scene: Path, hub: FakeHub, kills: int, seed: int
) -> dict[str, int]:
    """Kill one command and return the counts of its kills. Raises AssertionError at the first fault."""
    folder = scene.parent / name
    if name == "site_draw":
        return dict(kill_drawing(commands, folder, kills=kills, seed=seed))
    makers: dict[str, Any] = {
        "publish": lambda: publish_killed(scene),
        "push": lambda: push_killed(scene, hub),
        "fetch": lambda: fetch_killed(scene),
        "fetch_from_hub": lambda: fetch_from_hub_killed(scene, hub),
        "merge": lambda: merge_killed(scene),
        "forget": lambda: forget_killed(scene),
        "migrate": lambda: migrate_killed(_ROOT / "tests" / "data" / "v0.1" / "quad"),
    }
    return dict(kill_command(commands, makers[name](), folder, kills=kills, seed=seed))


def trained_run(folder: Path) -> Path:
    """Train a small network and return its run."""
    from tests.train.colours import colour_dataset, tiny_config
    from train.training.session import start_run

    root = colour_dataset(folder / "colours", 30, val=10).root
    return start_run(root, tiny_config(epochs=1), runs=folder / "runs", name="p").root


if __name__ == "__main__":
    main()
