"""Datasets with pictures, a running label server and a browser on it."""

import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Page

from collect.label.labelling import Labelling
from collect.label.opening import Opening
from collect.label.server import create_app
from img2gps.dataset import Dataset
from img2gps.site import Site
from img2gps.types import Photo
from img2gps.web.guard import Policy, policy_for
from tests.datasets import box_site, line, make_dataset, make_walk

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def walk_with_a_slip(count: int = 24, slip: int = 12, north_m: float = 90.0) -> list[Photo]:
    """Return a walk along a line at 0.6 m/s, a metre of noise, with one photo far north of where it was taken."""
    noise = np.random.default_rng(3).normal(0, 1, (count, 2))
    places = [(e + de, n + dn) for (e, n), (de, dn) in zip(line((-60, 0), (60, 0), count), noise, strict=True)]
    places[slip] = (places[slip][0], places[slip][1] + north_m)
    return make_walk("walk", places=places, seconds=9.0)


def labelled_dataset(
    root: Path, photos: list[Photo] | None = None, *, pictures: bool = False, site: Site | None = None
) -> Dataset:
    """Write a dataset of a site (default: a 300 m box), with a small picture per photo where wanted."""
    photos = walk_with_a_slip() if photos is None else photos
    dataset = make_dataset(root, photos, site=site or box_site(300, 300))
    for number, photo in enumerate(photos if pictures else []):
        path = dataset.photo_path(photo.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 80), (40 + number * 5 % 200, 90, 120)).save(path)
    return dataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Client:
    """Talks to a server the way a program does, headers and all."""

    port: int
    policy: Policy

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def request(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, parsed JSON (or bytes) and headers."""
        given = {"Content-Type": "application/json"} if body is not None else {}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, data, given | (headers or {}))
            answer = connection.getresponse()
            content = answer.read()
            found = {name.lower(): value for name, value in answer.getheaders()}
        kind = found.get("content-type", "")
        return answer.status, json.loads(content) if kind.startswith("application/json") else content, found

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """GET a path; header names are given with underscores."""
        return self.request("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})[:2]

    def correct(self, *changes: dict[str, Any], **more: Any) -> tuple[int, Any]:
        """POST changes."""
        return self.request("POST", "/api/corrections", {"changes": list(changes), **more})[:2]


@contextlib.contextmanager
def running_server(dataset: Labelling | Opening, host: str = "127.0.0.1") -> Iterator[Client]:
    """Serve a dataset from a thread; `host` decides the policy, the socket is on the loopback address all the same."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        port = listener.getsockname()[1]
        policy = policy_for(host, port)
        config = uvicorn.Config(create_app(dataset, policy), log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Client(port=port, policy=policy)
        finally:
            server.should_exit = True
            thread.join(10)


@dataclasses.dataclass(kw_only=True)
class LabelProcess:
    """``img2gps label`` as a process of its own, which a test may kill and start again on the same port."""

    root: Path
    arguments: tuple[str, ...] = ()
    port: int = 0
    process: "subprocess.Popen[str] | None" = None
    url: str = ""

    def start(self) -> None:
        """Start the command and wait for its address."""
        command = [sys.executable, "-m", "img2gps", "label", str(self.root), "--port", str(self.port), "--no-open"]
        environment = {**os.environ, "PYTHONWARNINGS": "error"}
        self.process = subprocess.Popen(
            [*command, "--json", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            got = self.process.stdout.readline()
            assert got, self.process.communicate()[1]
            text += got
        address = json.loads(text)
        self.port, self.url = address["port"], address["url"]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal and return the exit code and what stood on stderr."""
        assert self.process is not None
        self.process.send_signal(number)
        _, messages = self.process.communicate(timeout=20)
        code, self.process = self.process.returncode, None
        return code, messages


@contextlib.contextmanager
def label_process(root: Path, *arguments: str) -> Iterator[LabelProcess]:
    """Run ``img2gps label`` and make sure it ends."""
    running = LabelProcess(root=root, arguments=arguments)
    running.start()
    try:
        yield running
    finally:
        if running.process is not None:
            running.end(signal.SIGKILL)


def open_page(page: Page, url: str) -> Page:
    """Open the label page and wait until it can be used."""
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    return page


def drag(page: Page, selector: str, by: tuple[float, float], *, drop: bool = True) -> None:
    """Drag an element of the map by pixels with the mouse."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2, steps=3)
    page.mouse.move(x + by[0], y + by[1], steps=3)
    if drop:
        page.mouse.up()
