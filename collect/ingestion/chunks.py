"""Files to read, in chunks for the workers, and which of them a validation must compare."""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final

from collect.ingestion.labelled import Labelled
from collect.ingestion.photo_reader import FileTask
from collect.reading.file_content import READ_FLAGS
from collect.reading.found_files import FoundFile
from collect.validation.labels import LabelRow

__all__ = ["chunks_of", "shards_of"]

_CHUNK_FILES: Final = 16
_CHUNK_BYTES: Final = 12 << 20
_ROUNDS_LEFT: Final = 3
_SHARD_FILES: Final = 1000
_FEWEST_OF_A_SHARD: Final = 24
_END_BYTES: Final = 4096


def chunks_of(work: Sequence[Labelled], *, again: bool, hash_all: bool, jobs: int) -> Iterator[list[FileTask]]:
    """Yield the tasks in chunks for `jobs` workers: small files travel together, large ones alone.

    Towards the end chunks grow smaller, so all workers end at about the same time. This is guided self-scheduling
    (Polychronopoulos and Kuck, IEEE Transactions on Computers C-36, 1987).

    Unless `hash_all` (nothing is stored), each names the file that it may be a copy of. Pixels are then hardly ever
    read, so that size matters less.
    """
    twins = None if hash_all else _possible_twins([file for file, _ in work if file.stored is None])
    limit = _CHUNK_BYTES if hash_all else 4 * _CHUNK_BYTES
    chunk: list[FileTask] = []
    size = 0
    left = sum(file.size for file, _ in work)
    for file, label in work:
        twin = None if twins is None or file.stored is not None else twins.get(file.path, file.path)
        chunk.append(_task(file, label, again=again, twin=twin))
        size += file.size
        if size >= min(limit, left / (_ROUNDS_LEFT * max(1, jobs))) or len(chunk) >= _CHUNK_FILES:
            yield chunk
            left -= size
            chunk, size = [], 0
    if chunk:
        yield chunk


def shards_of(work: Sequence[Labelled], *, again: bool, jobs: int) -> Iterator[list[FileTask]]:
    """Yield the tasks in shards for `jobs` workers of a cluster: about a thousand files, fewer towards the end.

    Everything is hashed. A shard has two dozen files at least: each starts a process.
    """
    start = 0
    while start < len(work):
        size = min(_SHARD_FILES, max(_FEWEST_OF_A_SHARD, (len(work) - start) // (_ROUNDS_LEFT * max(1, jobs))))
        yield [_task(file, label, again=again) for file, label in work[start : start + size]]
        start += size


def _task(file: FoundFile, label: LabelRow | None, *, again: bool, twin: bytes | None = None) -> FileTask:
    return FileTask(
        path=file.path,
        name=file.name,
        label=label,
        again=again,
        twin=twin,
        sidecars=file.sidecars,
        stored=file.stored,
    )


def _possible_twins(files: Sequence[FoundFile]) -> dict[bytes, bytes]:
    """Return, for files that share size, beginning and end with an earlier one, the path of the first such."""
    twins: dict[bytes, bytes] = {}
    for group in _groups(files, lambda file: file.size):
        for first, *others in _groups(group, _ends):
            twins.update((file.path, first.path) for file in others)
    return twins


def _groups(files: Iterable[FoundFile], key: Callable[[FoundFile], Hashable]) -> list[list[FoundFile]]:
    groups: dict[Hashable, list[FoundFile]] = defaultdict(list)
    for file in files:
        groups[key(file)].append(file)
    return [group for group in groups.values() if len(group) > 1]


def _ends(file: FoundFile) -> bytes:
    """Return a digest of the first and last bytes of a file, empty where it cannot be read."""
    try:
        descriptor = os.open(file.path, READ_FLAGS)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        tail = os.pread(descriptor, _END_BYTES, max(0, file.size - _END_BYTES))
        return hashlib.blake2b(os.pread(descriptor, _END_BYTES, 0) + tail, digest_size=16).digest()
    except OSError:
        return b""
    finally:
        os.close(descriptor)
