"""Label quality: what the phones claim, what looks wrong, and what people corrected."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from collect.auditing.photo_arrays import PhotoArrays
from img2gps.errors import InvalidDatasetError
from img2gps.geo import FloatArray
from img2gps.reasons import FLAGS, REASONS
from img2gps.rejected import tell_changed
from img2gps.text import safe_path

__all__ = ["accuracy", "corrections", "flag_counts", "rejection_counts"]

_CORRECTED: Final = ("move", "unsure", "exclude", "confirm")
_SETTLED: Final = ("move", "confirm")


def accuracy(subject: PhotoArrays) -> dict[str, Any]:
    """Return the reported accuracy in metres, overall and per device, and the share of photos without one.

    The median is the floor below which no model can honestly be measured on these labels.
    """
    reported = subject.frame["gps_accuracy_m"].to_numpy(dtype=np.float64, na_value=np.nan)
    devices = np.array(subject.devices, dtype=object).astype(str)
    rows = [{"device": name, **_figures(reported[devices == name])} for name in sorted(set(devices.tolist()))]
    return {**_figures(reported), "devices": rows}


def corrections(subject: PhotoArrays) -> dict[str, Any]:
    """Return how many labels people looked at, the share that was moved, and how far (metres)."""
    states = Counter(state for state in subject.frame["label_state"] if state)
    moved_m = subject.frame["moved_m"].to_numpy(dtype=np.float64)
    moved_m = moved_m[moved_m > 0]
    return {
        "photos": sum(states.values()),
        "share": sum(states.values()) / max(1, len(subject)),
        "moved_share": len(moved_m) / max(1, len(subject)),
        **{state: states[state] for state in _CORRECTED},
        "moved_median_m": _quantile(moved_m, 0.5),
        "moved_p90_m": _quantile(moved_m, 0.9),
        "moved_largest_m": _quantile(moved_m, 1.0),
    }


def flag_counts(subject: PhotoArrays) -> dict[str, int]:
    """Return the number of photos with each flag, zeros included, of labels that nobody moved or confirmed."""
    open_ = ~subject.frame["label_state"].isin(_SETTLED)
    counts = Counter(flag for flags in subject.frame["flags"][open_] for flag in flags)
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


def _figures(reported_m: FloatArray) -> dict[str, Any]:
    known = reported_m[~np.isnan(reported_m)]
    return {
        "photos": len(reported_m),
        "median_m": _quantile(known, 0.5),
        "p90_m": _quantile(known, 0.9),
        "unknown": 1 - len(known) / max(1, len(reported_m)),
    }


def _quantile(values: FloatArray, share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
