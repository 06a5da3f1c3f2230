"""Corrections in and out: CSV, GeoJSON and GPX."""

import csv
import dataclasses
import json
import unicodedata
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collect.label.entries import read_entries, write_entries
from collect.label.exchange import export_corrections, import_corrections
from collect.label.store import LabelStore
from img2gps.corrections import Correction, append_corrections, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import DatasetLockedError, NotFoundError, UsageError
from tests.datasets import NOON, make_photo
from tests.labelling import labelled_dataset

PHOTOS = [make_photo(f"p{i}", 10 * i, 0, captured_at=NOON + timedelta(seconds=10 * i)) for i in range(5)]
NORTH = 1e-4  # degrees of latitude, 11.1 m


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return labelled_dataset(tmp_path / "quad", PHOTOS)


@pytest.fixture
def store(dataset: Dataset) -> LabelStore:
    return LabelStore(dataset, by="kim")


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def moved(dataset: Dataset) -> list[float]:
    frame = dataset.frame().set_index("id")
    return [round(float(frame.loc[photo.id, "moved_m"]), 1) for photo in PHOTOS]


def gpx(body: str) -> str:
    return f'<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">{body}</gpx>'


def at(seconds: float) -> str:
    return f"<time>{(NOON + timedelta(seconds=seconds)).isoformat().replace('+00:00', 'Z')}</time>"


def test_rows_find_their_photo_by_id_or_by_name(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": PHOTOS[0].id, "Longitude": PHOTOS[0].lon, "Latitude": PHOTOS[0].lat + NORTH},
        {
            "source_name": "p1.jpg",
            "Longitude": PHOTOS[1].lon,
            "Latitude": PHOTOS[1].lat + 2 * NORTH,
            "why": "=surveyed",
        },
        {"source_name": "nobody.jpg", "Longitude": 1, "Latitude": 2},
    ]
    report = import_corrections(store, write_csv(tmp_path / "new.csv", rows))
    assert (report.found, report.applied, report.unchanged, report.conflicts) == (3, 2, 0, ())
    assert "row 4" in report.unmatched[0].where
    assert moved(dataset) == [11.1, 22.2, 0, 0, 0]
    assert [line.why for line in read_corrections(dataset.corrections_path)] == ["imported from new.csv", "=surveyed"]


def test_importing_twice_changes_nothing(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", [{"id": PHOTOS[0].id, "lon": PHOTOS[0].lon, "lat": PHOTOS[0].lat + NORTH}])
    import_corrections(store, path)
    report = import_corrections(store, path)
    assert (report.applied, report.unchanged, report.conflicts) == (0, 1, ())
    assert len(read_corrections(dataset.corrections_path)) == 1


def test_what_differs_from_a_correction_is_a_conflict_until_it_is_replaced(
    store: LabelStore, dataset: Dataset, tmp_path: Path
) -> None:
    photo = PHOTOS[2]
    line = Correction(
        at="t", by="lee", photo_id=photo.id, action="move", from_lon=photo.lon, from_lat=photo.lat, lon=photo.lon,
        lat=photo.lat - NORTH,
    )  # fmt: skip
    append_corrections(dataset.corrections_path, [line])
    path = write_csv(tmp_path / "new.csv", [{"id": photo.id, "lon": photo.lon, "lat": photo.lat + NORTH}])
    report = import_corrections(store, path)
    assert (report.applied, report.unchanged) == (0, 0)
    assert "lee has it as move, 22.2 m from there" in report.conflicts[0].text
    assert import_corrections(store, path, replace=True).applied == 1
    assert read_corrections(dataset.corrections_path)[-1].from_lat == photo.lat - NORTH


def test_a_photo_named_twice_in_the_file_is_a_conflict(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": PHOTOS[0].id, "lon": PHOTOS[0].lon, "lat": PHOTOS[0].lat + step * NORTH} for step in (1, 2)
    ]
    report = import_corrections(store, write_csv(tmp_path / "new.csv", rows))
    assert (report.applied, len(report.conflicts)) == (0, 2)
    assert moved(dataset) == [0.0] * 5


@pytest.mark.parametrize("suffix", [".csv", ".geojson", ".gpx"])
def test_what_is_exported_is_imported_elsewhere(
    store: LabelStore, dataset: Dataset, tmp_path: Path, suffix: str
) -> None:
    base = {"at": "2025-06-02T16:00:00Z", "by": "lee"}
    lines = [
        Correction(**base, photo_id=photo.id, action=action, from_lon=photo.lon, from_lat=photo.lat, **fields)  # type: ignore[arg-type]
        for photo, action, fields in zip(
            PHOTOS,
            ("move", "exclude", "confirm", "move", "unsure"),
            (
                {"lon": PHOTOS[0].lon, "lat": PHOTOS[0].lat + NORTH, "heading_deg": 33.0, "why": "seen, from the door"},
                {"lon": PHOTOS[1].lon, "lat": PHOTOS[1].lat + NORTH},
                {},
                {"heading_deg": 270.0},
                {},
            ),
            strict=True,
        )
    ]
    append_corrections(dataset.corrections_path, lines)
    assert export_corrections(store, tmp_path / f"out{suffix}") == 5
    twin = labelled_dataset(tmp_path / "twin", PHOTOS)
    report = import_corrections(LabelStore(twin, by="kim"), tmp_path / f"out{suffix}")
    assert (report.applied, report.unmatched, report.unusable) == (5, (), ())
    columns = ["id", "lon", "lat", "heading_deg", "label_state", "split", "moved_m"]
    ours, theirs = (found.frame()[columns].to_csv() for found in (dataset, twin))
    assert ours == theirs


def test_waypoints_find_photos_by_name_or_by_time(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    def point(photo: int, inner: str) -> str:
        return f'<wpt lat="{PHOTOS[photo].lat + NORTH}" lon="{PHOTOS[photo].lon}">{inner}</wpt>'

    path = tmp_path / "walk.gpx"
    path.write_text(gpx(point(0, "<name>p0.jpg</name>") + point(3, at(30.4)) + point(4, at(400)) + point(1, "")))
    report = import_corrections(store, path)
    assert (report.applied, len(report.unmatched)) == (2, 2)
    assert moved(dataset) == [11.1, 0, 0, 11.1, 0]


def test_photos_on_a_track_lie_where_the_walker_was(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    step = (PHOTOS[2].lon - PHOTOS[0].lon) / 20
    points = "".join(
        f'<trkpt lat="{PHOTOS[0].lat + NORTH}" lon="{PHOTOS[0].lon + seconds * step}">{at(seconds)}</trkpt>'
        for seconds in (0, 15, 20)
    )
    far = f'<trkpt lat="1" lon="1">{at(90)}</trkpt>'
    path = tmp_path / "track.gpx"
    path.write_text(gpx(f"<trk><trkseg>{points}{far}</trkseg></trk>"))
    report = import_corrections(store, path)
    assert report.applied == 3  # the first at the very point the track begins with
    assert moved(dataset) == [11.1, 11.1, 11.1, 0, 0]


def test_an_export_to_gpx_comes_back_by_name(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": PHOTOS[1].id, "lon": PHOTOS[1].lon, "lat": PHOTOS[1].lat + NORTH}]
    import_corrections(store, write_csv(tmp_path / "new.csv", rows))
    assert export_corrections(store, tmp_path / "out.gpx") == 1
    twin = labelled_dataset(tmp_path / "twin", PHOTOS)
    assert import_corrections(LabelStore(twin, by="kim"), tmp_path / "out.gpx").applied == 1
    assert moved(twin) == moved(dataset)


def test_an_export_holds_no_formula(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    nasty = dataclasses.replace(PHOTOS[0], source_name='=HYPERLINK("x")')
    store = LabelStore(labelled_dataset(tmp_path / "nasty", [nasty]), by="kim")
    import_corrections(store, write_csv(tmp_path / "new.csv", [{"id": nasty.id, "lon": nasty.lon, "lat": nasty.lat}]))
    export_corrections(store, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["source_name"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"lon": "", "lat": ""}, "neither a position nor a heading"),
        ({"lon": "1", "lat": ""}, "only one of lon and lat"),
        ({"lon": "1", "lat": "91"}, "beyond 180 degrees"),
        ({"lon": "1", "lat": "1"}, "outside the site"),
        ({"lon": "1", "lat": "1", "action": "explode"}, "'explode', not move"),
        ({"lon": "east", "lat": "2"}, "holds 'east' where a number should be"),
        ({"lon": "1", "lat": "nan"}, "column lat is empty"),
        ({"lon": "1" + 400 * "0", "lat": "1"}, "where a number should be"),
    ],
)
def test_a_row_that_makes_no_sense_is_listed(
    store: LabelStore, dataset: Dataset, tmp_path: Path, row: dict[str, object], complaint: str
) -> None:
    report = import_corrections(store, write_csv(tmp_path / "new.csv", [{"id": PHOTOS[0].id, **row}]))
    assert complaint in report.unusable[0].text
    assert not dataset.corrections_path.exists()


@pytest.mark.parametrize("geometry", [None, {"type": "Point"}, {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}])
def test_a_feature_that_is_no_point_leaves_the_others_alone(
    store: LabelStore, dataset: Dataset, tmp_path: Path, geometry: object
) -> None:
    good = {"type": "Point", "coordinates": [PHOTOS[1].lon, PHOTOS[1].lat + NORTH]}
    features = [
        {"properties": {"id": PHOTOS[0].id}, "geometry": geometry},
        {"properties": ["odd"], "id": PHOTOS[1].id, "geometry": good},
        "odd",
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"features": features}))
    report = import_corrections(store, tmp_path / "a.geojson")
    assert [problem.where.split(", ")[1] for problem in report.unusable] == ["feature 1"]
    assert [problem.where.split(", ")[1] for problem in report.unmatched] == ["feature 3"]
    assert moved(dataset) == [0, 11.1, 0, 0, 0]


def test_equal_rows_are_one(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    row: dict[str, object] = {"id": PHOTOS[0].id, "lon": PHOTOS[0].lon, "lat": PHOTOS[0].lat + NORTH}
    report = import_corrections(store, write_csv(tmp_path / "new.csv", [row, row]))
    assert (report.found, report.applied, report.unchanged, report.conflicts) == (2, 1, 1, ())
    assert moved(dataset) == [11.1, 0, 0, 0, 0]


def test_another_datasets_id_is_not_found_by_its_name(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    row: dict[str, object] = {"source_name": "p1.jpg", "lon": PHOTOS[1].lon, "lat": PHOTOS[1].lat + NORTH}
    report = import_corrections(store, write_csv(tmp_path / "new.csv", [row | {"id": 64 * "d"}]))
    assert (report.applied, len(report.unmatched)) == (0, 1)
    assert import_corrections(store, write_csv(tmp_path / "qgis.csv", [row | {"id": 7}])).applied == 1  # a row number
    assert moved(dataset) == [0, 11.1, 0, 0, 0]


@pytest.mark.parametrize("name", ["corrections.csv", "site.geojson", "new/out.csv"])
def test_an_export_never_replaces_a_file_of_the_dataset(store: LabelStore, dataset: Dataset, name: str) -> None:
    before = {path: path.read_bytes() for path in dataset.root.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="lies in the dataset itself"):
        export_corrections(store, dataset.root / ".." / dataset.root.name / name)
    assert {path: path.read_bytes() for path in dataset.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "id,east\nx,1\n", "no column lon"),
        ("a.csv", "lon,lat\n1,2\n", "no column for the photo"),
        ("a.csv", f"id,lon,lat,{'x' * 200_000}\n", "not a CSV file"),
        ("a.csv", f"id,lon,lat\n{'x' * 200_000},1,2\n", "not a CSV file"),
        ("a.geojson", "{", "not GeoJSON"),
        ("a.geojson", "[]", "no FeatureCollection"),
        ("a.gpx", "nonsense", "not GPX"),
        ("a.gpx", '<!DOCTYPE x [<!ENTITY a "a">]><gpx/>', "document type"),
        ("a.xlsx", "", "none of .csv"),
    ],
)
def test_a_file_that_is_none_is_refused(
    store: LabelStore, tmp_path: Path, name: str, content: str, complaint: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=complaint):
        import_corrections(store, tmp_path / name)


def test_bytes_that_are_no_text_and_files_that_are_not_there(store: LabelStore, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,lon\xff,lat\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        import_corrections(store, tmp_path / "a.csv")
    with pytest.raises(NotFoundError):
        import_corrections(store, tmp_path / "b.csv")


def test_nothing_is_imported_while_another_process_writes(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new.csv", [{"id": PHOTOS[0].id, "lon": PHOTOS[0].lon, "lat": PHOTOS[0].lat + NORTH}])
    with dataset.lock(), pytest.raises(DatasetLockedError):
        import_corrections(store, path)


def test_a_feature_may_carry_its_id_itself(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [PHOTOS[0].lon, PHOTOS[0].lat + NORTH, 12.0]}
    feature = {"type": "Feature", "id": PHOTOS[0].id, "properties": None, "geometry": point}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert import_corrections(store, tmp_path / "a.geojson").applied == 1


SPELLED = {
    "semicolons and commas": ("a.csv", "source_name;lat;lon\np0.jpg;{lat};{lon}\n", ","),
    "utf-16": ("a.tsv", "Image\tLatitude\tLongitude\nP0.JPG\t{lat}\t{lon}\n", "."),
    "an absolute path": ("a.csv", "photo,filename,latitude,longitude\n/home/ada/walk/p0.jpg,p0,{lat},{lon}\n", "."),
    "letters": ("a.csv", "file,lat,lat_ref,lon,lon_ref\np0,{lat},N,{lon},W\n", "."),
    "a geo.txt": ("geo.txt", "EPSG:4326\np0.jpg {lon} {lat} 3.0\n", "."),
}


@pytest.mark.parametrize("kind", SPELLED)
def test_tables_are_imported_as_labels_are(store: LabelStore, dataset: Dataset, tmp_path: Path, kind: str) -> None:
    name, content, mark = SPELLED[kind]
    lat, lon = (f"{value:.9f}".replace(".", mark) for value in (PHOTOS[0].lat + NORTH, PHOTOS[0].lon))
    path = tmp_path / name
    path.write_text(content.format(lat=lat, lon=lon), encoding="utf-16" if kind == "utf-16" else "utf-8")
    report = import_corrections(store, path)
    assert (report.applied, report.unmatched, report.unusable) == (1, (), ())
    assert moved(dataset)[0] == pytest.approx(11.1, abs=0.1)


def points(*spots: tuple[float, float], crs: str = "", kind: str = "Point") -> str:
    features = [
        {
            "type": "Feature",
            "id": number,
            "properties": {"Name": f"P{number}.JPG"},
            "geometry": {"type": kind, "coordinates": [spot] if kind == "MultiPoint" else spot},
        }
        for number, spot in enumerate(spots)
    ]
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    return json.dumps({"type": "FeatureCollection", "features": features} | named)


def test_points_of_another_system_are_turned_into_degrees(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    from pyproj import Transformer

    metres = Transformer.from_crs(4326, 3857, always_xy=True).transform(PHOTOS[0].lon, PHOTOS[0].lat + NORTH)
    path = tmp_path / "a.geojson"
    path.write_text(points(metres, crs="urn:ogc:def:crs:EPSG::3857", kind="MultiPoint"))
    assert import_corrections(store, path).applied == 1
    assert moved(dataset)[0] == pytest.approx(11.1, abs=0.1)
    path.write_text(points((PHOTOS[0].lon, PHOTOS[0].lat), crs="urn:ogc:def:crs:EPSG::27700"))
    with pytest.raises(UsageError, match="look like degrees"):
        import_corrections(store, path)


def test_swapped_axes_are_told(store: LabelStore, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(points((PHOTOS[0].lat, PHOTOS[0].lon)))
    assert "lon and lat are swapped" in import_corrections(store, path).unusable[0].text


def test_a_photo_is_never_placed_between_two_segments(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    def point(seconds: float, north: float) -> str:
        return f'<trkpt lat="{PHOTOS[0].lat + north}" lon="{PHOTOS[0].lon}">{at(seconds)}</trkpt>'

    one, other = "".join(point(s, NORTH) for s in (0, 5)), "".join(point(s, 9 * NORTH) for s in (15, 20))
    path = tmp_path / "track.gpx"
    path.write_text(gpx(f"<trk><trkseg>{one}</trkseg><trkseg>{other}</trkseg></trk>"))
    import_corrections(store, path)
    assert {round(distance / 11.1) for distance in moved(dataset)} <= {0, 1, 9}
    assert moved(dataset)[1] == 0.0


texts = st.text(st.characters(), min_size=1, max_size=30) | st.text(
    st.sampled_from("=+-@\t\r\n \\'x1u{}\u202e\ud800\0;")
)


@given(why=texts, suffix=st.sampled_from([".csv", ".geojson", ".gpx"]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_reason_and_name_comes_back_from_an_export(
    store: LabelStore, tmp_path: Path, why: str, suffix: str
) -> None:
    row = {**dict.fromkeys(("captured_at", "heading_deg")), "id": "a", "source_name": why, "action": "move"}
    row |= {
        "lon": 1.0,
        "lat": 2.0,
        "ingest_lon": 1.0,
        "ingest_lat": 2.0,
        "moved_m": 0.0,
        "at": "now",
        "by": why,
        "why": why,
    }
    path = tmp_path / f"out{suffix}"
    write_entries(path, [row])
    content = path.read_bytes().decode()
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn") for char in content.replace("\n", ""))
    (entry,) = read_entries(path)
    assert (entry.names, entry.why) == ((why,) if why else (), why)


def test_a_table_of_another_program_is_read_as_it_stands(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    row: dict[str, object] = {"id": PHOTOS[0].id, "lon": PHOTOS[0].lon, "lat": PHOTOS[0].lat + NORTH}
    import_corrections(store, write_csv(tmp_path / "new.csv", [row | {"why": "'C:\\x41'"}]))
    assert [line.why for line in read_corrections(dataset.corrections_path)] == ["'C:\\x41'"]


def test_a_reason_too_long_is_one_sentence_with_its_row(store: LabelStore, dataset: Dataset, tmp_path: Path) -> None:
    rows = [
        {"id": photo.id, "lon": photo.lon, "lat": photo.lat + NORTH, "why": size * "x"}
        for photo, size in zip(PHOTOS, (2000, 2001), strict=False)
    ]
    report = import_corrections(store, write_csv(tmp_path / "new.csv", rows))
    (problem,) = report.unusable
    assert problem.where.endswith("new.csv, row 3")
    assert problem.text == "its why has 2,001 characters: shorten it to 2,000"
    assert [line.why for line in read_corrections(dataset.corrections_path)] == [2000 * "x"]
