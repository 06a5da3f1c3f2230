"""What a dataset says of itself: the figures that its card, its citation and its metadata are written from."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np

from collect.auditing.audit import audit_dataset
from collect.auditing.conditions import Conditions
from collect.auditing.coverage import CoverageShares
from collect.auditing.label_quality import CorrectionCounts
from collect.auditing.leakage import SplitLeakage
from collect.publishing.rows import Coarseness, PublishedPhoto, PublishedRows, part_of_row
from img2gps.dataset import Dataset
from img2gps.site import Site
from img2gps.splits import SPLITS

__all__ = ["DatasetFacts", "facts_of"]

_ORDER: Final = ("train", "validation", "test", "excluded", "unassigned")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """The figures.

    `parts` are the photos of each part in the Hub's order of splits. `bounds` is west, south, east, north in degrees of
    what is published. `days` are the days (UTC) of the first and the last photo with a known time. `torn_groups` are
    groups in two splits. `accuracy_m` are the 10th, 50th and 90th percentile of what phones reported, None where none
    did.
    """

    site: Site
    coarseness: Coarseness
    parts: Mapping[str, tuple[PublishedPhoto, ...]]
    excluded: int
    devices: int
    walks: int
    bounds: tuple[float, float, float, float]
    days: tuple[date, date] | None
    area_m2: float
    cell_m: float
    shares: CoverageShares
    conditions: Conditions
    corrections: CorrectionCounts
    accuracy_m: tuple[float, float, float] | None
    accuracy_unknown: int
    split: Mapping[str, Any] | None
    leakage: SplitLeakage | None
    folds: int
    torn_groups: int

    @property
    def photos(self) -> int:
        """How many photos are published."""
        return sum(map(len, self.parts.values()))


def facts_of(dataset: Dataset, rows: PublishedRows, coarseness: Coarseness, site: Site) -> DatasetFacts:
    """Return the figures of what is published of a dataset; coverage, light and leakage are those of its audit."""
    audit = audit_dataset(dataset, stops=1)
    photos = rows.photos
    has_split = any(photo.split for photo in photos)
    parts = {
        name: tuple(photo for photo in photos if part_of_row(photo, has_split=has_split) == name) for name in _ORDER
    }
    lons, lats = [photo.lon for photo in photos], [photo.lat for photo in photos]
    accuracy = [photo.gps_accuracy_m for photo in photos if photo.gps_accuracy_m is not None]
    days = sorted(photo.captured_at.date() for photo in photos if photo.captured_at is not None)
    return DatasetFacts(
        site=site,
        coarseness=coarseness,
        parts={name: some for name, some in parts.items() if some},
        excluded=rows.excluded,
        devices=len({photo.device for photo in photos}),
        walks=len({photo.walk for photo in photos}),
        bounds=(min(lons), min(lats), max(lons), max(lats)),
        days=(days[0], days[-1]) if days else None,
        area_m2=audit.area_m2,
        cell_m=audit.cells.size_m,
        shares=audit.shares,
        conditions=audit.conditions,
        corrections=audit.corrections,
        accuracy_m=_percentiles(accuracy),
        accuracy_unknown=len(photos) - len(accuracy),
        split=rows.info.split,
        leakage=next((row for row in audit.leakage if row.stored), None),
        torn_groups=_torn(photos),
        folds=len(Counter(photo.fold for photo in photos if photo.fold is not None)),
    )


def _torn(photos: Sequence[PublishedPhoto]) -> int:
    """Return how many groups have photos in two splits that are compared."""
    places = {(photo.group, photo.split) for photo in photos if photo.split in SPLITS}
    return sum(count > 1 for count in Counter(group for group, _ in places).values())


def _percentiles(values: list[float]) -> tuple[float, float, float] | None:
    if not values:
        return None
    low, middle, high = np.percentile(np.asarray(values, dtype=np.float64), [10, 50, 90]).tolist()
    return low, middle, high
