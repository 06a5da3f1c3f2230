"""A run as a model repository of the Hub, and as a run again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from fake_hub import fake_hub
from ingest_runs import fingerprint

from img2gps.cli import run as img2gps
from img2gps.files import changed_files, write_json
from img2gps.hub import repository
from img2gps.hub.repository import PushResult
from tests.train.colours import colour_dataset, tiny_config, without_curves
from train.api import evaluate, export, plan_export, predict
from train.evaluation.document import document_of
from train.runs.folder import RunFolder
from train.training.session import start_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        root = colour_dataset(folder / "kims-quad", 30, val=10).root
        made = start_run(root, tiny_config(epochs=1), runs=folder / "runs", name="p").root
    scored = evaluate(made, split="val", write=False)
    write_json(made / "evaluations" / "val" / "evaluation.json", document_of(scored))
    return made


@pytest.fixture(scope="module")
def out(folder: Path, run: Path) -> Path:
    assert img2gps(["export", str(run), str(folder / "out"), "--format", "hub", "--license", "mit"]) == 0
    return folder / "out"


def header(out: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    return found


def test_the_card_holds_the_figures_with_their_intervals_as_the_hub_reads_them(run: Path, out: Path) -> None:
    repocard = pytest.importorskip("huggingface_hub.repocard_data")
    data = header(out)
    name, results = repocard.model_index_to_eval_results(data["model-index"])
    document = json.loads(next((run / "evaluations").glob("*/evaluation.json")).read_bytes())
    assert (name, data["license"], data["library_name"]) == ("p", "mit", "img2gps")
    found = {result.metric_type: result for result in results}
    assert found["median_m"].metric_value == pytest.approx(document["median_m"], abs=1e-3)
    assert found["median_m"].dataset_split == "val"
    bounds = (document["intervals"] or {}).get("median_m")
    if bounds:
        assert found["median_m"].metric_args["interval_95"] == pytest.approx(bounds, abs=1e-3)


def test_nothing_tells_of_this_machine(out: Path, folder: Path) -> None:
    for path in out.rglob("*"):
        if path.is_file():
            assert str(folder).encode() not in path.read_bytes(), path
    assert changed_files(out) == []


def test_the_folder_is_a_run_that_answers_the_same_and_knows_its_training_photos(run: Path, out: Path) -> None:
    dataset = next(run.parents[1].glob("kims-quad"))
    photos = sorted((dataset / "photos").rglob("*.jpg"))[:3]
    assert predict(out, photos, device="cpu") == predict(run, photos, device="cpu")
    assert list(RunFolder(root=out).read_photos()["id"]) == list(RunFolder(root=run).read_photos()["id"])
    there, here = (evaluate(one, on=dataset, split="val", write=False) for one in (out, run))
    assert there.figures == here.figures
    assert img2gps(["verify", str(out)]) == 0


def test_an_export_is_compared_with_its_run_beside_a_published_copy(
    run: Path, out: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert img2gps(["export", str(run), str(tmp_path / "onnx")]) == 0
    shutil.copytree(out, tmp_path / "runs/a-fetched")
    monkeypatch.chdir(tmp_path)
    photo = next((folder / "kims-quad/photos").rglob("*.jpg"))
    assert img2gps(["export", "--check", "onnx", str(photo)]) == 0
    assert img2gps(["export", "--check", "onnx", str(photo), "--run", "runs/a-fetched"]) == 0


def test_an_option_that_would_do_nothing_is_refused(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (["--license", "mit"], ["--run", str(run)], ["--onnxruntime-web", str(folder)]):
        assert img2gps(["export", str(run), str(tmp_path / "onnx"), *options]) == 2
        assert options[0] in capsys.readouterr().err
    assert img2gps(["export", "--check", str(tmp_path), str(tmp_path), "--half"]) == 2
    assert "--half" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_network_gives_away_no_single_position(run: Path, out: Path) -> None:
    before, after = (pd.read_parquet(root / "photos.parquet").query("role == 'train'") for root in (run, out))
    assert before["lon"].nunique() > 1 == after["lon"].nunique()
    assert after["lon"].mean() == pytest.approx(before["lon"].mean())
    assert "It compares no photos" in (out / "README.md").read_text()


_PUSH = """
import sys
from pathlib import Path
from img2gps.hub.repository import push_folder
print(push_folder(Path(sys.argv[1]), "our-lab/model", kind="model").repo)
"""


def test_every_file_of_it_goes_up_as_a_model(out: Path, folder: Path) -> None:
    with fake_hub() as hub:
        variables = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_x", "HF_HOME": str(folder)}
        words = [sys.executable, "-c", _PUSH, str(out)]
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ | variables, check=False)
        assert (done.stdout, done.returncode) == ("our-lab/model\n", 0), done.stderr
        files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert hub.files["our-lab/model"] == files
        fetched = [sys.executable, "-m", "img2gps", "fetch", "our-lab/model", str(folder / "fetched"), "--json"]
        done = subprocess.run(fetched, capture_output=True, text=True, env=os.environ | variables, check=False)
        assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["kind"], told["files"], told["license"]) == ("model", len(files), "mit")
    back = {path.relative_to(folder / "fetched").as_posix(): path for path in (folder / "fetched").rglob("*")}
    assert {name: path.read_bytes() for name, path in back.items() if path.is_file()} == files
    assert img2gps(["verify", str(folder / "fetched")]) == 0


def test_a_fetched_model_is_whole_or_refused(
    run: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert img2gps(["fetch", str(out), str(tmp_path / "run"), "--dry-run"]) == 0
    assert "would be fetched" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert img2gps(["fetch", str(out), str(tmp_path / "run")]) == 0
    assert fingerprint(tmp_path / "run") == fingerprint(out)
    assert img2gps(["fetch", str(out), str(tmp_path / "run")]) == 2
    assert "there already" in capsys.readouterr().err
    damaged = shutil.copytree(out, tmp_path / "damaged")
    (damaged / "metrics.jsonl").write_text("{}")
    assert img2gps(["fetch", str(damaged), str(tmp_path / "other")]) == 4
    assert img2gps(["fetch", str(run), str(tmp_path / "other"), "--kind", "model"]) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "run"]


def test_an_export_with_evaluations_of_its_own_is_not_replaced(
    run: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = shutil.copytree(out, tmp_path / "mine")
    (mine / "evaluations/quad-test").mkdir(parents=True)
    (mine / "evaluations/quad-test/evaluation.json").write_text("{}")
    before = fingerprint(mine)
    assert img2gps(["export", str(run), str(mine), "--format", "hub", "--license", "mit"]) == 2
    assert "evaluations/quad-test/evaluation.json" in capsys.readouterr().err
    assert fingerprint(mine) == before
    assert (
        img2gps(
            ["export", str(run), str(shutil.copytree(out, tmp_path / "again")), "--format", "hub", "--license", "mit"]
        )
        == 0
    )


def test_push_takes_what_was_written_and_a_dry_run_takes_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def pushed(folder: Path, repo: str, *, private: bool, kind: str) -> PushResult:
        calls.append((sorted(path.name for path in folder.iterdir()), private, kind))
        return PushResult(repo=repo, url="https://hub.example", files={})

    monkeypatch.setattr(repository, "push_folder", pushed)
    plan = plan_export(run, tmp_path / "out", format="hub", license="mit", push="our-lab/model")
    assert (plan["push"], calls, list(tmp_path.iterdir())) == ("our-lab/model", [], [])
    result = export(run, tmp_path / "out", format="hub", license="mit", push="our-lab/model", private=True)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert (calls, result.to_json()["parity_m"]) == ([(names, True, "model")], None)
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert set(plan["files"]) <= files


_KILLED = """
import os, sys
from pathlib import Path
from img2gps.drafts import draft_of
(draft_of(Path(sys.argv[1])) / "best").mkdir(parents=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_export_left_goes_with_the_next(run: Path, tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "out")], check=False)
    assert (killed.returncode, len(list(tmp_path.iterdir()))) == (-9, 1)
    export(run, tmp_path / "out", format="hub", license="mit")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--format", "hub"], "--license"),
        (["--format", "hub", "--license", "mit", "--round-m", "5"], "--round-m"),
        (["--push", "our-lab/model"], "--format hub"),
        (["--format", "hub", "--license", "mit", "--push", "model"], "OWNER/NAME"),
    ],
)
def test_what_cannot_be_published_is_a_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert img2gps(["export", str(run), str(tmp_path / "out"), *options]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
