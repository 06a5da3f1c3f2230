"""`publish --also`: the same rows as GeoPackage, CSV and STAC items."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from publishing_scene import Published

from collect.api import publish
from img2gps.errors import UsageError


def test_further_formats_hold_the_same_photos(published: Published, tmp_path: Path) -> None:
    import pyogrio

    out = tmp_path / "out"
    result = publish(published.dataset, out, license="mit", also=["csv", "gpkg", "stac"])
    assert {"photos.gpkg", "photos.csv", "stac-items.parquet"} <= set(result.files)
    rows = {row["id"]: row for path in (out / "data").iterdir() for row in pq.read_table(path).to_pylist()}
    frame = pyogrio.read_dataframe(out / "photos.gpkg")
    assert dict(zip(frame["id"], frame.geometry.x, strict=True)) == {key: row["lon"] for key, row in rows.items()}
    with (out / "photos.csv").open(encoding="utf-8", newline="") as text:
        lines = list(csv.DictReader(text))
    assert {line["id"]: float(line["lat"]) for line in lines} == {key: row["lat"] for key, row in rows.items()}
    assert {line["fold"] for line in lines} <= {"0", "1", ""}
    items = pq.read_table(out / "stac-items.parquet").to_pylist()
    assert {item["id"] for item in items} == set(rows)
    publish(published.dataset, out, license="mit")  # a folder with them is one that publish wrote
    assert not (out / "photos.gpkg").exists()


def test_a_format_that_does_not_exist_is_refused(published: Published, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gpkg, csv or stac"):
        publish(published.dataset, tmp_path / "out", license="mit", also=["shp"])
