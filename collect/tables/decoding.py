"""Bytes of a table as text, whatever encoding a spreadsheet chose."""

import dataclasses
from typing import Final

__all__ = ["Decoded", "decode"]

_OLD: Final = ("cp1252", "mac_roman", "cp850", "latin-1")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text and the encoding it was read by. What is not Unicode may have been written by another old one."""

    text: str
    encoding: str

    @property
    def is_unicode(self) -> bool:
        """Whether the bytes say themselves what they mean."""
        return self.encoding not in _OLD

    def spellings(self, cell: str) -> tuple[str, ...]:
        """Return a cell as every old encoding would read its bytes, the likeliest first."""
        if cell.isascii() or self.encoding not in _OLD:
            return (cell,)
        found = [cell]
        for encoding in _OLD:
            try:
                found.append(cell.encode(self.encoding).decode(encoding))
            except UnicodeError:
                continue
        return tuple(dict.fromkeys(found))


def decode(content: bytes) -> Decoded:
    """Return the text of UTF-8, UTF-16 (with or without a mark) or, failing these, of an old encoding."""
    encoding = _unicode_of(content)
    if encoding:
        return Decoded(text=_plain(content.decode(encoding, "replace")), encoding=encoding)
    for encoding in ("utf-8-sig", *_OLD):
        try:
            return Decoded(text=_plain(content.decode(encoding)), encoding=encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("latin-1 reads any bytes")


def _unicode_of(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    sample = content[:400]
    if len(sample) >= 8 and sample[1::2].count(0) > len(sample) // 4 and not sample[0::2].count(0):
        return "utf-16-le"
    if len(sample) >= 8 and sample[0::2].count(0) > len(sample) // 4 and not sample[1::2].count(0):
        return "utf-16-be"
    return ""


def _plain(text: str) -> str:
    return text.replace("\0", "").removeprefix("\ufeff")
