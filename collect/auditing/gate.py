"""The quality gate of ``--fail-under``: thresholds on the audit's figures."""

from collections.abc import Mapping
from typing import Final

from img2gps.errors import QualityGateError, UsageError
from img2gps.text import join_words, safe_text

__all__ = ["KEYS", "check_gate", "failures", "parse_thresholds"]

KEYS: Final = {"coverage": "below", "walks": "below", "headings": "below", "leakage_5m": "above"}
"""The figures that can be gated, and on which side of its threshold each fails."""


def parse_thresholds(text: str) -> dict[str, float]:
    """Return the thresholds of ``coverage=0.6,leakage_5m=0.05``. Raises UsageError."""
    thresholds: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = part.partition("=")
        if key.strip() not in KEYS:
            raise UsageError(f"--fail-under knows {join_words(list(KEYS))}, not {safe_text(key.strip())!r}.")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not 0.0 <= number <= 1.0:
            raise UsageError(
                f"--fail-under {key.strip()} takes a share from 0 to 1, not {safe_text(value.strip())!r}: "
                f"write {key.strip()}=0.6."
            )
        thresholds[key.strip()] = number
    if not thresholds:
        raise UsageError("--fail-under is empty: write for example coverage=0.6,leakage_5m=0.05.")
    return thresholds


def failures(figures: Mapping[str, float | None], thresholds: Mapping[str, float]) -> list[str]:
    """Return a phrase for each figure on the wrong side of its threshold; one that is not known fails too."""
    found = []
    for key, threshold in thresholds.items():
        value = figures[key]
        if value is None:
            found.append(f"{key} is not known (no photo is held out for val or test; img2gps split does that)")
        elif (value < threshold) if KEYS[key] == "below" else (value > threshold):
            found.append(f"{key} is {value:.3f}, {KEYS[key]} {threshold:g}")
    return found


def check_gate(figures: Mapping[str, float | None], thresholds: Mapping[str, float]) -> None:
    """Raise QualityGateError naming every figure (`AuditResult.gated`) on the wrong side of its threshold."""
    failed = failures(figures, thresholds)
    if failed:
        raise QualityGateError(f"The audit failed: {'; '.join(failed)}.")
