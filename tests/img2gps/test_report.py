"""The parts of the reports: the page and its policy, charts, columns, shapes, thumbnails."""

import base64
import hashlib
import io
import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import jinja2
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Point, box

from img2gps.report.charts import (
    Series,
    bar_chart,
    line_chart,
    nice_ticks,
    rose_chart,
    row_chart,
    scatter_chart,
    share_bar,
)
from img2gps.report.columns import coded, device_names, flag_bits, local_minutes, walk_names
from img2gps.report.page import as_metres, as_percent, embed_json, render_page, with_code
from img2gps.report.shapes import decimetres, lines_dm, rings_dm
from img2gps.report.thumbnails import make_thumbnails

NAN = float("nan")
finite = st.floats(-1e6, 1e6)


def template(folder: Path, content: str) -> Path:
    path = folder / "page.j2"
    path.write_text('{% extends "base.j2" %}{% block content %}' + content + "{% endblock %}", encoding="utf-8")
    return path


def test_the_policy_names_the_very_bytes_it_allows(tmp_path: Path) -> None:
    (tmp_path / "own.js").write_text("document.title = '<&>';", encoding="utf-8")
    html = render_page(template(tmp_path, "hello"), title="A page", scripts=("palette.js", "own.js"), data={"a": [1]})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    for tag in ("style", 'script type="module"'):
        content = re.search(rf"<{tag}>(.*?)</{tag.split()[0]}>", html, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag.split()[0]}-src &#39;sha256-{digest}&#39;" in policy[1].replace("&#43;", "+")


def test_a_page_without_a_script_allows_none(tmp_path: Path) -> None:
    html = render_page(template(tmp_path, "{{ 'a < b' }}"), title="<b>bold</b>")
    assert "script-src" not in html
    assert "<script" not in html
    assert "&lt;b&gt;bold" in html
    assert "a &lt; b" in html


def test_a_missing_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError):
        render_page(template(tmp_path, "{{ forgotten }}"), title="A page")


@given(st.recursive(st.none() | st.integers() | finite | st.text(), lambda inner: st.lists(inner), max_leaves=9))
def test_embedded_json_reads_back_and_cannot_leave_its_element(value: object) -> None:
    text = str(embed_json(value))
    assert json.loads(text) == value
    assert not set("<>&") & set(text)


def test_embedded_json_refuses_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed_json([NAN])


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.001, "< 1 %"), (0.614, "61 %"), (0.999, "> 99 %"), (1.0, "100 %"), (None, "–"), (NAN, "–")],
)
def test_shares_that_are_not_all_or_nothing_say_so(share: float | None, text: str) -> None:
    assert as_percent(share) == text


def test_metres_have_their_unit() -> None:
    assert as_metres(1234.56) == "1,234.6 m"
    assert as_metres(-3.0, 0) == "−3 m"
    assert as_metres(-398_640.6) == "−398.6 km"
    assert as_metres(None) == "–"


@given(finite, finite)
def test_ticks_are_round_and_cover_the_range(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    if high - low < 1e-6:
        return
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert len(ticks) <= 8
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9)) in (1, 2, 5)


CHARTS = {
    "bars": bar_chart([str(hour) for hour in range(24)], list(range(24)), title="Hours <&>"),
    "no bars": bar_chart([], [], title="Nothing"),
    "rows": row_chart(["<script>", "b"], [3, 0], title="Devices"),
    "rose": rose_chart([0, 1, 2, 3, 4, 5, 6, 7], title="Headings"),
    "empty rose": rose_chart([0] * 8, title="Headings"),
    "scatter": scatter_chart([1.0, 2.0, NAN], [1.5, NAN, 2.0], title="T", x_label="x", y_label="y"),
    "no scatter": scatter_chart([], [], title="T", x_label="x", y_label="y"),
    "share": share_bar(1.7),
    "no share": share_bar(None),
}


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_well_formed_and_without_style_attributes(name: str) -> None:
    svg = ElementTree.fromstring(CHARTS[name])  # noqa: S314 - our own output
    assert svg.tag == "svg"
    assert svg.get("aria-label")
    assert all("style" not in node.attrib for node in svg.iter())
    assert "NaN" not in CHARTS[name]
    assert "nan" not in CHARTS[name]


def test_rose_areas_not_radii_are_in_proportion() -> None:
    svg = ElementTree.fromstring(rose_chart([4, 1, 0, 0, 0, 0, 0, 0], title="Headings"))  # noqa: S314
    reach = [float(re.findall(r"A([\d.]+)", node.get("d") or "")[0]) for node in svg.findall("path")[:2]]
    assert reach[0] / reach[1] == pytest.approx(2.0, rel=0.01)


def test_a_line_ends_at_the_edge_of_the_plot() -> None:
    long = Series(name="<long>", x=[0.0, 10.0, 30.0], y=[0.0, 1.0, 3.0])
    band = Series(name="band", x=[0.0, 20.0], y=[1.0, 1.0], low=[0.5, 0.5], high=[1.5, 1.5], dashed=True)
    chart = line_chart([long, band], title="T", x_label="x", y_label="y", x_max=20, y_max=4)
    path = re.findall(r'class="line stroke-0" d="M([^"]*)"', chart)[0]
    xs, ys = zip(*(map(float, point.split()) for point in path.split("L")), strict=True)
    assert xs[-1] == max(xs) == 348.0
    assert ys[0] - ys[-1] == pytest.approx(2 * (ys[0] - ys[1]), abs=0.3)
    assert "&lt;long&gt;" in chart
    assert isinstance(chart, Markup)


@given(st.lists(st.sampled_from("abcde")))
def test_coded_values_decode(values: list[str]) -> None:
    words, codes = coded(values, "edcba")
    assert [words[code] for code in codes] == values
    assert words == sorted(set(values), reverse=True)


def test_flags_are_bits_in_a_fixed_order() -> None:
    words, bits = flag_bits([["b"], [], ["new", "a", "b"]], ["a", "b", "c"])
    assert words == ["a", "b", "new"]
    assert bits == [2, 0, 7]


def frame(**columns: list[object]) -> pd.DataFrame:
    data: dict[str, list[object]] = {"device": ["d1" * 8, "d2" * 8], "model": ["Phone", "Phone"], "walk": ["w1", "w2"]}
    data |= {"clock_local": [None, None], **columns}
    return pd.DataFrame(data)


def test_local_minutes_use_the_photos_own_offset_then_the_zone_then_utc() -> None:
    at = pd.Timestamp("2025-07-01 12:00", tz="UTC")
    photos = frame(captured_at=[at, at], utc_offset_min=[-90.0, NAN])
    berlin, utc = local_minutes(photos, ZoneInfo("Europe/Berlin")), local_minutes(photos, None)
    noon = int(at.timestamp() // 60)
    assert [minute - noon for minute in berlin if minute is not None] == [-90, 120]
    assert [minute - noon for minute in utc if minute is not None] == [-90, 0]
    assert local_minutes(frame(captured_at=[at, pd.NaT], utc_offset_min=[0.0, 0.0]), None)[1] is None


def test_a_clock_time_without_a_zone_is_local_time() -> None:
    none: list[object] = [pd.NaT, pd.NaT]
    photos = frame(captured_at=none, utc_offset_min=[NAN, NAN], clock_local=["2025-07-01T12:00:30", None])
    noon = int(pd.Timestamp("2025-07-01 12:00", tz="UTC").timestamp() // 60)
    assert local_minutes(photos, ZoneInfo("Europe/Berlin")) == [noon, None]


def test_devices_of_one_model_are_told_apart() -> None:
    assert list(device_names(frame()).values()) == ["Phone (d1d1d1)", "Phone (d2d2d2)"]
    assert list(device_names(frame(model=["A", None])).values()) == ["A", "device d2d2d2"]


def test_walks_are_named_by_their_start_and_listed_in_time() -> None:
    names = walk_names(frame(model=["A", "B"]), [29_000_061, 29_000_000])
    assert list(names.items()) == [("w2", "2025-02-19 21:20 · B"), ("w1", "2025-02-19 22:21 · A")]
    assert walk_names(frame(model=["A", "B"]), [None, None])["w1"] == "w1 · A"


def test_shapes_keep_holes_and_leave_out_points() -> None:
    ring = box(0, 0, 10, 10).difference(box(4, 4, 6, 6))
    found = rings_dm(GeometryCollection([MultiPolygon([ring]), Point(1, 1), LineString([(0, 0), (1, 0)])]))
    assert len(found) == 1
    assert [len(part) for part in found[0]] == [10, 10]
    assert lines_dm(GeometryCollection([LineString([(0, 0), (1.26, 0)]), Point(1, 1)])) == [[0, 0, 13, 0]]
    assert decimetres([1.04, NAN]) == [10, None]


def test_thumbnails_are_small_upright_and_within_their_budget(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(8)]
    for path in paths[:-1]:
        Image.effect_noise((300, 400), 60).convert("RGB").save(path)
    paths[-1].write_bytes(b"no photo")
    every = make_thumbnails(paths)
    assert every.images[-1] is None
    assert "7 thumbnails for 8 photos" in every.note
    assert every.images[0]
    with Image.open(io.BytesIO(base64.b64decode(every.images[0]))) as image:
        assert image.size == (96, 128)
    some = make_thumbnails(paths[:-1], most=4)
    assert [image is not None for image in some.images] == [True, False] * 3 + [True]
    few = make_thumbnails(paths[:-1], budget_bytes=2 * len(every.images[0]) + 800)
    assert sum(image is not None for image in few.images) == 2
    assert make_thumbnails([]).note == ""


def test_what_is_counted_has_whole_ticks() -> None:
    line = Series(name="a", x=[1.0, 2.0], y=[3.0, 1.0])
    halves, whole = (line_chart([line], title="T", x_label="epoch", y_label="y", whole_x=yes) for yes in (False, True))
    assert ">0.5<" in halves or ">1.5<" in halves
    assert ">0.5<" not in whole
    assert ">1.5<" not in whole


def test_commands_in_a_sentence_are_code_and_nothing_in_it_is_markup() -> None:
    assert with_code("use `img2gps label` & <b>`go`") == (
        "use <code>img2gps label</code> &amp; &lt;b&gt;<code>go</code>"
    )
