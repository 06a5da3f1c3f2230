"""Files read by a cluster: in shards, each by a worker process of its own on the machine that takes it.

What runs there is what runs on one machine: `collect.ingestion.photo_reader.read_files` under the limits of
`collect.ingestion.workers`. A file that crashes or hangs costs itself; a machine that is lost costs its shards' time.
"""

import dataclasses
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from collect.ingestion.chunks import shards_of
from collect.ingestion.labelled import Labelled
from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings, read_files
from collect.ingestion.workers import Failure, KeptWorkers, Settings
from collect.reading.stores import check_reach
from img2gps.cluster import Cluster, LostWork
from img2gps.cluster_jobs import unshared
from img2gps.errors import UsageError
from img2gps.text import safe_text
from img2gps.working_copies import FolderCopies

__all__ = ["ShardSettings", "read_by_cluster", "read_shard"]

GivenUp = Callable[[FileTask, Failure, str], Reading]

_CHUNK_FILES: Final = 16
_ATTEMPTS: Final = 3
_KEPT: Final = KeptWorkers(idle_s=30.0)
_REACHED: Final = set[str]()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardSettings:
    """How the files of a shard are read, the seconds that one may take, and what becomes of one that is given up."""

    reading: ReadSettings
    timeout_s: float
    given_up: GivenUp


def read_shard(tasks: Sequence[FileTask], settings: ShardSettings) -> list[Reading]:
    """Return the outcome of each file, in order; called on a worker of the cluster.

    Raises the OSError of a folder of copies that cannot be written to, and UsageError where this machine finds nothing
    of where the files lie.
    """
    _check_reach(tasks)
    copies = settings.reading.copies
    if isinstance(copies, FolderCopies) and not (dataset := copies.root.parent).is_dir():
        raise unshared(dataset)
    chunks = (list(tasks[start : start + _CHUNK_FILES]) for start in range(0, len(tasks), _CHUNK_FILES))
    workers = Settings(
        function=read_files,
        argument=settings.reading,
        on_failure=settings.given_up,
        timeout_s=settings.timeout_s,
    )
    _allow_children()
    return [reading for _, reading in _KEPT.process_items(chunks, workers)]


def _check_reach(tasks: Sequence[FileTask]) -> None:
    """Ask for the first file's folder, and once for each store: a machine that finds neither would reject all files."""
    if tasks[0].stored is None and not (folder := Path(os.fsdecode(tasks[0].path)).parent).is_dir():
        raise unshared(folder)
    for stored in {task.stored.store: task.stored for task in tasks if task.stored is not None}.values():
        if stored.store not in _REACHED:
            try:
                check_reach(stored)
            except UsageError as error:
                raise UsageError(f"A worker on {safe_text(socket.gethostname())}: {error}") from None
            _REACHED.add(stored.store)


def read_by_cluster(
    work: Sequence[Labelled], settings: ShardSettings, cluster: Cluster, *, again: bool
) -> Iterator[tuple[FileTask, Reading]]:
    """Yield every file with its outcome, in order. Raises OSError where the cluster is lost or its disk is full."""
    shards = shards_of(work, again=again, jobs=cluster.slots)
    for shard, readings in cluster.spread(read_shard, shards, settings):
        yield from (
            _one_by_one(shard, settings, cluster)
            if isinstance(readings, LostWork)
            else zip(shard, readings, strict=True)
        )


def _one_by_one(
    shard: Sequence[FileTask], settings: ShardSettings, cluster: Cluster
) -> Iterator[tuple[FileTask, Reading]]:
    """Read the files of a shard, one after the other, that ended the workers that took it, or was beside what did."""
    for task in shard:
        for _ in range(_ATTEMPTS):
            [(_, reading)] = cluster.spread(_read_alone, [task], settings)
            if not isinstance(reading, LostWork):
                break
        else:
            reading = settings.given_up(task, "crashed", "each worker that read it was lost")
        yield task, reading


def _read_alone(task: FileTask, settings: ShardSettings) -> Reading:
    return read_shard([task], settings)[0]


def _allow_children() -> None:
    """Let a worker of a cluster start processes: most are started as daemons, which `multiprocessing` forbids it."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
