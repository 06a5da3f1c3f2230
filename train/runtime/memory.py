"""Memory that is given back to the system and fetched again for every batch costs system time: it is kept."""

import ctypes
import sys
from functools import cache
from typing import Final

__all__ = ["keep_freed_memory"]

# malloc.h of the GNU C library
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES: Final = 512 << 20
_LARGEST_BYTES: Final = (256 << 20, 32 << 20)  # before version 2.35, more than 32 MiB is refused
_PAD_BYTES: Final = 32 << 20


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep up to 512 MiB of freed memory, and return whether it does (GNU on Linux alone).

    Otherwise it maps each buffer of over 128 KiB anew, and the system has to fill it with zeros. The largest maps of
    `default` are 190 MB for eight photos. Kept up to 32 MiB alone, they cost a fifth of the processor time of a pass;
    now they cost a sixtieth. The most memory that a process has is the same.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    kept = [mallopt(_TRIM_THRESHOLD, _KEPT_BYTES), mallopt(_TOP_PAD, _PAD_BYTES)]
    mapped = any(mallopt(_MMAP_THRESHOLD, size) == 1 for size in _LARGEST_BYTES)
    return mapped and kept == [1, 1]
