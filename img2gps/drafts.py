"""Folders that appear complete or not at all: made beside their place under a name of their own, then renamed."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from img2gps.files import TEMPORARY_PREFIX, sha256_bytes

__all__ = ["draft_of", "sweep_drafts"]


def draft_of(root: Path) -> Path:
    """Return where a folder is made before it is renamed to `root`: a new name beside it that `sweep_drafts` knows."""
    return root.parent / f"{_draft_prefix(root)}{os.getpid()}-{uuid4().hex}"


def sweep_drafts(root: Path) -> None:
    """Delete the drafts of this folder beside it that processes left which were killed."""
    for draft in root.parent.glob(f"{_draft_prefix(root)}*"):
        number = draft.name.removeprefix(_draft_prefix(root)).partition("-")[0]
        if number.isdecimal() and not _is_running(int(number)):
            shutil.rmtree(draft, ignore_errors=True)


def _draft_prefix(root: Path) -> str:
    return f"{TEMPORARY_PREFIX}{sha256_bytes(os.fsencode(root.name))[:16]}-"


def _is_running(process: int) -> bool:
    if os.name == "nt":  # a signal of 0 would end the process there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
