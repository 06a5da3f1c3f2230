"""Tensors of every photo of a dataset, computed once and kept in one file beside the photos."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor

from img2gps.files import canonical_json, sha256_bytes, sha256_file, write_atomic
from img2gps.progress import stderr
from train.config import TrainConfig
from train.data import DatasetPhotos
from train.pixels import PREPROCESSING_VERSION

__all__ = ["cached_tensors", "how_seen", "photos_of", "tensors_path"]

_FOLDER: Final = ".cache"


def cached_tensors(path: Path, count: int, compute: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """Return the tensors (each of `count` rows) in the file at `path`, or else computed, and kept there.

    A dataset that cannot be written costs the next run the same time again, and nothing else.
    """
    kept = _read(path)
    if kept is not None and {len(tensor) for tensor in kept.values()} == {count}:
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


def how_seen(config: TrainConfig, device: torch.device, *, version: int) -> list[Any]:
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


def _read(path: Path) -> dict[str, Tensor] | None:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError):
        return None


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        write_atomic(path, safetensors.save(contiguous))
    except OSError as error:
        kind = path.name.partition("-")[0]
        stderr().print(f"No {kind} kept beside the dataset ({error.strerror}); the next run computes them anew.")
        return
    same_kind = path.name.rpartition("-")[0]
    for stale in path.parent.glob(f"{same_kind}-*.safetensors"):
        if stale != path:
            with contextlib.suppress(OSError):
                stale.unlink()
