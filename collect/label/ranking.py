"""The queue of a dataset, ranked once per state of its files and kept until one of them changes."""

import contextlib
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from collect.label.queue import Suspicion, rank_labels
from collect.label.standing import learned_shift, verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from shapely.geometry.base import BaseGeometry

    from collect.label.predictions import FoldPrediction
    from img2gps.geo import LocalFrame

__all__ = ["Ranking", "Stamp", "stamp_of"]

Stamp = dict[str, tuple[int, int, int]]


class Ranking:
    """The newest ranking. Safe to call from several threads: the second waits for the first one's answer."""

    def __init__(
        self,
        local: "LocalFrame",
        buildings: "list[BaseGeometry]",
        predictions: "Mapping[str, FoldPrediction]",
        gross: "Mapping[str, float]",
    ) -> None:
        self._rank_labels = partial(rank_labels, local=local, buildings=buildings, predictions=predictions, gross=gross)
        self._lock = threading.Lock()
        self._newest: tuple[Stamp, list[Suspicion]] | None = None
        self.progress = (0, 0)
        """How many photos of how many are done."""

    def of(self, frame: "pd.DataFrame", stamp: Stamp) -> list[Suspicion]:
        """Return the ranking of `frame`, which was read when the dataset's files had this `stamp`."""
        with self._lock:
            if self._newest is None or self._newest[0] != stamp:
                self._newest = (stamp, self._rank(frame))
            self.progress = (len(frame), len(frame))
            return list(self._newest[1])

    def _rank(self, frame: "pd.DataFrame") -> list[Suspicion]:
        """Rank, with probabilities moved by what the photos looked at so far turned out to be."""
        found = verdicts(frame)
        passes = 2 if found else 1

        def tell(before: int, done: int) -> None:
            """Keep how far it is."""
            self.progress = ((before + done) // passes, len(frame))

        shift = 0.0
        if found:
            untouched = frame.assign(lon=frame["ingest_lon"], lat=frame["ingest_lat"], label_state="")
            before = self._rank_labels(untouched, progress=partial(tell, 0))
            shift = learned_shift({suspicion.photo_id: suspicion.score for suspicion in before}, found)
        return self._rank_labels(frame, shift=shift, progress=partial(tell, len(frame) * (passes - 1)))


def stamp_of(root: Path) -> Stamp:
    """Return what tells whether a dataset changed: inode, size and time of each of its files but the photos."""
    found: Stamp = {}
    for path in (*root.iterdir(), *root.glob("refined/*")):
        if path.name.startswith("."):  # the lock, temporary files
            continue
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if path.is_file():
                found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
