"""A new polygon for an existing dataset: rows are judged again from their stored positions, in one step.

The polygon and the rows lie in two files. The new polygon waits beside the old one until the manifest that was judged
by it is in place. Whoever finds it waiting with the manifest's hash finishes the change.
"""

import dataclasses
from pathlib import Path

from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.files import fsync_folder, write_atomic
from img2gps.site import Site, read_site
from img2gps.site_file import is_edited, site_bytes

__all__ = ["confirm_site", "finish_site_change", "pending_site", "prepare_site_change"]


def prepare_site_change(dataset: Dataset, site: Site) -> None:
    """Put the new polygon beside the old one."""
    write_atomic(_waiting(dataset), site_bytes(site))


def finish_site_change(dataset: Dataset, manifest_site_sha256: str) -> None:
    """Make the waiting polygon the site where the manifest was judged by it; else it never became one: drop it."""
    waiting = _waiting(dataset)
    if not waiting.exists():
        return
    if pending_site(dataset, manifest_site_sha256) is not None:
        waiting.replace(dataset.site_path)
    else:
        waiting.unlink()
    fsync_folder(dataset.root)


def confirm_site(dataset: Dataset, site: Site) -> None:
    """Write site.geojson anew where a person edited it, or gives another title for the same polygon.

    The name stays: the manifest has it, too.
    """
    stored = dataset.site()
    if is_edited(dataset.site_path) or site.title != stored.title:
        write_atomic(dataset.site_path, site_bytes(dataclasses.replace(site, name=stored.name)))


def pending_site(dataset: Dataset, manifest_site_sha256: str) -> Site | None:
    """Return the waiting polygon where the manifest was already judged by it."""
    waiting = _waiting(dataset)
    if not waiting.exists():
        return None
    try:
        site = read_site(waiting)
    except UsageError:  # damaged: it never was the site, or verify says that site.geojson is not
        return None
    return site if site.sha256 == manifest_site_sha256 else None


def _waiting(dataset: Dataset) -> Path:
    return dataset.root / "site.next.geojson"
