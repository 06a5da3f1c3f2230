"""Regions of a JPEG made unrecognisable without decoding the rest: what lies outside keeps every bit.

A baseline JPEG (ITU-T T.81) is a row of units of 8 x 8 or 16 x 16 pixels, each Huffman-coded. In a hidden unit every
frequency but the mean is dropped. The means of neighbouring units become one: a mosaic of at most `_CELLS` x `_CELLS`
tiles a region. All other units are copied bit by bit. Only one number changes: that of the next unit which counts from
a mean before it. Decoding, changing and encoding again would change every pixel a little.
"""

import dataclasses
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from img2gps.redactions import Box

__all__ = ["UnreadableJpegError", "hidden_box", "hide_regions"]

_CELLS: Final = 4
_LAST_BIT: Final = 63


class UnreadableJpegError(ValueError):
    """A JPEG of a kind that working copies are not: progressive, of more than one scan, damaged."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Component:
    number: int
    across: int
    down: int
    dc: Mapping[tuple[int, int], int]
    ac: Mapping[tuple[int, int], int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What the headers say: size, components in the order of the scan, where the scan's data begin."""

    width: int
    height: int
    components: tuple[_Component, ...]
    start: int

    @property
    def unit_px(self) -> tuple[int, int]:
        """The width and height of a unit in pixels."""
        return 8 * max(c.across for c in self.components), 8 * max(c.down for c in self.components)

    @property
    def units(self) -> tuple[int, int]:
        """How many units lie side by side, and above each other."""
        wide, high = self.unit_px
        return -(-self.width // wide), -(-self.height // high)


def hidden_box(data: bytes, box: Box) -> Box:
    """Return what `hide_regions` may change of the picture for `box`: its units, and a pixel around them.

    Decoders smooth colour, which has half the resolution, over the edge of a unit. Raises UnreadableJpegError.
    """
    frame = _frame_of(data)
    left, top, right, bottom = _units_of(frame, box)
    wide, high = frame.unit_px
    return Box(
        left=max(left * wide - 1, 0),
        top=max(top * high - 1, 0),
        right=min(right * wide + 1, frame.width),
        bottom=min(bottom * high + 1, frame.height),
    )


def hide_regions(data: bytes, boxes: Sequence[Box]) -> bytes:
    """Return the JPEG with the units that `boxes` touch as coarse mosaics. Raises UnreadableJpegError."""
    frame = _frame_of(data)
    cells = _cells(frame, boxes)
    if not cells:
        return data
    blocks = list(_read(data, frame))
    means = _means(blocks, frame, cells)
    return data[: frame.start] + _write(blocks, frame, cells, means) + b"\xff\xd9"


@dataclasses.dataclass(frozen=True, slots=True)
class _Block:
    """One block: which unit and component it is of, its mean, and the bits of everything else as they stand."""

    unit: int
    component: int
    mean: int
    rest: str


def _frame_of(data: bytes) -> _Frame:
    tables: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    width = height = 0
    place = 2
    try:
        while data[place] == 0xFF:
            marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
            body = data[place + 4 : place + 2 + length]
            place += 2 + length
            if marker == 0xC0:
                height, width = struct.unpack(">HH", body[1:5])
                for entry in range(body[5]):
                    number, sampling = body[6 + 3 * entry], body[7 + 3 * entry]
                    sizes[number] = sampling >> 4, sampling & 15
            elif marker in range(0xC1, 0xC4) or (marker in range(0xC5, 0xD0) and marker not in (0xC8, 0xCC)):
                raise UnreadableJpegError("it is not a baseline JPEG")
            elif marker == 0xC4:
                tables |= _tables(body)
            elif marker == 0xDD and int.from_bytes(body, "big"):
                raise UnreadableJpegError("it has restart intervals")
            elif marker == 0xDA:
                return _scan(body, sizes, tables, width, height, place)
    except (IndexError, KeyError, struct.error) as error:
        raise UnreadableJpegError("its headers are damaged") from error
    raise UnreadableJpegError("it has no picture")


def _scan(
    body: bytes,
    sizes: Mapping[int, tuple[int, int]],
    tables: Mapping[tuple[int, int], Mapping[tuple[int, int], int]],
    width: int,
    height: int,
    start: int,
) -> _Frame:
    if body[0] != len(sizes):
        raise UnreadableJpegError("it has more than one scan")
    found = []
    for entry in range(body[0]):
        number, which = body[1 + 2 * entry], body[2 + 2 * entry]
        # a picture of one component has units of one block, whatever it says of its sampling
        across, down = sizes[number] if len(sizes) > 1 else (1, 1)
        found.append(
            _Component(number=number, across=across, down=down, dc=tables[0, which >> 4], ac=tables[1, which & 15])
        )
    return _Frame(width=width, height=height, components=tuple(found), start=start)


def _tables(body: bytes) -> dict[tuple[int, int], dict[tuple[int, int], int]]:
    """Return the Huffman tables of a segment by class and number: symbols by length and code (annex C)."""
    found = {}
    place = 0
    while place < len(body):
        kind, number = body[place] >> 4, body[place] & 15
        counts = body[place + 1 : place + 17]
        place += 17
        code = 0
        table: dict[tuple[int, int], int] = {}
        for length, count in enumerate(counts, start=1):
            for _ in range(count):
                table[length, code] = body[place]
                code += 1
                place += 1
            code <<= 1
        found[kind, number] = table
    return found


def _units_of(frame: _Frame, box: Box) -> tuple[int, int, int, int]:
    """Return the units that a box touches: left, top, right, bottom, the last two not in it."""
    (wide, high), (across, down) = frame.unit_px, frame.units
    left, top = max(box.left, 0) // wide, max(box.top, 0) // high
    right, bottom = min(-(-box.right // wide), across), min(-(-box.bottom // high), down)
    return left, top, max(right, left), max(bottom, top)


def _cells(frame: _Frame, boxes: Sequence[Box]) -> dict[int, tuple[int, int, int]]:
    """Return for each unit that is hidden the tile that it is in; a unit of two boxes is in the later one's."""
    cells = {}
    for number, box in enumerate(boxes):
        left, top, right, bottom = _units_of(frame, box)
        across, down = max(right - left, _CELLS), max(bottom - top, _CELLS)
        for row in range(top, bottom):
            for column in range(left, right):
                tile = (number, (column - left) * _CELLS // across, (row - top) * _CELLS // down)
                cells[row * frame.units[0] + column] = tile
    return cells


def _read(data: bytes, frame: _Frame) -> Iterator[_Block]:
    """Yield the blocks of the scan in order."""
    end = data.rfind(b"\xff\xd9")
    if end < frame.start:
        raise UnreadableJpegError("it is cut short")
    scan = data[frame.start : end].replace(b"\xff\x00", b"\xff")
    bits = bin(int.from_bytes(b"\x01" + scan, "big"))[3:] + "1" * 32
    lookups = [(_by_text(c.dc), _by_text(c.ac)) for c in frame.components]
    place, before = 0, [0] * len(frame.components)
    limit = len(bits) - 32
    for unit in range(frame.units[0] * frame.units[1]):
        for number, component in enumerate(frame.components):
            dc, ac = lookups[number]
            for _ in range(component.across * component.down):
                size, place = _symbol(bits, place, dc)
                before[number] += _value(bits[place : place + size])
                place += size
                start, index = place, 1
                while index <= _LAST_BIT:
                    symbol, place = _symbol(bits, place, ac)
                    place += symbol & 15
                    if symbol == 0:
                        break
                    index += (symbol >> 4) + 1
                if place > limit:
                    raise UnreadableJpegError("it is cut short")
                yield _Block(unit, number, before[number], bits[start:place])


def _by_text(table: Mapping[tuple[int, int], int]) -> dict[str, int]:
    return {f"{code:0{length}b}": symbol for (length, code), symbol in table.items()}


def _symbol(bits: str, place: int, table: Mapping[str, int]) -> tuple[int, int]:
    for length in range(1, 17):
        symbol = table.get(bits[place : place + length])
        if symbol is not None:
            return symbol, place + length
    raise UnreadableJpegError("its data are damaged")


def _value(bits: str) -> int:
    """Return a number as T.81 writes it: without a leading one it is negative (F.2.2.1)."""
    if not bits:
        return 0
    number = int(bits, 2)
    return number if bits[0] == "1" else number - (1 << len(bits)) + 1


def _text(number: int) -> str:
    """Return the bits of a number: the inverse of `_value`."""
    size = abs(number).bit_length()
    return f"{number if number > 0 else number + (1 << size) - 1:0{size}b}" if size else ""


def _means(
    blocks: Sequence[_Block], frame: _Frame, cells: Mapping[int, tuple[int, int, int]]
) -> dict[tuple[tuple[int, int, int], int], int]:
    """Return the mean of each tile and component."""
    sums: dict[tuple[tuple[int, int, int], int], list[int]] = {}
    for block in blocks:
        if block.unit in cells:
            sums.setdefault((cells[block.unit], block.component), []).append(block.mean)
    return {key: round(sum(values) / len(values)) for key, values in sums.items()}


def _write(
    blocks: Sequence[_Block],
    frame: _Frame,
    cells: Mapping[int, tuple[int, int, int]],
    means: Mapping[tuple[tuple[int, int, int], int], int],
) -> bytes:
    """Return the data of the scan."""
    try:
        dcs = [{symbol: f"{code:0{length}b}" for (length, code), symbol in c.dc.items()} for c in frame.components]
        empty = [{s: f"{code:0{length}b}" for (length, code), s in c.ac.items()}[0] for c in frame.components]
        before = [0] * len(frame.components)
        parts = []
        for block in blocks:
            number = block.component
            tile = cells.get(block.unit)
            mean = block.mean if tile is None else means[tile, number]
            text = _text(mean - before[number])
            before[number] = mean
            parts += [dcs[number][len(text)], text, block.rest if tile is None else empty[number]]
    except KeyError as error:
        raise UnreadableJpegError("its code tables lack a code") from error
    bits = "".join(parts)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
