"""Whether a file holds all of its image, told from its structure alone: no pixel is decoded.

A transfer that was cut off leaves the header, the EXIF and the thumbnail intact; only a walk over the segments
(JPEG, ITU T.81 annex B), chunks (PNG, RFC 2083; WebP, RFC 9649) or boxes (ISO/IEC 14496-12) tells. Cheap enough for
every file.
"""

import dataclasses
import mmap
from typing import Final

__all__ = ["Structure", "structure_of"]

Bytes = bytes | mmap.mmap

_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PLAIN_SOF: Final = frozenset({0xC0, 0xC1, 0xC2})  # Huffman: baseline, extended, progressive
_DQT, _DHT, _SOS, _EOI = 0xDB, 0xC4, 0xDA, 0xD9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """`cut_off` says where the image ends early; `plain` that a decoder has nothing left to complain about.

    `header_bytes` is where the pixels of a JPEG start: all metadata lies before.

    Only 8-bit Huffman-coded JPEGs with their tables in place are plain: their decoder repairs what is
    wrong inside a scan, so decoding would tell nothing that the structure does not.
    """

    cut_off: str | None = None
    plain: bool = False
    header_bytes: int = 0


def structure_of(data: Bytes, format_name: str) -> Structure:
    """Return the structure of `data`, a photo of a format named by `collect.reading.formats.sniff`."""
    if format_name == "JPEG":
        return _jpeg(data)
    check = {"PNG": _png, "WEBP": _webp, "HEIF": _boxes, "AVIF": _boxes}.get(format_name)
    return Structure(cut_off=check(data) if check else None)


def _jpeg(data: Bytes) -> Structure:
    position = 2
    tables: set[int] = set()
    frame_is_plain = False
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            return Structure(cut_off="the JPEG ends within its header")
        marker = data[position + 1]
        if marker in _STANDALONE or marker in (0x00, 0xFF):
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _EOI:
            return Structure()  # an image without a scan: the decoder says what is wrong with it
        if marker == _SOS:
            break
        tables.add(marker)
        if marker in _SOF:
            frame_is_plain = marker in _PLAIN_SOF and data[position + 4 : position + 5] == b"\x08"
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if position > len(data):
            return Structure(cut_off="the JPEG ends within its header")
    if data.rfind(b"\xff\xd9", position) < 0:  # the end marker cannot occur inside a scan
        return Structure(cut_off="the end marker of the JPEG is missing")
    header_bytes = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return Structure(plain=frame_is_plain and {_DQT, _DHT} <= tables, header_bytes=header_bytes)


def _png(data: Bytes) -> str | None:
    position = 8
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return None
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return "the last chunk of the PNG is missing"


def _webp(data: Bytes) -> str | None:
    expected = int.from_bytes(data[4:8], "little") + 8
    return f"{len(data):,} of {expected:,} bytes are there" if len(data) < expected else None


def _boxes(data: Bytes) -> str | None:
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size == 0:  # to the end of the file
            return None
        if size < 8:
            return None  # malformed, not cut off: the decoder says what is wrong
        position += size
    return f"{len(data):,} of {position:,} bytes are there" if position > len(data) else None
