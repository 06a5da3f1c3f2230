"""``img2gps label`` from the command line."""

import json
import signal
from configparser import ConfigParser
from pathlib import Path

import pytest

from img2gps.cli import run
from img2gps.web.guard import policy_for
from tests.labelling import Client, label_process, labelled_dataset, walk_with_a_slip

PHOTOS = walk_with_a_slip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return labelled_dataset(tmp_path / "quad", PHOTOS).root


def test_the_queue_is_a_table_or_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["label", str(root), "--queue"]) == 0
    assert PHOTOS[12].source_name in capsys.readouterr().out.splitlines()[2]
    assert run(["label", str(root), "--queue", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["photos"], report["reviewed"], len(report["queue"])) == (24, 0, 24)
    first = report["queue"][0]
    assert (first["rank"], first["id"], first["file"]) == (1, PHOTOS[12].id, PHOTOS[12].source_name)
    assert {"score", "lon", "lat", "walk", "reasons"} <= set(first)
    assert {"code", "text", "weight"} == set(first["reasons"][0])


def test_import_and_export_in_one_call(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = tmp_path / "given.csv"
    given.write_text(f"id,lon,lat\n{PHOTOS[12].id},{PHOTOS[11].lon},{PHOTOS[11].lat}\nx,1,2\n")
    out = tmp_path / "out.geojson"
    assert run(["label", str(root), "--import", str(given), "--export", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert (report["import"]["applied"], len(report["import"]["unmatched"])) == (1, 1)
    assert report["export"]["corrections"] == 1
    assert "1 taken over" in captured.err
    assert json.loads(out.read_text())["features"][0]["properties"]["id"] == PHOTOS[12].id
    assert run(["label", str(root), "--import", str(given)]) == 0
    assert "without a photo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--run", "absent", "--queue"], 3),
        (["--buildings", "absent.geojson"], 3),
        (["--import", "absent.csv"], 3),
        (["--replace"], 2),
        (["--host", "256.1.1.1", "--no-open"], 2),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert run(["label", str(root), *arguments]) == code
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_missing_dataset_is_exit_3(tmp_path: Path) -> None:
    assert run(["label", str(tmp_path / "absent")]) == 3


def test_the_page_belongs_to_what_a_plain_install_brings() -> None:
    setup = ConfigParser()
    setup.read(Path(__file__).parents[3] / "setup.cfg", encoding="utf-8")
    core = {line.split(">")[0] for line in setup["options"]["install_requires"].splitlines()}
    assert {"starlette", "uvicorn"} <= core
    assert "label" in setup["options.extras_require"]  # so that img2gps[label] goes on being an address


def test_the_queue_says_how_probable_and_where_to_stop(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["label", str(root), "--queue"]) == 0
    out = capsys.readouterr().out
    assert "0 wrong found; worth looking down to rank 1" in out
    assert "99%" in out
    assert "<1%" in out
    assert " 100%" not in out
    assert run(["label", str(root), "--queue", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    queue, standing = report["queue"], report["standing"]
    assert [entry["probability"] >= 0.1 for entry in queue] == [True] + 23 * [False]
    assert standing["worth_looking"] == 1
    expected = standing["expected_wrong_there"] + standing["expected_wrong_beyond"]
    assert expected == pytest.approx(sum(entry["probability"] for entry in queue), abs=0.02)
    assert queue[0]["expected_lat"] < PHOTOS[12].lat - 5e-4  # the walk goes on 90 m to the south of the slip


def test_a_queue_with_nothing_left_says_so(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = tmp_path / "given.csv"
    rows = [f"{photo.id},{photo.lon},{photo.lat},confirm" for photo in PHOTOS]
    given.write_text("\n".join(["id,lon,lat,action", *rows]))
    assert run(["label", str(root), "--import", str(given)]) == 0
    capsys.readouterr()
    assert run(["label", str(root), "--queue"]) == 0
    assert capsys.readouterr().out == "0 wrong found; every label was looked at.\n"


def test_a_dataset_that_cannot_be_read_ends_the_server(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "manifest.parquet").write_bytes(b"nonsense")
    assert run(["label", str(root), "--port", "0", "--no-open"]) == 4
    assert "Error: " in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_is_served_until_ctrl_c(root: Path) -> None:
    with label_process(root, "--by", "kim") as running:
        page = Client(port=running.port, policy=policy_for("127.0.0.1", running.port)).get("/")[1]
        assert b"img2gps label" in page
        taken = run(["label", str(root), "--port", str(running.port), "--no-open"])
        code, messages = running.end(signal.SIGINT)
    assert taken == 2
    assert code == 0
    assert messages.splitlines()[-1] == "Ended; 0 corrections written."
    assert "Traceback" not in messages
