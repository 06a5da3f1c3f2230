"""Writes are all or nothing."""

import json
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from img2gps import files


def test_write_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.bin"
    files.write_atomic(target, b"old")
    files.write_atomic(target, lambda file: file.write(b"new"))
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_a_failing_writer_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    files.write_atomic(target, b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write_atomic(target, fail)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_the_file_is_durable_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("rename"), replace(self, target))[1])
    files.write_atomic(tmp_path / "file.bin", b"x")
    assert order == ["fsync", "rename", "fsync"]


def test_json_lines_cut_by_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert files.read_json_lines(path) == []
    files.append_line(path, json.dumps({"n": 1}))
    files.append_line(path, json.dumps({"n": 2}))
    with path.open("a") as file:
        file.write('{"n": 3')
    assert files.read_json_lines(path) == [{"n": 1}, {"n": 2}]


def test_csv_and_json(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "t.csv", ["a", "b"], [{"a": 'x,"y"', "b": 1, "c": 2}])
    assert (tmp_path / "t.csv").read_text() == 'a,b\n"x,""y""",1\n'
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "t.json", {"x": float("nan")})
    assert not (tmp_path / "t.json").exists()


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert files.sha256_file(tmp_path / "x") == files.sha256_bytes(b"abc" * 1_000_000)
    assert files.canonical_json({"b": 1.0, "a": [None, "é"]}) == b'{"a":[null,"\\u00e9"],"b":1.0}'
