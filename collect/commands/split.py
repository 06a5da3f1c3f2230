"""``img2gps split``."""

from pathlib import Path
from typing import Literal

import rich_click as click

from img2gps.console import (
    DATASET,
    command,
    config_option,
    dry_run_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
    seed_option,
)
from img2gps.stored_dataset import shown

__all__ = ["split"]

_MANY_FOLDS = 40


@command("split", example="img2gps split quad --by walk --val 60 --test 60\nimg2gps split quad --folds walk")
@click.argument("dataset", type=DATASET)
@click.option("--by", type=click.Choice(["walk", "cell", "random"]), default="walk", help="What is held out together.")
@click.option("--val", type=click.IntRange(min=0), default=60, help="Photos for validation; 0 for none.")
@click.option("--test", type=click.IntRange(min=0), default=60, help="Photos for testing; 0 for none.")
@click.option("--folds", metavar="walk|day|cell|K", help="Also number folds for cross-validation.")
@seed_option
@config_option
@dry_run_option
@json_option
def split(
    dataset: Path,
    by: Literal["walk", "cell", "random"],
    val: int,
    test: int,
    folds: str | None,
    seed: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Hold photos out for validation and testing, without parting a burst or a walk.

    With the options of the stored split, only new photos are assigned. Other options make a new split.
    Photos that were excluded with `img2gps label` are left out.
    """
    from collect.api import split as run

    result = run(dataset, by=by, val=val, test=test, folds=folds, seed=seed, dry_run=dry_run)
    for note in result.notes:
        say(note)
    report = result.to_dict()
    if as_json:
        print_json({**report, "dry_run": dry_run})
        return
    rows = [(name, row["photos"], row["walks"], row["groups"]) for name, row in report["splits"].items()]
    print_table(f"Split by {by}, seed {seed}", ("split", "photos", "walks", "groups"), rows)
    sizes = report["fold_sizes"]
    if sizes:
        listed = ", ".join(map(str, sizes[:_MANY_FOLDS])) + (", ..." if len(sizes) > _MANY_FOLDS else "")
        print_text(f"{len(sizes)} folds by {folds}, photos in each: {listed}")
    if dry_run:
        say("Dry run: nothing was written.")
        return
    words = shown(dataset)
    say(f"Next: `img2gps train {words}{' --folds' if folds else ''}` trains a model.")
