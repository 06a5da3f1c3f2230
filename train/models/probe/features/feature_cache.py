"""The features of every photo of a dataset, computed once and kept in one file beside the photos."""

from pathlib import Path

import torch
from torch import Tensor

from img2gps.progress import bar
from train.config.schema import ProbeConfig
from train.data.pixel_cache import cached_pixels
from train.data.training_data import DatasetPhotos
from train.models.probe.features.extractor import CHUNK, FEATURES_VERSION, FeatureExtractor, Features
from train.models.probe.features.tensor_cache import cached_tensors, extraction_settings, photos_of, tensors_path

__all__ = ["cached_features", "features_path"]


def cached_features(
    source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor, *, device: torch.device
) -> Features:
    """Return the features of all photos of a dataset, in the order of `source.photos`, on the CPU."""
    path = features_path(source, config, device)
    tensors = cached_tensors(path, len(source.photos), lambda: _extracted(source, config, extractor))
    names = sorted(tensors)
    pooled = tuple(tensors[name] for name in names if name.startswith("pooled."))
    grids = [name for name in names if name.startswith("grid.")]
    networks = dict.fromkeys(name.rpartition(".")[0] for name in grids)
    pyramids = tuple(tuple(tensors[name] for name in grids if name.startswith(f"{network}.")) for network in networks)
    return Features(pooled=pooled, brightness=tensors["brightness"], pyramids=pyramids)


def features_path(source: DatasetPhotos, config: ProbeConfig, device: torch.device) -> Path:
    """Return where the features lie."""
    settings = extraction_settings(config, device, version=FEATURES_VERSION)
    return tensors_path("features", source, settings, photos_of(source))


def _extracted(source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor) -> dict[str, Tensor]:
    pixels = torch.from_numpy(cached_pixels(source, config.pixels))
    parts: list[Features] = []
    with bar("Looking at photos", len(pixels)) as advance:
        for images in torch.split(pixels, CHUNK):
            parts.append(extractor(images).to(torch.device("cpu")))
            advance(len(images))
    features = Features.concatenate(parts)
    named = {"brightness": features.brightness}
    named |= {f"pooled.{k:02d}": part for k, part in enumerate(features.pooled)}
    levels = ((k, level, grid) for k, grids in enumerate(features.pyramids) for level, grid in enumerate(grids))
    return named | {f"grid.{k:02d}.{level:02d}": grid for k, level, grid in levels}
