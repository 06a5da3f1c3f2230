"""From tags to classes, names and heights."""

import pytest

from img2gps.basemap.tags import class_of, height_of, name_of


@pytest.mark.parametrize(
    ("tags", "shape", "kind"),
    [
        ({"building": "yes"}, "Polygon", "building"),
        ({"building": "no", "landuse": "grass"}, "Polygon", "green"),
        ({"building": "yes"}, "LineString", None),
        ({"highway": "footway"}, "LineString", "path"),
        ({"highway": "primary_link"}, "LineString", "road"),
        ({"highway": "pedestrian", "area": "yes"}, "Polygon", "path"),
        ({"highway": "footway", "tunnel": "yes"}, "LineString", None),
        ({"highway": "footway", "tunnel": "building_passage"}, "LineString", "path"),
        ({"highway": "street_lamp"}, "Point", None),
        ({"natural": "water"}, "Polygon", "water"),
        ({"waterway": "stream"}, "LineString", "water"),
        ({"natural": "tree"}, "Point", "tree"),
        ({"entrance": "main"}, "Point", "door"),
        ({"entrance": "no"}, "Point", None),
        ({"barrier": "fence"}, "LineString", "wall"),
        ({"class": "Buildings"}, "Polygon", "building"),
        ({"class": "palace", "leisure": "park"}, "MultiPolygon", "green"),
        ({}, "Polygon", None),
    ],
)
def test_tags_decide_the_class(tags: dict[str, str], shape: str, kind: str | None) -> None:
    assert class_of(tags, shape=shape) == kind


@pytest.mark.parametrize(
    ("text", "height_m"),
    [("12", 12.0), ("12.5 m", 12.5), ("46 ft", 14.0208), (9, 9.0), ("tall", None), ("-3", None), ("99999", None)],
)
def test_heights_are_metres(text: object, height_m: float | None) -> None:
    assert height_of({"height": text}) == (None if height_m is None else pytest.approx(height_m))
    assert height_of({}) is None


def test_names_are_made_fit_to_be_shown() -> None:
    assert name_of({"name": " Towne\n", "ref": "12"}) == "Towne"
    assert name_of({"ref": "12"}) == "12"
    assert name_of({"name": "\x1b[31m"}) != "\x1b[31m"
    assert name_of({"name": 3}) is None
