"""Whether `explain` finds what is known to tell the place, in painted worlds of several seeds.

In the first world only buildings differ from place to place. In the second a parked van marks each place. In the third
it does so in training alone. `quick` is trained in each, explained on its test photos and evaluated. A world is told
right if its class costs most and stands beside the right headline: above zero of buildings, below zero of vans, with
the warning of `evaluate`. The ratio is the share of worlds told right.
Example: python benchmarks/gates.py --seeds 1,2,3 --json
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import torch

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.train.explanation.worlds import painted_dataset
from train import train
from train.evaluation.evaluate import evaluate_run
from train.evaluation.explained import read_explained
from train.explanation.class_figures import Figure, Worth
from train.explanation.explain import explain_split

WORLDS = {
    "only buildings differ": ("building", True),
    "a van marks each place": ("vehicle", True),
    "the van is gone in the test": ("vehicle", False),
}
_SIZE_PX = 128  # painted photos are no larger
_VISITS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """What was found in a world: metres per tenth of the area by class, headlines, and whether evaluate warns."""

    world: str
    seed: int
    costs_m: dict[str, float | None]
    headline: Figure
    training_costs_m: dict[str, float | None]
    training_headline: Figure
    warns: bool
    right: bool


def gate(world: str, seed: int, preset: str) -> Gate:
    """Paint a world, train in it, explain and evaluate."""
    told_by, van_in_test = WORLDS[world]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = painted_dataset(
            root / "site", root / "masks", told_by=told_by, visits=_VISITS, van_in_test=van_in_test, world=seed
        )
        options = {"size": _SIZE_PX, "threads": 1, "device": "cpu"}
        run = train(dataset.root, preset=preset, name="gate", runs=root / "runs", **options).root
        found = explain_split(run, root / "masks", split="test")
        explained = read_explained(evaluate_run(run, split="test").folder)
    training = found.worth if found.training is None else found.training
    judged = found.worth if van_in_test else training
    warns = explained is not None and explained.leans_on_moving
    bounds = judged.headline.interval
    costs = _costs(judged)
    first = max(costs, key=lambda name: costs[name] or 0.0)
    if told_by == "building":
        right = first == told_by and not warns and bounds is not None and bounds.low > 0
    else:
        right = first == told_by and warns and bounds is not None and bounds.high < 0
    return Gate(
        world=world,
        seed=seed,
        costs_m=_costs(found.worth),
        headline=found.worth.headline,
        training_costs_m=_costs(training),
        training_headline=training.headline,
        warns=warns,
        right=right,
    )


def _costs(worth: Worth) -> dict[str, float | None]:
    return {one.name: one.cost_m.value for one in worth.classes}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2,3", help="numbers of the worlds, separated by commas")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    seeds = [int(one) for one in arguments.seeds.split(",")]
    gates = [gate(world, seed, arguments.preset) for seed in seeds for world in WORLDS]
    ratios = {world: sum(one.right for one in gates if one.world == world) / len(seeds) for world in WORLDS}
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    if arguments.json:
        figures = [dataclasses.asdict(one) for one in gates]
        print(json.dumps({"machine": machine, "figures": {"gates": figures}, "ratios": ratios}, indent=1))
        return
    for one in gates:
        verdict = "right" if one.right else "WRONG"
        print(f"{one.world}, seed {one.seed}: {verdict}; test {_text(one.headline)}, ", end="")
        print(f"training {_text(one.training_headline)}; test {_listed(one.costs_m)}; ", end="")
        print(f"training {_listed(one.training_costs_m)}")
    print(ratios)


def _text(figure: Figure) -> str:
    if figure.value is None or figure.interval is None:
        return "not known"
    return f"{figure.value:.1f} m ({figure.interval.low:.1f} to {figure.interval.high:.1f})"


def _listed(costs: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {cost:.1f}" for name, cost in costs.items() if cost is not None)


if __name__ == "__main__":
    main()
