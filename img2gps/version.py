"""The version of the installed package, and of what its answers depend on."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

__all__ = ["__version__", "versions"]

try:
    __version__ = version("img2gps")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

# Decoders, geometry, training: two machines that differ in one of these may differ in a digit.
_PACKAGES: Final = (
    *("Pillow", "pillow-heif", "numpy", "pyarrow", "geopandas", "pyproj", "shapely"),
    *("torch", "torchvision", "timm", "onnxruntime"),
)


def versions() -> dict[str, Any]:
    """Return the versions of the program, of Python, of the system and of the packages (None: not installed)."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _installed(name) for name in _PACKAGES},
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
