import contextlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from img2gps.errors import InvalidCheckpointError, NotFoundError
from train.runs.checkpoint import load_into, read_checkpoint, read_tensors, rotate_checkpoint, write_checkpoint

TENSORS = {"weight": torch.arange(6, dtype=torch.float32).reshape(2, 3), "count": torch.tensor(7)}


def _write(folder: Path, epoch: int = 1) -> None:
    rotate_checkpoint(folder, tensors=TENSORS, state={"epoch": epoch}, extra={"optimizer": {"0.step": torch.ones(())}})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    _write(tmp_path / "last")
    read = read_checkpoint(tmp_path / "last")
    assert {name: tensor.tolist() for name, tensor in read.tensors.items()} == {
        "weight": [[0, 1, 2], [3, 4, 5]],
        "count": 7,
    }
    assert read.state["epoch"] == 1
    assert read_tensors(tmp_path / "last", "optimizer")["0.step"].item() == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_a_channels_last_tensor_comes_back_equal(tmp_path: Path) -> None:
    tensor = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    write_checkpoint(tmp_path / "best", tensors={"w": tensor}, state={})
    assert torch.equal(read_checkpoint(tmp_path / "best").tensors["w"], tensor)


def test_last_becomes_previous(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        _write(tmp_path / "last", epoch)
    assert read_checkpoint(tmp_path / "last").state["epoch"] == 3
    assert read_checkpoint(tmp_path / "previous").state["epoch"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "previous"]


@settings(max_examples=25)
@given(data=st.data())
def test_any_flipped_bit_is_named_and_another_checkpoint_offered(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("run")
    _write(run / "last", 1)
    _write(run / "last", 2)
    name = data.draw(st.sampled_from(["model.safetensors", "state.json", "optimizer.safetensors"]))
    content = bytearray((run / "last" / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (run / "last" / name).write_bytes(content)
    with pytest.raises(InvalidCheckpointError, match=name.replace(".", r"\.")) as caught:
        read_checkpoint(run / "last")
    assert "previous" in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "SHA256SUMS"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "last")
    (tmp_path / "last" / name).unlink()
    with pytest.raises(InvalidCheckpointError, match=name.replace(".", r"\.")):
        read_checkpoint(tmp_path / "last")


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    import hashlib

    _write(tmp_path / "last")
    for line in (tmp_path / "last" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "last" / name).read_bytes()).hexdigest() == digest


def test_a_checkpoint_of_a_later_format_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best", tensors=TENSORS, state={"format": 99})
    with pytest.raises(InvalidCheckpointError, match="format 99"):
        read_checkpoint(tmp_path / "best")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best", tensors={"w": torch.tensor([1.0, float("nan")])}, state={})
    with pytest.raises(InvalidCheckpointError, match="not finite"):
        read_checkpoint(tmp_path / "best")


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_checkpoint(tmp_path / "best")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"weight": torch.zeros(2, 3)}, "lacks bias"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "scale": torch.zeros(1)}, "unknown tensor scale"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, "weight"),
        ({"weight": torch.zeros(2, 3, dtype=torch.float64), "bias": torch.zeros(2)}, "float64"),
    ],
)
def test_tensors_of_another_model_are_refused(tensors: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(InvalidCheckpointError, match=said):
        load_into(torch.nn.Linear(3, 2), tensors, where="runs/x/best")


def test_a_crash_at_any_write_leaves_one_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    real, calls = os.fsync, [0]

    class PowerFailure(BaseException):
        pass

    for crash_at in range(1, 12):
        run = tmp_path / str(crash_at)
        _write(run / "last", 1)

        def failing(descriptor: int, crash_at: int = crash_at) -> None:
            calls[0] += 1
            if calls[0] == crash_at:
                raise PowerFailure
            real(descriptor)

        calls[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with contextlib.suppress(PowerFailure):
                _write(run / "last", 2)
        found = [read_checkpoint(run / name) for name in ("last", "previous") if (run / name).is_dir()]
        assert found, f"nothing left after a crash at write {crash_at}"
        assert json.loads(json.dumps(dict(found[0].state)))["epoch"] in (1, 2)
