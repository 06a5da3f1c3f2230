"""Whether the coded pixels of a JPEG are all there, asked of the decoder itself.

A decoder that runs out of bits fills the rest of a picture up without a word. It asks for more bits then: so
the same picture is decoded with different bits put behind its end. Where they show, some of it is missing.
"""

import dataclasses
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from PIL import Image

from collect.reading.structure import Bytes, Structure, hole_in, trailer_in
from img2gps.imaging import open_image

__all__ = ["lost_pixels", "whole_jpeg"]

_EOI: Final = b"\xff\xd9"
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_BETWEEN_SCANS: Final = frozenset({0xC4, 0xDA, 0xDB, 0xDD, 0xFE})  # tables, the next scan, a comment
_SOS, _DRI = 0xDA, 0xDD
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_MAX_SCANS: Final = 1000
# Every beginning of two bits, each followed by others: no code of any table fits all four, nor the same value.
_FILLERS: Final = tuple(bytes([start]) * 64 for start in (0x1B, 0x6C, 0xB1, 0xC6))
_FILL_GREY: Final = 128
_FILLED: Final = "the coded pixels end before the picture does"
_BAND_ROWS: Final = 512


def whole_jpeg(data: Bytes, structure: Structure) -> bytes | str:
    """Return a JPEG of doubtful structure up to its picture's end, closed there; else what says that it is cut off.

    Raises what Pillow raises.
    """
    end = coded_end(data, structure)
    trailer, hole = trailer_in(data, structure.header_bytes, end), hole_in(data, structure)
    # a decoder would take both for pixels; the first zero may belong to a 0xFF before it
    end = min([end, *([] if trailer is None else [trailer]), *([] if hole is None else [hole + 1])])
    if lacks_pixels(data, structure, end):
        return structure.doubt or _FILLED
    return data[:end] + _EOI


def lost_pixels(data: Bytes, structure: Structure, image: Image.Image) -> str | None:
    """Return what says that pixels of a JPEG were lost, although a decoder closed it without complaint, as `image`."""
    hole = hole_in(data, structure)
    if hole is not None and lacks_pixels(data, structure, hole + 1):  # the first zero may belong to a 0xFF before
        return f"zeros in place of the picture from byte {hole:,} on"
    if _ends_in_fill(image) and lacks_pixels(data, structure, coded_end(data, structure)):
        return _FILLED
    return None


def coded_end(data: Bytes, structure: Structure) -> int:
    """Return where the coded pixels of a JPEG end: at the first marker that cannot stand among them, or with the file.

    Raises ValueError where a file is made to keep its readers busy.
    """
    position = structure.header_bytes
    for _ in range(_MAX_SCANS):
        found = _MARKER.search(data, position)
        if found is None:
            end = len(data)
            while end > position and data[end - 1] == 0xFF:  # half of a marker
                end -= 1
            return end
        at = found.start()
        after = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if structure.plain or data[at + 1] not in _BETWEEN_SCANS or after >= len(data):
            return at
        position = after
    raise ValueError(f"over {_MAX_SCANS:,} scans")


def lacks_pixels(data: Bytes, structure: Structure, end: int) -> bool:
    """Return whether some of the picture is missing where its coded pixels end at `end`. Decodes it in full.

    Raises what Pillow raises.
    """
    picture = _Picture.of(data, structure.header_bytes, end)
    if picture.lacks_scans or picture.lacks_restarts:
        return True
    whole = _decoded(data[:end] + _FILLERS[0] + _EOI)
    return any(_decoded(data[:end] + filler + _EOI) != whole for filler in _FILLERS[1:])


def _ends_in_fill(image: Image.Image) -> bool:
    """Return whether the last pixel of a decoded JPEG is the grey that decoders fill up with, as are few photos'."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    values = corner if isinstance(corner, tuple) else (corner,)
    return all(value is not None and abs(value - _FILL_GREY) <= 1 for value in values[:3])


def _decoded(data: bytes) -> bytes:
    """Return a digest of all pixels, band by band: several pictures of 100 megapixels at once would not fit."""
    image = open_image(data)
    image.load()
    digest = hashlib.blake2b()
    for top in range(0, image.height, _BAND_ROWS):
        digest.update(image.crop((0, top, image.width, min(top + _BAND_ROWS, image.height))).tobytes())
    return digest.digest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """What the segments of a JPEG promise, and whether its scans keep it (ITU T.81, B.2.2 to B.2.4)."""

    lacks_scans: bool
    lacks_restarts: bool

    @classmethod
    def of(cls, data: Bytes, header_bytes: int, end: int) -> "_Picture":
        components: dict[int, tuple[int, int]] = {}
        size, interval, progressive, scans, one_scan = (0, 0), 0, False, 0, False
        fine: dict[int, set[int]] = defaultdict(set)
        for marker, body in _segments(data, header_bytes, end):
            if marker in _SOF and len(body) >= 6:
                progressive = marker in _PROGRESSIVE
                size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
                parts = [body[at : at + 3] for at in range(6, len(body) - 2, 3)]
                components = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts}
            elif marker == _DRI and len(body) >= 2:
                interval = int.from_bytes(body[:2], "big")
            elif marker == _SOS and body and len(body) >= 4 + 2 * body[0]:
                scans += 1
                one_scan = body[0] == len(components)
                first, last, low = (*body[-3:-1], body[-1] & 15) if progressive else (0, 63, 0)
                for name in body[1 : 1 + 2 * body[0] : 2]:
                    fine[name].update(range(first, last + 1) if low == 0 else ())
        needed = set(range(64))
        lacks_scans = any(fine[name] < needed for name in components)
        restarts = 0
        if interval and one_scan and scans == 1 and components:
            restarts = -(-_mcus(size, list(components.values())) // interval) - 1
        return cls(
            lacks_scans=lacks_scans,
            lacks_restarts=restarts > 0 and len(_RESTART.findall(data[header_bytes:end])) < restarts,
        )


def _mcus(size: tuple[int, int], sampling: list[tuple[int, int]]) -> int:
    """Return how many units of interleaved blocks a picture of `size` (width, height) has."""
    across = 8 * max(1, *(horizontal for horizontal, _ in sampling))
    down = 8 * max(1, *(vertical for _, vertical in sampling))
    if len(sampling) == 1:  # a single component is never interleaved
        across = down = 8
    return -(-size[0] // across) * -(-size[1] // down)


def _segments(data: Bytes, header_bytes: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield marker and body of the segments of a JPEG, the coded pixels between them left out."""
    position = 2
    while position + 4 <= end:
        found = _MARKER.search(data, position, end)
        if found is None:
            return
        at = found.start()
        after = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if at >= header_bytes and data[at + 1] not in _BETWEEN_SCANS:
            return
        yield data[at + 1], bytes(data[at + 4 : after])
        position = after
