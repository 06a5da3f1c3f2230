"""site.geojson of a dataset: the site, with a digest that tells whether a person or a damage changed the file since.

The digest stands in a member beside ``features``, which readers of GeoJSON pass over (RFC 7946, 6.1).
"""

import json
from pathlib import Path
from typing import Any, Final

from img2gps.files import canonical_json, sha256_bytes
from img2gps.site import Site

__all__ = ["has_digest", "is_edited", "site_bytes"]

_DIGEST: Final = "digest"


def site_bytes(site: Site) -> bytes:
    """Return the bytes of site.geojson."""
    document = site.to_geojson()
    return (json.dumps(document | {_DIGEST: _digest(document)}, indent=1, ensure_ascii=False) + "\n").encode()


def has_digest(path: Path) -> bool:
    """Return whether the file can tell that it was changed: those of earlier versions cannot."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and _DIGEST in document


def is_edited(path: Path) -> bool:
    """Return whether the file says other things than `site_bytes` wrote; files of earlier versions cannot tell."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # who reads the site says what is wrong with it
        return False
    stored = document.pop(_DIGEST, None) if isinstance(document, dict) else None
    return stored is not None and stored != _digest(document)


def _digest(document: dict[str, Any]) -> str:
    return sha256_bytes(canonical_json(document))
