"""From a name to a run: a new folder under it, or the run that lies there."""

import re
import time
from pathlib import Path
from typing import Final

from img2gps.errors import NotFoundError, RunLockedError, UsageError
from img2gps.text import safe_path, safe_text
from train.runs.folder import RunFolder

__all__ = ["LONGEST_NAME", "check_free", "create_run", "open_run"]

_MADE_S: Final = 0.5  # a new run's folder is held this soon, by far
LONGEST_NAME: Final = 100
_NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


def create_run(runs: Path, *, prefix: str, name: str | None = None) -> RunFolder:
    """Make and return a new folder in `runs`: `name`, or `prefix` with the next free number.

    Raises UsageError where `name` is taken or no plain name, RunLockedError where another process trains it now.
    """
    if name is not None:
        check_free(runs, name)
        try:
            (runs / name).mkdir(parents=True)
        except FileExistsError as error:  # another process took the name first
            raise _taken(RunFolder(root=runs / name)) from error
        return RunFolder(root=runs / name)
    runs.mkdir(parents=True, exist_ok=True)
    number = 1 + max((_number(path.name, prefix) for path in runs.iterdir()), default=0)
    while True:
        root = runs / f"{prefix}-{number:03d}"
        try:
            root.mkdir()
        except FileExistsError:  # another process took the number first
            number += 1
        else:
            return RunFolder(root=root)


def check_free(runs: Path, name: str) -> None:
    """Raise UsageError or RunLockedError where `name` is no plain name, or is taken in `runs`."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{safe_text(repr(name))} is no name for a run: use letters, digits, dots and dashes.")
    if (runs / name).exists():
        raise _taken(RunFolder(root=runs / name))


def _taken(run: RunFolder) -> RunLockedError | UsageError:
    """Return why a run cannot be made where there is one."""
    until = time.monotonic() + _MADE_S
    while not run.is_training:
        if run.config_path.is_file() or time.monotonic() > until:
            return UsageError(f"{safe_path(run.root)} exists: give another --name, or go on with it by --resume.")
        time.sleep(0.05)  # the folder of a run that begins in this moment: it is not held yet
    return RunLockedError(f"{safe_path(run.root)} is being trained by another process: give another --name.")


def _number(name: str, prefix: str) -> int:
    match = re.fullmatch(rf"{re.escape(prefix)}-(\d{{1,9}})", name)
    return int(match[1]) if match else 0


def open_run(path: Path) -> RunFolder:
    """Return the run at `path`: a run folder, or a checkpoint or fold inside one. Raises NotFoundError."""
    for candidate in (path, *path.parents[:3]):
        if (candidate / "config.toml").is_file():
            return RunFolder(root=candidate)
    if not path.exists():
        raise NotFoundError(f"No run at {safe_path(path)}: train one with `img2gps train DATASET`.")
    raise NotFoundError(
        f"{safe_path(path)} is no run, config.toml is missing: give a folder that `img2gps train` made."
    )
