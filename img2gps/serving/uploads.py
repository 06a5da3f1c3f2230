"""Photos out of a request's body, held in memory and never on disk: raw bytes, or the files of a form.

RFC 7578 (multipart/form-data). Names of files are text to show and nothing else; no path is ever made of one.
"""

import asyncio
import dataclasses
from typing import Any, Final

from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from img2gps.serving.limits import Limits, RefusedError
from img2gps.text import safe_text

__all__ = ["Memory", "Upload", "Uploads", "read_uploads"]

_FIELD_BYTES: Final = 1024
_FIELDS: Final = 16


@dataclasses.dataclass(slots=True, kw_only=True)
class Upload:
    """One photo as it came: what it is called, as text that is safe to show, and its bytes."""

    name: str
    data: bytearray


@dataclasses.dataclass(slots=True, kw_only=True)
class Uploads:
    """The photos of a request in their order, and its other fields."""

    photos: list[Upload] = dataclasses.field(default_factory=list)
    fields: dict[str, str] = dataclasses.field(default_factory=dict)


class Memory:
    """What all requests may hold together. Used by one event loop; no lock is needed."""

    def __init__(self, most_bytes: int) -> None:
        self._free = most_bytes

    def take(self, count: int) -> None:
        """Take so many bytes. Raises RefusedError (503) where there are none left."""
        if count > self._free:
            raise RefusedError(503, "Too many photos are being read at once: try again in a moment.", retry_s=5)
        self._free -= count

    def give(self, count: int) -> None:
        """Give bytes back."""
        self._free += count


class Share:
    """What one request has taken of the memory, given back at its end."""

    def __init__(self, memory: Memory, limits: Limits) -> None:
        self._memory, self._limits, self.taken = memory, limits, 0

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.give(self.taken)

    def take(self, count: int) -> None:
        """Count bytes of the body. Raises RefusedError: 413 for too large a body, 503 for too little memory."""
        if self.taken + count > self._limits.request_bytes:
            raise RefusedError(413, f"A request holds at most {self._limits.request_bytes >> 20} MiB.")
        self._memory.take(count)
        self.taken += count


async def read_uploads(request: Request, share: Share, limits: Limits) -> Uploads:
    """Return the photos of a request. Raises RefusedError, ClientDisconnect."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    try:
        async with asyncio.timeout(limits.upload_s):
            if kind == b"multipart/form-data":
                return await _read_form(request, share, limits, boundary)
            return await _read_raw(request, share, limits)
    except TimeoutError as error:
        raise RefusedError(408, f"The photos took over {limits.upload_s:g} s to arrive.") from error


async def _read_raw(request: Request, share: Share, limits: Limits) -> Uploads:
    upload = Upload(name="photo", data=bytearray())
    async for chunk in request.stream():
        share.take(len(chunk))
        _grow(upload, chunk, limits)
    return Uploads(photos=[upload] if upload.data else [])


async def _read_form(request: Request, share: Share, limits: Limits, boundary: bytes) -> Uploads:
    if not 1 <= len(boundary) <= 70:  # RFC 2046, 5.1.1
        raise RefusedError(400, "The form names no boundary: send multipart/form-data as a browser or curl -F does.")
    form = _Form(limits)
    parser = MultipartParser(boundary, form.callbacks())
    try:
        async for chunk in request.stream():
            share.take(len(chunk))
            parser.write(chunk)
        parser.finalize()
    except (RefusedError, ClientDisconnect):
        raise
    except Exception as error:  # whatever a parser of a stranger's bytes raises
        raise RefusedError(
            400, "The form is damaged: send multipart/form-data as a browser or curl -F does."
        ) from error
    if not form.ended:
        raise RefusedError(400, "The form ends too early: send the whole of it.")
    return form.found


def _grow(upload: Upload, chunk: bytes, limits: Limits) -> None:
    if len(upload.data) + len(chunk) > limits.photo_bytes:
        raise RefusedError(413, f"A photo holds at most {limits.photo_bytes >> 20} MiB.")
    upload.data += chunk


class _Form:
    """The parts of a form as the parser meets them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._photo: Upload | None = None
        self._named = False
        self._field, self._text = "", bytearray()
        self.found = Uploads()
        self.ended = False

    def callbacks(self) -> Any:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._photo, self._field, self._text = {}, None, "", bytearray()

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")[:60]
        if b"filename" not in options:
            return
        if len(self.found.photos) >= self._limits.photos:
            raise RefusedError(413, f"A request holds at most {self._limits.photos} photos: send the others apart.")
        name = safe_text(options[b"filename"].decode("utf-8", "replace"), limit=120)
        self._photo, self._named = Upload(name=name or "photo", data=bytearray()), bool(name)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._photo is not None:
            _grow(self._photo, data[start:end], self._limits)
        elif len(self._text) + end - start > _FIELD_BYTES or len(self.found.fields) >= _FIELDS:
            raise RefusedError(
                413, "The form has too many or too long fields beside its photos: a photo comes with a file name."
            )
        else:
            self._text += data[start:end]

    def _part_end(self) -> None:
        if self._photo is not None:
            if self._photo.data or self._named:  # a form whose file was not chosen has an empty part without a name
                self.found.photos.append(self._photo)
        else:
            self.found.fields[self._field] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True
