"""`img2gps forget`: photos out of a dataset, for good."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
)
from img2gps.errors import UsageError
from img2gps.stored_dataset import shown
from img2gps.text import format_count, safe_path, safe_text

if TYPE_CHECKING:
    from collect.forgetting.forget import ForgetResult

__all__ = ["forget"]

_SHOWN = 20


@command(
    "forget",
    example="""img2gps forget quad --device a1b2c3d4 --dry-run
img2gps forget quad 3f2a9c04b1 --runs ~/old/runs
img2gps forget quad --walk 20251222-094711-a1b2c3
img2gps forget quad --similar portrait.jpg --source-name 'tuesday/IMG_01*.jpg'""",
)
@click.argument("dataset", type=DATASET)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--device", "devices", multiple=True, help="All photos of a device: its hash, or its model's name.")
@click.option("--walk", "walks", multiple=True, help="All photos of a walk, by its name.")
@click.option("--source-name", "source_names", multiple=True, metavar="GLOB", help="Photos by the name of their file.")
@click.option("--similar", type=PATH, multiple=True, metavar="PHOTO", help="Photos that look like this one.")
@click.option("--runs", type=PATH, multiple=True, help="Look for runs here, too [default: runs/, also beside DATASET].")
@click.option("--take-back", is_flag=True, help="Allow the photos with these IDs again at the next ingest.")
@dry_run_option
@config_option
@json_option
def forget(
    dataset: Path, ids: tuple[str, ...], *, take_back: bool, dry_run: bool, as_json: bool, **choices: tuple[Any, ...]
) -> None:
    """Remove photos from DATASET for good. Their hashes stay, so no ingest brings them back.

    Rows, working copies, caches, index entries, corrections and the audit's files go. Originals are never touched.
    Runs, exports and published folders cannot forget. The command lists those that hold the photos: make them again.
    Look with --dry-run first. Without a choice of photos, an interrupted call is finished.
    """
    from collect.api import forget as run

    if take_back:
        if any(choices[name] for name in ("devices", "walks", "source_names", "similar")):
            raise UsageError("--take-back takes ids alone: forgotten.txt of the dataset lists them.")
        _let_in(dataset, ids, dry_run=dry_run, as_json=as_json)
        return
    result = run(dataset, ids=ids, dry_run=dry_run, **choices)
    print_json(result.to_dict()) if as_json else _print_result(result)
    if result.traces.is_empty:
        return
    if dry_run:
        say("Dry run: nothing was written.")
    else:
        say(
            f"The originals are untouched, and so are published copies. "
            f"`img2gps audit {shown(dataset)}` makes a new report."
        )


def _let_in(dataset: Path, ids: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    from collect.api import take_back

    count = take_back(dataset, ids, dry_run=dry_run)
    if as_json:
        print_json({"dataset": safe_path(dataset), "dry_run": dry_run, "taken_back": count})
    else:
        print_text(f"{format_count(count, 'photo')} may come in again: ingest {'it' if count == 1 else 'them'}.")


def _print_result(result: "ForgetResult") -> None:
    rows = [(photo.id[:12], photo.walk, safe_text(photo.source_name)) for photo in result.chosen.photos]
    rows += [(row.sha256[:12], "(was not accepted)", row.file) for row in result.chosen.rejected]
    if rows:
        print_table("Photos", ("id", "walk", "file"), rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print_text(f"... and {len(rows) - _SHOWN:,} more")
    print_text(result.sentence())
    if result.holders:
        held = [(safe_path(one.folder), one.photos, one.remedy) for one in result.holders]
        print_table("These hold the photos still", ("folder", "photos", "what to do"), held)
