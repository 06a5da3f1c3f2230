"""`img2gps migrate`: a dataset of an earlier version, written anew."""

from pathlib import Path

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
)

__all__ = ["migrate"]


@command("migrate", example="img2gps migrate quad --dry-run\nimg2gps migrate quad")
@click.argument("dataset", type=DATASET)
@dry_run_option
@config_option
@json_option
def migrate(dataset: Path, dry_run: bool, as_json: bool) -> None:
    """Write the files of an older DATASET as this version writes them, after listing them.

    You need not migrate: every version opens what earlier ones wrote. Rows, positions, splits and corrections stay the
    same.
    """
    from collect.api import migrate as run

    plan = run(dataset, dry_run=True)
    if not as_json and plan.rewrites:
        rows = [(rewrite.file, rewrite.what) for rewrite in plan.rewrites]
        print_table("Written anew", ("file", "what is new"), rows)
    result = plan if dry_run else run(dataset)
    if as_json:
        print_json(result.to_dict())
    else:
        print_text(result.sentence())
    if dry_run:
        say("Dry run: nothing was written.")
