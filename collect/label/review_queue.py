"""The queue of a dataset as commands and the page ask for it: ranked anew only where the dataset has changed."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from collect.label.predictions import FoldPrediction
from collect.label.queue import Reason, Suspicion
from collect.label.ranking import Ranking
from collect.label.standing import Standing, standing_of, verdicts
from collect.label.store import LabelStore
from img2gps.errors import Img2GPSError
from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["LabelQueue", "QueuedLabel", "ReviewQueue"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueuedLabel:
    """A photo of the queue: its place in it, where its label stands (degrees), and what speaks against that.

    `score`, `probability`, the expected place and `reasons` are those of `collect.label.queue.Suspicion`.
    """

    rank: int
    id: str
    file: str
    score: float
    probability: float
    lon: float
    lat: float
    walk: str
    expected_lon: float | None
    expected_lat: float | None
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabelQueue:
    """The labels to look at first of a dataset of `photos` photos, and how far the looking has come."""

    photos: int
    standing: Standing
    labels: tuple[QueuedLabel, ...]

    @property
    def reviewed(self) -> int:
        """How many photos a person has looked at: they are not in the queue."""
        return self.photos - len(self.labels)

    def sentence(self) -> str:
        """Return how far the looking has come, in words."""
        if not self.labels:
            return f"{self.standing.found_wrong:,} wrong found; every label was looked at."
        return self.standing.sentence()

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values of ``label --queue --json``."""
        return {
            "photos": self.photos,
            "reviewed": self.reviewed,
            "standing": self.standing.to_dict(),
            "queue": [label.to_dict() for label in self.labels],
        }


class ReviewQueue:
    """The photos that nobody has looked at, most suspicious first. Safe to call from several threads."""

    def __init__(
        self,
        store: LabelStore,
        *,
        buildings: "list[BaseGeometry]",
        predictions: Mapping[str, FoldPrediction],
        gross: Mapping[str, float],
    ) -> None:
        self._store = store
        self._ranking = Ranking(store.site.frame, buildings, predictions, gross)

    def suspicions(self) -> list[Suspicion]:
        """Return the queue under the labels of this moment."""
        return self._ranked()[1]

    def standing(self) -> Standing:
        """Return how many wrong labels were found and are expected, and down to which rank looking is worth it."""
        return _standing(*self._ranked())

    def listing(self) -> LabelQueue:
        """Return the queue with the photos' names and positions, and how far the looking has come."""
        frame, suspicions = self._ranked()
        photos = {row["id"]: row for row in frame.to_dict("records")}
        return LabelQueue(
            photos=len(photos),
            standing=_standing(frame, suspicions),
            labels=tuple(
                _queued(rank, suspicion, photos[suspicion.photo_id])
                for rank, suspicion in enumerate(suspicions, start=1)
            ),
        )

    @property
    def progress(self) -> tuple[int, int]:
        """How many photos of how many are ranked."""
        return self._ranking.progress

    def warm_up(self) -> None:
        """Rank before anybody asks; what goes wrong is told to whoever asks."""
        with contextlib.suppress(Img2GPSError, OSError):
            self._ranked()

    def _ranked(self) -> "tuple[pd.DataFrame, list[Suspicion]]":
        dataset = self._store.refresh()
        return dataset.frame, self._ranking.of(dataset.frame, dataset.stamp)


def _standing(frame: "pd.DataFrame", suspicions: Sequence[Suspicion]) -> Standing:
    return standing_of([suspicion.probability for suspicion in suspicions], verdicts(frame))


def _queued(rank: int, suspicion: Suspicion, photo: dict[Any, Any]) -> QueuedLabel:
    return QueuedLabel(
        rank=rank,
        id=suspicion.photo_id,
        file=safe_text(photo["source_name"]),
        score=suspicion.score,
        probability=suspicion.probability,
        lon=photo["lon"],
        lat=photo["lat"],
        walk=photo["walk"],
        expected_lon=suspicion.expected_lon,
        expected_lat=suspicion.expected_lat,
        reasons=suspicion.reasons,
    )
