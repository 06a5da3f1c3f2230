"""Texts and tables in the width of a terminal: nothing is broken inside a word, a short cell or a command."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["text_tables", "wrapped"]

_SHORT_CELL: Final = 24  # longer cells are sentences or paths, which may be broken between words
_GAP: Final = 2  # between two columns
_BEFORE_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|m|km|s|min|h|px)(?!\w))")  # no line is broken there


def text_tables(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> Iterator[Table]:
    """Yield a table, or where `width` is too small for it several, the first column repeated in each."""
    least = [_least_width(index, columns, cells) for index in range(len(columns))]
    for shown in _parts_of_width(least, width):
        yield _table(_widths(shown, least, columns, cells, width), columns, cells)


def _table(widths: Mapping[int, int], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    """Return the table of the columns that `widths` names."""
    table = Table(box=None, pad_edge=False)
    for index, width in widths.items():
        numeric = all(_looks_numeric(row[index]) for row in cells)
        align: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(escape(columns[index]), justify=align, overflow="fold", width=width)
    for row in cells:
        table.add_row(*(escape(row[index]) for index in widths))
    return table


def _widths(
    shown: Sequence[int], least: Sequence[int], columns: Sequence[str], cells: Sequence[Sequence[str]], width: int
) -> dict[int, int]:
    """Return how wide each column is: as its longest cell, or narrower, the widest first, where there is no room."""
    widths = {index: max([cell_len(columns[index]), *(cell_len(row[index]) for row in cells)]) for index in shown}
    room = width - _GAP * (len(shown) - 1)
    while sum(widths.values()) > room:
        spare = {index: own - least[index] for index, own in widths.items() if own > least[index]}
        if not spare:
            widths[shown[-1]] = max(1, widths[shown[-1]] - (sum(widths.values()) - room))  # a word longer than the line
            break
        widths[max(spare, key=lambda index: (widths[index], index))] -= 1
    return widths


def _least_width(index: int, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """Return how wide a column must be for no word and no short cell of it to be broken."""
    texts = [columns[index], *(row[index] for row in cells)]
    words = [word for number, text in enumerate(texts) for word in _pieces(text, is_cell=number > 0)]
    return max(map(cell_len, words), default=1)


def _pieces(text: str, *, is_cell: bool) -> list[str]:
    return [text] if is_cell and len(text) <= _SHORT_CELL else text.split()


def _parts_of_width(widths: Sequence[int], width: int) -> list[list[int]]:
    """Return the columns of each table that together hold `widths`; the first column is repeated in all of them."""
    parts, room = [[0]], width - widths[0]
    for index, own in enumerate(widths[1:], start=1):
        if own + _GAP > room and len(parts[-1]) > 1:
            parts.append([0])
            room = width - widths[0]
        parts[-1].append(index)
        room -= own + _GAP
    return parts


def _looks_numeric(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("%", "").replace("-", "").strip().isdigit() or cell == ""


def wrapped(text: str, console: Console) -> str:
    """Return `text` in lines of a terminal's width, broken between words.

    Commands in backticks stay in one piece, and so do a number and its unit (``12 %``, ``3 m``).
    """
    if not console.is_terminal:
        return text
    whole = re.sub(r"`[^`]*`", lambda match: match[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    whole = _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", whole)
    lines = [
        textwrap.fill(line, console.width, break_long_words=False, break_on_hyphens=False) for line in whole.split("\n")
    ]
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")
