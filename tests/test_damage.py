"""Damaged files: one sentence, or the answer of the undamaged file, and never a traceback."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from damage_scene import files_of, make_scene, without_drawing, working_in
from damages import Sweep, answer_of, damaged
from hypothesis import given
from hypothesis import strategies as st

from img2gps.files import append_record, changed_files, read_json_lines, write_sums
from img2gps.tables import DamagedTableError, load_table, save_table
from train.models.probe.features.descriptors import DescriptorModel

pytestmark = pytest.mark.slow

TABLE = pa.table({"number": list(range(200)), "text": [f"row {n}" if n % 3 else None for n in range(200)]})


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    folder = tmp_path_factory.mktemp("damage")
    with without_drawing():
        yield Sweep(make_scene(folder / "scene"), folder / "pristine")


@given(st.integers(0, 10**9), st.sampled_from(["flip", "zero", "cut"]))
def test_no_damage_of_a_table_passes_for_its_content(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "table.parquet"
    save_table(path, TABLE)
    whole = path.read_bytes()
    after = damaged(whole, kind, random.Random(seed))  # type: ignore[arg-type]
    path.write_bytes(after)
    try:
        stored = load_table(path)
    except DamagedTableError:
        return
    # a footer that lost the digest alone reads as one of an earlier version, with the content it had
    assert stored.intact is False or after == whole or (stored.intact is None and stored.table.equals(TABLE))


def test_tables_of_earlier_versions_and_of_other_programs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(TABLE, path)
    assert load_table(path).intact is None
    save_table(path, TABLE)
    assert load_table(path).intact is True
    pq.write_table(pq.read_table(path), path)
    assert load_table(path).intact is None
    assert load_table(path).table.equals(TABLE)


def test_a_changed_line_of_a_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for number in range(3):
        append_record(path, {"number": number})
    path.write_text(path.read_text().replace('"number":1', '"number":7'))
    with pytest.raises(ValueError, match="line 2 was changed"):
        read_json_lines(path)


def test_verify_tells_a_damaged_sum_of_the_corrections(sweep: Sweep) -> None:
    with working_in(sweep.scene.root):
        sweep.restore()
        sums = sweep.scene.dataset / "corrections.sha256"
        for content in ("", sums.read_text()[:-1], sums.read_text()[:9]):
            sums.write_text(content)
            answer = answer_of(["verify", str(sweep.scene.dataset), "--json"])
            assert (answer.code, len(json.loads(answer.values)["problems"])) == (4, 1), content
        sums.unlink()
        assert answer_of(["verify", str(sweep.scene.dataset)]).code == 0
        sweep.restore()


def test_verify_tells_lines_that_are_gone_from_the_metrics(sweep: Sweep) -> None:
    with working_in(sweep.scene.root):
        sweep.restore()
        metrics = sweep.scene.run("network") / "metrics.jsonl"
        for kept in (metrics.read_text().splitlines(keepends=True)[:1], []):
            metrics.write_text("".join(kept))
            answer = answer_of(["verify", str(sweep.scene.run("network")), "--json"])
            assert [problem["where"] for problem in json.loads(answer.values)["problems"]] == ["metrics.jsonl"]
        sweep.restore()


def test_sums_of_a_folder_tell_changed_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    for name in ("a.json", "plots/b.png", "c.txt"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    assert changed_files(tmp_path) == []
    (tmp_path / "plots/b.png").write_text("other")
    (tmp_path / "c.txt").unlink()
    assert [name for name, _ in changed_files(tmp_path)] == ["SHA256SUMS", "plots/b.png"]


def test_every_kind_of_file_of_datasets_and_runs(sweep: Sweep) -> None:
    generator = random.Random(0)
    names = sorted({path.name for path in sweep.files if path.suffix not in (".jpg", ".npy")} | {""})
    for name in names:
        path = generator.choice(
            [path for path in sweep.files if path.name == name or (not name and path.suffix == ".jpg")]
        )
        for _ in range(2):
            kind, command = generator.choice(sweep.choices(path)), generator.choice(sorted(sweep.scene.commands(path)))
            found, answer = sweep.try_one(path, kind, command, generator)
            assert found not in ("different", "traceback"), (path, kind, command, answer)


def test_verify_names_each_damaged_file_of_a_run_with_what_to_do(sweep: Sweep) -> None:
    with working_in(sweep.scene.root):
        sweep.restore()
        for name in ("network", "probe", "folds"):
            run = sweep.scene.run(name)
            if name != "folds":
                assert answer_of(["evaluate", str(run), "--json"]).code == 0
            answer = answer_of(["verify", str(run), "--json"])
            assert (answer.code, json.loads(answer.values)["problems"]) == (0, [])
            skipped = {"photos.parquet"} if name == "folds" else set()
            for path in [
                path for path in files_of(sweep.scene) if path.is_relative_to(run) and path.name not in skipped
            ]:
                whole = path.read_bytes()
                middle = len(whole) // 2
                path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
                answer = answer_of(["verify", str(run), "--json"])
                problems = json.loads(answer.values)["problems"]
                assert (answer.code, len(problems)) == (4, 1), (path, problems)
                assert problems[0]["remedy"]
                where, inside = Path(problems[0]["where"]), path.relative_to(run)
                assert where in (inside, *inside.parents) or where.parent == inside.parent  # sums stand beside files
                path.write_bytes(whole)


def test_a_change_that_a_person_may_make_is_named_and_used(sweep: Sweep) -> None:
    with working_in(sweep.scene.root):
        sweep.restore()
        site = sweep.scene.dataset / "site.geojson"
        document = json.loads(site.read_text())
        document["features"][0]["geometry"]["coordinates"][0][2][0] += 1e-5
        site.write_text(json.dumps(document))
        answer = answer_of(["audit", str(sweep.scene.dataset), "--json"])
        assert answer.code == 0
        assert "site.geojson was changed" in " ".join(answer.said.split())
        sweep.restore()
        site.write_text(site.read_text().replace("The square, redrawn", "Another title"))
        dataset = str(sweep.scene.dataset)
        answer = answer_of(["audit", dataset, "--json"])
        assert "site.geojson was changed" in " ".join(answer.said.split())
        assert answer_of(["verify", dataset]).code == 4
        assert answer_of(["ingest", str(sweep.scene.photos), dataset, "--site", str(site), "--jobs", "1"]).code == 0
        assert json.loads(site.read_text())["features"][0]["properties"]["title"] == "Another title"
        assert answer_of(["verify", dataset]).code == 0
        sweep.restore()
        config = sweep.scene.run("network") / "config.toml"
        config.write_text(config.read_text().replace("epochs = 2", "epochs = 3"))
        answer = answer_of(["train", "--resume", str(sweep.scene.run("network")), "--dry-run"])
        assert (answer.code, json.loads(answer.values)["config"]["epochs"]) == (0, 3)
        assert "config.toml was changed" in " ".join(answer.said.split())
        sweep.restore()


def test_whitening_of_other_shapes_is_no_model() -> None:
    whole = {"pooled.0.mean": torch.zeros(4), "pooled.0.matrix": torch.zeros(4, 2)}
    whole |= {"local.0.mean": torch.zeros(4), "local.0.matrix": torch.zeros(4, 2)}
    DescriptorModel.from_tensors(whole)
    for name, tensor in whole.items():
        with pytest.raises(ValueError, match="a whitening of"):
            DescriptorModel.from_tensors(whole | {name: tensor.flatten()[:1]})
