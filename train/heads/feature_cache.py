"""The features of every photo of a dataset, computed once and kept in one file beside the photos."""

import contextlib
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors

from img2gps.files import canonical_json, sha256_bytes, sha256_file, write_atomic
from img2gps.progress import bar, stderr
from train.cache import cached_pixels
from train.config import TrainConfig
from train.data import DatasetPhotos
from train.heads.features import CHUNK, FEATURES_VERSION, FeatureExtractor, Features
from train.pixels import PREPROCESSING_VERSION

__all__ = ["cached_features", "features_path"]

_FOLDER: Final = ".cache"


def cached_features(
    source: DatasetPhotos, config: TrainConfig, extractor: FeatureExtractor, *, device: torch.device
) -> Features:
    """Return the features of all photos of a dataset, in the order of `source.photos`, on the CPU.

    The file is named after a hash of all that its content depends on, and safe to delete at any time.
    """
    path = features_path(source, config, device)
    features = _read(path, len(source.photos))
    if features is None:
        features = _extract(source, config, extractor)
        _write(path, features)
    return features


def features_path(source: DatasetPhotos, config: TrainConfig, device: torch.device) -> Path:
    """Return where the features lie: named after a hash of how they are made and one of the photos."""
    weights = Path(config.weights)
    spec = config.pixels
    how = [
        [FEATURES_VERSION, PREPROCESSING_VERSION, torch.__version__, device.type],
        # the seed decides random weights alone: with all others it would only make copies
        [config.model, config.weights, config.seed if config.weights == "none" else 0],
        sha256_file(weights) if weights.is_file() else "",
        [spec.height, spec.width, spec.fit],
    ]
    photos = [source.photos.ids.tolist(), source.photos.photo_sha256.tolist()]
    name = "-".join(sha256_bytes(canonical_json(part))[:12] for part in (how, photos))
    return source.dataset.root / _FOLDER / f"features-{name}.safetensors"


def _extract(source: DatasetPhotos, config: TrainConfig, extractor: FeatureExtractor) -> Features:
    pixels = torch.from_numpy(cached_pixels(source, config.pixels))
    parts: list[Features] = []
    with bar("Looking at photos", len(pixels)) as advance:
        for images in torch.split(pixels, CHUNK):
            parts.append(extractor(images).to(torch.device("cpu")))
            advance(len(images))
    return Features.concatenate(parts)


def _read(path: Path, count: int) -> Features | None:
    try:
        with safe_open(path, framework="pt") as file:
            names = sorted(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError):
        return None
    pooled, grids = (tuple(tensors[name] for name in names if name.startswith(kind)) for kind in ("pooled", "grid"))
    features = Features(pooled=pooled, grids=grids)
    return features if len(features) == count else None


def _write(path: Path, features: Features) -> None:
    kinds = {"pooled": features.pooled, "grid": features.grids}
    tensors = {f"{kind}.{k:02d}": part.contiguous() for kind, parts in kinds.items() for k, part in enumerate(parts)}
    try:
        write_atomic(path, safetensors.save(tensors))
    except OSError as error:
        stderr().print(f"No features kept beside the dataset ({error.strerror}); the next run computes them anew.")
        return
    same_kind = path.name.rpartition("-")[0]
    for stale in path.parent.glob(f"{same_kind}-*.safetensors"):
        if stale != path:
            with contextlib.suppress(OSError):
                stale.unlink()
