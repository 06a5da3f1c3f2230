"""The folder that the pages speak of: raw walks, a dataset, runs, maps and files by the names of the guides."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from maps import feature, osm_pbf, small_map
from photos import FIRST_PHOTO_AT, write_photo, write_walk
from shapely.geometry import Point, mapping

from collect.api import export_labels, ingest
from img2gps.basemap import write_basemap
from img2gps.dataset import Dataset
from img2gps.masks import CLASSES, write_class_table, write_mask
from tests.archives import unpack
from tests.train.colours import without_curves
from train.api import train

EARLIER = Path(__file__).parent / "data" / "v0.1"
ON_SITE = (-75.1914, 39.9515)
# What a guide does not type is made small: its commands stay as they stand.
SMALL = {
    "IMG2GPS_INGEST_JOBS": "1",
    "IMG2GPS_SIMULATE_PHOTOS": "30",
    "IMG2GPS_SIMULATE_SIZE": "96",
    "IMG2GPS_TRAIN_MODEL": "timm/test_efficientnet",
    "IMG2GPS_TRAIN_WEIGHTS": "none",
    "IMG2GPS_TRAIN_SIZE": "32",
    "IMG2GPS_TRAIN_EPOCHS": "1",
    "IMG2GPS_TRAIN_THREADS": "1",
    "IMG2GPS_LABEL_NO_OPEN": "1",
}


def make_scene(root: Path) -> Path:
    """Make the folder and return it; it takes some seconds, and copies of it are cheap."""
    _walks(root)
    shutil.copytree(EARLIER / "quad", root / "quad")
    shutil.copytree(EARLIER / "quad", root / "DATASET")
    first = Dataset.open(root / "quad").frame().iloc[0]
    shutil.copy(root / "quad" / first["file_name"], root / "portrait.jpg")
    _files(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        without_curves(patch)
        ingest("walks/tuesday", "other-walks", site="penn-engineering-quad", jobs=1, short_side_px=64)
        shutil.copytree("other-walks", "media/stick/quad")
        _runs(root)
        _masks(root)
        export_labels("quad", "corrections.geojson")
    return root


def stand_ins(root: Path) -> dict[str, str]:
    """Return what stands in the scene for the ids and names that a guide shows as examples."""
    _, second, *others = Dataset.open(root / "quad").frame().to_dict("records")
    last = next(photo for photo in others if photo["device"] != second["device"])
    return {
        "3f2a9c04b1": second["id"][:10],
        "a1b2c3d4": second["device"],
        "20251222-094711-a1b2c3": last["walk"],
        "tuesday/IMG_01*.jpg": last["source_name"],
    }


def _runs(root: Path) -> None:
    """Put a run of an earlier version there, told where its dataset is, and train one more under several names."""
    unpack(EARLIER / "runs.tar.xz", root)
    shutil.rmtree(root / "runs" / "network")
    run = (root / "runs" / "probe").rename(root / "runs" / "folds-001")
    config = (run / "config.toml").read_text(encoding="utf-8")
    (run / "config.toml").write_text(config.replace('"/home/student/quad"', '"quad"'), encoding="utf-8")
    small = {"model": "timm/test_efficientnet", "weights": "none", "size": 32, "epochs": 1, "threads": 1}
    train("quad", preset="quick", name="quick-001", **small)
    for copy in ("runs/default-001", "RUN"):
        shutil.copytree("runs/quick-001", copy)


def _masks(root: Path) -> None:
    """Put masks of the dataset's photos there, a building over ground with a person before it."""
    mask = np.full((72, 96), CLASSES.index("ground"), dtype=np.uint8)
    mask[:40] = CLASSES.index("building")
    mask[30:60, 40:50] = CLASSES.index("person")
    write_class_table(root / "practice" / "masks")
    photos = Dataset.open(root / "quad").frame()
    for photo_id in photos["id"]:
        write_mask(root / "practice" / "masks" / f"{photo_id}.png", mask)
    building = {"class": "building", "points": [[0, 0], [1, 0], [1, 0.5]]}
    marks = {"photos": {photos["source_name"].iloc[0]: [building], "of_another_site.jpg": [building]}}
    (root / "polygons.json").write_text(json.dumps(marks), encoding="utf-8")


def _walks(root: Path) -> None:
    for number, day in enumerate(("monday", "tuesday")):
        at = FIRST_PHOTO_AT + timedelta(days=number)
        start = (ON_SITE[0] + number * 2e-4, ON_SITE[1])
        write_walk(root / "walks" / day, 6, start=start, first_at=at, first_seed=10 * number, size=(96, 72))
    shutil.make_archive(str(root / "walk"), "zip", root / "walks" / "monday")
    shutil.copytree(root / "walks" / "monday", root / "PHOTOS")
    shutil.copytree(root / "walks" / "monday", root / "WALK")
    shutil.copytree(root / "walks" / "monday", root / "photos")
    write_photo(root / "campus" / "photos" / "IMG_0001.jpg", seed=40, size=(96, 72), lon=None, lat=None)
    shutil.copy(root / "walks" / "monday" / "IMG_0002.jpg", root / "IMG_0042.jpg")


def _files(root: Path) -> None:
    site = (EARLIER / "quad" / "site.geojson").read_text(encoding="utf-8")
    for name in ("site.geojson", "larger.geojson", "SITE.geojson"):
        (root / name).write_text(site, encoding="utf-8")
    ring = " ".join(f"{lon},{lat}" for lon, lat in json.loads(site)["features"][0]["geometry"]["coordinates"][0])
    ring = f"<LinearRing><coordinates>{ring}</coordinates></LinearRing>"
    polygon = f"<Polygon><outerBoundaryIs>{ring}</outerBoundaryIs></Polygon>"
    place = f"<Placemark><name>campus</name>{polygon}</Placemark>"
    (root / "campus.kml").write_text(f'<kml xmlns="http://www.opengis.net/kml/2.2">{place}</kml>', encoding="utf-8")
    lon, lat = ON_SITE
    (root / "positions.csv").write_text(f"file_name,lat,lon\nIMG_0001.jpg,{lat},{lon}\n", encoding="utf-8")
    times = [(step, (FIRST_PHOTO_AT + timedelta(seconds=step)).isoformat()) for step in range(60)]
    points = "".join(f'<trkpt lat="{lat + step * 1e-5}" lon="{lon}"><time>{at}</time></trkpt>' for step, at in times)
    track = f"<trk><trkseg>{points}</trkseg></trk>"
    (root / "track.gpx").write_text(f'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">{track}</gpx>')
    (root / "pennsylvania.osm.pbf").write_bytes(osm_pbf())
    write_basemap(root / "campus" / "basemap.parquet", small_map())
    write_basemap(root / "osm.parquet", small_map())
    door = feature("door", Point(0, -10))
    hall = small_map().features[0]
    for name, one in (("doors", door), ("buildings", hall), ("houses", hall)):
        shape = {"type": "Feature", "properties": {}, "geometry": mapping(one.geometry)}
        text = json.dumps({"type": "FeatureCollection", "features": [shape]})
        (root / f"{name}.geojson").write_text(text, encoding="utf-8")
    halls = gpd.GeoDataFrame({"class": ["building"]}, geometry=[hall.geometry], crs="EPSG:4326")
    halls.to_file(root / "campus.gpkg", driver="GPKG")
