"""The formats of ``img2gps export``: another is one line in `FORMATS`."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from img2gps.drafts import draft_of, sweep_drafts
from img2gps.errors import UsageError
from img2gps.files import SUMS, fsync_folder, write_sums
from img2gps.hub.repository import check_hub_name, require_hub
from img2gps.runtime.description import MODEL_JSON
from img2gps.text import safe_path, safe_text
from train.exporting.hub_folder import CONFIG_JSON, HUB_FILES, check_hub, write_hub
from train.exporting.onnx_folder import NO_GALLERY, write_onnx
from train.exporting.options import ExportOptions, ExportResult, Writer
from train.exporting.page_folder import write_page
from train.exporting.privacy import changed_model
from train.exporting.space_folder import write_space
from train.inference.load import load_localizer
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer

__all__ = ["FORMATS", "check_out", "check_push", "export_run", "plan_export"]

FORMATS: Final[Mapping[str, Writer]] = {"onnx": write_onnx, "space": write_space, "page": write_page, "hub": write_hub}


def export_run(run: Path, out: Path, *, format_name: str, options: ExportOptions) -> ExportResult:
    """Write the model of `run` into the folder `out`, whole or not at all, and return what was written.

    `out` is absent, empty or an earlier export, whose place the new one takes. Raises UsageError for an unknown format,
    another `out`, options that do not fit the model, or a missing extra `export`. Raises QualityGateError if `half`
    errs by too much, and what `load_localizer` raises.
    """
    _check(out, format_name)
    fresh = draft_of(out)
    try:
        fresh.mkdir(parents=True)
        result = FORMATS[format_name](run, fresh, options)
        write_sums(fresh)
        _take_place(fresh, out)
        sweep_drafts(out)  # of exports that were killed; the last whole one is gone only now
    finally:
        if fresh.exists():
            shutil.rmtree(fresh)
    return _moved(result, out)


def plan_export(run: Path, out: Path, *, format_name: str, options: ExportOptions) -> dict[str, object]:
    """Return what `export_run` would write of which model, having loaded it, and write nothing.

    Raises what `export_run` raises, but for what only the export itself can tell.
    """
    _check(out, format_name)
    if format_name == "hub":
        check_hub(options)
    localizer = load_localizer(run, fold=options.fold, device="cpu")
    plan: dict[str, object] = {"run": str(run), "out": str(out), "format": format_name}
    if format_name == "hub":
        plan["files"] = list(HUB_FILES)
    if not isinstance(localizer, ProbeLocalizer):
        if options.heads is not None or options.round_m:
            raise UsageError(NO_GALLERY)
        return plan | {"heads": [], "gallery_photos": 0, "cells": 0}
    ensemble = changed_model(localizer, options).ensemble
    head = ensemble.heads.get("neighbours")
    photos = len(head.xy) if isinstance(head, Neighbours) else 0
    return plan | {"heads": list(ensemble.heads), "gallery_photos": photos, "cells": len(ensemble.cells)}


def check_push(repo: str, *, format_name: str) -> None:
    """Raise UsageError where a folder cannot be pushed: another format, no name on the Hub, no library."""
    if format_name != "hub":
        raise UsageError(f"--push takes --format hub, not {safe_text(format_name)}.")
    check_hub_name(repo)
    require_hub()


def _check(out: Path, format_name: str) -> None:
    if format_name not in FORMATS:
        raise UsageError(f"No format {safe_text(repr(format_name))}: there are {', '.join(FORMATS)}.")
    check_out(out)


def _moved(result: ExportResult, out: Path) -> ExportResult:
    return dataclasses.replace(result, out=out)


def check_out(out: Path) -> None:
    """Raise UsageError where `out` holds anything but an earlier export: nothing else is ever replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{safe_path(out)} is a file: give a folder to export to.")
    inside = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    written = _names_of_sums(out)
    is_export = {MODEL_JSON, CONFIG_JSON} & {Path(name).name for name in written}
    if inside and not (is_export and {name for name in inside if Path(name).name != SUMS} <= written):
        strange = sorted(name for name in inside if Path(name).name != SUMS and (not is_export or name not in written))
        raise UsageError(
            f"{safe_path(out)} holds files that no export wrote, such as {safe_text((strange or [SUMS])[0])}: "
            "give an empty folder, or one that does not exist."
        )


def _names_of_sums(folder: Path) -> set[str]:
    if not (folder / SUMS).is_file():
        return set()
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    return {line.partition("  ")[2] for line in lines}


def _take_place(fresh: Path, out: Path) -> None:
    """Rename `fresh` to `out`; an earlier export goes last, so that no moment has less than one whole folder."""
    aside = draft_of(out)
    if out.exists():
        out.rename(aside)
    fresh.rename(out)
    fsync_folder(out.parent)
    if aside.exists():
        shutil.rmtree(aside)
