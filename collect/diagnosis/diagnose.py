"""Why photos would fail, folder by folder: as causes and what to do, not as symptoms."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from collect.diagnosis.causes import CAUSES, LEFT_OUT, PLACEHOLDERS, SPECIAL_FILES
from collect.diagnosis.environment import Check, environment
from collect.ingestion.options import IngestOptions
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.pipeline import examine
from collect.reading.discover import discover
from collect.validation.timeline import Decisions, decisions_of
from img2gps.site import load_site
from img2gps.text import join_words, safe_text
from img2gps.types import Photo
from img2gps.weights import FoundWeights, found_weights

__all__ = ["Diagnosis", "Finding", "diagnose", "sentences"]

_FOLDERS_SHOWN: Final = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause in one folder: how many of its files it concerns, why, and what to do."""

    folder: str
    files: int
    of: int
    cause: str
    advice: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Everything the doctor found."""

    environment: tuple[Check, ...]
    findings: tuple[Finding, ...] = ()
    files: int = 0
    usable: int = 0
    models: tuple[FoundWeights, ...] | None = None
    """Weights of networks on this machine; None where they were not asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values of ``doctor --json``."""
        return dataclasses.asdict(self)


def diagnose(
    photos: Sequence[Path],
    *,
    site: str | Path | None = None,
    jobs: int = 1,
    include_hidden: bool = False,
    models: bool = False,
) -> Diagnosis:
    """Return why the photos below `photos` would fail, folder by folder; without a site, positions go unjudged.

    With `models` it also tells which weights of networks lie on this machine.
    Raises NotFoundError where a path does not exist.
    """
    checks = tuple(environment(photos[0] if photos else None))
    weights = found_weights() if models else None
    if not photos:
        return Diagnosis(environment=checks, models=weights)
    outcomes, accepted = examine(photos, IngestOptions(site=site, jobs=jobs, include_hidden=include_hidden))
    zone = load_site(site).zone if site is not None else None
    unopened = {file.name for file in discover(photos) if file.obstacle is not None}
    return Diagnosis(
        environment=checks,
        findings=tuple(_findings(outcomes, accepted, decisions_of(accepted, zone), unopened)),
        files=outcomes.found,
        usable=len(accepted),
        models=weights,
    )


def _findings(
    outcomes: Outcomes, accepted: Sequence[Photo], decisions: Decisions, unopened: Container[str]
) -> list[Finding]:
    totals = Counter(_folder(photo.source_name) for photo in accepted)
    concerned: Counter[tuple[str, str]] = Counter()
    for rejection in outcomes.rejections:
        concerned[_folder(rejection.path), rejection.reason] += 1
        totals[_folder(rejection.path)] += 1
    for photo in accepted:
        concerned.update((_folder(photo.source_name), code) for code in _codes(photo, decisions) if code in CAUSES)
    found = [
        Finding(
            folder=safe_text(folder),
            files=count,
            of=totals[folder],
            cause=CAUSES[code][0],
            advice=CAUSES[code][1],
        )
        for (folder, code), count in sorted(concerned.items())
    ]
    found += _misnamed_findings(outcomes, unopened)
    if outcomes.left_out:
        files = outcomes.left_out.total()
        found.append(Finding(folder=".", files=files, of=outcomes.found, cause=LEFT_OUT[0], advice=LEFT_OUT[1]))
    return sorted(found, key=lambda finding: (finding.folder, -finding.files))


def _codes(photo: Photo, decisions: Decisions) -> Iterator[str]:
    """Yield the causes that a photo's flags stand for; of its times, what its file and the photos around it say."""
    for flag in photo.flags:
        if flag == "times_disagree" and photo.id in decisions:
            yield f"{flag}: {decisions[photo.id].kind}"
        elif flag == "time_unknown" and photo.clock_local is not None and photo.clock_offset_min is None:
            yield "zone_unknown"
        else:
            yield flag


def _misnamed_findings(outcomes: Outcomes, unopened: Container[str]) -> list[Finding]:
    """Return the findings about names of photos without a photo behind them; `unopened` are no regular files."""
    special = sum(name in unopened for name in outcomes.misnamed)
    counts = (special, len(outcomes.misnamed) - special)
    return [
        Finding(folder=".", files=count, of=outcomes.found, cause=cause, advice=advice)
        for count, (cause, advice) in zip(counts, (SPECIAL_FILES, PLACEHOLDERS), strict=True)
        if count
    ]


def _folder(name: str) -> str:
    return name.rpartition("/")[0] or "."


def sentences(findings: Sequence[Finding]) -> list[str]:
    """Return the findings as one sentence per cause, the most frequent first, each with its folders."""
    by_cause: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_cause[finding.cause].append(finding)
    ordered = sorted(by_cause.values(), key=lambda alike: -sum(finding.files for finding in alike))
    return [_sentence(alike) for alike in ordered]


def _sentence(alike: Sequence[Finding]) -> str:
    files, total = sum(finding.files for finding in alike), sum(finding.of for finding in alike)
    folders = [f"{finding.folder} ({finding.files:,} of {finding.of:,})" for finding in alike if finding.folder != "."]
    shown = join_words(folders[:_FOLDERS_SHOWN]) if len(folders) <= _FOLDERS_SHOWN else (
        f"{', '.join(folders[:_FOLDERS_SHOWN])} and {len(folders) - _FOLDERS_SHOWN:,} more folders"
    )  # fmt: skip
    where = f" Found in {shown}." if folders else ""
    return f"{files:,} of {total:,} photos {alike[0].cause}; {alike[0].advice}.{where}"
