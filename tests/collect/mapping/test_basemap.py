"""``img2gps basemap``: from OpenStreetMap, from an extract, from layers; written in one step under the lock."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import geopandas as gpd
import pytest
from shapely.geometry import LineString, Point, box

from collect import basemap, verify
from img2gps.basemap import basemap_of, read_basemap, write_basemap
from img2gps.cli import run
from img2gps.dataset import Dataset
from img2gps.errors import DatasetLockedError, NotFoundError, UsageError
from tests.datasets import box_site, four_walks, make_dataset
from tests.maps import degrees, osm_pbf, osm_xml, overpass_json, small_map

EXPECTED = {"green": 1, "road": 1, "path": 1, "building": 1, "tree": 1, "door": 1}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "quad", four_walks()[:3])


class Overpass(BaseHTTPRequestHandler):
    """Answers as an Overpass server does; `asked` are the queries, `broken` makes it fail."""

    asked: ClassVar[list[str]] = []
    broken: ClassVar[bool] = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Overpass.asked.append(parse_qs(body)["data"][0])
        answer = b"<html>busy</html>" if Overpass.broken else json.dumps(overpass_json()).encode()
        self.send_response(400 if Overpass.broken else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def overpass() -> Iterator[str]:
    pytest.importorskip("osmnx", reason="osmnx is not installed")
    Overpass.asked.clear()
    Overpass.broken = False
    with HTTPServer(("127.0.0.1", 0), Overpass) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


@pytest.mark.slow
def test_openstreetmap_is_asked_for_the_site_and_its_surroundings(
    dataset: Dataset, overpass: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = basemap(dataset, server=overpass)
    assert report.basemap.counts() == EXPECTED
    assert "building" in Overpass.asked[0]
    assert "entrance" in Overpass.asked[0]
    found = basemap_of(dataset)
    assert found is not None
    assert found.attribution == "© OpenStreetMap contributors"
    assert found.licence.startswith("ODbL")
    (hall,) = found.of("building")
    assert (hall.name, round(hall.height_m or 0, 2)) == ("Towne", 14.02)
    assert {path.name for path in tmp_path.iterdir()} == {"quad"}  # osmnx left no cache behind


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_a_sentence(dataset: Dataset, overpass: str) -> None:
    Overpass.broken = True
    with pytest.raises(NotFoundError, match=r"does not answer at http://127.0.0.1.*--osm FILE"):
        basemap(dataset, server=overpass)
    with pytest.raises(NotFoundError, match="does not answer"):
        basemap(dataset, server="http://127.0.0.1:9/api")
    assert not dataset.basemap_path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".osm", ".osm.pbf"])
def test_an_extract_gives_the_same_map_without_a_network(dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    if suffix == ".osm":
        pytest.importorskip("osmnx", reason="osmnx is not installed")
    extract = tmp_path / f"town{suffix}"
    extract.write_bytes(osm_xml().encode() if suffix == ".osm" else osm_pbf())
    report = basemap(dataset, osm=extract)
    assert report.basemap.counts() == EXPECTED
    assert report.basemap.source == f"OpenStreetMap extract town{suffix}"
    assert report.basemap.of("road")[0].name == "Spruce Street"
    assert report.basemap.attribution == "© OpenStreetMap contributors"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("town.osm", b"no xml", "no extract of OpenStreetMap"),
        ("town.osm.pbf", b"no protobuf", "no extract of OpenStreetMap"),
        ("town.shp", b"", r"no .osm and no .pbf"),
    ],
)
def test_what_is_no_extract_is_refused(
    dataset: Dataset, tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    if name.endswith(".osm"):
        pytest.importorskip("osmnx", reason="osmnx is not installed")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        basemap(dataset, osm=tmp_path / name)
    with pytest.raises(NotFoundError):
        basemap(dataset, osm=tmp_path / "absent.osm")


def layer(path: Path, rows: list[tuple[Any, dict[str, Any]]]) -> Path:
    frame = gpd.GeoDataFrame(
        [properties for _, properties in rows], geometry=[degrees(shape) for shape, _ in rows], crs="EPSG:4326"
    )
    frame.to_file(path, driver="GPKG" if path.suffix == ".gpkg" else "GeoJSON")
    return path


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_layers_of_ones_own_make_a_map(dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    halls = layer(tmp_path / f"halls{suffix}", [(box(-20, -10, 20, 10), {"name": "Towne", "height": 14.0})])
    mixed = layer(
        tmp_path / f"mixed{suffix}",
        [
            (LineString([(-80, 25), (80, 25)]), {"class": "path", "highway": None}),
            (LineString([(-80, 35), (80, 35)]), {"class": None, "highway": "residential"}),
            (LineString([(-80, 45), (80, 45)]), {"class": None, "highway": None}),
        ],
    )
    report = basemap(dataset, layers=[f"building={halls}", mixed], attribution="(c) us", licence="CC BY 4.0")
    assert report.basemap.counts() == {"road": 1, "path": 1, "building": 1}
    assert report.unclassed == 1
    found = read_basemap(dataset.basemap_path)
    assert (found.attribution, found.licence) == ("(c) us", "CC BY 4.0")
    assert [(f.name, f.height_m) for f in found.of("building")] == [("Towne", 14.0)]


def test_a_layer_without_a_file_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match=r"--layer building= names no file: give building=FILE\."):
        basemap(dataset, layers=["building="])


def test_a_layer_whose_shapes_cannot_be_of_its_class_is_refused_as_that(dataset: Dataset, tmp_path: Path) -> None:
    spots = layer(tmp_path / "spots.geojson", [(Point(0, 0), {"name": "Towne"})])
    with pytest.raises(UsageError, match=r"1 thing of no class or of no shape for it, 0 too far.*buildings as areas"):
        basemap(dataset, layers=[f"building={spots}"])


def test_a_basemap_of_before_is_a_layer_and_things_far_off_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "town.parquet"
    write_basemap(path, small_map())
    report = basemap(dataset, layers=[path], margin_m=0)
    assert report.basemap.counts() == small_map().counts()
    assert report.basemap.attribution == "(c) the surveyors"
    (green,) = report.basemap.of("green")
    assert green.geometry.bounds == pytest.approx(degrees(box(-80, 30, 80, 80)).bounds, abs=2e-7)
    lengths = [f.geometry.length for f in report.basemap.of("path")]
    assert max(lengths) < 0.0025


def test_a_site_without_a_dataset_has_a_map_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, path = tmp_path / "box.geojson", tmp_path / "town.parquet"
    site.write_text(json.dumps(box_site().to_geojson()))
    write_basemap(path, small_map())
    monkeypatch.chdir(tmp_path)
    assert basemap(site, layers=[path]).path == Path("basemap.parquet")
    assert len(read_basemap(tmp_path / "basemap.parquet")) == len(small_map())
    with pytest.raises(NotFoundError, match="No dataset and no site"):
        basemap(tmp_path / "absent", layers=[path])
    with pytest.raises(UsageError, match="names the class 'castle'"):
        basemap(site, layers=[f"castle={path}"])


def test_a_dry_run_writes_nothing_and_a_lock_is_respected(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "town.parquet"
    write_basemap(path, small_map())
    words = ["basemap", str(dataset.root), "--layer", str(path), "--json"]
    assert run([*words, "--dry-run"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"] == small_map().counts()
    assert document["written"] is False
    assert not dataset.basemap_path.exists()
    with dataset.lock(), pytest.raises(DatasetLockedError):
        basemap(dataset, layers=[path])
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out)["written"] is True
    assert dataset.basemap_path.exists()


def test_verify_knows_the_map(dataset: Dataset) -> None:
    write_basemap(dataset.basemap_path, small_map())

    def told() -> list[str]:
        return [problem.what for problem in verify(dataset).problems if problem.where == "basemap.parquet"]

    assert told() == []
    content = bytearray(dataset.basemap_path.read_bytes())
    content[200] ^= 1
    dataset.basemap_path.write_bytes(bytes(content))
    assert len(told()) == 1
