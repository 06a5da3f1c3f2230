"""The review page: the unsure first, answers kept at once, nothing for strangers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from publishing_scene import Published
from starlette.testclient import TestClient

from collect.api import forget, publish
from collect.publishing.redaction.review import ReviewDesk, review_app
from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table
from img2gps.redactions import Box, PictureRegion, Redactions, load_redactions, save_redactions
from img2gps.web.guard import policy_for


@pytest.fixture
def desk(published: Published, tmp_path: Path) -> ReviewDesk:
    dataset = Dataset.open(shutil.copytree(published.dataset.root, tmp_path / "quad"))
    photos = photos_of(read_table(dataset.manifest_path)[0])
    box = Box(left=4, top=4, right=20, bottom=20)
    regions = {
        photos[3].id: [PictureRegion(box=box, kind="face", score=0.9)],
        photos[5].id: [PictureRegion(box=box, kind="face", score=0.2)],
    }
    with dataset.lock():
        save_redactions(dataset, Redactions(regions=regions))
    return ReviewDesk(dataset=dataset, photos=photos)


@pytest.fixture
def page(desk: ReviewDesk) -> TestClient:
    app = review_app(desk, policy_for("127.0.0.1", 8765))
    return TestClient(app, base_url="http://127.0.0.1:8765")


def test_the_unsure_come_first_then_the_found(desk: ReviewDesk, page: TestClient) -> None:
    listed = page.get("/api/review").json()["photos"]
    assert [row["id"] for row in listed[:2]] == [desk.photos[5].id, desk.photos[3].id]
    assert [row["regions"][0]["hidden"] for row in listed[:2]] == [True, True]
    assert len(listed) == len(desk.photos)
    assert page.get(f"/photos/{desk.photos[0].id}").content == desk.dataset.photo_path(desk.photos[0].id).read_bytes()
    assert "canvas" in page.get("/").text
    assert page.get("/static/review.js").status_code == 200


def test_an_answer_is_kept_and_published(desk: ReviewDesk, page: TestClient, tmp_path: Path) -> None:
    found, unsure = desk.photos[3].id, desk.photos[5].id
    assert page.post("/api/review", json={"id": found, "verdicts": ["show"], "drawn": []}).status_code == 200
    told = page.post("/api/review", json={"id": unsure, "verdicts": ["hide"], "drawn": [[0, 0, 9, 9]]}).json()
    assert [region["hidden"] for region in told["regions"]] == [True, True]
    known = load_redactions(desk.dataset)
    assert (known.hidden(found), len(known.hidden(unsure))) == ([], 2)
    (tmp_path / "none.csv").write_text("photo,left,top,right,bottom\n")
    result = publish(desk.dataset, tmp_path / "out", license="mit", boxes=tmp_path / "none.csv")
    assert (result.redacted, result.redacted_photos) == (2, 1)
    page.post("/api/review", json={"id": unsure, "verdicts": ["show"], "drawn": []})
    assert load_redactions(desk.dataset).hidden(unsure) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"verdicts": ["show"], "drawn": []},
        {"id": "nobody", "verdicts": [], "drawn": []},
        {"id": "FOUND", "verdicts": [], "drawn": []},
        {"id": "FOUND", "verdicts": ["perhaps"], "drawn": []},
        {"id": "FOUND", "verdicts": ["show"], "drawn": [[0, 0, 5000, 9]]},
        {"id": "FOUND", "verdicts": ["show"], "drawn": [[0, 0]]},
        [],
    ],
)
def test_an_answer_that_makes_no_sense_changes_nothing(desk: ReviewDesk, page: TestClient, answer: Any) -> None:
    before = load_redactions(desk.dataset)
    if isinstance(answer, dict) and answer.get("id") == "FOUND":
        answer = {**answer, "id": desk.photos[3].id}
    assert page.post("/api/review", json=answer).status_code == 400
    assert load_redactions(desk.dataset) == before


def test_a_box_without_end_is_refused_in_words(desk: ReviewDesk, page: TestClient) -> None:
    answer = json.dumps({"id": desk.photos[3].id, "verdicts": ["show"], "drawn": [[0, 0, float("inf"), 9]]})
    told = page.post("/api/review", content=answer, headers={"content-type": "application/json"})
    assert (told.status_code, "not kept" in told.json()["error"]) == (400, True)


def test_strangers_are_refused(page: TestClient) -> None:
    assert page.get("/api/review", headers={"host": "evil.example:8765"}).status_code == 421
    assert page.post("/api/review", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert page.get("/static/../review.py").status_code == 404
    assert page.get(f"/photos/{'0' * 64}").status_code == 404


def test_what_was_forgotten_is_nowhere_in_the_record(desk: ReviewDesk) -> None:
    gone = desk.photos[3].id
    assert gone in (desk.dataset.root / "redaction.json").read_text()
    forget(desk.dataset, ids=[gone], dry_run=True)
    assert gone in (desk.dataset.root / "redaction.json").read_text()
    forget(desk.dataset, ids=[gone])
    assert gone not in (desk.dataset.root / "redaction.json").read_text()
    assert desk.photos[5].id in (desk.dataset.root / "redaction.json").read_text()
