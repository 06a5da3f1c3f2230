"""Tables break between words only, however narrow the terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from img2gps import console as module
from img2gps.console import print_table
from img2gps.progress import left_s

_COLUMNS = ["", "this run", "95 % interval", "whole walks", "mean position", "thumbnails", "oracle"]
_ROWS = [
    ["RMSE (m)", "156.4", "22.0 - 243.4", "37.3", "153.5", "172.6", "8.4"],
    ["within 25 m", "20%", "0% - 80%", "0%", "0%", "20%", "100%"],
]


def _terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None)


def _printed(monkeypatch: pytest.MonkeyPatch, width: int, columns: list[str], rows: list[list[str]]) -> list[str]:
    terminal = _terminal(width)
    monkeypatch.setattr(module, "Console", lambda **_: terminal)
    print_table("Errors", columns, rows)
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue().splitlines()[1:]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_breaks_no_word_and_no_figure(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = _printed(monkeypatch, width, _COLUMNS, _ROWS)
    assert max(map(len, lines)) <= width
    words = {word for line in lines for word in line.split()}
    assert words == {word for row in [_COLUMNS, *_ROWS] for cell in row for word in cell.split()}
    assert sum("22.0 - 243.4" in line for line in lines) == 1
    parts = sum("RMSE (m)" in line for line in lines)  # each part names its rows
    assert parts == sum("within 25 m" in line for line in lines)
    assert (parts == 1) == (width >= 80)


@given(
    st.lists(st.lists(st.text("abc 9", max_size=20), min_size=4, max_size=4), min_size=1, max_size=4),
    st.integers(45, 100),
)
def test_every_cell_is_shown_whole(rows: list[list[str]], width: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        lines = _printed(monkeypatch, width, ["first", "second", "third", "fourth"], rows)
    assert max((len(line.rstrip()) for line in lines), default=0) <= width
    shown = {word for line in lines for word in line.split()}
    assert {word for row in rows for cell in row[1:] for word in cell.split()} <= shown


def test_a_cell_longer_than_the_terminal_still_fits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _printed(monkeypatch, 30, ["file", "why"], [["a" * 50, "it is too long"]])
    assert max(map(len, lines)) <= 30
    assert "".join(lines).count("a") >= 50


def test_the_time_left_is_told_from_the_first_step_on() -> None:
    assert left_s(10, 0, 5) is None
    assert left_s(10, 1, 5) == pytest.approx(40)
    assert left_s(600, 1, 2) == pytest.approx(600)  # a step of ten minutes
    assert left_s(10, 1, None) is None
    assert left_s(10, 6, 5) == 0
