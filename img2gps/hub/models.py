"""A published model brought back: the folder that `img2gps export --format hub` wrote, which is a run again."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, Final, Literal

from img2gps.drafts import draft_of, sweep_drafts
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.files import SUMS, changed_files, fsync_folder
from img2gps.hub.repository import hub_has, is_hub_name
from img2gps.text import safe_path, safe_text

__all__ = ["MODEL_FILES", "FetchedModel", "copy_model", "kind_of_source"]

MODEL_FILES: Final = (
    *("README.md", SUMS, "config.json", "config.toml", "photos.parquet", "refined.json", "metrics.jsonl"),
    *("metrics.sha256", "best/*"),
)
"""What is downloaded of a model's repository."""
_FORMAT: Final = "img2gps-run"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FetchedModel:
    """What came: the run's folder, its files, and what its config.json says of it."""

    run: Path
    source: str
    dry_run: bool
    files: int
    site: str
    model: str
    license: str

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``fetch --json``."""
        return {"kind": "model"} | dataclasses.asdict(self) | {"run": safe_path(self.run)}


def kind_of_source(source: str) -> Literal["dataset", "model"]:
    """Return what a folder or a repository of the Hub holds; of a name that both kinds have, the dataset."""
    folder = Path(source)
    if folder.exists() or not is_hub_name(source):
        return "model" if _config(folder).get("format") == _FORMAT else "dataset"
    return "model" if not hub_has(source, "dataset") and hub_has(source, "model") else "dataset"


def copy_model(folder: Path, run: Path, *, source: str, dry_run: bool = False) -> FetchedModel:
    """Make the run `run` of a model's folder; `source` is what a person calls that, for messages.

    Every file is compared with its digest first. `run` is absent or empty, and appears complete or not at all. Raises
    NotFoundError, UsageError, InvalidDatasetError, OSError.
    """
    values = _config(folder)
    if values.get("format") != _FORMAT or not (folder / SUMS).is_file():
        raise NotFoundError(f"{source} is no model that `img2gps export --format hub` wrote.")
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise UsageError(f"{safe_path(run)} is there already: give a new folder for the run.")
    for name, what in changed_files(folder):
        raise InvalidDatasetError(f"{source} is not as it was exported ({safe_text(name)}: {what}): fetch it again.")
    named = [line.partition("  ")[2] for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()]
    sums = sorted({(Path(name).parent / SUMS).as_posix() for name in named})  # of the folders inside, too
    names = [*named, *(name for name in sums if (folder / name).is_file())]
    result = FetchedModel(
        run=run,
        source=source,
        dry_run=dry_run,
        files=len(names),
        **{name: safe_text(str(values.get(name, ""))) for name in ("site", "model", "license")},
    )
    if not dry_run:
        _appear(folder, run, names)
    return result


def _appear(folder: Path, run: Path, names: list[str]) -> None:
    run.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(run)
    draft = draft_of(run)
    try:
        for name in names:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, draft / name)
            with (draft / name).open("rb+") as file:
                os.fsync(file.fileno())
        for inside in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
            fsync_folder(inside)
        if run.exists():
            run.rmdir()  # empty, or somebody else's by now: then this fails
        draft.rename(run)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(run.parent)


def _config(folder: Path) -> dict[str, Any]:
    """Return what config.json says, nothing where there is none that can be read."""
    try:
        values = json.loads((folder / "config.json").read_bytes())
    except (OSError, RecursionError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
