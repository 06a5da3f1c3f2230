"""A simulated walk that follows an audit's walk list."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from collect.simulation.phones.guided import read_stops
from collect.simulation.simulate import simulate
from img2gps.errors import NotFoundError, UsageError
from img2gps.site import load_site

SITE = load_site("penn-engineering-quad")


def listed(path: Path, places_m: list[tuple[float, float]], headings: list[float]) -> Path:
    lon, lat = SITE.frame.to_lonlat(*np.array(places_m).T)
    features = [
        {"type": "Feature", "properties": {"headings_deg": headings}, "geometry": {"type": "Point", "coordinates": one}}
        for one in zip(lon.tolist(), lat.tolist(), strict=True)
    ]
    line = {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": []}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*features, line]}))
    return path


@pytest.mark.slow
def test_the_walk_goes_to_the_stops_in_their_order_and_looks_where_they_say(tmp_path: Path) -> None:
    places = [(0.0, 0.0), (25.0, 10.0)]
    stops = read_stops(listed(tmp_path / "walk-list.geojson", places, [0.0, 90.0]), SITE.frame)
    report = simulate(
        tmp_path / "out", photos=500, seed=4, site=SITE, stops=stops, long_side_px=64, bad_share=0, jobs=1
    )
    assert report.walks == 1
    with (tmp_path / "out/truth.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) <= 4
    east, north = SITE.frame.to_local(
        *(np.array([float(row[name]) for row in rows]) for name in ("longitude", "latitude"))
    )
    apart = np.hypot(east[:, None] - np.array(places)[:, 0], north[:, None] - np.array(places)[:, 1])
    assert apart.min(axis=1).max() < 20
    assert (np.diff(apart.argmin(axis=1)) >= 0).all()
    turned = [min(abs((float(row["heading_deg"]) - one + 180) % 360 - 180) for one in (0, 90)) for row in rows]
    assert max(turned) < 30
    assert [row["captured_at"] for row in rows] == sorted(row["captured_at"] for row in rows)


def test_lists_that_are_none_or_lead_elsewhere_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="img2gps audit"):
        read_stops(tmp_path / "none.geojson", SITE.frame)
    (tmp_path / "odd.geojson").write_text('{"features": [1]}')
    with pytest.raises(UsageError, match="no walk list"):
        read_stops(tmp_path / "odd.geojson", SITE.frame)
    (tmp_path / "empty.geojson").write_text('{"features": []}')
    with pytest.raises(UsageError, match="no stops"):
        read_stops(tmp_path / "empty.geojson", SITE.frame)
    far = read_stops(listed(tmp_path / "far.geojson", [(5000.0, 0.0)], [0.0]), SITE.frame)
    with pytest.raises(UsageError, match="None of the stops"):
        simulate(tmp_path / "out", photos=1, seed=4, site=SITE, stops=far, long_side_px=64, jobs=1)
