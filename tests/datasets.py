"""Datasets made from photo records, without any image: what split, audit and training read, in milliseconds."""

import dataclasses
import hashlib
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shapely.geometry import Polygon

from collect.splits.groups import assign_groups
from img2gps.dataset import Dataset
from img2gps.files import canonical_json, sha256_bytes, write_json
from img2gps.geo import LocalFrame
from img2gps.manifest import COLUMNS, ManifestInfo, rows_digest, write_manifest
from img2gps.site import Site
from img2gps.types import Photo

FRAME = LocalFrame(origin_lon=-75.1914, origin_lat=39.9517)
NOON = datetime(2025, 6, 2, 16, 0, tzinfo=UTC)  # 12:00 in Philadelphia
DAY = timedelta(days=1)


def box_site(width_m: float = 200.0, height_m: float = 200.0, *, time_zone: str | None = "America/New_York") -> Site:
    """Return a site of the given size around `FRAME`'s origin."""
    east, north = width_m / 2, height_m / 2
    lons, lats = FRAME.to_lonlat([-east, east, east, -east], [-north, -north, north, north])
    return Site(name="box", polygon=Polygon(zip(lons.tolist(), lats.tolist(), strict=True)), time_zone=time_zone)


def make_photo(name: str, east_m: float = 0.0, north_m: float = 0.0, **fields: Any) -> Photo:
    """Return a photo at a place of `FRAME`; its id is a hash of `name`, its perceptual hash is random but its own."""
    lon, lat = FRAME.to_lonlat(east_m, north_m)
    photo_id = hashlib.sha256(name.encode()).hexdigest()
    defaults: dict[str, Any] = {
        "id": photo_id,
        "file_name": f"photos/{photo_id[:2]}/{photo_id}.jpg",
        "photo_sha256": hashlib.sha256(f"pixels of {name}".encode()).hexdigest(),
        "lon": float(lon),
        "lat": float(lat),
        "gps_source": "exif",
        "width": 384,
        "height": 512,
        "phash": _balanced_hash(name),
        "source_name": f"{name}.jpg",
        "bytes": 3_000_000,
        "site_relation": "inside",
        "device": "a1b2c3d4",
        "captured_at": NOON,
        "ingested_at": NOON,
        "ingest": "ingest-1",
    }
    return Photo(**defaults | fields)


def make_walk(
    name: str,
    *,
    start: datetime = NOON,
    places: Sequence[tuple[float, float]] = (),
    photos_per_place: int = 1,
    seconds: float = 20.0,
    **fields: Any,
) -> list[Photo]:
    """Return a walk over `places` (east_m, north_m), `seconds` apart; photos of one place follow each other by 2 s."""
    return [
        make_photo(
            f"{name}-{number:04d}-{shot}",
            *place,
            captured_at=start + timedelta(seconds=number * seconds + 2 * shot),
            **{"heading_deg": (number * 45.0) % 360, "heading_ref": "T", **fields},
        )
        for number, place in enumerate(places)
        for shot in range(photos_per_place)
    ]


def line(start: tuple[float, float], end: tuple[float, float], count: int) -> list[tuple[float, float]]:
    """Return `count` places evenly from start to end, in metres of `FRAME`."""
    steps = [step / max(1, count - 1) for step in range(count)]
    return [(start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t) for t in steps]


def make_dataset(root: Path, photos: Sequence[Photo], *, site: Site | None = None, grouped: bool = False) -> Dataset:
    """Write a dataset folder with a site and a manifest, but no images; `grouped` photos keep their groups."""
    site = site or box_site()
    root.mkdir(parents=True, exist_ok=True)
    dataset = Dataset(root=root)
    write_json(dataset.site_path, site.to_geojson())
    info = ManifestInfo(site_name=site.name, site_sha256=site.sha256, device_salt=site.sha256)
    rows = list(photos) if grouped else assign_groups(photos)
    write_manifest(dataset.manifest_path, rows, info)
    return dataset


def as_schema(path: Path, version: int) -> None:
    """Write a manifest anew as a program of an earlier schema version would have written it."""
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        table = pq.read_table(file)
    metadata = dict(table.schema.metadata)
    table = table.select([column.name for column in COLUMNS if column.since <= version])
    info = json.loads(metadata[b"img2gps"]) | {"schema_version": version, "rows_sha256": rows_digest(table, version)}
    others = {name: value for name, value in info.items() if name not in ("rows_sha256", "info_sha256")}
    info["info_sha256"] = sha256_bytes(canonical_json([others, sha256_bytes(metadata[b"geo"])]))
    pq.write_table(table.replace_schema_metadata(metadata | {b"img2gps": canonical_json(info)}), path)


def four_walks() -> list[Photo]:
    """Return 4 walks of 20, 20, 30 and 40 photos on two days by two devices, along four lines of a 200 m box."""
    walks = [
        make_walk("one", places=line((-80, -60), (80, -60), 20)),
        make_walk("two", places=line((-80, -20), (80, -20), 20), start=NOON + timedelta(hours=2)),
        make_walk("three", places=line((-80, 20), (80, 20), 30), start=NOON + DAY, device="e5f6a7b8"),
        make_walk("four", places=line((-80, 60), (80, 60), 40), start=NOON + DAY + timedelta(hours=9)),
    ]
    return assign_groups([photo for walk in walks for photo in walk])


def without_split(photos: Sequence[Photo]) -> list[Photo]:
    """Return the photos as ingest leaves them before the first split."""
    return [dataclasses.replace(photo, split=None, split_reason=None, fold=None) for photo in photos]


def _balanced_hash(name: str) -> str:
    """Return 64 bits of which 32 are set, as a perceptual hash of a real scene has them."""
    bits = random.Random(name).sample(range(64), 32)
    return f"{sum(1 << bit for bit in bits):016x}"
