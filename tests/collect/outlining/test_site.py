"""A site is proposed around photos, drawn and saved, and a file that is none is explained and mended."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photos import EAST_CAMPUS, SITE_GEOJSON, write_walk
from starlette.testclient import TestClient

from collect import check_site, ingest
from collect.outlining.check import mend_site
from collect.outlining.drawing import Drawing, create_drawing_app
from collect.outlining.positions import new_drawing
from collect.outlining.proposal import propose_site
from img2gps.cli import run
from img2gps.errors import UsageError
from img2gps.site import load_site, read_site
from img2gps.web.guard import policy_for

LON, LAT = EAST_CAMPUS
SQUARE = [[7.995, 49.995], [8.005, 49.995], [8.005, 50.005], [7.995, 50.005], [7.995, 49.995]]
HOLE = [[7.999, 49.999], [8.001, 49.999], [8.001, 50.001], [7.999, 50.001], [7.999, 49.999]]


def geojson(path: Path, kind: str, coordinates: Any, **properties: str) -> Path:
    geometry = {"type": kind, "coordinates": coordinates}
    path.write_text(json.dumps({"type": "Feature", "properties": properties, "geometry": geometry}))
    return path


def test_the_hull_holds_photos_that_lie_together_and_no_wild_fix() -> None:
    rng = np.random.default_rng(1)
    lon, lat = LON + rng.uniform(-1e-3, 1e-3, 60), LAT + rng.uniform(-1e-3, 1e-3, 60)
    proposal = propose_site([*lon, LON + 0.5, LON + 40.0], [*lat, LAT, LAT])
    assert (proposal.inside, proposal.apart) == (60, 2)
    assert proposal.site.covers(lon, lat).all()
    assert not proposal.site.covers([LON + 0.5], [LAT]).any()
    assert max(proposal.site.distance_m(x, y) for x, y in proposal.site.polygon.exterior.coords) == 0  # type: ignore[union-attr]
    assert 20 < min(proposal.site.local_polygon.exterior.distance(p) for p in _points(proposal, lon, lat)) <= 31
    assert propose_site([LON], [LAT]).area_m2 == pytest.approx(np.pi * 30**2, rel=0.1)
    with pytest.raises(UsageError):
        propose_site([], [])


def _points(proposal: Any, lon: Any, lat: Any) -> Any:
    import shapely

    return shapely.points(np.column_stack(proposal.site.frame.to_local(lon, lat)))


def test_an_ingest_without_a_site_proposes_one_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_walk(tmp_path / "walk", 4, size=(64, 48))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"4 photos lie together.*site draw quad\.geojson --on walk"):
        ingest("walk", "quad")
    assert not (tmp_path / "quad").exists()
    assert run(["site", "draw", "quad.geojson", "--on", "walk", "--accept", "--jobs", "1", "--dry-run"]) == 0
    assert not (tmp_path / "quad.geojson").exists()
    assert run(["site", "draw", "quad.geojson", "--on", "walk", "--accept", "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("inside, time zone")[2].partition("\n")[2])["inside"] == 4
    assert read_site(tmp_path / "quad.geojson").name == "quad"
    assert ingest("walk", "quad", site="quad.geojson").new == 4


def test_the_page_saves_parts_and_holes_and_refuses_what_is_no_site(tmp_path: Path) -> None:
    lon, lat = np.array([LON, LON + 1]), np.array([LAT, LAT])
    drawing = Drawing(out=tmp_path / "s.geojson", lon=lon, lat=lat, start=propose_site(lon[:1], lat[:1]).site)
    policy = policy_for("127.0.0.1", 8765)
    client = TestClient(create_drawing_app(drawing, policy), base_url="http://127.0.0.1:8765")
    assert '"dots":' in client.get("/").text.replace(" ", "")
    assert "class Editor" in client.get("/static/page.js").text
    assert client.get("/static/../site.py").status_code == 404
    far = [[[8.02, 50.0], [8.03, 50.0], [8.03, 50.01], [8.02, 50.0]]]
    geometry = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], far]}
    answer = client.post("/api/site", json={"geometry": geometry, "name": "Two <parts>", "time_zone": "Europe/Berlin"})
    assert answer.json() | {"area_m2": 0} == {
        "file": str(tmp_path / "s.geojson"),
        "time_zone": "Europe/Berlin",
        "area_m2": 0,
        "photos": 2,
        "inside": 0,  # the one on the site stands in the hole
    }
    site = load_site(tmp_path / "s.geojson")
    assert (len(site.polygon.geoms), len(site.polygon.geoms[0].interiors)) == (2, 1)  # type: ignore[union-attr]
    again = new_drawing(tmp_path / "t.geojson", [], site, name="t").state()["parts"]
    assert [[len(ring) for ring in part] for part in again] == [[4, 4], [3]]
    before = (tmp_path / "s.geojson").read_bytes()
    bow = {"type": "Polygon", "coordinates": [[SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]]]}
    for bad in ({"geometry": bow}, {"geometry": 1}, [], {"geometry": geometry, "time_zone": "Mars/Olympus"}):
        refused = client.post("/api/site", json=bad)
        assert refused.status_code == 400
        assert refused.json()["error"].endswith(".")
    assert client.post("/api/site", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert (tmp_path / "s.geojson").read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "coordinates", "told"),
    [
        ("Polygon", [[SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]]], "Self-intersection"),
        ("Polygon", [[[x, y + 60] for x, y in SQUARE]], "not in degrees|axes swapped"),
        ("LineString", SQUARE, "no GeoJSON polygon"),
        ("Point", SQUARE[0], "no GeoJSON polygon"),
        ("Polygon", [[SQUARE[0], [float("nan"), 50], *SQUARE[2:]]], "not a finite number"),
    ],
)
def test_what_is_no_site_is_explained(
    tmp_path: Path, kind: str, coordinates: Any, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = geojson(tmp_path / "bad.geojson", kind, coordinates)
    result = check_site(path)
    assert any(word in result.problem for word in told.split("|"))
    assert result.site is None
    assert run(["site", "check", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_an_outline_that_crosses_itself_is_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bow = [[SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[0]]]
    path, out = geojson(tmp_path / "bow.geojson", "Polygon", bow, name="bow"), tmp_path / "mended.geojson"
    assert "--mend" in check_site(path).remarks[0]
    assert run(["site", "check", str(path), "--mend", str(out)]) == 0
    assert check_site(out).problem == ""
    assert load_site(out).name == "bow"
    with pytest.raises(UsageError, match="there already"):
        mend_site(path, out)
    with pytest.raises(UsageError, match="no polygon"):
        mend_site(geojson(tmp_path / "line.geojson", "LineString", SQUARE), tmp_path / "none.geojson")
    for no_file in ("penn-engineering-quad", str(tmp_path)):
        assert run(["site", "check", no_file, "--mend", str(tmp_path / "none.geojson")]) == 2
        assert "no file to mend" in " ".join(capsys.readouterr().err.split())


def test_a_good_file_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "square.geojson"
    path.write_text(SITE_GEOJSON.replace('"time_zone": "Europe/Berlin"', '"note": ""'))
    result = check_site(path)
    assert (result.problem, result.parts[0].kind) == ("", "Polygon")
    assert any("time zone" in remark for remark in result.remarks)
    assert run(["site", "check", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["polygons"], report["holes"]) == (True, 1, 0)
    assert report["width_m"] == pytest.approx(715, abs=3)
    assert run(["site", "check", str(tmp_path / "none.geojson")]) == 3
    assert run(["site", "check", "penn-engineering-quad"]) == 0
