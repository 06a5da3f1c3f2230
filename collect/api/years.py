"""What is done with a dataset over the years: photos forgotten, datasets merged, moved on to a newer schema."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collect.api.arguments import DatasetOrPath, Paths, as_paths, opened

if TYPE_CHECKING:
    from collect.forgetting.forget import ForgetResult
    from collect.merging.merge import MergeResult
    from collect.migration.migrate import Migration
    from collect.outlining.check import SiteCheck

__all__ = ["check_site", "forget", "merge", "migrate", "take_back"]


def forget(
    dataset: DatasetOrPath,
    *,
    ids: Sequence[str] = (),
    devices: Sequence[str] = (),
    walks: Sequence[str] = (),
    source_names: Sequence[str] = (),
    similar: Paths = (),
    runs: Paths = (),
    dry_run: bool = False,
) -> "ForgetResult":
    """Remove photos for good and keep their hashes, so that no ingest brings them back: what ``img2gps forget`` does.

    The choices add up. `ids` have 8 digits or more; `devices` are hashes of 4 digits or more, or a model's name. There
    are also `walks`, `source_names` (shell patterns), and photos that look like the files of `similar`. Without a
    choice, a killed call is finished. `runs` are folders to search for runs; the result has those that hold the photos.
    Raises UsageError, NotFoundError, InvalidDatasetError, DatasetLockedError.

        >>> from collect import forget
        >>> result = forget("quad", source_names=["*.jpg"], dry_run=True)
        >>> "quick-001" in [holder.folder.name for holder in result.holders]  # a run that was trained on the photos
        True
    """
    from collect.forgetting.forget import forget_photos
    from collect.forgetting.selection import Selection

    selection = Selection(
        ids=tuple(ids),
        devices=tuple(devices),
        walks=tuple(walks),
        source_names=tuple(source_names),
        similar=tuple(as_paths(similar)),
    )
    return forget_photos(opened(dataset), selection, runs=as_paths(runs), dry_run=dry_run)


def take_back(dataset: DatasetOrPath, ids: Sequence[str], *, dry_run: bool = False) -> int:
    """Let photos in again that were forgotten, and return how many: what ``img2gps forget --take-back`` does.

    The next ingest of their files takes them in. Raises UsageError, NotFoundError, InvalidDatasetError,
    DatasetLockedError.
    """
    from collect.forgetting.forget import take_back_photos

    return take_back_photos(opened(dataset), list(ids), dry_run=dry_run)


def merge(first: DatasetOrPath, second: DatasetOrPath, into: str | Path, *, dry_run: bool = False) -> "MergeResult":
    """Merge two datasets of one site into the new folder `into`: what ``img2gps merge`` does.

    Neither is changed, and no originals are needed. Photos that one was asked to forget stay out. Raises UsageError,
    NotFoundError, InvalidDatasetError, DatasetLockedError.
    """
    from collect.merging.merge import merge_datasets

    return merge_datasets(opened(first), opened(second), Path(into), dry_run=dry_run)


def migrate(dataset: DatasetOrPath, *, dry_run: bool = False) -> "Migration":
    """Write the files of a dataset of an earlier version anew: what ``img2gps migrate`` does.

    Rows, positions, splits and corrections stay as they are. Raises NotFoundError, InvalidDatasetError,
    DatasetLockedError.
    """
    from collect.migration.migrate import migrate_dataset

    return migrate_dataset(opened(dataset), dry_run=dry_run)


def check_site(name_or_file: str | Path) -> "SiteCheck":
    """Return what a site's file is, and what keeps it from being one: what ``img2gps site check`` does.

    A bad file is in the result, not raised. Raises NotFoundError where there is none.

        >>> from collect import check_site
        >>> check_site("penn-engineering-quad").problem
        ''
    """
    from collect.outlining.check import check_site as check

    return check(name_or_file)
