"""The Hugging Face Hub: a published folder goes up, a dataset or a model; a dataset's files come down.

The library `huggingface_hub` (extra ``hub``) does the work and reads the address (``HF_ENDPOINT``) and the token
(``HF_TOKEN``, or what ``hf auth login`` kept). What it uploaded once is not uploaded again: a push that was cut
off goes on where it stopped.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_text

__all__ = [
    "PushResult",
    "check_hub_name",
    "check_private",
    "download_folder",
    "hub_has",
    "is_hub_name",
    "push_folder",
    "require_hub",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_NETWORK: Final = ("httpx", "httpcore", "requests")
"""What the library talks through, by the beginning of the packages' names: httpx2 is one of them."""
_FETCHED: Final = ("data/*.parquet", "site.geojson", "img2gps.json")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """Where a folder went: the repository, its address, and the bytes of each file that is now there."""

    repo: str
    url: str
    files: Mapping[str, int]


def is_hub_name(text: str) -> bool:
    """Return whether a text can be ``OWNER/NAME``."""
    return _NAME.fullmatch(text) is not None


def check_hub_name(text: str) -> str:
    """Return ``OWNER/NAME``. Raises UsageError where the text is something else."""
    if not is_hub_name(text):
        raise UsageError(f"A place on the Hub is called OWNER/NAME, not {safe_text(text)}.")
    return text


def check_private(repo: str | None, *, private: bool) -> None:
    """Raise UsageError where a repository is to be private and nothing is pushed."""
    if private and repo is None:
        raise UsageError("--private says how --push OWNER/NAME makes a repository: give --push, too.")


def require_hub() -> Any:
    """Return the library. Raises UsageError where it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise UsageError("The Hub needs the library huggingface_hub: pip install 'img2gps[hub]'.") from error
    return huggingface_hub


def push_folder(folder: Path, repo: str, *, private: bool = False, kind: str = "dataset") -> PushResult:
    """Upload a folder to the repository ``OWNER/NAME`` of the Hub, which is made where it is not there.

    `kind` is ``dataset`` or ``model``.
    Data files of an earlier push that the folder lacks are deleted there, in the same commit. Raises UsageError where
    the library is missing or the Hub refuses, OSError where it cannot be reached.
    """
    hub = require_hub()
    check_hub_name(repo)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with _told(hub, repo, kind):
        api = hub.HfApi()
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo,
            repo_type=kind,
            folder_path=str(folder),
            commit_message="Published by img2gps",
            delete_patterns=["data/*.parquet"] if kind == "dataset" else None,
        )
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    return PushResult(repo=repo, url=str(getattr(done, "commit_url", done)), files=sizes)


def download_folder(repo: str, *, kind: str = "dataset", patterns: Sequence[str] = _FETCHED) -> Path:
    """Return a folder with the files of a published dataset or model; those there from before are not loaded again.

    Raises UsageError where the library is missing, NotFoundError where the Hub has no such repository, OSError where it
    cannot be reached.
    """
    hub = require_hub()
    with _told(hub, repo, kind, coming=True):
        found = hub.snapshot_download(check_hub_name(repo), repo_type=kind, allow_patterns=list(patterns))
    return Path(found)


def hub_has(repo: str, kind: str) -> bool:
    """Return whether the Hub has a repository of a kind (``dataset``, ``model``). Raises as `download_folder` does."""
    hub = require_hub()
    with _told(hub, repo, kind, coming=True):
        return bool(hub.HfApi().repo_exists(check_hub_name(repo), repo_type=kind))


@contextmanager
def _told(hub: Any, repo: str, kind: str = "dataset", *, coming: bool = False) -> Iterator[None]:
    """Turn what the library raises into a sentence; `coming`: a name is looked up since no folder has it."""
    errors = hub.errors
    lacking = f", and there is no folder {safe_text(repo)} here" if coming else ""
    try:
        yield
    except errors.RepositoryNotFoundError as error:
        raise NotFoundError(
            f"The Hub has no {kind} {safe_text(repo)}, or it is private: check the name, or log in (`hf auth login`)."
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise UsageError("The Hub needs your account: log in (`hf auth login`), or set HF_TOKEN.") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise UsageError(
                f"The Hub refuses {safe_text(repo)} ({status}): log in with a token that may write (`hf auth login`)."
            ) from error
        raise OSError(f"The Hub answered {status} about {safe_text(repo)}: {safe_text(str(error))}") from error
    except errors.LocalEntryNotFoundError as error:
        raise OSError(f"The Hub cannot be reached{lacking}") from error
    except OSError:
        raise
    except RuntimeError as error:  # one upload of several failed
        raise OSError(f"The Hub did not take everything ({safe_text(str(error))})") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0].startswith(_NETWORK):
            raise OSError(f"The Hub cannot be reached ({safe_text(str(error))}){lacking}") from error
        raise
