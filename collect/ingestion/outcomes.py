"""What became of every file: each ends in exactly one outcome, and the counts add up to the files found."""

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from collect.reading.facts import CLOCK_DOUBTFUL
from collect.reading.left_out import LEFT_OUT
from collect.validation.unplaced import Unplaced
from img2gps.photo_columns import codes_of, tells
from img2gps.reasons import FLAGS, REASONS
from img2gps.text import safe_text
from img2gps.types import Rejection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Outcomes"]

_PHOTO_ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".mpo")


@dataclasses.dataclass(slots=True, kw_only=True)
class Outcomes:
    """The running count of an ingest or a validation, and what a person should read about it.

    `left_out` counts skipped files that by their names are no photos of the walk (`LEFT_OUT`). `sidecars` counts those
    that were read for a photo. `rejections` holds the first occurrence of every rejected file of this input. `misnamed`
    are files that are called like a photo and are none; `notes` are sentences. `unused_labels` are the names of label
    rows that no file took (None without labels). `unplaced` are the photos that a track could have placed.
    """

    new: int = 0
    unchanged: int = 0
    duplicate: int = 0
    skipped: int = 0
    rejected: Counter[str] = dataclasses.field(default_factory=Counter)
    flags: Counter[str] = dataclasses.field(default_factory=Counter)
    rejections: list[Rejection] = dataclasses.field(default_factory=list)
    misnamed: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    unused_labels: list[str] | None = None
    unplaced: list[Unplaced] = dataclasses.field(default_factory=list)
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    left_out_names: list[str] = dataclasses.field(default_factory=list)
    sidecars: int = 0
    without_zone: int = 0
    """Photos with a clock time whose zone neither they nor the site name."""

    @property
    def usable(self) -> int:
        """How many files are photos that were taken in now or before."""
        return self.new + self.unchanged

    @property
    def found(self) -> int:
        """How many files the inputs hold."""
        return self.new + self.unchanged + self.duplicate + self.rejected.total() + self.skipped

    def reject(self, rejection: Rejection) -> None:
        """Count a rejected file."""
        self.rejected[rejection.reason] += 1
        self.rejections.append(rejection)

    def skip(self, name: str) -> None:
        """Count a file that is no photo."""
        self.skipped += 1
        if name.lower().endswith(_PHOTO_ENDINGS):
            self.misnamed.append(name)

    def leave_out(self, name: str, code: str) -> None:
        """Count a file that is no photo of the walk, by its name or its folder's."""
        self.skipped += 1
        self.left_out[code] += 1
        self.left_out_names.append(name)

    def count_flags(self, packed: "pa.Table", *, site_has_zone: bool) -> None:
        """Count the flags of the accepted photos of this input, packed, and their clock times without a zone."""
        codes, words = codes_of(packed.column("flags"))
        for joined, count in zip(words, np.bincount(codes, minlength=len(words)).tolist(), strict=True):
            if count and joined:
                self.flags.update(dict.fromkeys(joined.split(","), count))
        if site_has_zone:
            return
        timed, by_clock, by_offset = (
            packed.column(name).is_valid().to_numpy() for name in ("captured_at", "clock_local", "clock_offset_min")
        )
        # a zone that no site file tells
        named = tells(packed.column("traits"), lambda traits: CLOCK_DOUBTFUL in traits.split(","))
        self.without_zone += int(np.sum(by_clock & ~timed & ~by_offset & ~named))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts under the keys of the ``--json`` contract, reasons and flags in their usual order."""
        return {
            "found": self.found,
            "new": self.new,
            "unchanged": self.unchanged,
            "duplicate": self.duplicate,
            "rejected": {code: self.rejected[code] for code in REASONS if self.rejected[code]},
            "skipped": self.skipped,
            "flags": {code: self.flags[code] for code in FLAGS if self.flags[code]},
            **self._of_the_skipped(),
        }

    def to_report(self) -> dict[str, Any]:
        """Return the counts and, where labels were given, the names of those that no file took."""
        names = {} if self.unused_labels is None else {"unused_labels": [safe_text(n) for n in self.unused_labels]}
        return self.to_dict() | names

    def _of_the_skipped(self) -> dict[str, Any]:
        """Return how many of the skipped files are left out, and sidecars, where any are."""
        left_out = {code: self.left_out[code] for code in LEFT_OUT if self.left_out[code]}
        return ({"left_out": left_out} if left_out else {}) | ({"sidecars": self.sidecars} if self.sidecars else {})
