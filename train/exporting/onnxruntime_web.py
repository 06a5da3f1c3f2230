"""The three files of onnxruntime-web that the page needs, from npm or from a folder, checked by their digests."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from img2gps.errors import UsageError
from img2gps.text import safe_path, safe_text

__all__ = ["FILES", "VERSION", "runtime_files"]

VERSION: Final = "1.30.0"
_INTEGRITY: Final = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of the package's archive, as the registry publishes it (``npm view onnxruntime-web dist.integrity``)."""

FILES: Final = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_MOST_BYTES: Final = 64 << 20
_PLACES: Final = (".", "dist", "package/dist", "onnxruntime-web/dist", "node_modules/onnxruntime-web/dist")
_OTHERWISE: Final = "give --onnxruntime-web FOLDER, an unpacked package onnxruntime-web"


def runtime_files(folder: Path | None) -> dict[str, bytes]:
    """Return the files by their names: those of `folder`, or of the pinned package, fetched by ``npm pack``.

    Raises UsageError where the folder lacks one, npm is not there or fails, or the package is not the pinned one.
    """
    return _of_npm() if folder is None else _of_folder(folder)


def _of_folder(folder: Path) -> dict[str, bytes]:
    for place in _PLACES:
        if all((folder / place / name).is_file() for name in FILES):
            return {name: (folder / place / name).read_bytes() for name in FILES}
    raise UsageError(f"{safe_path(folder)} lacks {', '.join(FILES)}: {_OTHERWISE}, version {VERSION}.")


def _of_npm() -> dict[str, bytes]:
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"The page needs onnxruntime-web {VERSION} and npm is not installed: {_OTHERWISE}.")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"npm pack failed ({safe_text(str(error), limit=120)}): {_OTHERWISE}.") from error
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            reason = safe_text((done.stderr.strip().splitlines() or ["no archive"])[-1], limit=120)
            raise UsageError(f"npm pack failed ({reason}): {_OTHERWISE}.")
        return _unpacked(archives[0])


def _unpacked(archive: Path) -> dict[str, bytes]:
    """Return the files of an archive that is the pinned one, byte by byte. Raises UsageError for any other."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != _INTEGRITY:
        raise UsageError(f"npm gave another onnxruntime-web {VERSION} than the one that was checked: {_OTHERWISE}.")
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix("package/dist/")
            content = opened.extractfile(member) if name in FILES and member.isfile() else None
            if content is not None:
                found[name] = content.read(_MOST_BYTES)
    return found
