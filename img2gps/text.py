"""Text that came from files, made fit for terminals, CSV and HTML."""

import os
import unicodedata

__all__ = ["format_count", "format_duration", "join_words", "safe_path", "safe_text"]

# Cc control, Cf format (bidirectional overrides, zero-width), Cs lone surrogates (undecodable file names),
# Co private use, Cn unassigned, Zl/Zp line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# A spreadsheet reads a cell that starts with one of these as a formula (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@")


def safe_text(text: str, *, limit: int = 300) -> str:
    r"""Return `text` with everything escaped that could act on a terminal, a spreadsheet or a reader's eye.

    Control, format and undecodable characters become visible ``\\x1b``-style escapes, a leading
    formula sign gets an apostrophe, and text over `limit` characters is cut with an ellipsis. HTML and
    rich markup are escaped where they are made (jinja2 autoescape, ``rich.markup.escape``), because
    doing it twice would show the escapes.
    """
    escaped = "".join(_escape(char) for char in text[: limit + 1])
    if escaped.lstrip().startswith(_FORMULA_STARTS):
        escaped = "'" + escaped
    return escaped if len(text) <= limit else escaped[:limit] + "…"


def safe_path(path: "str | bytes | os.PathLike[str]", *, limit: int = 300) -> str:
    """Return a path as safe text; bytes that are not UTF-8 show as escapes."""
    return safe_text(os.fsdecode(path), limit=limit)


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


def format_duration(seconds: float) -> str:
    """Return ``4.2 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def join_words(words: list[str], conjunction: str = "and") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}" if words else ""
