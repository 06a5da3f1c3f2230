"""What an exported model makes of a photo, beyond the answer: the whole distribution and the photos most alike."""

import dataclasses

from img2gps.answers import Prediction
from img2gps.geo import FloatArray

__all__ = ["Match", "Sighting"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A training photo that looks like the one located.

    `row` is its number in the gallery, and `photo` its id in the dataset (None if the export has none). `lon` and `lat`
    are where it was taken. `similarity` is the cosine of the two descriptors. `weight` is its share of the density of
    the most similar photos; all matches add up to one.
    """

    row: int
    photo: str | None
    lon: float
    lat: float
    similarity: float
    weight: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One photo located: the answer, the probabilities (C,) of the site's cells, and the photos most alike, best first.

    `probs` are those that the regions are made of; None for a model of points alone and for an unreadable photo.
    """

    answer: Prediction
    probs: FloatArray | None = None
    matches: tuple[Match, ...] = ()
