"""How large the parts of an export are."""

from pathlib import Path

__all__ = ["file_sizes"]


def file_sizes(out: Path) -> dict[str, int]:
    """Return the bytes of the files of `out` by their names, those of each folder as one."""
    sizes: dict[str, int] = {}
    for path in sorted(out.rglob("*")):
        if path.is_file():
            name = path.relative_to(out).parts[0]
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return sizes
