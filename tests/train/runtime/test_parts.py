"""Parts of a batch, one beside another."""

import threading

import pytest
import torch

from train.runtime.parts import in_parallel, parts_at_once

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _two_threads():  # type: ignore[no-untyped-def]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_and_the_threads_are_given_back() -> None:
    assert in_parallel(lambda part: part * 2, list(range(50)), CPU) == [2 * part for part in range(50)]
    assert torch.get_num_threads() == 2


def test_parts_run_beside_each_other_with_a_share_of_the_threads_each() -> None:
    meeting = threading.Barrier(parts_at_once(CPU), timeout=20)  # broken, unless all parts are there at once

    def work(_part: int) -> int:
        meeting.wait()
        return torch.get_num_threads()

    assert in_parallel(work, [0, 1], CPU) == [1, 1]


def test_one_part_keeps_all_threads_unless_it_is_small() -> None:
    assert in_parallel(lambda _: torch.get_num_threads(), [0], CPU) == [2]
    assert in_parallel(lambda _: torch.get_num_threads(), [0], CPU, small=True) == [1]
    assert in_parallel(lambda part: part, [], CPU) == []


def test_workers_are_in_the_callers_mode() -> None:
    def modes(_part: int) -> tuple[bool, bool]:
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    assert set(in_parallel(modes, [0, 1], CPU)) == {(False, True)}
    with torch.inference_mode():
        assert set(in_parallel(modes, [0, 1], CPU)) == {(True, False)}
    with torch.no_grad():
        assert set(in_parallel(modes, [0, 1], CPU)) == {(False, False)}


def test_an_error_of_a_part_is_raised_and_the_threads_are_given_back() -> None:
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda part: 1 // part, [1, 0, 1], CPU)
    assert torch.get_num_threads() == 2


def test_an_accelerator_takes_one_part_after_another() -> None:
    assert parts_at_once(torch.device("meta")) == 1
    here = threading.get_ident()
    assert in_parallel(lambda _: threading.get_ident(), [0, 1], torch.device("meta")) == [here, here]
