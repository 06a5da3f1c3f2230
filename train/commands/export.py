"""``img2gps export``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from img2gps.console import (
    PATH,
    FiniteRange,
    command,
    config_option,
    dry_run_option,
    json_option,
    print_json,
    print_table,
    print_text,
    say,
)
from img2gps.errors import QualityGateError, UsageError
from img2gps.hub.repository import check_private
from img2gps.text import format_count, safe_path, safe_text, shell_path

if TYPE_CHECKING:
    from train.exporting.check import CheckResult
    from train.exporting.options import ExportResult

__all__ = ["export"]

_EXAMPLE = """
img2gps export runs/default-001 OUT
img2gps export --check OUT photos
img2gps export runs/default-001 SPACE --format space --no-thumbnails
img2gps export runs/default-001 PAGE --format page
img2gps export runs/default-001 OUT --heads heat_map --round-m 10
img2gps export runs/default-001 HUB --format hub --license mit --push our-lab/quad-model --dry-run
"""


@command("export", example=_EXAMPLE)
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="RUN OUT | OUT PHOTOS...")
@click.option(
    "--format",
    "format_name",
    default="onnx",
    help="onnx, space (a container), page (static files) or hub (a model repository).",
)
@click.option("--half", is_flag=True, help="Weights of 16 bits; refused if a position moves by 0.2 m.")
@click.option("--heads", metavar="HEADS", help="Only these heads, joined by +; heat_map holds no training photos.")
@click.option("--round-m", type=FiniteRange(min=0), default=0.0, help="Blur the training positions to so many metres.")
@click.option("--no-thumbnails", is_flag=True, help="No small pictures of the training photos.")
@click.option("--fold", type=click.IntRange(min=0), help="The model of one fold.")
@click.option("--onnxruntime-web", type=PATH, metavar="FOLDER", help="That npm package, for page; else npm fetches it.")
@click.option("--check", is_flag=True, help="Compare an export with its run on photos, and write nothing.")
@click.option("--run", type=PATH, help="With --check: the run, if it is not in runs.")
@click.option("--license", metavar="WORD", help="With hub: a word of the Hub's list, such as mit or cc-by-4.0.")
@click.option(
    "--push", metavar="OWNER/NAME", help="With hub: upload OUT; the same command continues an upload that was cut off."
)
@click.option("--private", is_flag=True, help="With --push: a new repository is private.")
@dry_run_option
@json_option
@config_option
def export(
    *,
    paths: tuple[Path, ...],
    format_name: str,
    half: bool,
    heads: str | None,
    round_m: float,
    no_thumbnails: bool,
    fold: int | None,
    onnxruntime_web: Path | None,
    check: bool,
    run: Path | None,
    license: str | None,  # noqa: A002  the Hub's word
    push: str | None,
    private: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the model of a RUN into the folder OUT, for use without torch. Or --check an OUT on PHOTOS.

    A model that compares photos holds the places of its training photos, and small pictures of them. Options leave
    these out. --check ends with exit code 1 if the answers differ too much from those of the run.
    """
    from train.api import check_export, plan_export
    from train.api import export as export_model

    if len(paths) < 2 or (len(paths) > 2 and not check):
        raise UsageError("Give a RUN and the folder OUT to export to, or with --check an OUT and PHOTOS.")
    if check:
        changes: dict[str, object] = {"--heads": heads, "--fold": fold, "--license": license, "--push": push}
        changes |= {"--half": half or None, "--round-m": round_m or None, "--no-thumbnails": no_thumbnails or None}
        unused = next((name for name, value in changes.items() if value is not None), None)
        if unused is not None:
            raise UsageError(f"--check compares an export as it is, and writes nothing: leave {unused} out.")
        result = check_export(paths[0], paths[1:], run=run)
        _print_check(result, as_json=as_json)
        if not result.is_within_limits:
            raise QualityGateError(f"{safe_path(paths[0])} is further from its run than it may be: export it again.")
        return
    check_private(push, private=private)
    _refuse_unused({"--run": run}, needs="--check")
    if format_name != "hub":
        _refuse_unused({"--license": license}, needs="--format hub")
    if format_name != "page":
        _refuse_unused({"--onnxruntime-web": onnxruntime_web}, needs="--format page")
    options: dict[str, Any] = {"format": format_name, "half": half, "heads": heads, "round_m": round_m, "fold": fold}
    options |= {"thumbnails": not no_thumbnails, "license": license, "push": push}
    if dry_run:
        plan = plan_export(paths[0], paths[1], **options)
        print_json(plan) if as_json else print_text(_plan_sentence(plan))
        return
    written = export_model(paths[0], paths[1], onnxruntime_web=onnxruntime_web, private=private, **options)
    _print_export(written, as_json=as_json)


def _refuse_unused(given: Mapping[str, object], *, needs: str) -> None:
    """Raise UsageError where an option is given that does nothing without another."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name} does nothing without {needs}: give both, or leave {name} out.")


def _plan_sentence(plan: Mapping[str, Any]) -> str:
    photos = format_count(int(plan["gallery_photos"]), "training photo")
    files = f" Files: {', '.join(plan['files'])}." if "files" in plan else ""
    push = f" They would be pushed to {safe_text(plan['push'])}." if plan.get("push") else ""
    return (
        f"{safe_path(plan['out'])} would hold a model with {photos} in its gallery.{files}{push} Nothing was written."
    )


def _print_export(written: "ExportResult", *, as_json: bool) -> None:
    if as_json:
        print_json(written.to_json())
    else:
        rows = [(name, f"{size / 1e6:,.1f}") for name, size in written.files.items()]
        print_table(safe_path(written.out), ("file", "MB"), rows)
    for note in written.notes:
        say(note)
    if written.pushed is not None:
        say(f"Pushed: {safe_text(written.pushed.url)}")
    if written.parity_m is None:
        say(f"It is a run as well: `img2gps predict {shell_path(written.out)} PHOTOS`.")
        return
    say(
        f"Against the run: {written.parity_m:.3f} m at most, on {format_count(written.parity_photos, 'photo')}. "
        f"Compare on more: `img2gps export --check {shell_path(written.out)} PHOTOS`."
    )


def _print_check(result: "CheckResult", *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_json())
        return
    rows = [
        (photo.file, f"{photo.pixels_m:.4f}", _percent(photo.radius_share), f"{photo.file_m:.4f}")
        for photo in result.photos
    ]
    columns = ("photo", "m apart, same pixels", "radii", "m apart, own decoding")
    print_table(format_count(len(result.photos), "photo"), columns, rows)
    print_text(
        f"Same pixels: {result.worst_m:.4f} m at most ({result.most_m:g} allowed), "
        f"{_radii(result)}. "
        f"Own decoding: {result.median_file_m:.4f} m in the median. "
        f"{result.export_s_per_photo:.3f} s a photo, the run {result.run_s_per_photo:.3f} s; first answer after "
        f"{result.first_s:.2f} s; {result.bytes / 1e6:,.1f} MB, the run {result.run_bytes / 1e6:,.1f} MB."
    )


def _radii(result: "CheckResult") -> str:
    if result.worst_radius_share is None:
        return "it gives no radii"
    beyond = f"{format_count(result.stepped, 'photo')} beyond 1% ({result.most_stepped} allowed)"
    return f"radii {_percent(result.worst_radius_share)} at most, {beyond}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.3%}"
