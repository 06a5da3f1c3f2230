"""Text from files is harmless wherever it is shown."""

import shlex
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from img2gps.text import (
    agree,
    escape_text,
    format_count,
    format_duration,
    join_words,
    safe_path,
    safe_text,
    shell_path,
    unescape_text,
)


@given(st.text(max_size=400))
def test_nothing_that_acts_survives(text: str) -> None:
    safe = safe_text(text)
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in safe)
    assert not safe.lstrip().startswith(("=", "+", "-", "@"))
    assert len(safe) <= 302


@given(st.text(st.characters(categories=["L", "N"]), max_size=200))
def test_harmless_text_is_unchanged(text: str) -> None:
    assert safe_text(text) == text
    assert escape_text(text) == text


@given(st.text(st.characters()) | st.text(st.sampled_from("\\x1bu{}'=+-@;\" \t\r\n\0\u202e\ud800\udc80\x80\uff1d")))
def test_any_text_comes_back_from_a_form_that_does_nothing(text: str) -> None:
    safe = escape_text(text)
    assert unescape_text(safe) == text
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for char in safe)
    assert not safe.startswith(("=", "+", "-", "@", "\uff1d"))
    assert safe == safe.strip()  # what trims a cell or an element takes nothing away
    assert not any(cell.strip(" '\"").startswith(("=", "+", "-", "@")) for cell in safe.split(";")[1:])


def test_escapes_are_readable() -> None:
    assert safe_text("a\x1b[31mb\n\u202ec") == "a\\x1b[31mb\\x0a\\u{202e}c"
    assert safe_text("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
    assert safe_path(b"caf\xe9.jpg") == "caf\\xe9.jpg"
    assert safe_text("x" * 400, limit=10) == "x" * 10 + "…"


def test_counts_durations_and_lists() -> None:
    assert format_count(1, "photo") == "1 photo"
    assert format_count(1222, "photo") == "1,222 photos"
    assert format_count(2, "copy", "copies") == "2 copies"
    assert format_duration(4.24) == "4.2 s"
    assert format_duration(185) == "3 min 05 s"
    assert format_duration(7620) == "2 h 07 min"
    assert [join_words(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=40))
@example("-*")
def test_a_path_in_a_command_is_one_word_and_no_option(name: str) -> None:
    (word,) = shlex.split(shell_path(name))
    assert word in (name, f"./{name}")
    assert not word.startswith("-")


def test_verbs_agree_with_counts() -> None:
    assert [agree(count, "lies", "lie") for count in (0, 1, 2)] == ["lie", "lies", "lie"]
