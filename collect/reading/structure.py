"""Where a file may not hold all of its image, told from its structure alone: no pixel is decoded.

A transfer that was cut off leaves the header, the EXIF and the thumbnail intact. Only reading all segments (JPEG, ITU
T.81 annex B), chunks (PNG, RFC 2083; WebP, RFC 9649) or boxes (ISO/IEC 14496-12) shows it. Cheap enough for every file.
Data behind the end of a picture (motion photos, notes of the phone's maker) looks like a cut, too. In doubt the decoder
decides.
"""

import dataclasses
import mmap
import re
from typing import Final

__all__ = ["Bytes", "Structure", "hole_in", "structure_of", "trailer_in"]

Bytes = bytes | mmap.mmap

_MAX_PARTS: Final = 100_000  # a PNG of 256 MiB in the usual chunks of 8 KiB has a third of that
_OTHER_THAN_FF: Final = re.compile(rb"[^\xff]")
_STANDALONE: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PLAIN_SOF: Final = frozenset({0xC0, 0xC1})  # Huffman-coded, sequential; the later scans of a progressive one may fail
_SOS, _EOI, _DHT = 0xDA, 0xD9, 0xC4
_HOLE: Final = bytes(512)  # a sector of a disk, the least that a lost piece of a file takes
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Video has a marker's bytes in fewer, and what is text ends in fewer. More would cost every photo's reading.
_LOOK_BYTES: Final = 1 << 14
# By these what phones append is known: a video, Samsung's notes, XMP.
_TRAILERS: Final = (b"ftypmp4", b"ftypisom", b"ftypqt  ", b"Image_UTC_Data", b"MotionPhoto_Data", b"<x:xmpmeta",
                    b"<?xpacket")  # fmt: skip
_PICTURE_BOXES: Final = frozenset({b"ftyp", b"meta", b"mdat", b"moov"})
_METADATA: Final = frozenset({0xFE, *range(0xE0, 0xF0)}) - {0xE0, 0xEE}  # JFIF and Adobe tell how colours are coded


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """`cut_off` says where the image ends early; `plain` that a decoder has nothing left to complain about.

    `doubt` says what looks as if the image ended early, and may be something behind its end.

    `header_bytes` is where the pixels of a JPEG start: all metadata lies before. `tables` are the segments before them
    that a decoder needs.

    Only JPEGs of one sequential scan with 8 bits are plain. Past their header, a decoder can only complain about damage
    in the coded pixels.
    """

    cut_off: str | None = None
    doubt: str | None = None
    plain: bool = False
    header_bytes: int = 0
    tables: bytes = b""


def structure_of(data: Bytes, format_name: str) -> Structure:
    """Return the structure of `data`, a photo of a format named by `img2gps.formats.sniff`.

    Raises ValueError where a file is made to keep its readers busy: of more parts than a photo has.
    """
    if format_name == "JPEG":
        return _jpeg(data)
    check = {"PNG": _png, "WEBP": _webp, "HEIF": _boxes, "AVIF": _boxes}.get(format_name)
    return Structure(doubt=check(data) if check else None)


def _jpeg(data: Bytes) -> Structure:
    position = 2
    tables: list[bytes] = []
    components = None
    for _ in range(_MAX_PARTS):
        position = _after_fill(data, data.find(b"\xff", position))
        if position < 0 or position + 4 > len(data):
            return Structure(cut_off="the JPEG ends within its header")
        marker = data[position + 1]
        if marker in _STANDALONE:
            position += 2
            continue
        if marker == _EOI:
            return Structure()  # an image without a scan: the decoder says what is wrong with it
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker not in _METADATA:
            tables.append(data[position:end])
        if marker == _SOS:
            return _scanned(data, position, components, b"".join(tables))
        if marker in _SOF:
            frame = data[position + 4 : position + 10]
            components = frame[-1:] if marker in _PLAIN_SOF and frame[0] == 8 else None
        position = end
        if position > len(data):
            return Structure(cut_off="the JPEG ends within its header")
    raise ValueError(f"over {_MAX_PARTS:,} segments before the picture")


def _after_fill(data: Bytes, position: int) -> int:
    """Return where the last of the fill bytes (any number of 0xFF) stands that a marker may begin with."""
    if position < 0 or data[position + 1 : position + 2] != b"\xff":
        return position
    end = _OTHER_THAN_FF.search(data, position)
    if end is None:
        return -1
    if end.start() - position > _MAX_PARTS:
        raise ValueError("nothing but fill bytes where a segment should be")
    return end.start() - 1


def _scanned(data: Bytes, scan: int, components: bytes | None, tables: bytes) -> Structure:
    """Return the structure of a JPEG whose first scan starts at `scan`."""
    header_bytes = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    one_scan = data[scan + 4 : scan + 5] == components
    return Structure(
        doubt=_doubtful_end(data, header_bytes, one_scan), plain=one_scan, header_bytes=header_bytes, tables=tables
    )


def _doubtful_end(data: Bytes, start: int, one_scan: bool) -> str | None:
    """Return why the picture whose coded pixels begin at `start` may not be whole.

    Only what stands before the last end marker is looked at, unless it is no end of a picture: that spares the reading.
    """
    end = data.rfind(b"\xff\xd9", start)  # it cannot occur inside a scan
    if end < 0:
        return "the end marker of the JPEG is missing"
    if one_scan and _MARKER.search(data, max(start, end - _LOOK_BYTES), end):
        found = _MARKER.search(data, start)
        assert found is not None
        end = found.start()
        if data[end + 1] != _EOI:
            return "the end marker of the JPEG is missing where its picture ends"
    return None if trailer_in(data, start, end) is None else "there is something else among the pixels of the JPEG"


def trailer_in(data: Bytes, start: int, end: int) -> int | None:
    """Return where something that phones put behind a picture begins before its end marker at `end`, None if nowhere.

    Only the last bytes are looked at.
    """
    first = max(start, end - _LOOK_BYTES)
    places = [at for name in _TRAILERS if (at := data.find(name, first, end)) >= 0]
    return min(places, default=None)


def hole_in(data: Bytes, structure: Structure) -> int | None:
    """Return where a run of zeros begins in a plain JPEG that may stand for lost pixels, None where there is none.

    Decoders take zeros for pixels and complain of nothing. A disk gives them for a piece that was never written; no
    camera does. Over 500 of them in a row code a flat area only if both tables give the shortest code to "no change".
    Then they may stand.
    """
    if not structure.plain or _zeros_are_flat(structure.tables):
        return None
    start = structure.header_bytes
    at = data.find(_HOLE, start)
    if at < 0 or data.find(b"\xff\xd9", start, at) >= 0:  # what follows the end of the picture may be anything
        return None
    return at


def _zeros_are_flat(tables: bytes) -> bool:
    """Return whether the code of zero bits is, of a JPEG's first component, "same brightness, nothing else"."""
    first: dict[int, int] = {}
    position = 0
    while position + 4 <= len(tables):
        end = position + 2 + int.from_bytes(tables[position + 2 : position + 4], "big")
        table = position + 4
        while tables[position + 1] == _DHT and table + 17 < end:
            first[tables[table]] = tables[table + 17]  # codes grow in the order of the symbols: the first is all zeros
            table += 17 + sum(tables[table + 1 : table + 17])
        position = end
    return first.get(0x00, 0) == 0 and first.get(0x10, 0) == 0


def _png(data: Bytes) -> str | None:
    position = 8
    for _ in range(_MAX_PARTS):
        if position + 12 > len(data):
            return "the last chunk of the PNG is missing"
        if data[position + 4 : position + 8] == b"IEND":
            return None
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    raise ValueError(f"over {_MAX_PARTS:,} chunks")


def _webp(data: Bytes) -> str | None:
    expected = int.from_bytes(data[4:8], "little") + 8
    return f"{len(data):,} of {expected:,} bytes are there" if len(data) < expected else None


def _boxes(data: Bytes) -> str | None:
    """Return how much of a box of the picture is missing; what stands behind the last one need not be a box."""
    position = 0
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            return None
        kind, size = data[position + 4 : position + 8], int.from_bytes(data[position : position + 4], "big")
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size == 0:  # to the end of the file
            return None
        if size < 8 or (kind == b"ftyp" and position > 0):
            return None  # no box, or another file behind this one
        position += size
        if position > len(data):
            return f"{len(data):,} of {position:,} bytes are there" if kind in _PICTURE_BOXES else None
    raise ValueError(f"over {_MAX_PARTS:,} boxes")
