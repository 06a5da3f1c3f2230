"""What the tool finds of Python, libraries, devices and disk."""

import dataclasses
import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Final

from img2gps import __version__
from img2gps.text import safe_path, safe_text

__all__ = ["Check", "environment"]

_DISK_LOW_BYTES: Final = 1 << 30


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line about the environment; `advice` is empty where all is well."""

    name: str
    value: str
    advice: str = ""


def environment(folder: Path | None = None) -> list[Check]:
    """Return what the tool found of Python, libraries, devices and disk."""
    target = folder if folder is not None and folder.exists() else Path.cwd()
    free = shutil.disk_usage(target).free
    low = free < _DISK_LOW_BYTES
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [
        Check(name="img2gps", value=__version__),
        Check(name="Python", value=f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Check(name="CPUs", value=str(cpus)),
        *_torch_checks(),
        _heif_check(),
        Check(
            name="free disk",
            value=f"{free / 1e9:,.1f} GB at {safe_path(target)}",
            advice="make room: working copies take about 0.1 MB each, runs some 100 MB" if low else "",
        ),
    ]


def _torch_checks() -> list[Check]:
    if importlib.util.find_spec("torch") is None:
        return [Check(name="torch", value="missing", advice="install it with `pip install torch torchvision`")]
    try:
        import torch
    except (ImportError, OSError) as error:  # a build for another system fails while it loads its libraries
        value = safe_text(str(error), limit=120)
        return [Check(name="torch", value=value, advice="reinstall it: see https://pytorch.org/get-started/locally")]
    if torch.cuda.is_available():
        device = f"CUDA: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        device = "Apple GPU (MPS)"
    else:
        device = "none found: training runs on the CPU"
    return [Check(name="torch", value=str(torch.__version__)), Check(name="GPU", value=device)]


def _heif_check() -> Check:
    try:
        import pillow_heif
    except ImportError as error:
        advice = "reinstall pillow-heif: without it, an iPhone's HEIC photos cannot be read"
        return Check(name="HEIC", value=safe_text(str(error), limit=120), advice=advice)
    return Check(name="HEIC", value=f"libheif {pillow_heif.libheif_version()}")
