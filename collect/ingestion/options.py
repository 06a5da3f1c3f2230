"""What may be asked of an ingest or a validation."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from img2gps.address import Place
from img2gps.errors import UsageError

__all__ = ["IngestOptions"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """What may be asked of an ingest or a validation; see the help of the commands.

    `labels` and `gpx` are files that add up. `clock_offset_s` "auto" finds the offset from photos with positions
    or from the stops of the tracks.
    `site` is a packaged name or a GeoJSON file, needed for a new dataset and to change the polygon of an old one.
    `allow_shrink` lets a new polygon leave over a tenth of the photos outside.
    `copies` is where the working copies of a new dataset lie, if not in its folder: a folder or an object store.
    `short_side_px` is the working copies' (None: the dataset's own). `jobs` of 0 reads in this process, where a file
    that crashes the decoder takes everything with it: for debugging. `cluster` names other machines to read on (see
    `img2gps.cluster`); `jobs` does not count then. `include_hidden` takes trash, unfinished files and thumbnails in,
    too. `keep_positions` lets details of rejections name exact positions of photos off the site.
    Raises UsageError for numbers that cannot be meant.
    """

    site: str | Path | None = None
    labels: Path | Sequence[Path] | None = None
    gpx: Path | Sequence[Path] | None = None
    clock_offset_s: float | Literal["auto"] = 0.0
    max_accuracy_m: float | None = None
    copies: Place | None = None
    short_side_px: int | None = None
    jobs: int = 1
    timeout_s: float = 60.0
    cluster: str | None = None
    rehash: bool = False
    allow_shrink: bool = False
    include_hidden: bool = False
    keep_positions: bool = False
    dry_run: bool = False
    command: str = "ingest"

    def __post_init__(self) -> None:
        if self.max_accuracy_m is not None and not 0 < self.max_accuracy_m < math.inf:
            raise UsageError(f"The worst accuracy to accept is more than 0 m, not {self.max_accuracy_m}.")
        if not isinstance(self.jobs, int) or self.jobs < 0:
            raise UsageError(f"The number of worker processes is 0 or more, not {self.jobs!r}.")
        if self.short_side_px is not None and self.short_side_px < 1:
            raise UsageError(f"The short side of working copies is 1 pixel or more, not {self.short_side_px}.")
        if not 0 < self.timeout_s < math.inf:
            raise UsageError(f"A file may take more than 0 s, not {self.timeout_s}.")

    @property
    def label_paths(self) -> list[Path]:
        """The files of labels, however many were given."""
        return _paths(self.labels)

    @property
    def gpx_paths(self) -> list[Path]:
        """The files of tracks, however many were given."""
        return _paths(self.gpx)


def _paths(given: Path | Sequence[Path] | None) -> list[Path]:
    return [given] if isinstance(given, Path) else list(given or ())
