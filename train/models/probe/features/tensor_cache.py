"""Tensors of every photo of a dataset, computed once and kept in one file beside the photos.

A digest of the file stands in its header, with zeros in its own place: a damaged file is made anew.
"""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors import torch as safetensors
from torch import Tensor

from img2gps.files import canonical_json, sha256_bytes, sha256_file, write_atomic
from img2gps.pixels import PREPROCESSING_VERSION
from img2gps.progress import stderr
from train.config.schema import ProbeConfig
from train.data.made_once import made_once
from train.data.training_data import DatasetPhotos

__all__ = ["cached_tensors", "drop_stale", "extraction_settings", "is_intact", "photos_of", "tensors_path"]

_FOLDER: Final = ".cache"
_ZEROS: Final = b"0" * 64
_MARK: Final = b'"__metadata__":{"sha256":"'
_HEAD_BYTES: Final = 4096


def cached_tensors(path: Path, count: int, compute: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Return the tensors (each of `count` rows) in the file at `path`, or else computed, and kept there.

    A dataset that cannot be written costs the next run the same time again, and nothing else.
    """
    kept = _kept(path, count)
    if kept is not None:
        return kept
    with made_once(path):
        kept = _kept(path, count)
        if kept is not None:
            return kept
        tensors = compute()
        _write(path, tensors)
    return tensors


def tensors_path(kind: str, source: DatasetPhotos, *parts: list[Any]) -> Path:
    """Return where tensors lie: named after a hash of each of `parts`, what they depend on; safe to delete.

    A file that differs in the last part alone is of no use once there is a new one.
    """
    name = "-".join([kind, *(sha256_bytes(canonical_json(part))[:12] for part in parts)])
    return source.dataset.root / _FOLDER / f"{name}.safetensors"


def photos_of(source: DatasetPhotos) -> list[Any]:
    """Return what tells the photos of a dataset from others."""
    return [source.photos.ids.tolist(), source.photos.photo_sha256.tolist()]


def extraction_settings(config: ProbeConfig, device: torch.device, *, version: int) -> list[Any]:
    """Return everything but the photos that frozen backbones' outputs depend on."""
    weights = Path(config.weights)
    spec = config.pixels
    return [
        [version, PREPROCESSING_VERSION, torch.__version__, device.type],
        # the seed decides random weights alone: with all others it would only make copies
        [config.model, config.weights, config.seed if config.weights == "none" else 0],
        sha256_file(weights) if weights.is_file() else "",
        [spec.height, spec.width, spec.fit, config.own_statistics],
    ]


def _kept(path: Path, count: int) -> Mapping[str, Tensor] | None:
    kept = _read(path)
    return kept if kept is not None and {len(tensor) for tensor in kept.values()} == {count} else None


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        if not is_intact(path):
            return None
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}
    except Exception:  # noqa: BLE001  missing, or torn by a full disk, a power cut or a flipped bit
        return None


def is_intact(path: Path) -> bool:
    """Return whether the file is as it was written; one of an earlier version has no digest to tell by."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        place = _place_of_digest(head)
        if place is None:
            return True
        found = hashlib.sha256(head[:place] + _ZEROS + head[place + len(_ZEROS) :])
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest().encode() == head[place : place + len(_ZEROS)]


def _place_of_digest(head: bytes) -> int | None:
    place = head.find(_MARK)
    return None if place < 0 else place + len(_MARK)


def _packed(tensors: Mapping[str, Tensor]) -> bytes:
    content = bytearray(safetensors.save(dict(tensors), metadata={"sha256": _ZEROS.decode()}))
    place = _place_of_digest(bytes(content[:_HEAD_BYTES]))
    assert place is not None
    content[place : place + len(_ZEROS)] = hashlib.sha256(content).hexdigest().encode()
    return bytes(content)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        write_atomic(path, _packed(contiguous))
    except OSError as error:
        kind = path.name.partition("-")[0]
        stderr().print(f"No {kind} kept beside the dataset ({error.strerror}); the next run computes them anew.")
        return
    drop_stale(path)


def drop_stale(path: Path) -> None:
    """Delete files that differ from the one at `path` in what came last in its name: they are of no use any more."""
    same_kind = path.name.rpartition("-")[0]
    for stale in path.parent.glob(f"{same_kind}-*.safetensors"):
        if stale != path:
            with contextlib.suppress(OSError):
                stale.unlink()
