"""Stores for tests, on the loopback address or in memory: S3 as moto speaks it, and a web server that lists folders."""

import contextlib
import functools
import logging
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import pytest

from collect.reading import stores

SECRET = "swordfish"


def fill(url: str, folder: Path, **options: Any) -> None:
    """Put the files below a folder into a store, below `url`."""
    files, root = fsspec.core.url_to_fs(url, **options)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            target = f"{root}/{path.relative_to(folder).as_posix()}"
            with contextlib.suppress(NotImplementedError):
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
            files.pipe_file(target, path.read_bytes())


@contextlib.contextmanager
def fake_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve S3 on the loopback address with one bucket, and let the environment lead to it; yields ``s3://bucket``."""
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "reader",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        # what another test put there is in the memory of this process
        with urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")):
            S3FileSystem.clear_instance_cache()
            stores._opened.cache_clear()
        S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    finally:
        server.stop()


@contextlib.contextmanager
def web_listing(folder: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve a folder with listings; yields its address and the requests (method, path) as they come."""
    asked: list[tuple[str, str]] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def parse_request(self) -> bool:
            understood = super().parse_request()
            if understood:
                asked.append((self.command, self.path))
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
