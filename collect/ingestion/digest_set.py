"""A set of the hashes of a million files, without an object for each."""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["DigestSet", "digest_of", "digests_of"]

_DIGEST_BYTES: Final = 16
_FEW: Final = 1 << 15


def digest_of(key: object) -> bytes:
    """Return what a key is found by; 128 bits of a cryptographic hash meet in no two."""
    content = key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest().rstrip(b"\0")  # as an array gives it back


def digests_of(keys: "list[str] | list[bytes]") -> NDArray[np.bytes_]:
    """Return `digest_of` each key, shape (N,)."""
    return np.array([digest_of(key) for key in keys], dtype=f"S{_DIGEST_BYTES}")


class DigestSet:
    """A set of keys that can be asked for a key, but not for its keys."""

    def __init__(self) -> None:
        self._recent: set[str] = set()
        self._sorted = digests_of([])

    def __len__(self) -> int:
        return len(self._recent) + len(self._sorted)

    def __contains__(self, key: str) -> bool:
        return key in self._recent or self._is_sorted_in(key)

    def add(self, key: str) -> None:
        """Add a key."""
        if key not in self:
            self._recent.add(key)
            if len(self._recent) > max(_FEW, len(self._sorted) // 8):
                self._sort()

    def holds(self, digests: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Return which of the keys whose `digests_of` these are are in the set, shape (N,)."""
        self._sort()
        return np.isin(digests, self._sorted)

    def _is_sorted_in(self, key: str) -> bool:
        if not len(self._sorted):
            return False
        digest = np.array(digest_of(key), dtype=self._sorted.dtype)
        place = int(np.searchsorted(self._sorted, digest))
        return place < len(self._sorted) and bool(self._sorted[place] == digest)

    def _sort(self) -> None:
        if self._recent:
            self._sorted = np.sort(np.concatenate([self._sorted, digests_of(list(self._recent))]))
            self._recent.clear()
