"""basemap.parquet: read back as it was written, and refused where it is not."""

from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point

from img2gps.basemap import CLASSES, Basemap, MapFeature, basemap_of, read_basemap, write_basemap
from img2gps.errors import InvalidDatasetError
from tests.datasets import four_walks, make_dataset
from tests.maps import small_map


def test_a_basemap_is_read_back_and_other_programs_read_it_too(tmp_path: Path) -> None:
    path, made = tmp_path / "basemap.parquet", small_map()
    write_basemap(path, made)
    found = read_basemap(path)
    assert (found.source, found.date, found.attribution) == (made.source, made.date, made.attribution)
    assert found.counts() == made.counts()
    assert [f.height_m for f in found.of("building")] == [14.0]
    frame = gpd.read_parquet(path)
    assert frame.crs == "EPSG:4326"
    assert set(frame.columns) == {"class", "name", "height_m", "geometry"}
    assert sorted(frame["name"].dropna()) == ["Hill Lawn", "Locust Walk", "Pond", "Towne"]


def test_the_order_of_features_makes_no_difference_to_the_bytes(tmp_path: Path) -> None:
    made = small_map()
    turned = Basemap(features=made.features[::-1], source=made.source, date=made.date, attribution=made.attribution)
    for name, basemap in (("a", made), ("b", turned)):
        write_basemap(tmp_path / name, basemap)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


places = st.tuples(st.floats(-180, 180), st.floats(-85, 85))
features = st.builds(
    MapFeature,
    kind=st.sampled_from(CLASSES),
    geometry=places.map(Point),
    name=st.none() | st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20),
    height_m=st.none() | st.floats(0.1, 900),
)


@settings(max_examples=10)
@given(st.lists(features, max_size=6))
def test_any_features_are_read_back(tmp_path_factory: pytest.TempPathFactory, given_features: list[MapFeature]) -> None:
    path = tmp_path_factory.mktemp("map") / "basemap.parquet"
    write_basemap(path, Basemap(features=tuple(given_features), source="s", date="2026-01-01"))

    def plain(feature: MapFeature) -> tuple[object, ...]:
        return feature.kind, feature.name or "", feature.height_m or 0.0, shapely.to_wkt(feature.geometry, 12)

    found = read_basemap(path).features
    assert sorted(map(plain, found)) == sorted(map(plain, given_features))


def test_what_is_no_basemap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "basemap.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(InvalidDatasetError, match="not a readable Parquet file"):
        read_basemap(path)
    dataset = make_dataset(tmp_path / "quad", four_walks()[:2])
    with pytest.raises(InvalidDatasetError, match="no basemap that img2gps wrote"):
        read_basemap(dataset.manifest_path)
    write_basemap(path, small_map())
    table = pq.read_table(path)
    about = table.schema.metadata
    renamed = table.rename_columns(["class", "name", "height", "geometry"]).replace_schema_metadata(about)
    pq.write_table(renamed, path)
    with pytest.raises(InvalidDatasetError, match="holds a row that is no feature"):
        read_basemap(path)
    write_basemap(path, small_map())
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(bytes(content))
    with pytest.raises(InvalidDatasetError):
        read_basemap(path)


def test_a_dataset_has_a_basemap_or_none(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks()[:2])
    assert basemap_of(dataset) is None
    write_basemap(dataset.basemap_path, small_map())
    assert len(basemap_of(dataset) or ()) == len(small_map())
