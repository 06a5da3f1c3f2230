"""The label server: what it writes, and whom it refuses."""

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collect.label.labelling import Labelling
from collect.label.opening import Opening
from img2gps.corrections import read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from tests.datasets import make_photo
from tests.labelling import Client, labelled_dataset, running_server
from tests.maps import small_map

PHOTO = make_photo("p0", 0, 0)
OTHER = make_photo("p1", 20, 0)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return labelled_dataset(tmp_path / "quad", [PHOTO, OTHER], pictures=True)


@pytest.fixture
def server(dataset: Dataset) -> Iterator[Client]:
    with running_server(Labelling.of(dataset, by="kim")) as client:
        yield client


def move(version: str = "", photo_id: str = PHOTO.id, **fields: object) -> dict[str, object]:
    change = {"photo_id": photo_id, "version": version, "kind": "move", "lon": PHOTO.lon + 1e-4, "lat": PHOTO.lat}
    return {**change, **fields}


def test_a_move_is_in_the_file_when_the_answer_comes(server: Client, dataset: Dataset) -> None:
    status, answer = server.correct(move(), why="  by the =door\x1b[0m ")
    assert status == 200
    (line,) = read_corrections(dataset.corrections_path)
    assert (line.by, line.action, line.photo_id, line.batch) == ("kim", "move", PHOTO.id, answer["batch"])
    assert (line.from_lon, line.from_lat) == (PHOTO.lon, PHOTO.lat)
    assert line.lon == PHOTO.lon + 1e-4
    assert line.why == "  by the =door\x1b[0m "
    assert "\x1b" not in dataset.corrections_path.read_text()
    assert answer["labels"][PHOTO.id]["version"] == line.digest
    row = dataset.frame().set_index("id").loc[PHOTO.id]
    assert row["moved_m"] == pytest.approx(8.5, abs=0.3)
    assert (row["gps_source"], row["ingest_lon"]) == ("correction", PHOTO.lon)


@pytest.mark.slow
@given(why=st.text(st.characters(), max_size=40) | st.sampled_from(["=1+1", "\ud800", "\u202e", "\0", "\tx", "\r@"]))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_reason_is_kept_as_typed(server: Client, dataset: Dataset, why: str) -> None:
    version = (read_corrections(dataset.corrections_path) or [None])[-1]
    kind = "confirm" if version is None or version.action != "confirm" else "unsure"
    change = {"photo_id": PHOTO.id, "version": version.digest if version else "", "kind": kind}
    status, answer = server.correct(change, why=why)
    assert (status, answer["labels"][PHOTO.id]["why"]) == (200, why)
    assert read_corrections(dataset.corrections_path)[-1].why == why
    assert server.get("/api/labels")[1][PHOTO.id]["why"] == why


def test_a_reason_of_over_2000_characters_is_a_413(server: Client, dataset: Dataset) -> None:
    status, answer = server.correct(move(), why=2001 * "x")
    assert status == 413
    assert answer["error"] == "Nothing was saved, its why has 2,001 characters: shorten it to 2,000."
    assert not dataset.corrections_path.exists()
    assert server.correct(move(), why=2000 * "\u202e")[0] == 200
    assert read_corrections(dataset.corrections_path)[-1].why == 2000 * "\u202e"


def test_the_page_is_there_before_the_dataset(dataset: Dataset) -> None:
    held = threading.Event()

    def opens() -> Labelling:
        assert held.wait(10)
        return Labelling.of(dataset, by="kim")

    opening = Opening(opens)
    with running_server(opening) as server:
        opening.start(failed=held.set)
        assert b"img2gps label" in server.get("/")[1]
        assert server.get("/api/progress") == (200, {"stage": "reading", "done": 0, "total": 0})
        held.set()
        assert len(server.get("/api/queue")[1]) == 2
        assert server.get("/api/progress") == (200, {"stage": "ready", "done": 2, "total": 2})


def test_a_dataset_that_does_not_open_is_told_to_the_page() -> None:
    def opens() -> Labelling:
        raise InvalidDatasetError("The manifest is damaged.")

    failed = threading.Event()
    opening = Opening(opens)
    with running_server(opening) as server:
        opening.start(failed=failed.set)
        assert server.get("/api/dataset") == (500, {"error": "The manifest is damaged."})
    assert failed.is_set()
    assert isinstance(opening.failure(), InvalidDatasetError)


def test_each_action_keeps_what_the_others_set(server: Client, dataset: Dataset) -> None:
    version = ""
    states = []
    for change in (
        {"kind": "move", "lon": PHOTO.lon + 1e-4, "lat": PHOTO.lat},
        {"kind": "turn", "heading_deg": 365.0},
        {"kind": "unsure"},
        {"kind": "exclude"},
        {"kind": "move", "lon": PHOTO.lon, "lat": PHOTO.lat + 1e-4},
        {"kind": "unmark"},
        {"kind": "confirm"},
        {"kind": "reset"},
    ):
        _, answer = server.correct({"photo_id": PHOTO.id, "version": version, **change})
        label = answer["labels"][PHOTO.id]
        version = label["version"]
        states.append((label["state"], label["lon"] is not None, label["heading_deg"]))
    assert states == [
        ("move", True, None),
        ("move", True, 5.0),
        ("unsure", True, 5.0),
        ("exclude", True, 5.0),
        ("exclude", True, 5.0),
        ("move", True, 5.0),
        ("confirm", True, 5.0),
        ("", False, None),
    ]
    assert len(read_corrections(dataset.corrections_path)) == 8
    assert dataset.frame().set_index("id").loc[PHOTO.id, "label_state"] == ""


def test_undo_is_another_line_and_goes_back_step_by_step(server: Client, dataset: Dataset) -> None:
    _, first = server.correct(move())
    _, second = server.correct(move(first["labels"][PHOTO.id]["version"], lon=PHOTO.lon + 5e-4))
    status, answer = server.request("POST", "/api/corrections", {"undo": second["batch"]})[:2]
    assert status == 200
    assert answer["labels"][PHOTO.id]["lon"] == PHOTO.lon + 1e-4
    status, answer = server.request("POST", "/api/corrections", {"undo": None})[:2]
    assert answer["labels"][PHOTO.id]["state"] == ""
    assert server.request("POST", "/api/corrections", {"undo": None})[0] == 404
    assert len(read_corrections(dataset.corrections_path)) == 4
    assert dataset.frame()["moved_m"].max() == 0


@pytest.mark.slow
def test_a_stale_version_is_refused_and_shown(server: Client, dataset: Dataset) -> None:
    _, first = server.correct(move())
    status, answer = server.correct(move(lon=PHOTO.lon - 1e-4), move(photo_id=OTHER.id))
    assert status == 409
    assert answer["labels"] == first["labels"]
    assert len(read_corrections(dataset.corrections_path)) == 1  # the other photo of the request was not written either


def test_undoing_under_somebody_elses_change_is_refused(server: Client) -> None:
    _, first = server.correct(move())
    server.correct(move(first["labels"][PHOTO.id]["version"], lon=PHOTO.lon))
    status, answer = server.request("POST", "/api/corrections", {"undo": first["batch"]})[:2]
    assert status == 409
    assert answer["labels"][PHOTO.id]["lon"] == PHOTO.lon


def test_a_request_that_is_sent_again_is_written_once(server: Client, dataset: Dataset) -> None:
    answers = [server.correct(move(), batch="abcdef012345") for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(read_corrections(dataset.corrections_path)) == 1


def test_two_who_act_at_once_cannot_both_win(server: Client, dataset: Dataset) -> None:
    statuses: list[int] = []

    def act(step: int) -> None:
        statuses.append(server.correct(move(lon=PHOTO.lon + step * 1e-5))[0])

    threads = [threading.Thread(target=act, args=(step,)) for step in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 5
    assert len(read_corrections(dataset.corrections_path)) == 1


def test_while_another_process_writes_the_page_is_told_to_wait(server: Client, dataset: Dataset) -> None:
    with dataset.lock():
        status, answer = server.correct(move())
    assert (status, "another process" in answer["error"]) == (423, True)
    assert server.correct(move())[0] == 200


def test_a_damaged_file_is_said_and_not_written_to(server: Client, dataset: Dataset) -> None:
    server.correct(move())
    dataset.corrections_path.write_text(dataset.corrections_path.read_text().replace("kim", "lee"))
    status, answer = server.correct(move(photo_id=OTHER.id))
    assert (status, "changed after it was written" in answer["error"]) == (500, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        [],
        {},
        {"changes": []},
        {"changes": [{}]},
        {"changes": [move()], "undo": None},
        {"changes": [move(kind="sing")]},
        {"changes": [move(version=None)]},
        {"changes": [move(), move()]},
        {"changes": [move(lon=None)]},
        {"changes": [move(lon=True)]},
        {"changes": [move(lon=1e400)]},
        {"changes": [move(lat=91.0)]},
        {"changes": [move(lat=0.0)]},
        {"changes": [move()], "batch": "../x"},
        {"undo": 7},
    ],
)
def test_a_request_that_makes_no_sense_writes_nothing(server: Client, dataset: Dataset, body: object) -> None:
    status, answer, _ = server.request("POST", "/api/corrections", body)
    assert status == 400
    assert answer["error"].endswith(".")
    assert not dataset.corrections_path.exists()


def test_an_unknown_photo_is_not_found(server: Client) -> None:
    assert server.correct(move(photo_id="f" * 64))[0] == 404


def test_photos_come_by_id_and_nothing_else_does(server: Client, dataset: Dataset, tmp_path: Path) -> None:
    status, content, headers = server.request("GET", f"/photos/{PHOTO.id}")
    assert (status, headers["content-type"], content) == (200, "image/jpeg", dataset.photo_path(PHOTO.id).read_bytes())
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    dataset.photo_path(OTHER.id).unlink()
    dataset.photo_path(OTHER.id).symlink_to(secret)
    for path in (
        f"/photos/{OTHER.id}",
        "/photos/..%2F..%2Fsecret.jpg",
        "/photos/../manifest.parquet",
        f"/photos/{PHOTO.id}%00",
        "/static/../server.py",
        "/static/server.py",
        "/static/%2Fetc%2Fpasswd",
        "/manifest.parquet",
    ):
        assert server.get(path)[0] == 404, path


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1:1"},
        {"Host": "192.168.1.5:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Length": "99999999999"},
    ],
)
def test_strangers_are_refused(server: Client, dataset: Dataset, headers: dict[str, str]) -> None:
    filled = {name: value.format(port=server.port) for name, value in headers.items()}
    status, _, _ = server.request("POST", "/api/corrections", {"changes": [move()]}, headers=filled)
    assert status in (403, 413, 415, 421)
    assert not dataset.corrections_path.exists()
    if "Host" in headers or "Origin" in headers:
        assert server.request("GET", "/api/dataset", headers=filled)[0] in (403, 421)


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_page_itself_is_let_in(server: Client, host: str) -> None:
    own = {"Host": f"{host}:{server.port}", "Origin": f"http://{host}:{server.port}", "Sec-Fetch-Site": "same-origin"}
    assert server.request("POST", "/api/corrections", {"changes": [move()]}, headers=own)[0] == 200


def test_a_body_without_a_length_is_refused(server: Client) -> None:
    assert server.request("POST", "/api/corrections", None, headers={"Content-Type": "application/json"})[0] in (
        400,
        411,
    )


def test_every_answer_forbids_what_the_page_does_not_need(server: Client) -> None:
    for path in ("/", "/api/dataset", "/nowhere", f"/photos/{PHOTO.id}"):
        headers = server.request("GET", path)[2]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_other_addresses_want_a_token(dataset: Dataset) -> None:
    with running_server(Labelling.of(dataset, by="kim"), host="192.168.1.5") as server:
        token = server.policy.token
        assert token is not None
        assert len(token) >= 24
        for path in ("/", "/api/dataset", f"/photos/{PHOTO.id}", "/?token=wrong", f"/api/dataset?token={token}"):
            assert server.get(path)[0] == 401
        status, _, headers = server.request("GET", f"/?token={token}")
        assert (status, headers["location"]) == (303, "/")
        assert {"HttpOnly", "SameSite=strict"} <= set(headers["set-cookie"].split("; "))
        cookie = headers["set-cookie"].split(";")[0]
        assert server.get("/api/dataset", Cookie=cookie)[0] == 200
        assert server.get("/api/dataset", Authorization=f"Bearer {token}")[0] == 200
        assert server.get("/api/dataset", Cookie=cookie, Host=f"evil.example:{server.port}")[0] == 421
        assert server.get("/api/dataset", Cookie="img2gps_token=é; x")[0] == 401


def test_the_page_gets_everything_it_draws(server: Client) -> None:
    server.correct(move())
    status, answer = server.get("/api/dataset")
    assert status == 200
    shown = {photo["id"]: photo for photo in answer["photos"]}
    assert (shown[PHOTO.id]["lon"], shown[PHOTO.id]["label"]["lon"]) == (PHOTO.lon, PHOTO.lon + 1e-4)
    assert answer["site"]["geometry"]["type"] == "Polygon"
    assert answer["projection"]["m_per_lat"] == pytest.approx(111_000, rel=0.01)
    status, queue = server.get("/api/queue")
    assert [suspicion["photo_id"] for suspicion in queue] == [OTHER.id]
    status, labels = server.get("/api/labels")
    assert list(labels) == [PHOTO.id]


def test_names_of_files_reach_the_page_as_safe_text(tmp_path: Path) -> None:
    nasty = dataclasses.replace(PHOTO, source_name="<script>\u202e\x1b.jpg")
    with running_server(Labelling.of(labelled_dataset(tmp_path / "quad", [nasty]), by="kim")) as server:
        name = server.get("/api/dataset")[1]["photos"][0]["name"]
    assert name == "<script>\\u{202e}\\x1b.jpg"  # markup is no danger: the page sets it as text


def test_a_place_is_told_in_words_and_a_roof_has_a_way_off(dataset: Dataset) -> None:
    with running_server(Labelling.of(dataset, by="kim", basemap=small_map())) as client:
        status, found = client.get(f"/api/place?lon={PHOTO.lon}&lat={PHOTO.lat}")
        assert (status, found["text"], found["on_roof"]) == (200, "on the roof of Towne, 10 m from its edge", True)
        ground = found["ground"]
        _, outside = client.get(f"/api/place?lon={ground['lon']}&lat={ground['lat']}")
        assert (outside["on_roof"], outside["ground"]) == (False, None)
        for query in ("lon=1", "lon=x&lat=1", "lon=nan&lat=1", "lon=999&lat=1"):
            assert client.get(f"/api/place?{query}")[0] == 400
        _, document = client.get("/api/dataset")
        assert document["ground"]["credit"] == "(c) the surveyors"


def test_without_a_map_a_place_has_no_words(server: Client) -> None:
    assert server.get("/api/place?lon=0&lat=0") == (200, {"text": "", "on_roof": False, "ground": None})
    assert server.get("/api/dataset")[1]["ground"] is None
