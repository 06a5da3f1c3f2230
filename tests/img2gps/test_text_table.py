"""Sentences break between words only; a table that is too wide becomes several."""

import io

from rich.console import Console

from img2gps.text_table import text_tables, wrapped


def _terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None)


def test_a_sentence_is_broken_between_words_and_a_command_not_at_all() -> None:
    text = "Next, and only then: `img2gps train quad --preset quick` learns from these photos.\nA second line."
    lines = wrapped(text, _terminal(42)).split("\n")
    assert any("`img2gps train quad --preset quick`" in line for line in lines)
    assert max(map(len, lines)) <= 42
    assert " ".join(lines) == text.replace("\n", " ")
    assert lines[-1] == "A second line."
    assert wrapped(text, Console(file=io.StringIO(), width=20)) == text  # a pipe


def test_each_part_of_a_wide_table_repeats_its_first_column() -> None:
    columns, cells = ["photo", "latitude", "longitude"], [["a.jpg", "39.9520", "-75.1930"]]
    assert [len(table.columns) for table in text_tables(columns, cells, 80)] == [3]
    parts = list(text_tables(columns, cells, 16))
    assert [[column.header for column in table.columns] for table in parts] == [
        ["photo", "latitude"],
        ["photo", "longitude"],
    ]
