"""`img2gps merge`: two laptops' datasets of one site become one."""

from pathlib import Path

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    command,
    config_option,
    dry_run_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
    warn,
)
from img2gps.text import safe_text, shell_path

__all__ = ["merge"]

_SHOWN = 20


@command("merge", example="img2gps merge quad /media/stick/quad --into both --dry-run\nimg2gps merge a b --into both")
@click.argument("first", type=DATASET)
@click.argument("second", type=DATASET)
@click.option("--into", type=PATH, required=True, help="The new folder of the merged dataset.")
@dry_run_option
@config_option
@json_option
def merge(first: Path, second: Path, into: Path, dry_run: bool, as_json: bool) -> None:
    """Merge the datasets FIRST and SECOND of one site into a new one.

    Neither is changed, and no originals are needed. The same photo counts once. Corrections of both are joined in order
    of time. Photos that one dataset has forgotten stay out. Splits are kept if they agree; of a group on two sides the
    smaller part is set aside.
    """
    from collect.api import merge as run

    result = run(first, second, into, dry_run=dry_run)
    for note in result.rows.notes:
        warn(note)
    if as_json:
        print_json(result.to_dict())
    else:
        print_text(result.sentence())
        if result.conflicts:
            rows = [
                (
                    conflict.photo_id[:12],
                    f"{conflict.first.action}, {safe_text(conflict.first.by)}, {conflict.first.at}",
                    f"{conflict.second.action}, {safe_text(conflict.second.by)}, {conflict.second.at}",
                    "second" if conflict.holds is conflict.second else "first",
                )
                for conflict in result.conflicts[:_SHOWN]
            ]
            print_table("Corrected in both: the later one holds", ("photo", "first", "second", "holds"), rows)
        if result.rows.set_aside:
            aside = [
                (safe_text(photo.source_name), photo.split_reason or "") for photo in result.rows.set_aside[:_SHOWN]
            ]
            print_table("Set aside", ("file", "reason"), aside)
    if dry_run:
        say("Dry run: nothing was written.")
    else:
        words = shell_path(into)
        say(f"Next: `img2gps split {words}` gives a split to photos without one, `img2gps audit {words}` shows them.")
