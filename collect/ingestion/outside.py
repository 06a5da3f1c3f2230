"""outside.parquet: whole rows of photos that a redrawn site left outside; they come back without their files.

A row is in the manifest or here. If a kill left it in both, the manifest is right. Rows are written here before the
manifest gives them up, and leave here after it took them back.
"""

from collections.abc import Mapping

from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.files import fsync_folder
from img2gps.manifest import ManifestInfo, photos_of, read_table, write_manifest
from img2gps.site import Site
from img2gps.text import format_count, safe_path
from img2gps.types import Photo

__all__ = ["check_shrinking", "read_outside", "write_outside"]

_MOST = 0.1


def read_outside(dataset: Dataset) -> dict[str, Photo]:
    """Return the rows by id, none where there is no file. Raises InvalidDatasetError where it is damaged."""
    if not dataset.outside_path.exists():
        return {}
    try:
        return {photo.id: photo for photo in photos_of(read_table(dataset.outside_path)[0])}
    except InvalidDatasetError as error:
        raise InvalidDatasetError(
            f"{safe_path(dataset.outside_path)} is damaged: restore it from a backup, or delete it. "
            "Photos outside today's site then come back only from their originals."
        ) from error


def write_outside(dataset: Dataset, photos: Mapping[str, Photo], info: ManifestInfo) -> None:
    """Replace the file in one step; without rows there is none."""
    if photos:
        write_manifest(dataset.outside_path, photos.values(), info)
    elif dataset.outside_path.exists():
        dataset.outside_path.unlink()
        fsync_folder(dataset.root)


def check_shrinking(site: Site, *, photos: int, fell: int, nearest_m: float) -> None:
    """Raise UsageError where a new polygon leaves more than a tenth of the photos outside: it is likely a wrong one."""
    if fell > _MOST * photos:
        raise UsageError(
            f"{fell:,} of {format_count(photos, 'photo')} ({fell / photos:.0%}) lie outside {site.name}, the nearest "
            f"by {nearest_m:,.0f} m; nothing was changed. Check the file given with --site, or add --allow-shrink."
        )
