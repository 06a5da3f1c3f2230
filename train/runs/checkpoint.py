"""Checkpoints: safetensors and JSON under SHA-256 sums, replaced in one step, never unpickled.

A checkpoint is a folder: ``model.safetensors``, ``state.json``, perhaps further ``.safetensors``, and
``SHA256SUMS`` over them in the format of sha256sum(1). It is written beside its place, fsynced and
renamed, so that a crash leaves the old one or the new one.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import torch
from safetensors import safe_open
from safetensors import torch as safetensors
from torch import Tensor, nn

from img2gps.errors import InvalidCheckpointError, NotFoundError
from img2gps.files import TEMPORARY_PREFIX, fsync_folder, sha256_bytes, sha256_file, write_atomic
from img2gps.text import safe_path, safe_text
from train.config.schema import MOST_EPOCHS

__all__ = [
    "FORMAT",
    "MODEL",
    "OPTIMIZER",
    "STATE",
    "Checkpoint",
    "load_into",
    "read_checkpoint",
    "read_tensors",
    "rotate_checkpoint",
    "write_checkpoint",
]

FORMAT: Final = 1
MODEL: Final = "model"
OPTIMIZER: Final = "optimizer"
_SUMS: Final = "SHA256SUMS"
STATE: Final = "state.json"

_INSTEAD_OF: Final = {"best": ("last", "previous"), "last": ("previous", "best"), "previous": ("last", "best")}

_MAPPED_FROM_BYTES: Final = 256 << 20  # a larger model is not read but mapped: one of very many photos
_FINITE_AT_ONCE: Final = 1 << 22

Tensors = Mapping[str, Tensor]
_Content = bytes | Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A verified checkpoint: the model's tensors by name and the state beside them."""

    folder: Path
    tensors: Tensors
    state: Mapping[str, Any]

    @property
    def epochs_done(self) -> int:
        """How many epochs led to it. Raises InvalidCheckpointError where state.json does not say."""
        epoch = self.state.get("epoch")
        if not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch <= MOST_EPOCHS:
            raise InvalidCheckpointError(
                f"{safe_path(self.folder / STATE)} says that {safe_text(repr(epoch))} epochs are done: train again."
            )
        return epoch


def write_checkpoint(
    folder: Path, *, tensors: Tensors, state: Mapping[str, Any], extra: Mapping[str, Tensors] | None = None
) -> None:
    """Replace the checkpoint at `folder` with one of `tensors` and `state` (JSON values).

    `extra` holds further sets of tensors by file stem (``optimizer``).
    """
    _swap(_write_beside(folder, tensors, state, extra or {}), folder)


def rotate_checkpoint(
    folder: Path, *, tensors: Tensors, state: Mapping[str, Any], extra: Mapping[str, Tensors] | None = None
) -> None:
    """Write a checkpoint as `folder`; the one that was there becomes ``previous`` beside it."""
    fresh = _write_beside(folder, tensors, state, extra or {})
    if folder.exists():
        _swap(folder, folder.parent / "previous")
    _swap(fresh, folder)


def read_checkpoint(folder: Path, *, to_resume: bool = False) -> Checkpoint:
    """Return the checkpoint at `folder`, its sums verified.

    Raises NotFoundError if there is none. Raises InvalidCheckpointError naming the damaged file and another checkpoint
    of the run that is whole. `to_resume` names only one that training can go on from.
    """
    if not folder.is_dir():
        raise NotFoundError(f"No checkpoint at {safe_path(folder)}: give a run folder that `img2gps train` made.")
    content = _verified(folder, to_resume=to_resume)
    try:
        state = json.loads(_text(content[STATE]), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, folder / STATE, "is not JSON", to_resume=to_resume) from error
    if not isinstance(state, dict):
        raise _damaged(folder, folder / STATE, "holds no table", to_resume=to_resume)
    if state.get("format") != FORMAT:
        raise InvalidCheckpointError(
            f"{safe_path(folder)} is a checkpoint of format {safe_text(repr(state.get('format')))}, "
            f"this version reads {FORMAT}: use the img2gps that wrote it, or train again."
        )
    tensors = _unpacked(folder, MODEL, content, to_resume=to_resume)
    return Checkpoint(folder=folder, tensors=tensors, state=state)


def read_tensors(folder: Path, stem: str) -> dict[str, Tensor]:
    """Return a further set of tensors of a checkpoint (``optimizer``). Raises InvalidCheckpointError."""
    name = f"{stem}.safetensors"
    content = _verified(folder, to_resume=True)
    if name not in content:
        raise InvalidCheckpointError(f"{safe_path(folder)} holds no {name}: resume from the run's last checkpoint.")
    return _unpacked(folder, stem, content, to_resume=True)


def _unpacked(folder: Path, stem: str, content: Mapping[str, _Content], *, to_resume: bool) -> dict[str, Tensor]:
    """Return the tensors of one file of a checkpoint, all finite. Raises InvalidCheckpointError naming the file."""
    path = folder / f"{stem}.safetensors"
    try:
        tensors = _tensors_of(content[path.name])
    except Exception as error:  # a file whose sum was forged may raise anything
        raise _damaged(folder, path, "is not what a checkpoint holds", to_resume=to_resume) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not _is_finite(tensor):
            what = f"holds numbers in {safe_text(name)} that are not finite"
            raise _damaged(folder, path, what, to_resume=to_resume)
    return tensors


def _tensors_of(content: _Content) -> dict[str, Tensor]:
    """Return the tensors of a file that was read, or those of one that is mapped, which take no memory till used."""
    if isinstance(content, bytes):
        return safetensors.load(content)
    with safe_open(content, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary


def _text(content: _Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _is_finite(tensor: Tensor) -> bool:
    return all(bool(torch.isfinite(part).all()) for part in torch.split(tensor.flatten(), _FINITE_AT_ONCE))


def _refused(constant: str) -> None:
    """Refuse NaN and infinities, which Python's JSON allows and a checkpoint never holds."""
    raise ValueError(constant)


def load_into(module: nn.Module, tensors: Tensors, *, where: str) -> None:
    """Load `tensors` into `module` after checking that names, shapes and dtypes are the module's own.

    Raises InvalidCheckpointError naming the first tensor that does not fit.
    """
    own = module.state_dict()
    odd = sorted(set(own).symmetric_difference(tensors))
    if odd:
        side = "lacks" if odd[0] in own else "has the unknown tensor"
        raise InvalidCheckpointError(f"{where} {side} {safe_text(odd[0])}: it belongs to another model.")
    for name, tensor in own.items():
        found = tensors[name]
        if found.shape != tensor.shape or found.dtype != tensor.dtype:
            raise InvalidCheckpointError(
                f"{where} holds {safe_text(name)} as {found.dtype} {list(found.shape)} where the model has "
                f"{tensor.dtype} {list(tensor.shape)}: it belongs to another model."
            )
    module.load_state_dict(dict(tensors))


def whole_checkpoints(folder: Path, *, to_resume: bool) -> list[Path]:
    """Return the checkpoints beside `folder` whose sums hold, the one that serves most like it first.

    A network's training goes on only from one that holds the optimiser, which ``best`` does not.
    """
    found: list[Path] = []
    for name in _INSTEAD_OF.get(folder.name, ("best", "last", "previous")):
        candidate = folder.parent / name
        if not candidate.is_dir():
            continue
        try:
            content = _read_verified(candidate)
        except _DamagedFileError:
            continue
        if not to_resume or f"{OPTIMIZER}.safetensors" in content or not _needs_optimizer(_text(content[STATE])):
            found.append(candidate)
    return found


def _needs_optimizer(state: bytes) -> bool:
    """Return whether a checkpoint is of a method that goes on step by step: a probe is fitted whole."""
    try:
        return bool(json.loads(state).get("method") != "probe")
    except (ValueError, AttributeError, RecursionError):
        return True


class _DamagedFileError(Exception):
    """A file of a checkpoint is missing or does not match its sum."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(path, what)
        self.path, self.what = path, what


def _verified(folder: Path, *, to_resume: bool) -> dict[str, _Content]:
    try:
        return _read_verified(folder)
    except _DamagedFileError as error:
        raise _damaged(folder, error.path, error.what, to_resume=to_resume) from error


def _read_verified(folder: Path) -> dict[str, _Content]:
    """Return the bytes of every file that SHA256SUMS names, of a large one its path, after comparing them with it."""
    content: dict[str, _Content] = {}
    try:
        lines = (folder / _SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _DamagedFileError(folder / _SUMS, "is missing or unreadable") from error
    for line in lines:
        digest, _, name = line.partition("  ")
        path = folder / Path(name).name
        try:
            is_large = path.name != STATE and path.stat().st_size > _MAPPED_FROM_BYTES
            found = path if is_large else path.read_bytes()
            own = sha256_file(found) if isinstance(found, Path) else sha256_bytes(found)
        except (OSError, ValueError) as error:  # ValueError: a name with a NUL
            raise _DamagedFileError(path, "is missing or unreadable") from error
        content[name] = found
        if own != digest:
            raise _DamagedFileError(path, "does not match its SHA-256 sum")
    for name in (STATE, f"{MODEL}.safetensors"):
        if name not in content:
            raise _DamagedFileError(folder / _SUMS, f"does not list {name}")
    return content


def _damaged(folder: Path, path: Path, what: str, *, to_resume: bool) -> InvalidCheckpointError:
    others = whole_checkpoints(folder, to_resume=to_resume)
    way_out = f"use {safe_path(others[0])} in its place" if others else "restore it from a backup, or train again"
    return InvalidCheckpointError(f"{safe_path(path)} {what}: {way_out}.")


def _write_beside(folder: Path, tensors: Tensors, state: Mapping[str, Any], extra: Mapping[str, Tensors]) -> Path:
    fresh = folder.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
    content = {f"{stem}.safetensors": _packed(part) for stem, part in {MODEL: tensors, **extra}.items()}
    text = json.dumps({"format": FORMAT, **state}, indent=1, ensure_ascii=False, allow_nan=False)
    content[STATE] = f"{text}\n".encode()
    sums = "".join(f"{sha256_bytes(data)}  {name}\n" for name, data in content.items())
    for name, data in {**content, _SUMS: sums.encode("ascii")}.items():
        write_atomic(fresh / name, data, sync_folder=False)
    fsync_folder(fresh)
    return fresh


def _packed(tensors: Tensors) -> bytes:
    # safetensors stores row-major tensors only; channels_last weights get their layout back when loaded
    return safetensors.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def _swap(source: Path, target: Path) -> None:
    """Rename `source` to `target`; what was there goes last, so that no moment has less than one whole copy."""
    aside = target.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
    if target.exists():
        target.rename(aside)
    source.rename(target)
    fsync_folder(target.parent)
    if aside.exists():
        shutil.rmtree(aside)
