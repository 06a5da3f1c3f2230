"""Position and time from beside the EXIF, where it has none: XMP in the photo, XMP sidecars, Takeout's JSON."""

import dataclasses
import os
import re
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from PIL import Image

from collect.reading.facts import Facts, Position, PositionProblem
from collect.reading.file_content import READ_FLAGS
from collect.reading.gps_tags import NULL_ISLAND_DEG
from collect.reading.sidecars import Sidecar
from collect.reading.stores import read_object
from collect.reading.takeout import MAX_JSON_BYTES, read_takeout, takeout_position, takeout_time, takeout_title
from collect.reading.xmp import MAX_XMP_BYTES, XmpError, moment_of, position_in, read_xmp
from collect.reading.xmp_packets import packets_of
from img2gps.text import safe_path

__all__ = ["with_what_stands_beside"]

_WORDS: Final = (b"GPSLatitude", b"DateTimeOriginal", b"DateCreated", b"CreateDate")
_OF_CAMERA: Final = re.compile(rb"tiff:Orientation[=>]")  # not all that a camera wrote was stripped
Origin = Literal["xmp", "sidecar", "takeout"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    origin: Origin
    position: Position | PositionProblem | None
    moment: datetime | None


def with_what_stands_beside(
    facts: Facts, image: Image.Image, name: str, sidecars: Sequence[Sidecar]
) -> tuple[Facts, tuple[str, ...]]:
    """Return the facts with position and time from the first that has them, and notes about what cannot be read.

    The EXIF's own stand; then come the XMP in the photo, a sidecar, Takeout.
    """
    notes: list[str] = []
    packets = packets_of(image)
    stripped = isinstance(facts.position, PositionProblem) and facts.position.reason == "no_exif"
    if stripped and any(_OF_CAMERA.search(packet) for packet in packets):
        facts = dataclasses.replace(facts, position=PositionProblem(reason="no_gps"))
    for said in _said(facts, packets, name, sidecars, notes):
        if said.position is not None and _is_better(said.position, facts.position):
            facts = dataclasses.replace(facts, position=said.position, position_source=said.origin)
        if said.moment is not None and facts.moment_beside is None:
            facts = dataclasses.replace(facts, moment_beside=said.moment, moment_source=said.origin)
    return facts, tuple(notes)


def _is_better(position: Position | PositionProblem, than: Position | PositionProblem) -> bool:
    """Return whether to believe one position before another: any that is one, and any reason before "there is none"."""
    if _is_usable(than):
        return False
    if _is_usable(position):
        return not (
            isinstance(than, PositionProblem) and "map datum" in than.detail
        )  # copies keep the numbers, not the datum
    return isinstance(than, PositionProblem) and than.reason in ("no_exif", "no_gps")


def _is_usable(position: Position | PositionProblem) -> bool:
    if isinstance(position, PositionProblem):
        return False
    nowhere = abs(position.lat) < NULL_ISLAND_DEG and abs(position.lon) < NULL_ISLAND_DEG
    return abs(position.lat) <= 90 and abs(position.lon) <= 180 and not nowhere


def _said(
    facts: Facts, packets: Sequence[bytes], name: str, sidecars: Sequence[Sidecar], notes: list[str]
) -> Iterator[_Said]:
    if _is_usable(facts.position) and facts.local_time is not None:
        return  # nothing is missing
    yield from _without_contradictions(list(_embedded(packets, notes)))
    for sidecar in sidecars:
        found = _of_sidecar(sidecar, name)
        if isinstance(found, str):
            notes.append(f"its sidecar {safe_path(sidecar.path.rpartition(b'/')[2])} cannot be read ({found})")
        elif found is not None:
            yield found


def _embedded(packets: Sequence[bytes], notes: list[str]) -> Iterator[_Said]:
    """Yield what the packets in the photo say; one that cannot be read is a note."""
    for packet in packets:
        if any(word in packet for word in _WORDS):
            said = _of_xmp(packet, "xmp")
            if isinstance(said, str):
                notes.append(f"its XMP cannot be read ({said})")
            else:
                yield said


def _without_contradictions(embedded: Sequence[_Said]) -> Sequence[_Said]:
    """Return what packets say, a problem for the position where they name two: programs differ in which they read."""
    places = {said.position for said in embedded if isinstance(said.position, Position)}
    if len(places) < 2:
        return embedded
    problem = PositionProblem(reason="gps_not_finite", detail="the XMP is there twice, with two positions")
    return [dataclasses.replace(said, position=problem if said.position in places else None) for said in embedded]


def _of_xmp(packet: bytes, origin: Origin) -> _Said | str:
    try:
        properties = read_xmp(packet)
    except XmpError as error:
        return str(error)
    return _Said(origin=origin, position=position_in(properties), moment=moment_of(properties))


def _of_sidecar(sidecar: Sidecar, name: str) -> _Said | str | None:
    """Return what a sidecar says, None where it is of something else, or what is wrong with it."""
    limit = MAX_XMP_BYTES if sidecar.kind == "sidecar" else MAX_JSON_BYTES
    try:
        content = _content(sidecar, limit)
    except OSError as error:
        return error.strerror or str(error) or "it cannot be opened"
    if content is None:
        return None
    if len(content) > limit:
        return f"over {limit // 2**20} MiB"
    if sidecar.kind == "sidecar":
        return _of_xmp(content, "sidecar")
    try:
        document = read_takeout(content)
    except ValueError:
        return "it is no JSON"
    if document is None or (sidecar.shared and not _same_title(takeout_title(document), name)):
        return None
    return _Said(origin="takeout", position=takeout_position(document), moment=takeout_time(document))


def _content(sidecar: Sidecar, limit: int) -> bytes | None:
    """Return the first bytes of a regular file, one more than `limit`; None where it is something else."""
    if sidecar.stored is not None:
        size = sidecar.stored.size
        return read_object(sidecar.stored, end=None if size is None else min(size, limit + 1))
    with os.fdopen(os.open(sidecar.path, READ_FLAGS), "rb") as file:
        return file.read(limit + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None


def _same_title(title: str, name: str) -> bool:
    """Return whether a title may be the whole of a name that was cut short."""
    own, stem = name.rpartition("/")[2].rpartition(".")[0], title.rpartition(".")[0] or title
    return bool(own) and (stem.startswith(own) or own.startswith(stem)) if title else False
