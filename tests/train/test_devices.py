import pytest
import torch

from img2gps.errors import DeviceError
from train.devices import device_name, explaining_memory, fitting_batch_size, pick_device


def test_auto_is_a_device_that_exists() -> None:
    device = pick_device("auto")
    assert torch.zeros(1, device=device).item() == 0.0
    assert device_name(device)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "cpu:3"])
def test_a_device_that_is_not_here_is_an_error(name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        pick_device(name)


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
