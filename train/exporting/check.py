"""``export --check``: an export beside its run, photo by photo."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import SUMS
from img2gps.pixels import UnreadableImageError, read_pixels
from img2gps.runtime.locator import Locator
from img2gps.text import safe_path
from train.exporting.options import ExportOptions
from train.exporting.parity import checked_pixels, parity_of
from train.exporting.privacy import changed_model
from train.inference.load import load_localizer
from train.inference.predict import find_photos, predict_files
from train.models.calibration import Calibration
from train.models.localizer import Localizer
from train.models.probe.model import ProbeLocalizer
from train.runs.checkpoint import MODEL

__all__ = [
    "MOST_M",
    "MOST_MEDIAN_M",
    "MOST_RADIUS_SHARE",
    "CheckResult",
    "CheckedPhoto",
    "check_export",
]

MOST_M: Final = 0.1
"""How far positions may be apart on the same pixels, in metres."""
MOST_RADIUS_SHARE: Final = 0.01
"""By how much radii may differ on the same pixels."""
_MAY_STEP: Final = 0.01
"""The share of photos that may fail that: a radius is the distance of a cell, and close to a tie it is the next's."""
_MAY_STEP_HALF: Final = 0.05
"""The same of weights of 16 bits, where ties are wider; of few photos one may."""
MOST_MEDIAN_M: Final = 0.5
"""How far positions may be apart in the median, each from the file by its own decoding, in metres."""

_RUNS: Final = Path("runs")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPhoto:
    """One photo located by the run and by the export.

    `pixels_m` is the distance of the two positions on the same pixels, `file_m` that of each by its own decoding.
    `radius_share` is by how much the radii differ on the same pixels, None if the model has none.
    """

    file: str
    pixels_m: float
    file_m: float
    radius_share: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """An export beside its run on photos: the largest and median differences, sizes in bytes, seconds per photo.

    `most_m` is what positions may differ by: more for an export with weights of 16 bits. `stepped` counts the photos of
    which a radius differs by more than 1 %, `most_stepped` how many may. `unread` counts the files that are no photos.
    `load_s` and `first_s` are what the export took to load and to give its first answer.
    """

    photos: tuple[CheckedPhoto, ...]
    unread: int
    worst_m: float
    worst_radius_share: float | None
    stepped: int
    most_stepped: int
    median_file_m: float
    most_m: float
    bytes: int
    run_bytes: int
    run_s_per_photo: float
    export_s_per_photo: float
    load_s: float
    first_s: float

    @property
    def is_within_limits(self) -> bool:
        """Whether positions and radii agree as they should."""
        placed = self.worst_m <= self.most_m and self.median_file_m <= MOST_MEDIAN_M
        return placed and self.stepped <= self.most_stepped

    def to_json(self) -> dict[str, Any]:
        """Return the values of ``--json``."""
        return {**dataclasses.asdict(self), "is_within_limits": self.is_within_limits}


def check_export(out: Path, photos: Sequence[Path], *, run: Path | None = None) -> CheckResult:
    """Return how far the export in `out` is from its run on `photos`, files or folders.

    Without `run`, the one in ``runs`` whose weights it has is taken. Raises NotFoundError where there is none or no
    photo, UsageError where the run is another, InvalidCheckpointError.
    """
    paths, _ = find_photos(photos)
    started = time.perf_counter()
    locator = Locator(out)
    load_s = time.perf_counter() - started
    checkpoint = _run_of(locator, run)
    localizer = _as_exported(load_localizer(checkpoint, device="cpu"), locator)
    good, pixels = _readable(paths, localizer)
    if not good:
        raise NotFoundError("None of the files is a photo that can be read: give photos to compare on.")
    first_s = _seconds(lambda: locator.locate(good[0]))
    same = checked_pixels(localizer, locator, pixels)
    started = time.perf_counter()
    ours = predict_files(localizer, good)
    run_s = time.perf_counter() - started
    started = time.perf_counter()
    theirs = locator.locate_many(good)
    export_s = time.perf_counter() - started
    apart = parity_of(ours, theirs)
    widest = None if same.radius_share is None else same.radius_share.max(axis=1)
    half = bool(locator.description.values.get("half"))
    return CheckResult(
        photos=tuple(
            CheckedPhoto(file=safe_path(path), pixels_m=pixels_m, file_m=file_m, radius_share=share)
            for path, pixels_m, file_m, share in zip(
                good,
                same.distance_m.tolist(),
                apart.distance_m.tolist(),
                [None] * len(good) if widest is None else widest.tolist(),
                strict=True,
            )
        ),
        unread=len(paths) - len(good),
        worst_m=same.worst_m,
        worst_radius_share=same.worst_radius_share,
        stepped=0 if widest is None else int((widest > MOST_RADIUS_SHARE).sum()),
        most_stepped=max(1, int(_MAY_STEP_HALF * len(good))) if half else int(_MAY_STEP * len(good)),
        median_file_m=float(np.median(apart.distance_m)),
        most_m=2 * MOST_M if half else MOST_M,
        bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        run_bytes=(checkpoint / f"{MODEL}.safetensors").stat().st_size,
        run_s_per_photo=run_s / len(good),
        export_s_per_photo=export_s / len(good),
        load_s=load_s,
        first_s=load_s + first_s,
    )


def _seconds(action: Any) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _readable(paths: Sequence[Path], localizer: Localizer) -> tuple[list[Path], Any]:
    """Return the files that are photos, and their pixels (N, 3, height, width)."""
    good, read = [], []
    for path in paths:
        try:
            read.append(read_pixels(path, localizer.pixels))
        except UnreadableImageError:
            continue
        good.append(path)
    return good, np.stack(read) if read else None


def _run_of(locator: Locator, run: Path | None) -> Path:
    """Return the checkpoint that an export was made of: of `run`, or of any run in ``runs``."""
    digest = str(locator.description.values["run"]["model_sha256"])
    root = _RUNS if run is None else run
    for sums in sorted((*root.glob(SUMS), *root.glob(f"*/{SUMS}"), *root.glob(f"**/best/{SUMS}"))):
        # a published run lists all of its files at its top, too
        is_checkpoint = (sums.parent / f"{MODEL}.safetensors").is_file()
        if is_checkpoint and digest in sums.read_text(encoding="utf-8", errors="replace"):
            return sums.parent
    if run is not None:
        raise UsageError(f"{safe_path(run)} is not the run that {safe_path(locator.folder)} was exported from.")
    raise NotFoundError(f"The run of {safe_path(locator.folder)} is not in {_RUNS}: say where it is with --run.")


def _as_exported(localizer: Localizer, locator: Locator) -> Localizer:
    """Return the model of a run with what the export changed: fewer heads, coarser positions, their calibration."""
    if not isinstance(localizer, ProbeLocalizer):
        return localizer
    values = locator.description.values
    round_m = float(values.get("round_m") or 0.0)
    changed = changed_model(localizer, ExportOptions(heads="+".join(values["heads"]), round_m=round_m))
    alone, walks = (Calibration(**values[name]) for name in ("calibration", "walk_calibration"))
    return dataclasses.replace(changed, calibration=alone, walk_calibration=walks)
