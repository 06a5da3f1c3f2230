"""Text that came from files, made fit for terminals, CSV and HTML."""

import os
import re
import shlex
import sys
import unicodedata
from pathlib import PurePath

__all__ = [
    *(
        "agree",
        "call_path",
        "escape_text",
        "format_count",
        "format_duration",
        "join_words",
        "safe_path",
        "safe_text",
        "shell_path",
    ),
    "unescape_text",
]

# Cc control, Cf format (bidirectional overrides, zero-width), Cs lone surrogates (undecodable file names),
# Co private use, Cn unassigned, Zl/Zp line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# A spreadsheet reads a cell that starts with one of these as a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@")
# Spreadsheets of East Asia take the full-width signs, too.
_FORMULA_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_PREFIXED = re.compile(f"['{_FORMULA_SIGNS}]")
# Where a list is separated by semicolons, a cell can begin in the middle of a text.
_INNER_FORMULA = re.compile(rf";(?=[\s'\"]*[{_FORMULA_SIGNS}])")
_NAMES: dict[str, str] = {}
_ESCAPED = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u\{([0-9a-f]{1,6})\})")


def safe_text(text: str, *, limit: int = 300) -> str:
    r"""Return `text` with everything escaped that could act on a terminal, a spreadsheet or a reader's eye.

    Control, format and undecodable characters become visible ``\\x1b``-style escapes. A leading formula sign gets an
    apostrophe, and text over `limit` characters is cut with an ellipsis. HTML and rich markup are escaped where they
    are made (jinja2 autoescape, ``rich.markup.escape``), because doing it twice would show the escapes.
    """
    escaped = "".join(_escape(char) for char in text[: limit + 1])
    if escaped.lstrip().startswith(_FORMULA_STARTS):
        escaped = "'" + escaped
    return escaped if len(text) <= limit else escaped[:limit] + "…"


def escape_text(text: str) -> str:
    r"""Return any text as one line that no terminal obeys and no spreadsheet runs; `unescape_text` gives it back.

    A backslash is doubled. Control, format, undecodable and unassigned characters, and blanks at either end, become
    ``\\x1b``- or ``\\u{202e}``-style escapes. A text that begins like a formula, or with an apostrophe, gets an
    apostrophe in front. Text without any of these stays as it is.
    """
    inner = text.strip()
    start = text.find(inner) if inner else len(text)
    blanks = {*range(start), *range(start + len(inner), len(text))}
    escaped = "".join(_reversible(char, index in blanks) for index, char in enumerate(text))
    escaped = _INNER_FORMULA.sub(r"\\x3b", escaped)
    return f"'{escaped}" if _PREFIXED.match(escaped) else escaped


def unescape_text(escaped: str) -> str:
    """Return the text that `escape_text` was given; what is no escape stays as it is."""
    return _ESCAPED.sub(_unescaped, escaped.removeprefix("'"))


def _reversible(char: str, is_outer_blank: bool) -> str:
    if char == "\\":
        return "\\\\"
    if not is_outer_blank and _escape(char) == char:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{{{ord(char):x}}}"


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    if code is None:
        return "\\"
    return chr(int(code, 16)) if int(code, 16) <= sys.maxunicode else found[0]


def safe_path(path: "str | bytes | os.PathLike[str]", *, limit: int = 300) -> str:
    """Return a path as safe text; bytes that are not UTF-8 show as escapes."""
    return safe_text(_text_of(path), limit=limit)


def shell_path(path: "str | bytes | os.PathLike[str]") -> str:
    """Return a path as a word of a command to type: quoted where a shell needs it, and safe text."""
    name = _text_of(path)
    # A name that begins with a sign would be taken for an option.
    return safe_path(shlex.quote(f"./{name}" if name.startswith((*_FORMULA_STARTS, "~")) else name))


def call_path(path: "os.PathLike[str]", name: str) -> None:
    """Let `safe_path` and `shell_path` call a path by another name, such as the address that it stands for."""
    _NAMES[os.fspath(path)] = name


def _text_of(path: "str | bytes | os.PathLike[str]") -> str:
    # the path of a stored photo is a file of this machine to `os`, and its address to people
    text = str(path) if isinstance(path, PurePath) else os.fsdecode(path)
    return _NAMES.get(text, text)


def _escape(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if unicodedata.category(char) not in _UNSAFE_CATEGORIES:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the low byte is the byte of the file name
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def format_count(count: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 photo``, ``2 photos``, ``1,222 photos``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def agree(count: int, one: str, more: str) -> str:
    """Return the verb that goes with a count: ``agree(1, "lies", "lie")`` is ``lies``."""
    return one if count == 1 else more


def format_duration(seconds: float) -> str:
    """Return ``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def join_words(words: list[str], conjunction: str = "and") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}" if words else ""
