"""Whether a decoder can start on a JPEG: its frame and its tables fit together. No pixel is decoded."""

import io
from functools import lru_cache

from PIL import Image

__all__ = ["can_start"]


@lru_cache(maxsize=256)  # the photos of one phone share a few sets of tables
def can_start(tables: bytes) -> bool:
    """Return whether a decoder gets from the segments of a JPEG to its coded pixels without a complaint.

    `tables` are those of `collect.reading.structure.Structure`. False where anything is in doubt.
    """
    try:
        image = Image.open(io.BytesIO(b"\xff\xd8" + tables), formats=("JPEG",))
        image.draft(None, (1, 1))  # an eighth of the size: less memory, and only the header matters
        image.load()
    except Exception as error:  # noqa: BLE001  decoders raise anything; whoever reads the whole file tells what it is
        return isinstance(error, OSError) and "truncated" in str(error)  # it started, and found no pixels
    return False
