"""``img2gps publish``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    FiniteRange,
    command,
    config_option,
    dry_run_option,
    json_option,
    print_json,
    print_table,
    say,
)
from img2gps.text import format_count, safe_path, safe_text

if TYPE_CHECKING:
    from collect.publishing.publish import PublishResult

__all__ = ["publish"]


Command = Callable[..., None]


def _word_options(body: Command) -> Command:
    """What the card and the citation say."""
    for option in reversed(_WORDS):
        body = option(body)
    return body


def _privacy_options(body: Command) -> Command:
    """What is cut or hidden before anything leaves."""
    for option in reversed(_PRIVACY):
        body = option(body)
    return body


_WORDS: Final = (
    click.option(
        "--license", metavar="WORD", help="The licence, a word of the Hub's list: cc-by-4.0, cc0-1.0, other, ..."
    ),
    click.option("--title", help="The dataset's name for people.  [default: the site's]", show_default=False),
    click.option(
        "--author", "authors", multiple=True, metavar="NAME", help="Whom to cite; may be given several times."
    ),
    click.option("--description", default="", help="A text for the card."),
)
_PRIVACY: Final = (
    click.option(
        "--round-m",
        type=FiniteRange(0.01, 100_000),
        metavar="METRES",
        help="Put positions, and heights, on a grid this wide.",
    ),
    click.option("--hours", is_flag=True, help="Cut times to the hour."),
    click.option("--redact-people", is_flag=True, help="Make faces unrecognisable, as far as they are found."),
    click.option("--detector", "detectors", type=PATH, multiple=True, help="An ONNX file (YOLO) for plates or people."),
    click.option(
        "--hide-from",
        type=FiniteRange(0.1, 1),
        metavar="SCORE",
        help="Hide what a detector finds from this score on.  [default: 0.15]",
        show_default=False,
    ),
    click.option(
        "--boxes", type=PATH, help="A CSV of regions drawn by hand: photo, left, top, right, bottom (pixels)."
    ),
)
_LOOKING: Final = ("redact_people", "detectors", "boxes", "hide_from")


@command(
    "publish",
    example=(
        "img2gps publish quad quad-hub --license cc-by-4.0\n"
        "img2gps publish quad quad-hub --license cc-by-4.0 --round-m 5 --hours --redact-people\n"
        "img2gps publish quad quad-hub --license cc-by-4.0 --push our-lab/quad --dry-run"
    ),
)
@click.argument("dataset", type=DATASET)
@click.argument("out", type=PATH)
@_word_options
@_privacy_options
@click.option("--review", is_flag=True, help="Open a page to look at the regions first; OUT is written when it ends.")
@click.option("--port", type=click.IntRange(0, 65535), default=8766, help="Port of the page of --review.")
@click.option("--also", metavar="FORMAT,...", default="", help="Further formats: gpkg, csv, stac.")
@click.option(
    "--push", metavar="OWNER/NAME", help="Upload OUT to the Hub; the same command continues an upload that was cut off."
)
@click.option("--private", is_flag=True, help="With --push: a new repository is private.")
@dry_run_option
@config_option
@json_option
def publish(
    dataset: Path, out: Path, *, review: bool, port: int, also: str, dry_run: bool, as_json: bool, **chosen: Any
) -> None:
    """Write DATASET as a folder OUT that the Hugging Face Hub shows.

    OUT has Parquet files with photos and positions, a card, a citation and Croissant metadata. Names, serial numbers,
    original files and EXIF are never written. Excluded photos stay behind. A model that compares photos (presets
    default and quick) holds the exact positions of its training photos, even if they are coarse here.
    """
    from collect.api import publish as run

    if review and not dry_run:
        chosen["redact_people"] |= not (chosen["detectors"] or chosen["boxes"])
        _review(dataset, port, **{name: chosen[name] for name in _LOOKING})
    formats = [name.strip() for name in also.split(",") if name.strip()]
    result = run(dataset, out, also=formats, dry_run=dry_run, **chosen)
    if as_json:
        print_json(result.to_dict())
    else:
        rows = [(name, "" if size is None else f"{size:,}") for name, size in result.files.items()]
        print_table("Files to be written" if dry_run else "Files", ("file", "bytes"), rows)
    say(_sentence(result))
    if push := chosen["push"]:
        say(safe_text(f"Would be pushed to {push}." if result.pushed is None else f"Pushed: {result.pushed.url}"))


def _sentence(result: "PublishResult") -> str:
    left = f" {format_count(result.excluded, 'photo')} that somebody excluded stayed behind." if result.excluded else ""
    verb = "would be published" if result.dry_run else "published"
    if result.redacted:
        left += f" Unrecognisable now: {format_count(result.redacted, 'region')} of {result.redacted_photos}."
    return f"{format_count(result.photos, 'photo')} {verb} in {safe_path(result.out)}.{left}"


def _review(
    dataset: Path,
    port: int,
    *,
    redact_people: bool,
    detectors: tuple[Path, ...],
    boxes: Path | None,
    hide_from: float | None,
) -> None:
    """Serve the review page until Ctrl-C, before anything is written."""
    from collect.publishing.publish import redaction_of, review_desk
    from collect.publishing.redaction.review import serve_review
    from img2gps.dataset import Dataset
    from img2gps.web.listening import End, ListeningAddress

    redaction = redaction_of(detectors, boxes, hide_from, redact_people=redact_people)
    desk = review_desk(Dataset.open(dataset), redaction)

    def started(address: ListeningAddress, _end: End) -> None:
        say(f"Regions of {safe_path(dataset)}: {address.url} (Ctrl-C ends it, and the folder is written)")

    serve_review(desk, host="127.0.0.1", port=port, started=started)
