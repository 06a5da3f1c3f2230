"""Photos that mean harm: bombs, cut files, endless uploads, hangs. Each costs its sender and nobody else."""

import io
import os
import signal
import struct
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2gps.serving.backend import DecodedPhoto
from img2gps.serving.decoding import Decoders, decode_photo
from img2gps.serving.limits import Limits
from tests.photos import scene
from tests.serving import RedIsFarEast, ServiceClient, colour_jpeg, form, running_service

GOOD = colour_jpeg((200, 60, 30))


def png_bomb(width: int, height: int, *, rows: int | None = None) -> bytes:
    """Return a PNG of one colour that says it is `width` by `height`, with `rows` of them in its data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    line = bytes(1 + width // 8)
    body = b"".join(packer.compress(line) for _ in range(height if rows is None else rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg(size: tuple[int, int] = (1200, 900)) -> bytes:
    out = io.BytesIO()
    scene(size).save(out, "JPEG", quality=90)
    return out.getvalue()


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceClient]:
    with running_service(RedIsFarEast(), limits=Limits(decode_s=20.0)) as client:
        yield client


def test_a_bomb_is_refused_by_its_header() -> None:
    for size in ((60_000, 60_000), (200_000, 8)):
        found = decode_photo(png_bomb(*size, rows=4))
        assert isinstance(found, str)
        assert "pixels" in found


@pytest.mark.parametrize(
    "kind", ["GIF89a" + "\0" * 60, "%PDF-1.7", "<svg xmlns='http://www.w3.org/2000/svg'/>", "PK\3\4"]
)
def test_what_is_no_photo_is_told_so(kind: str) -> None:
    found = decode_photo(kind.encode())
    assert isinstance(found, str)
    assert "format" in found


@given(cut=st.floats(0.01, 0.98))
@settings(max_examples=25)
def test_a_cut_photo_is_a_sentence(cut: float) -> None:
    whole = jpeg((320, 240))
    assert isinstance(decode_photo(whole), DecodedPhoto)
    assert isinstance(decode_photo(whole[: int(cut * len(whole))]), str)


@pytest.mark.slow
@given(at=st.integers(0, 5000), junk=st.binary(min_size=1, max_size=64))
@settings(max_examples=60)
def test_damaged_bytes_are_a_photo_or_a_sentence(at: int, junk: bytes) -> None:
    whole = bytearray(jpeg((320, 240)))
    at = min(at, len(whole) - len(junk))
    whole[at : at + len(junk)] = junk
    assert isinstance(decode_photo(bytes(whole)), DecodedPhoto | str)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signal stops a process")
def test_a_hang_and_a_crash_cost_one_photo_each() -> None:
    decoders = Decoders(1, Limits(decode_s=2.0))
    try:
        assert isinstance(decoders.decode(GOOD).result(), DecodedPhoto)
        hung = decoders._workers[0]._process.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)  # how long a photo takes would depend on the machine
        assert decoders.decode(GOOD).result() == "it takes over 2 s to decode"
        assert not psutil.pid_exists(hung)
        assert isinstance(decoders.decode(GOOD).result(), DecodedPhoto)
        decoders._workers[0]._process.kill()
        assert isinstance(decoders.decode(GOOD).result(), DecodedPhoto)
    finally:
        decoders.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")
def test_a_hunger_for_memory_costs_one_photo() -> None:
    decoders = Decoders(1, Limits(worker_bytes=600 << 20))
    try:
        assert decoders.decode(png_bomb(9_000, 11_000)).result() == "it takes more memory to decode than a photo may"
        assert isinstance(decoders.decode(GOOD).result(), DecodedPhoto)
    finally:
        decoders.close()


@pytest.mark.slow
def test_a_gigabyte_is_not_read(service: ServiceClient) -> None:
    def endless(chunks: int) -> Iterator[bytes]:
        nonlocal sent
        for _ in range(chunks):
            sent += 1 << 20
            yield bytes(1 << 20)

    process = psutil.Process()
    for kind in ("image/jpeg", "multipart/form-data; boundary=b"):
        sent, before = 0, process.memory_info().rss
        head = b'--b\r\nContent-Disposition: form-data; name="p"; filename="a.jpg"\r\n\r\n' if "form" in kind else b""

        def body(head: bytes = head) -> Iterator[bytes]:
            if head:
                yield head
            yield from endless(1024)

        try:
            status, answer, _ = service.request("POST", "/v1/locate", body(), {"content-type": kind})
            assert (status, "MiB" in answer["error"]) == (413, True)
        except OSError:  # the server hung up while we were still sending
            pass
        assert sent < 600 << 20
        assert process.memory_info().rss - before < 700 << 20
        assert service.locate(GOOD)[0] == 200
    assert service.request("POST", "/v1/locate", b"", {"content-type": "image/jpeg", "content-length": "0"})[0] == 400


@pytest.mark.slow
def test_a_body_that_does_not_arrive_is_given_up() -> None:
    import socket

    with running_service(RedIsFarEast(), limits=Limits(upload_s=0.5)) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            head = f"POST /v1/locate HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Type: image/jpeg\r\n"
            connection.sendall(head.encode() + b"Content-Length: 1000\r\n\r\nabc")
            connection.settimeout(10)
            assert b" 408 " in connection.recv(4096)
        assert service.locate(GOOD)[0] == 200


@pytest.mark.slow
def test_eight_clients_at_once_with_bombs_among_them(service: ServiceClient) -> None:
    bombs = [png_bomb(60_000, 60_000, rows=10), jpeg()[:5000], b"GIF89a" + bytes(100), png_bomb(9_000, 11_000)]
    photos = [jpeg((2000, 1500)), GOOD]
    process, most, done = psutil.Process(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = process.memory_info().rss

    def client(number: int) -> list[int]:
        found = []
        for turn in range(3):
            mine = (bombs + photos * 2)[(number + turn) % 8]
            found.append(service.locate_form(form((f"{number}.jpg", mine), ("ok.jpg", GOOD)))[0])
        return found

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for found in pool.map(client, range(8)) for status in found]
    done.set()
    watcher.join()
    assert statuses == [200] * 24
    assert most - before < 400 << 20


@pytest.mark.slow
def test_too_much_at_once_is_asked_to_come_again() -> None:
    noise = os.urandom(400_000)
    limits = Limits(memory_bytes=1 << 20, requests=16)
    with running_service(RedIsFarEast(), limits=limits) as service, ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: service.request("POST", "/v1/locate", noise, {"content-type": "image/png"}), range(40))
        )
        assert {status for status, _, _ in found} <= {422, 503}
        assert all(headers["retry-after"] for status, _, headers in found if status == 503)
        deadline = time.monotonic() + 5
        while (status := service.locate(GOOD)[0]) == 503 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status == 200
