"""Label quality: what the phones claim, what looks wrong, and what people corrected."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from collect.auditing.photo_arrays import PhotoArrays
from img2gps.errors import InvalidDatasetError
from img2gps.geo import FloatArray
from img2gps.reasons import FLAGS, REASONS
from img2gps.rejected import tell_changed
from img2gps.text import safe_path

__all__ = [
    "AccuracyTable",
    "CorrectionCounts",
    "ReportedAccuracy",
    "accuracy",
    "corrections",
    "flag_counts",
    "rejection_counts",
]

_SETTLED: Final = ("move", "confirm")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAccuracy:
    """The accuracy in metres that phones report, None where none does; `unknown` is the share of photos without one.

    The median is the floor below which no model can honestly be measured on these labels.
    """

    photos: int
    median_m: float | None
    p90_m: float | None
    unknown: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyTable:
    """The accuracy of all photos, and by the names of devices."""

    overall: ReportedAccuracy
    devices: Mapping[str, ReportedAccuracy]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionCounts:
    """How many labels people looked at and what they did, the share that was moved, and how far (metres)."""

    photos: int
    share: float
    moved_share: float
    move: int
    unsure: int
    exclude: int
    confirm: int
    moved_median_m: float | None
    moved_p90_m: float | None
    moved_largest_m: float | None


def accuracy(arrays: PhotoArrays) -> AccuracyTable:
    """Return the reported accuracy, overall and per device."""
    reported = arrays.frame["gps_accuracy_m"].to_numpy(dtype=np.float64, na_value=np.nan)
    devices = np.array(arrays.devices, dtype=object).astype(str)
    return AccuracyTable(
        overall=_reported(reported),
        devices={name: _reported(reported[devices == name]) for name in sorted(set(devices.tolist()))},
    )


def corrections(arrays: PhotoArrays) -> CorrectionCounts:
    """Return what people did to the labels; `arrays` hold the photos they excluded, too."""
    states = Counter(state for state in arrays.frame["label_state"] if state)
    moved_m = arrays.frame["moved_m"].to_numpy(dtype=np.float64)
    moved_m = moved_m[moved_m > 0]
    return CorrectionCounts(
        photos=sum(states.values()),
        share=sum(states.values()) / max(1, len(arrays)),
        moved_share=len(moved_m) / max(1, len(arrays)),
        move=states["move"],
        unsure=states["unsure"],
        exclude=states["exclude"],
        confirm=states["confirm"],
        moved_median_m=_quantile(moved_m, 0.5),
        moved_p90_m=_quantile(moved_m, 0.9),
        moved_largest_m=_quantile(moved_m, 1.0),
    )


def flag_counts(arrays: PhotoArrays) -> dict[str, int]:
    """Return the number of photos with each flag, zeros included, of labels that nobody moved or confirmed."""
    open_ = ~arrays.frame["label_state"].isin(_SETTLED)
    counts = Counter(flag for flags in arrays.frame["flags"][open_] for flag in flags)
    return {flag: counts[flag] for flag in FLAGS}


def rejection_counts(path: Path) -> dict[str, int]:
    """Return the number of files per reason in rejected.csv, the most frequent first; none where there is no file.

    Raises InvalidDatasetError where a spreadsheet, say, has left it unreadable.
    """
    if not path.exists():
        return {}
    tell_changed(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            counts = Counter(row.get("reason", "") for row in csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} is damaged: delete it and ingest the rejected photos again."
        ) from error
    return {reason: count for reason, count in counts.most_common() if reason in REASONS}


def _reported(reported_m: FloatArray) -> ReportedAccuracy:
    known = reported_m[~np.isnan(reported_m)]
    return ReportedAccuracy(
        photos=len(reported_m),
        median_m=_quantile(known, 0.5),
        p90_m=_quantile(known, 0.9),
        unknown=1 - len(known) / max(1, len(reported_m)),
    )


def _quantile(values: FloatArray, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
