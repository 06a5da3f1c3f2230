"""What an audit finds, as typed values; `collect.auditing.document` writes them as JSON."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from collect.auditing.conditions import Conditions, Evenness
from collect.auditing.coverage import CellTable, CoverageShares, Holes
from collect.auditing.expected_error import ExpectedErrors
from collect.auditing.grid import Grid
from collect.auditing.label_quality import AccuracyTable, CorrectionCounts
from collect.auditing.leakage import SplitLeakage
from collect.auditing.walk_list import Stop, route_length_m, route_minutes
from img2gps.basemap.features import Basemap
from img2gps.dataset import Dataset
from img2gps.site import Site

if TYPE_CHECKING:
    import geopandas as gpd
    from shapely.geometry.base import BaseGeometry

__all__ = ["AuditResult"]

_IN_BUILDINGS: Final = "Stops may lie inside buildings: `img2gps basemap` fetches a map that keeps them out."
_GATED_RADIUS_M: Final = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AuditResult:
    """The audit of a dataset: its figures, and what they were computed from.

    `site` is the part of the dataset's site that was looked at, and `area_m2` the walkable part. `frame` are the photos
    that count, `edge` how many of them lie just outside the outline. `splits`, `flags` and `rejections` count photos or
    files by name. `split` is how the stored split was made, None without one. `leakage` has a row for the stored split,
    where it holds photos out, and one for each way of splitting. `stops` are the next walk in visiting order, and
    `buildings` what was left out of the site (metres of its frame). `basemap` is the map of the dataset. `expected` are
    the errors to expect of the run that was asked for.
    """

    dataset: Dataset
    site: Site
    frame: "gpd.GeoDataFrame"
    grid: Grid
    buildings: "BaseGeometry | None" = None
    basemap: Basemap | None = None
    area_m2: float
    photos: int
    edge: int
    walk_count: int
    splits: Mapping[str, int]
    split: Mapping[str, object] | None
    cells: CellTable
    shares: CoverageShares
    holes: Holes
    conditions: Conditions
    evenness: Evenness
    accuracy: AccuracyTable
    corrections: CorrectionCounts
    flags: Mapping[str, int]
    leakage: tuple[SplitLeakage, ...]
    rejections: Mapping[str, int]
    stops: tuple[Stop, ...]
    expected: ExpectedErrors | None = None

    @property
    def report_path(self) -> Path:
        """Where the report is, once it is written."""
        return self.dataset.audit_path / "report.html"

    @property
    def leakage_5m(self) -> float | None:
        """The share of held-out photos within 5 m of a training photo, None where nothing is held out."""
        stored = next((row for row in self.leakage if row.stored), None)
        return stored.within_m[_GATED_RADIUS_M] if stored else None

    @property
    def folds(self) -> bool:
        """Whether photos are numbered in folds, which test each of them without val and test photos."""
        return bool((self.frame["fold"].fillna(-1) >= 0).any())

    @property
    def gated(self) -> dict[str, float | None]:
        """The figures that ``--fail-under`` knows, by their names there."""
        return {
            "coverage": self.shares.coverage,
            "walks": self.shares.walks,
            "headings": self.shares.headings,
            "leakage_5m": self.leakage_5m,
        }

    @property
    def walk_length_m(self) -> float:
        """The metres through the stops: on foot where the map knows the ways, else straight."""
        return route_length_m(self.stops)

    @property
    def walk_minutes(self) -> float:
        """The minutes of the next walk with the time to photograph."""
        return route_minutes(self.stops)

    @property
    def walk_warning(self) -> str | None:
        """A sentence about what the next walk does not know, None where there is nothing to say."""
        return _IN_BUILDINGS if self.stops and self.buildings is None else None
