import pytest
import torch

from img2gps.errors import DeviceError
from train.runtime.devices import (
    autocast,
    device_name,
    explaining_memory,
    fitting_batch_size,
    naming_memory,
    pick_device,
)
from train.runtime.distributed import joined


def test_auto_is_a_device_that_exists() -> None:
    device = pick_device("auto")
    assert torch.zeros(1, device=device).item() == 0.0
    assert device_name(device)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "cpu:3"])
def test_a_device_that_is_not_here_is_an_error(name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        pick_device(name)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return monkeypatch


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_cuda_is_the_first_gpu_or_the_one_torchrun_means(two_gpus: pytest.MonkeyPatch, name: str) -> None:
    assert pick_device(name) == torch.device("cuda:0")
    two_gpus.setenv("LOCAL_RANK", "1")
    assert pick_device(name) == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_more_processes_than_gpus_are_told_how_many_there_are(two_gpus: pytest.MonkeyPatch, name: str) -> None:
    two_gpus.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match=r"no cuda:2 here.*--nproc-per-node=2"):
        pick_device(name)


def test_training_makes_the_chosen_gpu_the_current_one(two_gpus: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    two_gpus.delenv("WORLD_SIZE", raising=False)
    two_gpus.setattr(torch.cuda, "set_device", chosen.append)
    for name in ("cuda:1", "cpu"):
        with joined(pick_device(name)):
            pass
    assert chosen == [torch.device("cuda:1")]


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_for_gpus_that_compute_in_it(two_gpus: pytest.MonkeyPatch, native: bool) -> None:
    two_gpus.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert isinstance(autocast(torch.device("cuda:0")), torch.autocast) is native


def _device_with_room_for(photos: int, tried: list[int]) -> "object":
    def attempt(size: int) -> None:
        tried.append(size)
        if size > photos:
            raise torch.OutOfMemoryError("out of memory")

    return attempt


@pytest.mark.parametrize(("room", "fits"), [(100, 32), (20, 16), (1, 1), (0, 0)])
def test_the_largest_halving_that_fits(room: int, fits: int) -> None:
    assert fitting_batch_size(64, _device_with_room_for(room, [])) == fits  # type: ignore[arg-type]


def test_running_out_of_memory_is_one_sentence() -> None:
    for room, said in ((20, "--batch-size 16 fits"), (0, "--size")):
        attempt = _device_with_room_for(room, [])
        with pytest.raises(DeviceError, match=said), explaining_memory(64, attempt):  # type: ignore[arg-type]
            raise torch.OutOfMemoryError("out of memory")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="something else"), explaining_memory(8, lambda _size: None):
        raise RuntimeError("something else")


CPU_WORDS = (
    "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "The GPU ran out of memory: rest"),
        (RuntimeError(CPU_WORDS), "This machine ran out of memory: rest"),
        (MemoryError("Unable to allocate"), "This machine ran out of memory: rest"),
    ],
)
def test_running_out_of_memory_anywhere_is_one_sentence(error: Exception, said: str) -> None:
    @naming_memory("rest")
    def allocating() -> None:
        raise error

    with pytest.raises(DeviceError, match=said):
        allocating()
    with pytest.raises(DeviceError, match="--batch-size 16 fits"), explaining_memory(32, lambda _size: None):
        raise error


def test_other_errors_are_not_about_memory() -> None:
    with pytest.raises(RuntimeError, match="something else"), naming_memory("rest"):
        raise RuntimeError("something else")
