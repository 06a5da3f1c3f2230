"""The chain of corrections: what is written is read, and nothing that was changed passes."""

import contextlib
import csv
import dataclasses
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2gps.corrections import (
    FIELDS,
    Correction,
    append_corrections,
    file_text,
    histories,
    newest,
    read_corrections,
)
from img2gps.errors import InvalidDatasetError
from img2gps.files import canonical_json, sha256_bytes


def correction(photo_id: str = "a", **fields: object) -> Correction:
    defaults = {"at": "2025-06-02T16:00:00Z", "by": "kim", "action": "move", "from_lon": 1.0, "from_lat": 2.0}
    return Correction(photo_id=photo_id, **{**defaults, **fields})  # type: ignore[arg-type]


texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["=1+1", "\t@a", "\r-2", "'x", "\\x1b", "\u202eabc", "\ud800"]
)
degrees = st.floats(-90, 90)
lines = st.builds(
    correction,
    photo_id=st.sampled_from("abc"),
    by=texts,
    why=texts,
    from_lon=degrees,
    from_lat=st.one_of(degrees, st.integers(-90, 90)),
    heading_deg=st.none() | st.floats(0, 359.9),
).flatmap(lambda made: st.tuples(st.just(made), st.none() | st.tuples(degrees, degrees)))


@given(st.lists(st.lists(lines, max_size=3), max_size=3))
@settings(max_examples=30)
def test_what_is_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[object, object]]]
) -> None:
    path = tmp_path_factory.mktemp("chain") / "corrections.csv"
    written = []
    for batch in batches:
        moved = [dataclasses.replace(c, lon=p[0] if p else None, lat=p[1] if p else None) for c, p in batch]  # type: ignore[call-overload,index]
        written += append_corrections(path, moved)
    assert read_corrections(path) == written


def test_a_missing_file_is_no_correction(tmp_path: Path) -> None:
    assert read_corrections(tmp_path / "corrections.csv") == []


@given(st.data())
@settings(max_examples=60)
def test_every_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("chain") / "corrections.csv"
    append_corrections(path, [correction("a", lon=1.5, lat=2.5, why="seen"), correction("b", heading_deg=90.0)])
    before = read_corrections(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 2))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    path.write_bytes(content)
    found = None
    with contextlib.suppress(InvalidDatasetError):
        found = read_corrections(path)
    assert found in (None, before)  # another spelling of the same value (1.0 and 1E0) is no other value


@pytest.mark.parametrize("drop", [1, 2])
def test_a_lost_line_is_found(tmp_path: Path, drop: int) -> None:
    path = tmp_path / "corrections.csv"
    append_corrections(path, [correction("a"), correction("b"), correction("c")])
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:drop] + rows[drop + 1 :]))
    with pytest.raises(InvalidDatasetError, match=f"row {drop + 1}"):
        read_corrections(path)


def test_swapped_lines_are_found(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    append_corrections(path, [correction("a"), correction("b")])
    header, first, second = path.read_text().splitlines(keepends=True)
    path.write_text(header + second + first)
    with pytest.raises(InvalidDatasetError, match="restore the file"):
        read_corrections(path)


def test_a_line_cut_by_a_crash_is_left_out_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    append_corrections(path, [correction("a"), correction("b")])
    path.write_bytes(path.read_bytes()[:-20])
    assert [line.photo_id for line in read_corrections(path)] == ["a"]
    append_corrections(path, [correction("c")])
    assert [line.photo_id for line in read_corrections(path)] == ["a", "c"]


@pytest.mark.parametrize("keep", [0, 3, 60])
def test_a_crash_at_the_first_line_leaves_a_file_that_works(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "corrections.csv"
    append_corrections(path, [correction("a")])
    path.write_bytes(path.read_bytes()[:keep])
    assert read_corrections(path) == []
    append_corrections(path, [correction("b")])
    assert [line.photo_id for line in read_corrections(path)] == ["b"]


@pytest.mark.parametrize(
    "content",
    [b"id,lon,lat\na,1,2\n", b"\xff\xfe\x00\n", (",".join(FIELDS) + "\nnow,kim,a,move,nan,2,,,,,,,0\n").encode()],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "corrections.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidDatasetError, match=r"corrections\.csv"):
        read_corrections(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"lon": float("nan"), "lat": 1.0},
        {"lon": 1.0},
        {"lon": 1.0, "lat": 91.0},
        {"heading_deg": float("inf")},
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, fields: dict[str, object]) -> None:
    path = tmp_path / "corrections.csv"
    with pytest.raises(ValueError, match="not a correction"):
        append_corrections(path, [correction("a", **fields)])
    assert not path.exists()


def test_the_newest_line_of_a_photo_holds_and_a_reset_is_none() -> None:
    chain = [
        correction("a", lon=1.0, lat=1.0),
        correction("b"),
        correction("a", lon=2.0, lat=2.0),
        correction("b", action="reset"),
    ]
    assert {photo: line.lon for photo, line in newest(chain).items()} == {"a": 2.0}


def test_undone_lines_drop_out_of_a_history(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    first, second = append_corrections(path, [correction("a", lon=1.0, lat=1.0), correction("a", lon=2.0, lat=2.0)])
    append_corrections(path, [correction("a", lon=1.0, lat=1.0, undoes=second.digest)])
    assert histories(read_corrections(path)) == {"a": [first]}
    append_corrections(path, [correction("a", action="reset", undoes=first.digest)])
    assert histories(read_corrections(path)) == {"a": []}
    assert len(read_corrections(path)) == 4


FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.slow
@given(texts, texts)
def test_a_file_holds_nothing_that_acts(tmp_path_factory: pytest.TempPathFactory, by: str, why: str) -> None:
    path = tmp_path_factory.mktemp("chain") / "corrections.csv"
    append_corrections(path, [correction(by=by, why=why)])
    raw = path.read_bytes().decode()
    assert len(raw.splitlines()) == 2
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn") for char in raw.replace("\n", ""))
    row = next(csv.DictReader(io.StringIO(raw)))
    assert not any(row[name].lstrip().startswith(FORMULAS) for name in ("by", "why"))
    (found,) = read_corrections(path)
    assert (found.by, found.why) == (by, why)
    assert file_text([found]) == raw


plain = st.text(st.sampled_from("ab \\x1u{}'=;+202e"), max_size=12)


@pytest.mark.slow
@given(st.lists(st.tuples(plain, plain), min_size=1, max_size=4))
def test_a_file_of_before_is_read_as_before(
    tmp_path_factory: pytest.TempPathFactory, given_texts: list[tuple[str, str]]
) -> None:
    """Earlier versions wrote safe text as it stood, what looks like an escape included."""
    path = tmp_path_factory.mktemp("chain") / "corrections.csv"
    rows, previous = [], ""
    for by, why in given_texts:
        line = correction(by=by, why=why)
        previous = sha256_bytes(canonical_json(dataclasses.asdict(line) | {"digest": previous}))
        rows.append(dataclasses.replace(line, digest=previous))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(["" if v is None else v for v in dataclasses.astuple(row)] for row in rows)
    path.write_text(text.getvalue(), newline="")
    assert read_corrections(path) == rows
    assert file_text(rows) == text.getvalue()
    appended = append_corrections(path, [correction(why="=new\x1b")])
    assert read_corrections(path) == [*rows, *appended]
