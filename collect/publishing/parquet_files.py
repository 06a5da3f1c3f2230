"""The Parquet files of a published dataset: which photos go into which, and how they are written.

Each is a GeoParquet 1.1 file whose `image` is the Hub's Image feature. Row groups are small, so that the Hub's viewer
reads a page of a hundred photos, not a whole file.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import shapely

from collect.publishing.columns import PUBLISHED_COLUMNS, hub_metadata, published_schema
from collect.publishing.pictures import Picture, PictureSource
from collect.publishing.rows import PublishedPhoto
from img2gps.manifest import geo_metadata

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_BYTES", "Shard", "ShardFacts", "plan_shards", "write_shard"]

MOST_BYTES: Final = 400_000_000
"""The most bytes of pictures in one file: the Hub advises files of up to some 500 MB."""
_ROWS: Final = 100
_FROM_PICTURE: Final = ("width", "height", "redacted", "phash")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One file to be written: its name in the folder, its part (``train``, ...) and its photos."""

    name: str
    part: str
    photos: tuple[PublishedPhoto, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardFacts:
    """What was written: the size of the file, and of its rows in memory; `redacted` regions in `redacted_photos`."""

    bytes: int
    rows_bytes: int
    redacted: int
    redacted_photos: int


def plan_shards(
    parts: Mapping[str, Sequence[PublishedPhoto]], sizes: Mapping[str, int], *, most_bytes: int = MOST_BYTES
) -> list[Shard]:
    """Return the files for the photos of each part, in order; `sizes` are bytes of the pictures by id."""
    shards = []
    for part, photos in parts.items():
        total = sum(sizes[photo.id] for photo in photos)
        count = max(1, math.ceil(total / most_bytes))
        bounds = [round(len(photos) * step / count) for step in range(count + 1)]
        for number in range(count):
            name = f"data/{part}-{number:05d}-of-{count:05d}.parquet"
            some = tuple(photos[bounds[number] : bounds[number + 1]])
            shards.append(Shard(name=name, part=part, photos=some))
    return shards


def write_shard(
    folder: Path, shard: Shard, pictures: PictureSource, *, done: Callable[[], object] = lambda: None
) -> ShardFacts:
    """Write one file and sync it; `done` is called after each photo. Raises InvalidDatasetError, OSError."""
    import pyarrow.parquet as pq

    lons, lats = [photo.lon for photo in shard.photos], [photo.lat for photo in shard.photos]
    metadata = {b"huggingface": hub_metadata(), b"geo": geo_metadata(lons, lats)}
    schema = published_schema().with_metadata(metadata)
    path = folder / shard.name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows_bytes, regions = 0, []
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd", write_page_index=True) as writer:
            for some in _pieces(shard.photos):
                found = []
                for photo in some:
                    found.append(pictures.read(photo.id))
                    done()
                table = _table(some, found, schema)
                writer.write_table(table)
                rows_bytes += table.nbytes
                regions += [picture.redacted for picture in found]
        file.flush()
        os.fsync(file.fileno())
    blurred = sum(count > 0 for count in regions)
    return ShardFacts(bytes=path.stat().st_size, rows_bytes=rows_bytes, redacted=sum(regions), redacted_photos=blurred)


def _pieces(photos: Sequence[PublishedPhoto]) -> Iterator[Sequence[PublishedPhoto]]:
    for start in range(0, len(photos), _ROWS):
        yield photos[start : start + _ROWS]


def _table(photos: Sequence[PublishedPhoto], pictures: Sequence[Picture], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    values: dict[str, Any] = {
        "image": [{"bytes": picture.data, "path": photo.name} for photo, picture in zip(photos, pictures, strict=True)],
        "geometry": shapely.to_wkb(shapely.points([p.lon for p in photos], [p.lat for p in photos])).tolist(),
    }
    values |= {name: [getattr(picture, name) for picture in pictures] for name in _FROM_PICTURE}
    for column in PUBLISHED_COLUMNS:
        if column.name not in values:
            values[column.name] = [getattr(photo, column.name) for photo in photos]
    return pa.Table.from_arrays([pa.array(values[field.name], field.type) for field in schema], schema=schema)
