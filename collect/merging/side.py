"""One of the datasets to merge, read whole; nothing is written to it, so that it may lie on a read-only stick."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from collect.ingestion.outside import read_outside
from collect.ingestion.site_change import pending_site
from collect.ingestion.sources import SeenSource, read_sources
from img2gps.corrections import Correction, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.files import read_json_lines
from img2gps.forgotten import read_forgotten
from img2gps.manifest import ManifestInfo, photos_of, read_table
from img2gps.redactions import Redactions, load_redactions
from img2gps.rejected import RejectedFile, read_rejected
from img2gps.site import Site
from img2gps.text import safe_path, shell_path
from img2gps.types import Photo

__all__ = ["Side", "read_side"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What a dataset holds. `forgotten` are the days by hash; `log` are the lines of its ingests."""

    dataset: Dataset
    info: ManifestInfo
    site: Site
    photos: Mapping[str, Photo]
    outside: Mapping[str, Photo]
    rejected: Mapping[str, RejectedFile]
    sources: Mapping[bytes, SeenSource]
    corrections: list[Correction]
    redactions: Redactions
    forgotten: Mapping[str, str]
    log: list[dict[str, Any]]


def read_side(dataset: Dataset) -> Side:
    """Return a dataset whole. Raises InvalidDatasetError where a file of it is damaged or its site was edited."""
    table, info = read_table(dataset.manifest_path)
    site = pending_site(dataset, info.site_sha256) or dataset.site()
    where = safe_path(dataset.root)
    if site.sha256 != info.site_sha256:
        raise InvalidDatasetError(
            f"site.geojson of {where} was changed since its photos were judged: judge them again first with "
            f"`img2gps ingest PHOTOS {shell_path(dataset.root)} --site {shell_path(dataset.site_path)}`."
        )
    try:
        log = read_json_lines(dataset.ingests_path)
    except ValueError as error:
        raise InvalidDatasetError(f"ingests.jsonl of {where} is damaged ({error}): delete that line.") from error
    photos = {photo.id: photo for photo in photos_of(table)}
    return Side(
        dataset=dataset,
        info=info,
        site=site,
        photos=photos,
        outside={key: row for key, row in read_outside(dataset).items() if key not in photos},
        rejected=read_rejected(dataset.rejected_path),
        sources=read_sources(dataset.sources_path, salt=info.device_salt),
        corrections=read_corrections(dataset.corrections_path),
        redactions=load_redactions(dataset),
        forgotten=read_forgotten(dataset.forgotten_path),
        log=log,
    )
