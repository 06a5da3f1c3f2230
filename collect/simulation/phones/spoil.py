"""The bad files of a simulated walk: each kind of file that ingesting must catch, made on purpose."""

from typing import Any

import numpy as np
import piexif

REDACTED = (0, 0)
KINDS = ("no_gps", "gps_redacted", "gps_ref_missing", "outside_site", "truncated", "duplicate", "not_a_photo")
NOTE = b"Not a photo: a note that somebody named like one.\n"


def kinds_for(photos: int, share: float) -> tuple[str, ...]:
    """The kinds of bad files that come with `photos` good ones: each kind from 60 photos on, then by turns."""
    count = round(photos * share)
    if photos >= 60 and share > 0:
        count = max(count, len(KINDS))
    return tuple(KINDS[k % len(KINDS)] for k in range(count))


def spoil_exif(kind: str, exif: dict[str, Any]) -> dict[str, Any]:
    """`exif` (as piexif takes it) with the fault `kind`; unchanged for faults that lie elsewhere."""
    gps = dict(exif["GPS"])
    if kind == "no_gps":
        gps = {}
    elif kind == "gps_redacted":
        # Android keeps the tags of a redacted position and writes 0/0 into them.
        gps[piexif.GPSIFD.GPSLatitude] = (REDACTED,) * 3
        gps[piexif.GPSIFD.GPSLongitude] = (REDACTED,) * 3
    elif kind == "gps_ref_missing":
        del gps[piexif.GPSIFD.GPSLongitudeRef]
    return {**exif, "GPS": gps}


def spoil_bytes(kind: str, content: bytes) -> bytes:
    """`content` with the fault `kind`; unchanged for faults that lie in EXIF."""
    if kind == "truncated":
        return content[: len(content) // 2]
    return NOTE + content if kind == "not_a_photo" else content


def stray_error(rng: np.random.Generator) -> tuple[float, float]:
    """An error (east, north) of 0.8 to 2 km, as a phone makes that has not found its satellites yet."""
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(800, 2000)
    return float(reach * np.cos(angle)), float(reach * np.sin(angle))
