"""Licences as the Hub names them, and as SPDX does."""

import re
from typing import Final

from img2gps.errors import UsageError
from img2gps.text import safe_text

__all__ = ["check_license", "license_url", "spdx_of"]

_SPDX: Final = {
    "apache-2.0": "Apache-2.0",
    "cc0-1.0": "CC0-1.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-nd-4.0": "CC-BY-ND-4.0",
    "cc-by-nc-nd-4.0": "CC-BY-NC-ND-4.0",
    "mit": "MIT",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
}
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")


def check_license(name: str | None, *, what: str = "photos are") -> str:
    """Return the licence in the Hub's spelling. Raises UsageError where there is none, or no such word can be one."""
    if not name:
        raise UsageError(
            f"Say with --license under which licence the {what} published, such as cc-by-4.0, cc0-1.0 or other: "
            "those who took them must agree."
        )
    word = name.strip().lower()
    if not _WORD.fullmatch(word):
        raise UsageError(f"--license is a word of the Hub's list, such as cc-by-4.0 or other, not {safe_text(name)}.")
    return word


def spdx_of(name: str) -> str | None:
    """Return the SPDX identifier of a licence, None where it has none that is known here."""
    return _SPDX.get(name)


def license_url(name: str) -> str:
    """Return an address that says what the licence is, or the word itself."""
    spdx = spdx_of(name)
    return f"https://spdx.org/licenses/{spdx}.html" if spdx else name
