"""Ingests for tests: in this process, on the square site of `photos`."""

import hashlib
from pathlib import Path
from typing import Any

from photos import write_site

from collect.ingestion.options import IngestOptions
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.pipeline import ingest
from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table
from img2gps.types import Photo


def run_ingest(photos: Path | list[Path], root: Path, **options: Any) -> Outcomes:
    """Ingest into `root`; a new dataset gets the square site unless `site` is given."""
    if "site" not in options and not (root / "site.geojson").exists():
        options["site"] = write_site(root.parent / "square.geojson")
    inputs = photos if isinstance(photos, list) else [photos]
    return ingest(inputs, root, IngestOptions(**{"jobs": 0, **options}))


def rows(root: Path) -> dict[str, Photo]:
    """Return the manifest's photos by source name."""
    table, _ = read_table(Dataset.open(root).manifest_path)
    return {photo.source_name: photo for photo in photos_of(table)}


def fingerprint(root: Path, *, without: tuple[str, ...] = ("ingests.jsonl", ".lock")) -> dict[str, str]:
    """Return the SHA-256 of every file of a dataset but those named in `without`."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name not in without)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
