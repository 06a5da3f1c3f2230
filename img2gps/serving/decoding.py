"""Strangers' photos decoded in processes of their own: a crash, a hang or a hunger for memory costs one photo.

A worker reads the bytes of one photo from a pipe. It answers with a header in JSON and plain pixels, so nothing it
sends is ever run here. One that is too slow is killed, and another takes its place.
"""

import dataclasses
import json
import os
import queue
import signal
import struct
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any, Final

from PIL import Image, UnidentifiedImageError

from img2gps.exif import Camera, Capture, capture_of
from img2gps.formats import HEAD_BYTES, sniff
from img2gps.header import header_fault, open_photo
from img2gps.imaging import WORKING_SHORT_SIDE_PX, upright_rgb
from img2gps.processes import SpawnedContext
from img2gps.serving.backend import DecodedPhoto
from img2gps.serving.limits import Limits
from img2gps.text import safe_text

__all__ = ["Decoders", "decode_photo"]

_STARTING_S: Final = 60.0
_LONGEST_SIDE: Final = 65_535
_LENGTH: Final = struct.Struct("!I")


def decode_photo(data: bytes) -> DecodedPhoto | str:
    """Return the photo of `data` as `predict` decodes it, its short side at most 512 px, or why it is none."""
    kind = sniff(data[:HEAD_BYTES])
    if kind.state == "other":
        return "not an image in a format that can be read"
    if kind.state == "unsupported":
        return f"{kind.name} is not a format that can be read"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Corrupt EXIF data": such a photo has no time
            image = open_photo(data)
            fault = header_fault(image, kind, len(data))
            if fault is not None:
                return fault[1]
            if max(image.size) > _LONGEST_SIDE:
                return f"{image.width} x {image.height} pixels are no photo"
            return DecodedPhoto(
                image=upright_rgb(image, short_side_px=WORKING_SHORT_SIDE_PX), capture=capture_of(image)
            )
    except MemoryError:
        return "it takes more memory to decode than a photo may"
    except UnidentifiedImageError:
        return "not an image in a format that can be read"
    except Exception as error:  # noqa: BLE001  decoders raise SyntaxError, struct.error and more on broken files
        return f"the image is damaged ({safe_text(str(error) or type(error).__name__, limit=120)})"


class Decoders:
    """`count` worker processes, and as many threads that wait for them."""

    def __init__(self, count: int, limits: Limits) -> None:
        self._workers = [_Worker(limits) for _ in range(count)]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="img2gps-decoding")

    def decode(self, data: bytes | bytearray) -> "Future[DecodedPhoto | str]":
        """Return what will be the photo, or the reason why there is none."""
        return self._threads.submit(self._decode, data)

    def _decode(self, data: bytes | bytearray) -> DecodedPhoto | str:
        worker = self._free.get()
        try:
            return worker.decode(data)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End all workers; what waits for one is not decoded."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.stop()


class _Worker:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._start()

    def _start(self) -> None:
        context = SpawnedContext()
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self._limits.worker_bytes), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def decode(self, data: bytes | bytearray) -> DecodedPhoto | str:
        reason = "the decoder ended with it"
        for _ in range(2):  # an idle worker may have been ended by somebody else
            try:
                self._await_ready()
                self._pipe.send_bytes(data)
                if not self._pipe.poll(self._limits.decode_s):
                    self._restart()
                    return f"it takes over {self._limits.decode_s:g} s to decode"
                return _shot_of(self._pipe.recv_bytes(_LONGEST_SIDE * WORKING_SHORT_SIDE_PX * 3 + 65_536))
            except (EOFError, OSError, ValueError):
                self._restart()
        return reason

    def _await_ready(self) -> None:
        if not self._ready:
            if not self._pipe.poll(_STARTING_S):
                raise EOFError
            self._pipe.recv_bytes(16)
            self._ready = True

    def _restart(self) -> None:
        self.stop()
        self._start()


def _shot_of(answer: bytes) -> DecodedPhoto | str:
    """Return what a worker says. Raises ValueError where it is not what a worker sends."""
    (length,) = _LENGTH.unpack_from(answer)
    header: dict[str, Any] = json.loads(answer[_LENGTH.size : _LENGTH.size + length])
    if "error" in header:
        return safe_text(str(header["error"]))
    size = (int(header["width"]), int(header["height"]))
    pixels = memoryview(answer)[_LENGTH.size + length :]
    if min(size) < 1 or len(pixels) != 3 * size[0] * size[1]:
        raise ValueError("pixels that do not fit their size")
    time = header["local_time"]
    camera = Camera(**{key: header["camera"][key] for key in ("make", "model", "serial")})
    capture = Capture(camera=camera, local_time=None if time is None else datetime.fromisoformat(time))
    return DecodedPhoto(image=Image.frombytes("RGB", size, pixels), capture=capture)


def _answer_of(found: DecodedPhoto | str) -> bytes:
    if isinstance(found, str):
        header: dict[str, Any] = {"error": found}
        pixels = b""
    else:
        time = found.capture.local_time
        header = {"width": found.image.width, "height": found.image.height}
        header |= {"camera": dataclasses.asdict(found.capture.camera), "local_time": time and time.isoformat()}
        pixels = found.image.tobytes()
    text = json.dumps(header).encode()
    return _LENGTH.pack(len(text)) + text + pixels


def _work(pipe: Connection, memory_bytes: int) -> None:
    """Decode what comes until the pipe ends: silent, limited in memory, writing no file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # libtiff prints hundreds of lines of what it finds wrong
    _limit_memory(memory_bytes)
    pipe.send_bytes(b"ready")
    while True:
        try:
            data = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_answer_of(decode_photo(data)))
        del data


def _limit_memory(most_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for number, limit in ((resource.RLIMIT_AS, most_bytes), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        _, hard = resource.getrlimit(number)
        resource.setrlimit(number, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
