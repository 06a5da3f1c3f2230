"""``img2gps predict``."""

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from img2gps.console import (
    PATH,
    FiniteRange,
    cluster_option,
    command,
    config_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
)
from img2gps.errors import RejectedFilesError, UsageError
from img2gps.text import format_count, safe_path

if TYPE_CHECKING:
    from train.explanation.matches import MatchedPhotos
    from train.inference.predict import Prediction

__all__ = ["predict", "tell_unfamiliar"]

_EXAMPLE = """
img2gps predict runs/default-001 IMG_0042.HEIC
img2gps predict runs/default-001 photos --walks --geojson walk.geojson
"""

# "-" is stdout; anything else a file
TARGET = click.Path(path_type=Path, allow_dash=True)


@command("predict", example=_EXAMPLE)
@click.argument("run", type=PATH)
@click.argument("photos", type=PATH, nargs=-1, required=True)
@json_option
@click.option("--csv", "csv_path", type=TARGET, metavar="FILE", help="Write CSV to FILE, or - for stdout.")
@click.option("--geojson", "geojson_path", type=TARGET, metavar="FILE", help="Write GeoJSON points to FILE, or -.")
@click.option("--walks", is_flag=True, help="Locate the photos of a walk together, by the capture times in their EXIF.")
@click.option(
    "--abstain",
    type=FiniteRange(min=0),
    metavar="METRES",
    help="Mark an answer as not sure if its 90 % region is wider than this, or it is unlike the site.",
)
@click.option(
    "--why",
    "why_path",
    type=PATH,
    metavar="PAGE",
    help="Write a page with each photo beside its best match.",
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@cluster_option
@click.option("--strict", is_flag=True, help="Exit with 7 if a file could not be read.")
@config_option
def predict(
    *,
    run: Path,
    photos: tuple[Path, ...],
    as_json: bool,
    csv_path: Path | None,
    geojson_path: Path | None,
    walks: bool,
    abstain: float | None,
    why_path: Path | None,
    device: str,
    cluster: str | None,
    strict: bool,
) -> None:
    """Say where PHOTOS (files or folders) were taken; their EXIF is not needed.

    Every photo is placed on the site of the RUN, wherever it was taken. A photo that looks less like it than 19 in 20
    taken there is reported as unlike the site. With --walks, photos that one camera took at most ten minutes apart
    are located together. That is far more accurate. A walk elsewhere then looks sure, and is not always noticed.
    """
    from train.inference.cluster_parts import locate_photos
    from train.inference.output import predictions_csv, predictions_geojson, predictions_json, table_rows, write_text
    from train.inference.predict import find_photos

    on_stdout = [target for target in (csv_path, geojson_path) if target is not None and str(target) == "-"]
    if len(on_stdout) + as_json > 1:
        raise UsageError("Only one of --json, --csv - and --geojson - can have stdout: give the others a file.")
    paths, skipped = find_photos(photos)
    found = locate_photos(run, paths, walks=walks, device=device, cluster=cluster)
    if skipped:
        say(f"{format_count(skipped, 'file')} in the folders left out: no photos by their names.")
    tell_unfamiliar(found, walks=walks)
    tell_worth(run, found)
    matches = None if why_path is None else _matches(run, paths, found, why_path, device)
    if csv_path is not None:
        write_text(csv_path, predictions_csv(found, abstain_m=abstain))
    if geojson_path is not None:
        write_text(geojson_path, predictions_geojson(found, abstain_m=abstain))
    if as_json:
        rows = predictions_json(found, abstain_m=abstain)
        if matches is not None:
            for row, match in zip(rows, matches, strict=True):
                row["match"] = None if match is None else match.to_dict()
        print_json(rows)
    elif not on_stdout and found:
        columns = ("photo", "latitude", "longitude", "50 % within m", "90 % within m", "")
        print_table(format_count(len(found), "photo"), columns, table_rows(found, abstain_m=abstain))
    elif not found:
        print_text("No photos.")
    unread = sum(prediction.error is not None for prediction in found)
    if unread and strict:
        raise RejectedFilesError(f"{format_count(unread, 'file')} could not be read.")


def _matches(
    run: Path, paths: list[Path], found: "list[Prediction]", page: Path, device: str
) -> "list[MatchedPhotos | None]":
    """Write the page of best matches, and return them."""
    from train.explanation.matches import best_matches
    from train.explanation.pictures import write_matches

    matches = best_matches(run, paths, device=device)
    write_matches(page, matches, found)
    say(f"See what each photo matches: {safe_path(page)}")
    return matches


def tell_worth(run: Path, found: "list[Prediction]") -> None:
    """Say what the model's familiarity can tell, and where its run was not better than the mean position."""
    from train.inference.load import stated
    from train.runs.names import open_run
    from train.runs.remarks import TELLS_NO_STRANGERS, familiarity_sentence, scored_sentence

    if any(prediction.familiarity is not None for prediction in found):
        say(familiarity_sentence(stated(run, "familiarity_power")))
    elif any(prediction.error is None for prediction in found):
        say(TELLS_NO_STRANGERS)
    worth = scored_sentence(open_run(run)) if any(prediction.error is None for prediction in found) else None
    if worth:
        say(f"{worth} Its positions are worth no more than that.")


def tell_unfamiliar(found: "list[Prediction]", *, walks: bool) -> None:
    """Say how many photos are unlike the site, and what that may mean where they are more than chance makes them."""
    from train.inference.output import is_unfamiliar
    from train.models.localizer import UNFAMILIAR_BELOW

    located = sum(prediction.error is None for prediction in found)
    unfamiliar = sum(map(is_unfamiliar, found))
    if not unfamiliar:
        return
    judged = f"of photos of the site some {UNFAMILIAR_BELOW:.0%} are" + ("; a walk is judged as one" if walks else "")
    text = f"{unfamiliar:,} of {format_count(located, 'photo')} unlike the site ({judged})."
    if unfamiliar > 2 * UNFAMILIAR_BELOW * located:
        text += " If they were taken elsewhere, their positions mean nothing; if here, expect larger errors."
    say(text)
