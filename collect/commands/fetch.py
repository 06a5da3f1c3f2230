"""``img2gps fetch``."""

from pathlib import Path

import rich_click as click

from img2gps.console import PATH, command, config_option, dry_run_option, json_option, print_json, print_text, say
from img2gps.text import format_count, safe_path, shell_path

__all__ = ["fetch"]


@command("fetch", example="img2gps fetch quad-hub quad-2\nimg2gps fetch our-lab/quad quad-2 --dry-run")
@click.argument("source", metavar="OWNER/NAME|FOLDER")
@click.argument("dataset", type=PATH)
@dry_run_option
@config_option
@json_option
def fetch(source: str, dataset: Path, dry_run: bool, as_json: bool) -> None:
    """Turn a published dataset into a new folder DATASET, ready for training.

    SOURCE is a folder that publish wrote, or OWNER/NAME on the Hugging Face Hub. Splits, folds and groups are as
    they were. Every file is compared with its digest.
    """
    from collect.api import fetch as run

    result = run(source, dataset, dry_run=dry_run)
    if as_json:
        print_json(result.to_dict())
    else:
        splits = ", ".join(f"{name} {count:,}" for name, count in result.splits.items())
        verb = "would be fetched" if dry_run else "fetched"
        print_text(f"{format_count(result.photos, 'photo')} {verb} into {safe_path(dataset)} ({splits}).")
    if not dry_run:
        say(f"Next: img2gps train {shell_path(dataset)}")
