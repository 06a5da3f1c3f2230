"""``img2gps label``."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from img2gps.console import (
    DATASET,
    PATH,
    command,
    config_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
    warn,
)
from img2gps.errors import UsageError
from img2gps.text import format_count, safe_path, shell_path

if TYPE_CHECKING:
    from collect.label.labelling import Labelling
    from img2gps.web.listening import ListeningAddress

__all__ = ["label"]

_SHOWN = 40


@command(
    "label",
    example=(
        "img2gps label quad\nimg2gps label quad --run runs/folds-001 --buildings buildings.geojson\n"
        "img2gps label quad --queue\nimg2gps label quad --import surveyed.csv\n"
        "img2gps label quad --refine runs/quick-001 --check\nimg2gps label quad --marks masks"
    ),
)
@click.argument("dataset", type=DATASET)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, help="Port of the page; 0 for any free one.")
@click.option("--host", default="127.0.0.1", help="Address to listen on; any but this machine's own needs a token.")
@click.option("--no-open", is_flag=True, help="Do not open the browser.")
@click.option(
    "--queue",
    "show_queue",
    is_flag=True,
    help="Print the labels to check first: the probability of an error, why, and where to stop.",
)
@click.option(
    "--import",
    "import_path",
    type=PATH,
    help="Import corrections from a table (.csv, .tsv, geo.txt), .geojson, .kml, .gpkg or .gpx.",
)
@click.option("--export", "export_path", type=PATH, help="Write the corrections to a .csv, .geojson or .gpx file.")
@click.option(
    "--labels",
    type=click.Choice(["corrected", "refined"]),
    default="corrected",
    help="With --export: corrections by people, or every position with its radius, refined if it was.",
)
@click.option(
    "--refine",
    "refine_run",
    type=PATH,
    metavar="RUN",
    help="Refine positions by the phone's drift and by models like this run's, fitted without the walk they judge.",
)
@click.option(
    "--check", is_flag=True, help="With --refine: first tell on walks left out whether models gain; takes minutes."
)
@click.option("--dry-run", is_flag=True, help="With --refine: say what would be refined; write nothing.")
@click.option("--replace", is_flag=True, help="With --import: overwrite corrections that differ.")
@click.option("--run", type=PATH, help="A run of `train --folds`: its out-of-fold predictions join in.")
@click.option(
    "--buildings", type=PATH, help="Buildings for the map and the queue: polygons of GeoJSON, KML, GeoPackage."
)
@click.option("--paths", type=PATH, help="Paths for the map: lines, GeoJSON, KML or GeoPackage.")
@click.option("--photos", type=PATH, help="The ingested folder: place its photos without a position by a click.")
@click.option(
    "--marks",
    type=PATH,
    metavar="FOLDER",
    help="Mark what photos show, as polygons; their masks go to FOLDER. With --import: take polygons.json over.",
)
@click.option(
    "--by", help="Whose corrections these are.  [default: the name of the user's account]", show_default=False
)
@config_option
@json_option
def label(
    dataset: Path,
    port: int,
    host: str,
    no_open: bool,
    show_queue: bool,
    import_path: Path | None,
    export_path: Path | None,
    labels: str,
    refine_run: Path | None,
    check: bool,
    dry_run: bool,
    replace: bool,
    run: Path | None,
    buildings: Path | None,
    paths: Path | None,
    photos: Path | None,
    marks: Path | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Check labels on a map in the browser, and correct wrong ones.

    Every action is saved at once in the dataset's corrections.csv. The ingested positions are never lost.
    """
    if marks is not None:
        _mark(dataset, marks, import_path, host, port, no_open=no_open, as_json=as_json)
        return
    # The queue inverts many small matrices: more threads than one only wait for each other, tenfold on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def opens() -> "Labelling":
        """Open the dataset, which takes a second of imports alone."""
        from collect.api.labels import placer_of
        from collect.label.labelling import open_labelling

        placer = placer_of(dataset)
        return open_labelling(dataset, by=by, run=run, buildings=buildings, paths=paths, photos=photos, placer=placer)

    if dry_run and (not refine_run or import_path or export_path or show_queue):
        raise UsageError("--dry-run belongs to --refine alone: give the run, and no other action.")
    if check and not refine_run:
        raise UsageError("--check belongs to --refine: give the run, too.")
    if import_path or export_path or show_queue or refine_run:
        if run or buildings or paths:
            opens()  # what is wrong with one of these is said before anything is written
        document: dict[str, object] = {}
        if import_path:
            document["import"] = _import(dataset, import_path, replace=replace, by=by, as_json=as_json)
        if refine_run:
            document["refine"] = _refine(dataset, refine_run, check=check, dry_run=dry_run)
        if export_path:
            document["export"] = _export(dataset, export_path, refined=labels == "refined")
        if show_queue:
            document |= _queue(dataset, run, buildings, as_json=as_json)
        if as_json:
            print_json(document)
        return
    if labels != "corrected":
        raise UsageError("--labels belongs to --export: give the file to write, too.")
    if replace:
        raise UsageError("--replace belongs to --import: give the file of corrections too.")
    if any(path is not None and not path.exists() for path in (run, buildings, paths, photos)):
        opens()  # which says so, before a page opens that has nothing to show
    _serve(dataset, opens, host, port, no_open=no_open, as_json=as_json)


def _import(dataset: Path, file: Path, *, replace: bool, by: str | None, as_json: bool) -> dict[str, object]:
    """Take corrections over, say what became of them, and return that as plain values."""
    from collect.api import import_labels

    report = import_labels(dataset, file, replace=replace, by=by)
    say(
        f"{safe_path(file)}: {report.applied} taken over, {report.unchanged} as they were, "
        f"{format_count(len(report.conflicts), 'conflict')}, {len(report.unmatched)} without a photo, "
        f"{len(report.unusable)} unusable."
    )
    piles = (("conflict", report.conflicts), ("without a photo", report.unmatched), ("unusable", report.unusable))
    rows = [(kind, problem.where, problem.text) for kind, problems in piles for problem in problems]
    if rows and not as_json:
        print_table("Not taken over", ("what", "where", "why"), rows)
    return report.to_dict()


def _refine(dataset: Path, run: Path, *, check: bool, dry_run: bool) -> dict[str, object]:
    """Refine the labels, say what became of them or would, and return that as plain values."""
    from collect.api import refine_labels

    if dry_run:
        planned = refine_labels(dataset, run, dry_run=True)
        say(planned.sentence())
        return planned.to_dict()
    found = refine_labels(dataset, run, check=check)
    say(found.sentence())
    if not check:  # a check says itself what to do
        words = shell_path(dataset)
        then = f"`img2gps train {words} --labels refined` trains on them"
        if not found.kept_round:
            then = f"`img2gps train {words}` trains on the labels as they are"
        say(f"Next: `img2gps label {words} --refine {shell_path(run)} --check` tells whether models gain, {then}.")
    return found.to_dict()


def _export(dataset: Path, file: Path, *, refined: bool) -> dict[str, object]:
    """Write the corrections, or all positions, say so, and return how many there are as plain values."""
    from collect.api import export_labels

    if refined:
        count = export_labels(dataset, file, labels="refined")
        say(f"{format_count(count, 'position')} written to {safe_path(file)}.")
        return {"file": safe_path(file), "positions": count}
    count = export_labels(dataset, file)
    say(f"{format_count(count, 'correction')} written to {safe_path(file)}.")
    return {"file": safe_path(file), "corrections": count}


def _queue(dataset: Path, run: Path | None, buildings: Path | None, *, as_json: bool) -> dict[str, object]:
    """Print the head of the queue as a table, and return all of it as plain values."""
    from collect.api import label_queue

    queue = label_queue(dataset, run=run, buildings=buildings)
    if not as_json:
        shown = queue.labels[: max(_SHOWN, round(queue.photos / 10))]
        rows = [
            (entry.rank, _percent(entry.probability), entry.file, "; ".join(r.text for r in entry.reasons) or "-")
            for entry in shown
        ]
        if rows:
            print_table("Labels to look at first", ("rank", "wrong", "photo", "why"), rows)
        if len(queue.labels) > len(shown):
            print_text(f"... and {len(queue.labels) - len(shown):,} more; --json lists all.")
        print_text(queue.sentence())
    return queue.to_dict()


def _serve(
    dataset: Path, opens: "Callable[[], Labelling]", host: str, port: int, *, no_open: bool, as_json: bool
) -> None:
    """Serve the page until Ctrl-C; it is there before the dataset is read."""
    from collect.label.opening import Opening
    from collect.label.server import serve
    from img2gps.corrections import read_corrections
    from img2gps.dataset import Dataset

    opened = Dataset.open(dataset)
    started = _teller(f"Labels of {safe_path(dataset)}", no_open=no_open, as_json=as_json)
    before = len(read_corrections(opened.corrections_path))
    serve(Opening(opens), host=host, port=port, started=started)
    written = len(read_corrections(opened.corrections_path)) - before
    say(f"Ended; {format_count(written, 'correction')} written.")


def _mark(
    dataset: Path, folder: Path, file: Path | None, host: str, port: int, *, no_open: bool, as_json: bool
) -> None:
    """Serve the page that marks photos until Ctrl-C, or take polygons over from a file."""
    from collect.marking.marking import Marking, import_marks, serve_marking
    from img2gps.dataset import Dataset

    opened = Dataset.open(dataset)
    if file is not None:
        taken, unknown = import_marks(opened, folder, file)
        if as_json:
            print_json({"photos": taken, "without_photo": unknown})
        rest = f"; {format_count(unknown, 'photo')} of the file are not in this dataset" if unknown else ""
        say(f"Masks of {format_count(taken, 'photo')} written to {safe_path(folder)}{rest}.")
        return
    marking = Marking.of(opened, folder)
    started = _teller(f"Marks on {safe_path(dataset)}", no_open=no_open, as_json=as_json)
    serve_marking(marking, host=host, port=port, started=started)
    say(f"Ended; {format_count(len(marking.marks.photos), 'photo')} marked in {safe_path(folder)}.")


def _teller(what: str, *, no_open: bool, as_json: bool) -> "Callable[[ListeningAddress], None]":
    """Return what says where a page is, warns where others can reach it, and opens a browser."""
    from img2gps.web.guard import is_loopback

    def started(address: "ListeningAddress") -> None:
        if as_json:
            print_json({"url": address.url, "host": address.host, "port": address.port})
        say(f"{what}: {address.url} (Ctrl-C ends it)")
        if not is_loopback(address.host):
            warn("This page can be reached from other machines, and traffic is not encrypted: keep its address secret.")
        if not no_open and _has_screen():
            click.launch(address.url)

    return started


def _percent(share: float) -> str:
    """Return a probability that promises neither certainty nor impossibility."""
    return "<1%" if share < 0.01 else f"{min(share, 0.99):.0%}"


def _has_screen() -> bool:
    """Return whether a browser has somewhere to open; over ssh, launching one prints noise or takes the terminal."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
