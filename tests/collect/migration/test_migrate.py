"""A dataset of an earlier version is written anew as today's, and nothing that it says changes."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from ingest_runs import fingerprint
from interruptions import Fault, failing_operation

from collect import migrate, verify
from img2gps.cli import run
from img2gps.corrections import read_corrections
from img2gps.dataset import Dataset
from img2gps.manifest import read_table
from img2gps.manifest_schema import SCHEMA_VERSION

WRITTEN = Path(__file__).parents[2] / "data" / "v0.1" / "quad"
FILES = ["manifest.parquet", "site.geojson", "sources.parquet", "rejected.csv", "corrections.csv", "ingests.jsonl"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return shutil.copytree(WRITTEN, tmp_path / "quad")


def test_an_old_dataset_is_written_anew_and_says_the_same(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, lines = Dataset.open(old).frame(), read_corrections(old / "corrections.csv")
    copies = fingerprint(old / "photos")
    before = fingerprint(old, without=())
    assert run(["migrate", str(old), "--dry-run"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in FILES)
    assert "schema 1 becomes 2" in listed
    assert fingerprint(old, without=()) == before
    assert run(["migrate", str(old), "--json"]) == 0
    assert [one["file"] for one in json.loads(capsys.readouterr().out)["rewritten"]] == FILES
    assert read_table(old / "manifest.parquet")[1].schema_version == SCHEMA_VERSION
    assert Dataset.open(old).frame().equals(frame)
    assert read_corrections(old / "corrections.csv") == lines
    assert fingerprint(old / "photos") == copies
    assert verify(old).problems == ()
    after = fingerprint(old)
    assert migrate(old).rewrites == ()
    assert fingerprint(old) == after
    assert run(["migrate", str(old)]) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_killed_at_any_operation_it_verifies_and_a_rerun_does_the_rest(old: Path, tmp_path: Path) -> None:
    with failing_operation(0, Fault(), removals=True) as operations:
        migrate(shutil.copytree(old, tmp_path / "reference"))
    expected = fingerprint(tmp_path / "reference")
    for number in range(1, operations() + 1, 3):
        root = shutil.copytree(old, tmp_path / f"ds-{number}")
        with failing_operation(number, Fault(), removals=True), contextlib.suppress(Fault):
            migrate(root)
        assert verify(root).problems == ()
        migrate(root)
        assert fingerprint(root, without=("ingests.jsonl", ".lock", "rejected.sha256")) == {
            name: digest for name, digest in expected.items() if name != "rejected.sha256"
        }
