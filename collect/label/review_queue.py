"""The queue of a dataset as commands and the page ask for it: ranked anew only where the dataset has changed."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from collect.label.predictions import FoldPrediction
from collect.label.queue import Suspicion
from collect.label.ranking import Ranking
from collect.label.standing import Standing, standing_of, verdicts
from collect.label.store import LabelStore
from img2gps.errors import Img2GPSError
from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["ReviewQueue"]


class ReviewQueue:
    """The photos that nobody has looked at, most suspicious first. Safe to call from several threads."""

    def __init__(
        self, store: LabelStore, *, buildings: "list[BaseGeometry]", predictions: Mapping[str, FoldPrediction]
    ) -> None:
        self._store = store
        self._ranking = Ranking(store.site.frame, buildings, predictions)

    def suspicions(self) -> list[Suspicion]:
        """Return the queue under the labels of this moment."""
        return self._ranked()[1]

    def standing(self) -> Standing:
        """Return how many wrong labels were found and are expected, and down to which rank looking is worth it."""
        frame, suspicions = self._ranked()
        return standing_of([suspicion.probability for suspicion in suspicions], verdicts(frame))

    def rows(self) -> list[dict[str, Any]]:
        """Return the queue as plain JSON values with the photos' names and positions (degrees)."""
        frame, suspicions = self._ranked()
        photos = {row["id"]: row for row in frame.to_dict("records")}
        return [_row(rank, suspicion, photos[suspicion.photo_id]) for rank, suspicion in enumerate(suspicions, start=1)]

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


def _row(rank: int, suspicion: Suspicion, photo: dict[Any, Any]) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": suspicion.photo_id,
        "file": safe_text(photo["source_name"]),
        "score": suspicion.score,
        "probability": suspicion.probability,
        **{name: photo[name] for name in ("lon", "lat", "walk")},
        "expected_lon": suspicion.expected_lon,
        "expected_lat": suspicion.expected_lat,
        "reasons": [dataclasses.asdict(reason) for reason in suspicion.reasons],
    }
