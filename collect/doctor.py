"""What would keep the tool or the photos from working, as causes and what to do, not as symptoms."""

import dataclasses
import importlib.util
import os
import platform
import shutil
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from collect.ingestion.options import IngestOptions
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.pipeline import examine
from collect.reading.discover import discover
from collect.validation.timeline import Decisions, decisions_of
from collect.validation.two_times import DISAGREEMENTS
from img2gps import __version__
from img2gps.site import load_site
from img2gps.text import join_words, safe_path, safe_text
from img2gps.types import Photo

__all__ = ["Check", "Diagnosis", "Finding", "diagnose", "environment", "sentences"]

_DISK_LOW_BYTES: Final = 1 << 30
_FOLDERS_SHOWN: Final = 4
_COPY_ORIGINALS: Final = "copy the originals by USB cable, AirDrop or a cloud drive's original-quality download"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line about the environment; `advice` is empty where all is well."""

    name: str
    value: str
    advice: str = ""


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

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values of ``doctor --json``."""
        return dataclasses.asdict(self)


_CHECK_TIMES: Final = "check the hour of these photos; docs/ingest.md says which of the two times is taken"
_TIMES_REMEDY: Final = {
    "weeks": "nothing to do: the camera's clock is taken; update the receiver",
    "zone": "set the camera's zone, so that it writes its offset; the clock is taken where it does",
    "unset": "set the camera's clock; the GPS time is taken",
}

# What a reason or a flag most often comes from in the field; "38 of 40 photos" is put before it.
_CAUSES: Final = {
    "no_gps": (
        "have camera tags but no GPS: probably picked through a browser or a messenger, or the camera app was not "
        "allowed to use the location",
        f"{_COPY_ORIGINALS}; for the next walk, allow the camera app the precise location",
    ),
    "gps_redacted": (
        "have GPS tags whose values were blanked: picked through Android's photo picker or a browser",
        f"{_COPY_ORIGINALS}, not through a picker or an upload form",
    ),
    "no_exif": (
        "carry no EXIF at all: sent through a messenger, edited, or taken as screenshots",
        f"{_COPY_ORIGINALS}; or give positions with --labels",
    ),
    "null_island": (
        "say 0, 0: the phone had no fix yet",
        "wait for the first fix before walking; give the positions of these with --labels or --gpx",
    ),
    "gps_ref_missing": (
        "lack the hemisphere of their position: an export tool dropped it",
        f"{_COPY_ORIGINALS}; the hemisphere is never guessed",
    ),
    "gps_not_finite": ("have a malformed position: an export tool damaged it", _COPY_ORIGINALS),
    "gps_out_of_range": ("have an impossible position: an export tool damaged it", _COPY_ORIGINALS),
    "truncated": ("end early: the transfer was cut off", "copy them again and compare the sizes with the phone's"),
    "unreadable": ("cannot be read", "open them on the phone; copy those again that show there"),
    "unsupported_format": (
        "are images in a format that is not read",
        "set the camera to JPEG or HEIC, and convert these with their EXIF kept",
    ),
    "too_large": ("exceed the limits for photos", "export them below 100 megapixels"),
    "outside_site": (
        "lie outside the site",
        "check that the folder belongs to this site, and the polygon where it should reach further",
    ),
    "stale_fix": (
        "stand where an old fix was repeated: the phone had not found its place again, or saves power",
        "switch power saving off, keep the camera open a few seconds at each place",
    ),
    "quantised_gps": (
        "have positions rounded to whole arc-seconds, 24 to 31 m apart: an app rounded them",
        "use the phone's own camera app",
    ),
    "time_unknown": (
        "have no capture time: the camera wrote none",
        "set the camera's clock, and copy the originals",
    ),
    "zone_unknown": (
        "have a clock time without a zone: no offset was written that can be read, and the site names no time zone",
        "add time_zone to the properties of the site file and give it by --site; where an offset is damaged, give "
        "captured_at by --labels",
    ),
    **{
        f"times_disagree: {kind}": (f"have {text}", _TIMES_REMEDY.get(kind, _CHECK_TIMES))
        for kind, text in DISAGREEMENTS.items()
    },
    "repeated_hour": (
        "were taken in the hour that autumn repeats: the photos around them decided which of the two it was",
        "let the camera write its offset",
    ),
    "void_fix": (
        "say themselves that the receiver had no fix (GPSStatus V)",
        "wait for a fix before the photo, and check these positions with img2gps label",
    ),
    "network_fix": (
        "were placed by cell towers, Wi-Fi or by hand, not by satellites",
        "allow the camera the precise location, and check these positions with img2gps label",
    ),
    "poor_accuracy": (
        "report an accuracy worse than 100 m",
        "wait for a fix in the open, and check these positions with img2gps label",
    ),
    "poor_geometry": (
        "were placed by satellites that stood badly (a dilution of precision over 20)",
        "wait for a fix in the open, and check these positions with img2gps label",
    ),
    "timed_out": ("take too long to read", "export them as JPEG"),
    "crashed": ("crash their decoder", "export them as JPEG"),
}

_SPECIAL_FILES: Final = (
    "are called like photos and are links, pipes or devices, which are never followed or opened",
    "give the folder that holds the files themselves, or copy them there",
)
_LEFT_OUT: Final = (
    "lie in recycle bins or folders of thumbnails, or were not finished, and are left out",
    "nothing to do, or take them in with --include-hidden",
)
_PLACEHOLDERS: Final = (
    "are called like photos but hold none: placeholders of a cloud drive, or failed downloads",
    "open the cloud drive's app, make the folder available offline, and copy again",
)


def environment(folder: Path | None = None) -> list[Check]:
    """Return what the tool found of Python, libraries, devices and disk."""
    target = folder if folder is not None and folder.exists() else Path.cwd()
    free = shutil.disk_usage(target).free
    low = free < _DISK_LOW_BYTES
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [
        Check(name="img2gps", value=__version__),
        Check(name="Python", value=f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Check(name="CPUs", value=str(cpus)),
        *_torch_checks(),
        _heif_check(),
        Check(
            name="free disk",
            value=f"{free / 1e9:,.1f} GB at {safe_path(target)}",
            advice="make room: working copies take about 0.1 MB each, runs some 100 MB" if low else "",
        ),
    ]


def _torch_checks() -> list[Check]:
    if importlib.util.find_spec("torch") is None:
        return [Check(name="torch", value="missing", advice="install it with `pip install torch torchvision`")]
    try:
        import torch
    except (ImportError, OSError) as error:  # a build for another system fails while it loads its libraries
        value = safe_text(str(error), limit=120)
        return [Check(name="torch", value=value, advice="reinstall it: see https://pytorch.org/get-started/locally")]
    if torch.cuda.is_available():
        device = f"CUDA: {torch.cuda.get_device_name(0)}"
    elif torch.backends.mps.is_available():
        device = "Apple GPU (MPS)"
    else:
        device = "none found: training runs on the CPU"
    return [Check(name="torch", value=str(torch.__version__)), Check(name="GPU", value=device)]


def _heif_check() -> Check:
    try:
        import pillow_heif
    except ImportError as error:
        advice = "reinstall pillow-heif: without it, an iPhone's HEIC photos cannot be read"
        return Check(name="HEIC", value=safe_text(str(error), limit=120), advice=advice)
    return Check(name="HEIC", value=f"libheif {pillow_heif.libheif_version()}")


def diagnose(
    photos: Sequence[Path], *, site: str | Path | None = None, jobs: int = 1, include_hidden: bool = False
) -> Diagnosis:
    """Return why the photos below `photos` would fail, folder by folder; without a site, positions go unjudged.

    Raises NotFoundError where a path does not exist.
    """
    checks = tuple(environment(photos[0] if photos else None))
    if not photos:
        return Diagnosis(environment=checks)
    outcomes, accepted = examine(photos, IngestOptions(site=site, jobs=jobs, include_hidden=include_hidden))
    zone = load_site(site).zone if site is not None else None
    unopened = {file.name for file in discover(photos) if file.obstacle is not None}
    return Diagnosis(
        environment=checks,
        findings=tuple(_findings(outcomes, accepted, decisions_of(accepted, zone), unopened)),
        files=outcomes.found,
        usable=len(accepted),
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
        concerned.update((_folder(photo.source_name), code) for code in _codes(photo, decisions) if code in _CAUSES)
    found = [
        Finding(
            folder=safe_text(folder),
            files=count,
            of=totals[folder],
            cause=_CAUSES[code][0],
            advice=_CAUSES[code][1],
        )
        for (folder, code), count in sorted(concerned.items())
    ]
    found += _misnamed_findings(outcomes, unopened)
    if outcomes.left_out:
        files = outcomes.left_out.total()
        found.append(Finding(folder=".", files=files, of=outcomes.found, cause=_LEFT_OUT[0], advice=_LEFT_OUT[1]))
    return sorted(found, key=lambda finding: (finding.folder, -finding.files))


def _codes(photo: Photo, decisions: Decisions) -> Iterator[str]:
    """Yield the causes that a photo's flags stand for; of its times, what its file and the photos around it say."""
    for flag in photo.flags:
        if flag == "times_disagree" and photo.id in decisions:
            yield f"{flag}: {decisions[photo.id].kind}"
        elif flag == "time_unknown" and photo.clock_local is not None:
            yield "zone_unknown"
        else:
            yield flag


def _misnamed_findings(outcomes: Outcomes, unopened: Container[str]) -> list[Finding]:
    """Return the findings about names of photos without a photo behind them; `unopened` are no regular files."""
    special = sum(name in unopened for name in outcomes.misnamed)
    counts = (special, len(outcomes.misnamed) - special)
    return [
        Finding(folder=".", files=count, of=outcomes.found, cause=cause, advice=advice)
        for count, (cause, advice) in zip(counts, (_SPECIAL_FILES, _PLACEHOLDERS), strict=True)
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
