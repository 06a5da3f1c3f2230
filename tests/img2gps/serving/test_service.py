"""What the service answers, and what it refuses."""

import dataclasses
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import shapely

from img2gps.answers import Prediction
from img2gps.basemap.features import Basemap, MapFeature
from img2gps.basemap.surroundings import Surroundings
from img2gps.errors import UsageError
from img2gps.geo import geodesic_m
from img2gps.serving.backend import Located, ServedModel
from img2gps.serving.limits import Limits
from img2gps.web.guard import public_policy
from tests.serving import RedIsFarEast, ServiceClient, colour_jpeg, form, grid, running_service

KEYS = [field.name for field in dataclasses.fields(Prediction)]
HERE, UNSURE, ELSEWHERE = (200, 60, 30), (60, 60, 150), (127, 127, 250)


@pytest.fixture(scope="module")
def backend() -> RedIsFarEast:
    return RedIsFarEast()


@pytest.fixture(scope="module")
def service(backend: RedIsFarEast) -> Iterator[ServiceClient]:
    with running_service(backend, limits=Limits(photos=4, photo_bytes=1 << 20, request_bytes=2 << 20)) as client:
        yield client


def test_raw_bytes_and_forms_get_the_keys_of_predict(service: ServiceClient, backend: RedIsFarEast) -> None:
    photo = colour_jpeg(HERE)
    status, (row,) = service.locate(photo)
    assert status == 200
    assert list(row) == KEYS
    (lon,), (lat,) = backend.model.frame.to_lonlat([(200 - 127.5) * 200 / 255], [(60 - 127.5) * 200 / 255])
    assert float(geodesic_m(row["lon"], row["lat"], lon, lat)) < 2
    assert (row["file"], row["error"], row["familiarity"]) == ("photo", None, 0.5)
    status, rows = service.locate_form(form(("a.jpg", photo), ("b.jpg", colour_jpeg(UNSURE))))
    assert (status, [one["file"] for one in rows]) == (200, ["a.jpg", "b.jpg"])
    assert rows[0] == {**row, "file": "a.jpg"}
    assert service.locate(photo, kind="application/octet-stream")[1] == [row]


def test_walk_abstain_and_details_may_be_asked_for(service: ServiceClient, backend: RedIsFarEast) -> None:
    photos = [
        (f"{name}.jpg", colour_jpeg(colour)) for name, colour in zip("abc", (HERE, UNSURE, ELSEWHERE), strict=True)
    ]
    _, rows = service.locate_form(form(*photos, walk="true"), "?abstain_m=25")
    assert [row["radius_50_m"] for row in rows] == [3.0] * 3
    assert [row["sure"] for row in rows] == [True, False, False]
    assert backend.calls[-1] == (3, True)
    _, rows = service.locate_form(form(*photos), "?details=true")
    assert [row["verdict"] for row in rows] == ["here", "unsure", "elsewhere"]
    cells = service.get("/v1/model")[1]["cells"]
    likeliest = int(np.argmax(rows[0]["shares"]))
    assert (len(rows[0]["shares"]), max(rows[0]["shares"])) == (len(grid()), 255)
    assert float(geodesic_m(cells["lon"][likeliest], cells["lat"][likeliest], rows[0]["lon"], rows[0]["lat"])) < 10
    nearest = rows[0]["alike"][0]
    assert float(geodesic_m(nearest["lon"], nearest["lat"], rows[0]["lon"], rows[0]["lat"])) < 10
    status, picture = service.get(f"/{nearest['url']}")
    assert (status, picture[:2]) == (200, b"\xff\xd8")


def test_a_place_is_said_in_words_where_the_site_has_a_map(service: ServiceClient) -> None:
    class Mapped(RedIsFarEast):
        @property
        def model(self) -> ServedModel:
            plain = super().model
            lon, lat = plain.frame.to_lonlat(np.asarray([60, 90, 90, 60]), np.asarray([-90, -90, -60, -60]))
            hall = MapFeature(kind="building", geometry=shapely.Polygon(np.stack([lon, lat], axis=1)), name="Towne")
            site_map = Basemap(features=(hall,), source="a survey", date="2026-11-29")
            return dataclasses.replace(plain, surroundings=Surroundings(site_map, frame=plain.frame))

    red = colour_jpeg((222, 32, 30))  # 75 m east, 75 m south
    with running_service(Mapped()) as mapped:
        assert mapped.locate(red, "?details=true")[1][0]["place"].startswith("in Towne, ")
        assert "place" not in mapped.locate(red)[1][0]
    assert service.locate(red, "?details=true")[1][0]["place"] is None


def test_geojson_is_answered_where_it_is_accepted(service: ServiceClient) -> None:
    body = form(("a.jpg", colour_jpeg(HERE)), ("bad.jpg", b"no photo"))
    status, found = service.locate_form(body, accept="application/geo+json")
    (feature,) = found["features"]
    assert (status, feature["properties"]["file"]) == (200, "a.jpg")
    assert feature["geometry"]["coordinates"][0] == service.locate(colour_jpeg(HERE))[1][0]["lon"]


def test_one_bad_photo_costs_the_others_nothing(service: ServiceClient) -> None:
    status, rows = service.locate_form(form(("bad.jpg", b"\xff\xd8\xff not a photo"), ("a.jpg", colour_jpeg(HERE))))
    assert (status, rows[1]["error"]) == (200, None)
    assert rows[0]["lon"] is None
    assert "damaged" in rows[0]["error"] or "format" in rows[0]["error"]
    assert service.locate(b"GIF89a" + bytes(60))[0] == 422


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("C:\\\\windows\\\\x.jpg", "x.jpg"),
        ("a\x1b[31m.jpg", "a\\x1b[31m.jpg"),
        ("\u202egpj.exe", "\\u{202e}gpj.exe"),
        ("x" * 4000, None),
    ],
)
def test_a_name_is_text_and_never_a_path(service: ServiceClient, name: str, shown: str | None) -> None:
    status, (row,) = service.locate_form(form((name, colour_jpeg(HERE))))
    assert status == 200
    assert len(row["file"]) <= 130 if shown is None else row["file"] == shown


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (415, "application/json", b"{}"),
        (415, "text/html", b"<p>"),
        (415, "", b"x"),
        (400, "image/jpeg", b""),
        (400, "multipart/form-data", b"x"),
        (400, "multipart/form-data; boundary=b", b"no such boundary"),
        (
            400,
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="p"; filename="a"\r\n\r\nxy',
        ),
        (413, "image/jpeg", bytes((1 << 20) + 1)),
    ],
)
def test_bodies_that_are_refused(service: ServiceClient, status: int, kind: str, body: bytes) -> None:
    found = service.locate(body, kind=kind)
    assert found[0] == status
    assert found[1]["error"].endswith(".")


def test_an_empty_file_is_a_row_and_a_file_that_was_not_chosen_is_none(service: ServiceClient) -> None:
    photo = colour_jpeg(HERE)
    status, rows = service.locate_form(form(("empty.jpg", b""), ("a.jpg", photo)))
    assert (status, [row["file"] for row in rows]) == (200, ["empty.jpg", "a.jpg"])
    assert [row["error"] is None for row in rows] == [False, True]
    _, rows = service.locate_form(form(("", b""), ("a.jpg", photo)))
    assert [row["file"] for row in rows] == ["a.jpg"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/locate", 405),
        ("GET", f"/v1/photos/{'9' * 5000}", 404),
        ("GET", "/v1/photos/a", 404),
    ],
)
def test_an_address_that_is_none_is_answered_as_other_refusals(
    service: ServiceClient, method: str, path: str, status: int
) -> None:
    found, answer, _ = service.request(method, path)
    assert (found, answer["error"][-1]) == (status, ".")


def test_a_client_that_sends_before_it_reads_is_told_why(service: ServiceClient) -> None:
    body = bytes(1 << 20)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as client:
        head = f"POST /v1/locate HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode())
        for begin in range(0, len(body), 1 << 16):
            time.sleep(0.01)  # a refusal without the body would have closed the connection by now
            client.sendall(body[begin : begin + (1 << 16)])
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"Photos are sent as" in answer


def test_a_body_that_says_it_is_too_large_is_not_read(service: ServiceClient) -> None:
    said = {"content-type": "image/jpeg", "content-length": str((2 << 20) + 1)}
    status, answer, headers = service.request("POST", "/v1/locate", b"x", said)
    assert (status, answer["error"]) == (413, "A request holds at most 2 MiB.")
    assert headers["connection"] == "close"


def test_too_many_photos_and_strange_fields_are_refused(service: ServiceClient) -> None:
    photo = colour_jpeg(HERE)
    assert service.locate_form(form(*[("a.jpg", photo)] * 5))[0] == 413
    assert service.locate_form(form(("a.jpg", photo), walk="perhaps"))[0] == 400
    assert service.locate_form(form(("a.jpg", photo), why="x" * 2000))[0] == 413
    assert service.locate_form(form(("a.jpg", photo)), "?abstain_m=nan")[0] == 400
    assert service.locate_form(form(("a.jpg", photo), walk="true"))[0] == 200


def test_the_document_describes_the_answers(service: ServiceClient) -> None:
    status, document = service.get("/openapi.json")
    assert (status, document["openapi"]) == (200, "3.1.0")
    answer = document["components"]["schemas"]["Answer"]
    (row,) = service.locate(colour_jpeg(HERE), "?details=true&abstain_m=5")[1]
    assert set(row) <= set(answer["properties"]) | {"sure"}
    assert set(answer["required"]) <= set(row)
    for path, methods in document["paths"].items():
        for method in methods:
            found = service.request(method.upper(), path.replace("{number}", "3"))[0]
            assert found == (415 if method == "post" else 200)
    assert f"{4} as files" in json.dumps(document)


def test_the_model_is_described(service: ServiceClient) -> None:
    status, facts = service.get("/v1/model")
    assert status == 200
    assert facts["locates_walks"] is facts["tells_strangers"] is True
    assert facts["preset"] == "colours"
    assert len(facts["cells"]["lon"]) == len(grid())
    assert service.get("/health") == (200, {"status": "ok"})
    assert service.get("/v1/photos/999999")[0] == 404


def test_without_thumbnails_no_photo_is_shown() -> None:
    with running_service(RedIsFarEast(shows_photos=False)) as service:
        (row,) = service.locate(colour_jpeg(HERE), "?details=true")[1]
        assert row["alike"]
        assert all("url" not in one for one in row["alike"])
        assert service.get("/v1/photos/0")[0] == 404


def test_other_addresses_want_a_token_but_for_health() -> None:
    with running_service(RedIsFarEast(), host="192.168.1.5") as service:
        photo, token = colour_jpeg(HERE), service.policy.token
        assert service.get("/health")[0] == 200
        for path in ("/", "/v1/model", "/static/page.js", "/v1/photos/1"):
            assert service.get(path)[0] == 401
        assert service.locate(photo)[0] == 401
        for scheme in ("Bearer", "bearer"):  # RFC 9110, 11.1: case does not count
            assert service.locate(photo, authorization=f"{scheme} {token}")[0] == 200
        assert service.locate(photo, authorization=token)[0] == 401
        assert service.locate(photo, authorization=f"Bearer {token}", host=f"evil.example:{service.port}")[0] == 421


def test_other_websites_are_refused_unless_the_server_is_public(service: ServiceClient) -> None:
    photo = colour_jpeg(HERE)
    assert service.locate(photo, origin="https://evil.example")[0] == 403
    assert service.locate(photo, host=f"evil.example:{service.port}")[0] == 421
    with running_service(RedIsFarEast(), policy=public_policy(1)) as public:
        assert public.locate(photo, origin="https://evil.example", host="anything.example")[0] == 200
        assert "frame-ancestors *" in public.request("GET", "/")[2]["content-security-policy"]
    assert "frame-ancestors 'none'" in service.request("GET", "/")[2]["content-security-policy"]


@dataclasses.dataclass(kw_only=True)
class Slow(RedIsFarEast):
    """Waits with its first answer until it is let go."""

    begun: threading.Event = dataclasses.field(default_factory=threading.Event)
    held: threading.Event = dataclasses.field(default_factory=threading.Event)

    def locate(self, shots, *, walk):  # type: ignore[no-untyped-def]
        self.begun.set()
        assert self.held.wait(20)
        return super().locate(shots, walk=walk)


def test_what_waits_for_the_model_is_located_together() -> None:
    backend = Slow()
    with running_service(backend) as service, ThreadPoolExecutor(9) as pool:
        first = pool.submit(service.locate, colour_jpeg(HERE))
        assert backend.begun.wait(20)
        colours = [(20 + 25 * i, 60, 30) for i in range(8)]
        others = [pool.submit(service.locate, colour_jpeg(colour)) for colour in colours]
        time.sleep(1.0)  # they are decoded meanwhile, and stand in line
        backend.held.set()
        assert first.result()[0] == 200
        east = [one.result()[1][0]["lon"] for one in others]
        assert east == sorted(east)
        assert len(set(east)) == 8
    assert sum(count for count, _ in backend.calls) == 9
    assert len(backend.calls) <= 4


class Failing(RedIsFarEast):
    """A model that fails."""

    def locate(self, shots, *, walk) -> list[Located]:  # type: ignore[no-untyped-def]
        if walk:
            raise UsageError("No walks, please.")
        raise RuntimeError("secret of the machine")


def test_a_model_that_fails_is_told_in_a_sentence_and_lives_on() -> None:
    with running_service(Failing()) as service:
        status, answer = service.locate(colour_jpeg(HERE))
        assert status == 500
        assert "secret" not in answer["error"]
        assert service.locate(colour_jpeg(HERE), "?walk=true") == (400, {"error": "No walks, please."})
