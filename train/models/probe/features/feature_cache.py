"""The features of every photo of a dataset, computed once and kept in one file beside the photos."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from img2gps.progress import bar, stderr
from train.config.schema import ProbeConfig
from train.data.made_once import made_once
from train.data.pixel_cache import cached_pixels, decoded_pixels
from train.data.training_data import DatasetPhotos
from train.models.probe.features.extractor import CHUNK, FEATURES_VERSION, FeatureExtractor, Features
from train.models.probe.features.stored_features import AnyFeatures, StoredFeatures, features_of, named_tensors
from train.models.probe.features.tensor_cache import (
    cached_tensors,
    drop_stale,
    extraction_settings,
    is_intact,
    photos_of,
    tensors_path,
)
from train.models.probe.features.tensor_file import TensorFile
from train.runtime.parts import parts_at_once

__all__ = ["cached_features", "features_path"]


def cached_features(
    source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor, *, device: torch.device
) -> AnyFeatures:
    """Return the features of all photos of a dataset, in the order of `source.photos`, on the CPU.

    Of more than `config.exact_photos` they stay in their file, and the photos are decoded as they are needed.
    """
    path, count = features_path(source, config, device), len(source.photos)
    if count <= config.exact_photos:
        return features_of(cached_tensors(path, count, lambda: _extracted(source, config, extractor)))
    file = _kept(path, count) or _stored(path, source, config, extractor)
    return StoredFeatures(file=file, rows=torch.arange(count), device=torch.device("cpu"))


def features_path(source: DatasetPhotos, config: ProbeConfig, device: torch.device) -> Path:
    """Return where the features lie."""
    settings = extraction_settings(config, device, version=FEATURES_VERSION)
    return tensors_path("features", source, settings, photos_of(source))


def _extracted(source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor) -> dict[str, Tensor]:
    pixels = torch.from_numpy(cached_pixels(source, config.pixels))
    parts: list[Features] = []
    with bar("Looking at photos", len(pixels)) as advance:
        for images in torch.split(pixels, CHUNK * parts_at_once(extractor.device)):
            parts.append(extractor(images).to(torch.device("cpu")))
            advance(len(images))
    return named_tensors(Features.concatenate(parts))


def _kept(path: Path, count: int) -> TensorFile | None:
    try:
        if not is_intact(path):
            return None
        file = TensorFile.open(path)
        return file if file.count() == count else None
    except Exception:  # noqa: BLE001  missing, or torn by a full disk, a power cut or a flipped bit
        return None


def _stored(path: Path, source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor) -> TensorFile:
    count = len(source.photos)
    with made_once(path):
        made = _kept(path, count)
        if made is not None:
            return made
        try:
            file = TensorFile.write(path, count, _streamed(source, config, extractor))
        except OSError as error:
            stderr().print(f"No features kept beside the dataset ({error.strerror}); they go to a temporary file.")
            return TensorFile.nameless(count, _streamed(source, config, extractor))
        drop_stale(path)
    return file


def _streamed(source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor) -> Iterator[dict[str, Tensor]]:
    with bar("Looking at photos", len(source.photos)) as advance:
        for images in decoded_pixels(source, config.pixels, at_once=CHUNK * parts_at_once(extractor.device)):
            yield named_tensors(extractor(torch.from_numpy(images)).to(torch.device("cpu")))
            advance(len(images))
