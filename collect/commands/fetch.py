"""``img2gps fetch``."""

from pathlib import Path
from typing import Literal

import rich_click as click

from img2gps.console import PATH, command, config_option, dry_run_option, json_option, print_json, print_text, say
from img2gps.text import format_count, safe_path, shell_path

__all__ = ["fetch"]


@command(
    "fetch",
    example=(
        "img2gps fetch quad-hub quad-2\n"
        "img2gps fetch our-lab/quad quad-2 --dry-run\n"
        "img2gps fetch our-lab/quad-model runs/quad-model --kind model"
    ),
)
@click.argument("source", metavar="OWNER/NAME|FOLDER")
@click.argument("out", type=PATH, metavar="DATASET|RUN")
@click.option("--kind", type=click.Choice(["dataset", "model"]), help="What SOURCE holds.  [default: looked up]")
@dry_run_option
@config_option
@json_option
def fetch(source: str, out: Path, kind: Literal["dataset", "model"] | None, dry_run: bool, as_json: bool) -> None:
    """Bring a published dataset back as the new folder DATASET, which train takes; or a published model as a RUN.

    SOURCE is a folder that publish or export --format hub wrote, or OWNER/NAME on the Hugging Face Hub. Splits, folds
    and groups are as they were; every file is compared with its digest.
    """
    from img2gps.hub.models import kind_of_source

    if (kind or kind_of_source(source)) == "model":
        _fetch_model(source, out, dry_run=dry_run, as_json=as_json)
        return
    from collect.api import fetch as run

    result = run(source, out, dry_run=dry_run)
    if as_json:
        print_json({"kind": "dataset"} | result.to_dict())
    else:
        splits = ", ".join(f"{name} {count:,}" for name, count in result.splits.items())
        print_text(f"{format_count(result.photos, 'photo')} {_verb(dry_run)} into {safe_path(out)} ({splits}).")
    if not dry_run:
        say(f"Next: `img2gps train {shell_path(out)}`")


def _fetch_model(source: str, out: Path, *, dry_run: bool, as_json: bool) -> None:
    from collect.api import fetch_model

    result = fetch_model(source, out, dry_run=dry_run)
    if as_json:
        print_json(result.to_dict())
    else:
        files = format_count(result.files, "file")
        print_text(f"A model of {result.site} ({result.model}, {files}) {_verb(dry_run)} into {safe_path(out)}.")
    if not dry_run:
        say(f"Next: `img2gps predict {shell_path(out)} PHOTOS`")


def _verb(dry_run: bool) -> str:
    return "would be fetched" if dry_run else "fetched"
