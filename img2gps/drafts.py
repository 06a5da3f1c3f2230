"""What appears complete or not at all, a folder or a file: made beside its place under a name of its own, renamed."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from img2gps.files import TEMPORARY_PREFIX, fsync_folder, sha256_bytes

__all__ = ["draft_of", "replace_file", "sweep_drafts"]


def draft_of(root: Path) -> Path:
    """Return where something is made before it is renamed to `root`: a new name beside it that `sweep_drafts` knows."""
    return root.parent / f"{_draft_prefix(root)}{os.getpid()}-{uuid4().hex}"


def sweep_drafts(root: Path) -> None:
    """Delete the drafts of this folder or file beside it that processes left which were killed."""
    for draft in root.parent.glob(f"{_draft_prefix(root)}*"):
        number = draft.name.removeprefix(_draft_prefix(root)).partition("-")[0]
        if number.isdecimal() and not _is_running(int(number)):
            _delete(draft)


def replace_file(target: Path, content: bytes) -> None:
    """Replace a file in a folder that is not ours, in one step; what killed processes left of it there is deleted.

    Raises OSError where the folder is read-only or the disk is full; the file is then untouched.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(target)
    draft = draft_of(target)
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    fsync_folder(target.parent)


def _delete(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)


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
