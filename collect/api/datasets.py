"""What is done with a dataset: held out, audited, verified."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from collect.api.arguments import DatasetOrPath, as_path, opened, root_of

if TYPE_CHECKING:
    from collect.auditing.result import AuditResult
    from collect.splits.split import SplitResult
    from collect.verification import Verification

__all__ = ["audit", "split", "verify"]


def split(
    dataset: DatasetOrPath,
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
    return split_dataset(opened(dataset), by=by, val=val, test=test, folds=numbers, seed=seed, dry_run=dry_run)


def audit(
    dataset: DatasetOrPath,
    *,
    cell_m: float = 10.0,
    buildings: str | Path | None = None,
    paths: str | Path | None = None,
    stops: int = 24,
    run: str | Path | None = None,
    redact: bool = False,
    write: bool = True,
    cluster: str | None = None,
) -> "AuditResult":
    """Tell whether the site is covered, what can be trusted, and where to walk next: what ``img2gps audit`` does.

    `cell_m` is the side of a cell in metres. `buildings` and `paths` are map layers. `run` is an evaluated run with
    folds: its expected error decides where to walk. `write` writes the report and the walk list to the dataset's folder
    ``audit``. `cluster` names Dask workers that make the report's thumbnails. Raises UsageError, NotFoundError,
    InvalidDatasetError.

        >>> from collect import audit
        >>> result = audit("quad", write=False)
        >>> 0 <= result.shares.coverage <= 1
        True
    """
    from collect.auditing.audit import audit_dataset, write_audit
    from img2gps.cluster_jobs import jobs_of

    layer, by = as_path(buildings), as_path(run)
    with jobs_of(cluster) as workers:
        result = audit_dataset(opened(dataset), cell_m=cell_m, buildings=layer, stops=stops, run=by)
        if write:
            write_audit(result, redact=redact, paths=as_path(paths), workers=workers)
    return result


def verify(dataset: DatasetOrPath, *, cluster: str | None = None) -> "Verification":
    """Check every hash and every row of a dataset: what ``img2gps verify`` does.

    Damage is in the result, not raised. `cluster` names Dask workers that hash the working copies. Raises
    NotFoundError, and InvalidDatasetError where the folder is no dataset.

        >>> from collect import verify
        >>> verify("quad").problems
        ()
    """
    from collect.verification import verify_dataset

    return verify_dataset(root_of(dataset), cluster=cluster)
