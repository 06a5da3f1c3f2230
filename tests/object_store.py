"""Stores for tests, on the loopback address or in memory: S3 as moto speaks it, and a web server that lists folders."""

import contextlib
import functools
import http.client
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import pytest

from img2gps import object_store

SECRET = "swordfish"

_REFUSALS = {"503": ("SlowDown", "Slow Down"), "403": ("ExpiredToken", "The provided token has expired.")}
_OF_CONNECTION = ("connection", "transfer-encoding", "content-length", "date", "server")


def fill(url: str, folder: Path, **options: Any) -> None:
    """Put the files below a folder into a store, below `url`."""
    files, root = fsspec.core.url_to_fs(url, **options)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            target = f"{root}/{path.relative_to(folder).as_posix()}"
            with contextlib.suppress(NotImplementedError):
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
            files.pipe_file(target, path.read_bytes())


Fault = Callable[[str, str], str | None]
"""What befalls a request, by its method and path: "503", "403", "half" an object, or nothing."""


@contextlib.contextmanager
def fake_s3(monkeypatch: pytest.MonkeyPatch, fault: Fault | None = None) -> Iterator[str]:
    """Serve S3 on the loopback address with one bucket, and let the environment lead to it; yields ``s3://bucket``.

    With a `fault`, a proxy stands between that spoils what it says.
    """
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    stack = contextlib.ExitStack()
    front = stack.enter_context(_spoiling(port, fault)) if fault else port
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{front}",
        "AWS_ACCESS_KEY_ID": "reader",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",  # of botocore: s3fs tries again, and so do we
    }.items():
        monkeypatch.setenv(name, value)
    try:
        # what another test put there is in the memory of this process
        with urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")):
            S3FileSystem.clear_instance_cache()
            object_store.opened.cache_clear()
        S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    finally:
        stack.close()
        server.stop()
        S3FileSystem.clear_instance_cache()
        object_store.opened.cache_clear()


@contextlib.contextmanager
def _spoiling(port: int, fault: Fault) -> Iterator[int]:
    """Pass requests on to the server at a port of the loopback address, and spoil some answers; yields its own port."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            spoilt = fault(self.command, self.path)
            if spoilt in _REFUSALS:
                code, words = _REFUSALS[spoilt]
                said = "" if self.command == "HEAD" else f"<Error><Code>{code}</Code><Message>{words}</Message></Error>"
                self.answer(int(spoilt), {}, said.encode())
                return
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            self.answer(answer.status, dict(answer.getheaders()), data, half=spoilt == "half")

        def answer(self, status: int, headers: dict[str, str], data: bytes, *, half: bool = False) -> None:
            self.send_response(status)
            kept = {name: value for name, value in headers.items() if name.lower() not in _OF_CONNECTION}
            length = headers.get("Content-Length", headers.get("content-length", "0"))
            kept["Content-Length"] = length if self.command == "HEAD" else str(len(data))
            for name, value in kept.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if half else data)
            self.close_connection = self.close_connection or half

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815  the names that http.server calls

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def web_listing(folder: Path, *, refuse: int | None = None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve a folder with listings; yields its address and the requests (method, path) as they come.

    The server knows no ranges. With `refuse`, it answers that status alone, in words that repeat the request.
    """
    asked: list[tuple[str, str]] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def parse_request(self) -> bool:
            understood = super().parse_request()
            if understood:
                asked.append((self.command, self.path))
            if understood and refuse is not None:
                self.send_response(refuse, f"Not {self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return False
            return understood

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
