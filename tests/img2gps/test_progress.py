"""What a bar shows on a terminal."""

import io

import pytest
from rich.console import Console

from img2gps import progress
from img2gps.progress import bar, part_of


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(progress, "stderr", lambda: console)
    return shown


def test_a_bar_shows_no_blank_estimate_and_no_unknown_total(terminal: io.StringIO) -> None:
    with bar("Rendering", None) as advance:
        advance(0)
    assert "Rendering" in terminal.getvalue()
    assert "/?" not in terminal.getvalue()
    assert "-:--" not in terminal.getvalue()
    assert "left" not in terminal.getvalue()


def test_a_total_that_comes_later_gives_an_estimate(terminal: io.StringIO) -> None:
    with bar("Rendering", None) as advance:
        advance(0, total=4)
        advance(1)
    assert "1/4" in terminal.getvalue()
    assert "left" in terminal.getvalue()


def test_a_bar_says_which_part_of_the_whole_it_is(terminal: io.StringIO) -> None:
    with part_of("fold 2 of 7"), bar("Fitting heads", 3) as advance:
        advance(note="loss 0.5")
        advance(0, note="mean loss 0.4")
    assert "fold 2 of 7: Fitting heads" in terminal.getvalue()
    assert "mean loss 0.4" in terminal.getvalue()
    with bar("Fitting heads", 3):
        pass
    assert terminal.getvalue().rstrip().count("fold 2 of 7: Fitting heads") < terminal.getvalue().count("Fitting heads")
