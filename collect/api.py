"""What the commands of this package do, as functions: one call each."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from img2gps.dataset import Dataset

if TYPE_CHECKING:
    from collect.auditing.audit import AuditResult
    from collect.doctor import Diagnosis
    from collect.ingestion.outcomes import Outcomes
    from collect.simulation.simulate import SimulationReport
    from collect.splits.split import SplitResult
    from collect.verification import Verification

__all__ = ["audit", "doctor", "ingest", "simulate", "split", "validate", "verify"]

Paths = str | Path | Sequence[str | Path]


def ingest(
    photos: Paths,
    dataset: Dataset | str | Path,
    *,
    site: str | Path | None = None,
    labels: Paths = (),
    gpx: Paths = (),
    clock_offset_s: float | Literal["auto"] = 0.0,
    max_accuracy_m: float | None = None,
    short_side_px: int | None = None,
    jobs: int = 1,
    timeout_s: float = 60.0,
    rehash: bool = False,
    allow_shrink: bool = False,
    include_hidden: bool = False,
    dry_run: bool = False,
) -> "Outcomes":
    """Take photos (files or folders) into a dataset and return what became of each: what ``img2gps ingest`` does.

    `site` is a packaged name or a file with a polygon, needed for a new dataset. `labels` and `gpx` are tables and
    tracks that give positions. `jobs` is the number of worker processes. Raises NotFoundError, UsageError,
    InvalidDatasetError, DatasetLockedError, and the OSError of a disk that is full.

        >>> from collect import ingest
        >>> outcomes = ingest("campus/photos", "quad", site="penn-engineering-quad")
        >>> outcomes.found == outcomes.new + outcomes.unchanged + outcomes.duplicate + outcomes.skipped + sum(
        ...     outcomes.rejected.values())
        True
    """
    from collect.ingestion.options import IngestOptions
    from collect.ingestion.pipeline import ingest as run

    options = IngestOptions(
        site=site,
        labels=_paths(labels),
        gpx=_paths(gpx),
        clock_offset_s=clock_offset_s,
        max_accuracy_m=max_accuracy_m,
        short_side_px=short_side_px,
        jobs=jobs,
        timeout_s=timeout_s,
        rehash=rehash,
        allow_shrink=allow_shrink,
        include_hidden=include_hidden,
        dry_run=dry_run,
    )
    root = dataset.root if isinstance(dataset, Dataset) else Path(dataset)
    return run(_paths(photos), root, options)


def validate(
    photos: Paths,
    *,
    site: str | Path,
    labels: Paths = (),
    gpx: Paths = (),
    clock_offset_s: float | Literal["auto"] = 0.0,
    max_accuracy_m: float | None = None,
    jobs: int = 1,
    timeout_s: float = 60.0,
    include_hidden: bool = False,
) -> "Outcomes":
    """Return what an ingest of photos would accept and reject; nothing is written: what ``img2gps validate`` does.

    >>> from collect import validate
    >>> validate("campus/photos", site="penn-engineering-quad").new > 0
    True
    """
    from collect.ingestion.options import IngestOptions
    from collect.ingestion.pipeline import validate as run

    options = IngestOptions(
        site=site,
        labels=_paths(labels),
        gpx=_paths(gpx),
        clock_offset_s=clock_offset_s,
        max_accuracy_m=max_accuracy_m,
        jobs=jobs,
        timeout_s=timeout_s,
        include_hidden=include_hidden,
    )
    return run(_paths(photos), options)


def split(
    dataset: Dataset | str | Path,
    *,
    by: Literal["walk", "cell", "random"] = "walk",
    val: int = 60,
    test: int = 60,
    folds: str | int | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> "SplitResult":
    """Hold photos out for validation and testing: what ``img2gps split`` does.

    Bursts, places and walks are never broken apart. `val` and `test` are numbers of photos, 0 for none; `folds` is
    ``walk``, ``day``, ``cell`` or a number. Raises UsageError, NotFoundError, InvalidDatasetError, DatasetLockedError.

        >>> from collect import split
        >>> result = split("quad", by="walk", val=10, test=10, folds=3)
        >>> sorted({photo.split for photo in result.photos})
        ['test', 'train', 'val']
    """
    from collect.splits.split import split_dataset

    numbers = None if folds is None else str(folds)
    return split_dataset(_opened(dataset), by=by, val=val, test=test, folds=numbers, seed=seed, dry_run=dry_run)


def audit(
    dataset: Dataset | str | Path,
    *,
    cell_m: float = 10.0,
    buildings: str | Path | None = None,
    paths: str | Path | None = None,
    stops: int = 24,
    redact: bool = False,
    write: bool = True,
) -> "AuditResult":
    """Tell whether the site is covered, what can be trusted, and where to walk next: what ``img2gps audit`` does.

    `cell_m` is the side of a cell in metres; `buildings` and `paths` are map layers; `write` leaves the report and
    the walk list in the dataset's folder ``audit``. Raises UsageError, NotFoundError, InvalidDatasetError.

        >>> from collect import audit
        >>> result = audit("quad", write=False)
        >>> 0 <= result.shares.coverage <= 1
        True
    """
    from collect.auditing.audit import audit_dataset, write_audit

    result = audit_dataset(_opened(dataset), cell_m=cell_m, buildings=_path(buildings), stops=stops)
    if write:
        write_audit(result, redact=redact, paths=_path(paths))
    return result


def verify(dataset: Dataset | str | Path) -> "Verification":
    """Check every hash and every row of a dataset: what ``img2gps verify`` does.

    Damage is in the result, not raised. Raises NotFoundError, and InvalidDatasetError where the folder is no dataset.

        >>> from collect import verify
        >>> verify("quad").problems
        ()
    """
    from collect.verification import verify_dataset

    return verify_dataset(dataset.root if isinstance(dataset, Dataset) else Path(dataset))


def doctor(photos: Paths = (), *, site: str | Path | None = None, jobs: int = 1) -> "Diagnosis":
    """Check the environment, and say for each folder of photos what is wrong: what ``img2gps doctor`` does."""
    from collect.doctor import diagnose

    return diagnose(_paths(photos), site=site, jobs=jobs)


def simulate(
    out: str | Path,
    *,
    photos: int = 240,
    site: str | Path = "penn-engineering-quad",
    seed: int = 0,
    campus_seed: int | None = None,
    bad_share: float = 0.07,
    gps_noise_m: float = 8.0,
    size: int = 640,
    jobs: int | None = None,
) -> "SimulationReport":
    """Render walks through a generated campus into the new folder `out`: what ``img2gps simulate`` does.

    `size` is the longer side of a photo in pixels. Raises UsageError, NotFoundError.

        >>> from collect import simulate
        >>> simulate("practice", photos=12, size=96, jobs=1).kinds["good"]
        12
    """
    from collect.simulation.simulate import simulate as render
    from img2gps.site import load_site

    return render(
        Path(out),
        photos=photos,
        seed=seed,
        site=load_site(site),
        campus_seed=campus_seed,
        bad_share=bad_share,
        gps_noise_m=gps_noise_m,
        long_side_px=size,
        jobs=jobs,
    )


def _opened(dataset: Dataset | str | Path) -> Dataset:
    return dataset if isinstance(dataset, Dataset) else Dataset.open(Path(dataset))


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _paths(given: Paths) -> list[Path]:
    return [Path(given)] if isinstance(given, str | Path) else list(map(Path, given))
