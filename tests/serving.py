"""A service over a model whose answers are known, and clients that talk to it as programs do."""

import contextlib
import dataclasses
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from img2gps.serving.answering import unsure_beyond_m
from img2gps.serving.backend import DecodedPhoto, Located, ServedModel
from img2gps.serving.ground import ground_of_site
from img2gps.serving.limits import Limits
from img2gps.serving.service import Service
from img2gps.web.guard import Policy, policy_for
from tests.datasets import box_site

SIDE_M = 200.0
CELL_M = 10.0
BOUNDARY = "----of-a-test"


def grid() -> Any:
    """Return the centres of the cells of the test's site, (C, 2)."""
    lines = np.arange(-SIDE_M / 2 + CELL_M / 2, SIDE_M / 2, CELL_M)
    return np.stack(np.meshgrid(lines, lines, indexing="ij"), axis=-1).reshape(-1, 2)


@dataclasses.dataclass(kw_only=True)
class RedIsFarEast:
    """Reads the place off a photo's mean colour: red east, green north; a photo of much blue is not of the site."""

    shows_photos: bool = True
    calls: list[tuple[int, bool]] = dataclasses.field(default_factory=list)

    @property
    def model(self) -> ServedModel:
        site = box_site(SIDE_M, SIDE_M)
        return ServedModel(
            name="of <colours>",
            site=site.title or site.name,
            frame=site.frame,
            ground=ground_of_site(site),
            locates_walks=True,
            tells_strangers=True,
            cells=grid(),
            cell_m=CELL_M,
            alike_lonlat=np.stack(site.frame.to_lonlat(grid()[:, 0], grid()[:, 1]), axis=1),
            shows_photos=self.shows_photos,
            about={"preset": "colours"},
        )

    def locate(self, shots: Sequence[DecodedPhoto], *, walk: bool) -> list[Located]:
        self.calls.append((len(shots), walk))
        return [self._located(shot, walk) for shot in shots]

    def _located(self, shot: DecodedPhoto, walk: bool) -> Located:
        red, green, blue = np.asarray(shot.image, dtype=np.float64).mean(axis=(0, 1))
        east_m, north_m = (red - 127.5) * SIDE_M / 255, (green - 127.5) * SIDE_M / 255
        (lon,), (lat,) = self.model.frame.to_lonlat([east_m], [north_m])
        distance = np.hypot(*(grid() - [east_m, north_m]).T)
        probs = np.exp(-(distance**2) / 200)
        return Located(
            lon=float(lon),
            lat=float(lat),
            radius_50_m=3.0 if walk else 8.0,
            radius_90_m=90.0 if blue > 100 and blue < 200 else 20.0,
            familiarity=0.01 if blue > 200 else 0.5,
            probs=probs / probs.sum(),
            alike=tuple(int(i) for i in np.argsort(distance)[:3]),
        )

    def photo(self, number: int) -> bytes | None:
        return colour_jpeg((200, 30, 30)) if 0 <= number < len(grid()) else None


def colour_jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (96, 128)) -> bytes:
    """Return a JPEG of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", quality=95)
    return out.getvalue()


def form(*files: tuple[str, bytes], **fields: str) -> bytes:
    """Return a multipart body of files (name, bytes) and fields."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n'
        f"Content-Type: image/jpeg\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    parts += [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceClient:
    """Talks to a service, headers and all."""

    port: int
    policy: Policy

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, parsed JSON (or bytes) and headers; an iterable body goes in chunks, without a length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(method, path, body, dict(headers or {}), encode_chunked=chunked)
            answer = connection.getresponse()
            content = answer.read()
            found = {name.lower(): value for name, value in answer.getheaders()}
        is_json = "json" in found.get("content-type", "")
        return answer.status, json.loads(content) if is_json else content, found

    def locate(self, data: bytes, query: str = "", kind: str = "image/jpeg", **headers: str) -> tuple[int, Any]:
        """POST one photo as raw bytes."""
        return self.request("POST", f"/v1/locate{query}", data, {"content-type": kind, **headers})[:2]

    def locate_form(self, body: Any, query: str = "", **headers: str) -> tuple[int, Any]:
        """POST a form."""
        given = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
        return self.request("POST", f"/v1/locate{query}", body, given)[:2]

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """GET a path."""
        return self.request("GET", path, headers=headers)[:2]


@contextlib.contextmanager
def running_service(
    backend: Any, *, host: str = "127.0.0.1", limits: Limits | None = None, policy: Policy | None = None
) -> Iterator[ServiceClient]:
    """Serve a backend from a thread; `host` decides the policy, the socket is on the loopback address all the same."""
    service = Service(backend, limits=limits or Limits(), decoders=2, abstain_m=unsure_beyond_m(backend.model))
    with socket.socket() as listener, contextlib.closing(service):
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        policy = policy or policy_for(host, port)
        config = uvicorn.Config(service.app(policy), log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield ServiceClient(port=port, policy=policy)
        finally:
            server.should_exit = True
            thread.join(10)
