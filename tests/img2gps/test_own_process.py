"""Functions in a process of their own: what they give, what they raise, and how they end."""

import os
import time
from pathlib import Path

import pytest
from cluster_faults import do

from img2gps.own_process import OwnProcess, StoppedError, packed_job, thread_counts, unpacked_answer


class _UnlikeItsWordsError(Exception):
    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{text} {number}")


def fail() -> None:
    raise _UnlikeItsWordsError(7, "lucky")


def test_a_process_serves_one_job_after_the_other_with_the_threads_asked_for(tmp_path: Path) -> None:
    counts = (("OMP_NUM_THREADS", "3"),)
    with OwnProcess(counts) as process:
        first = unpacked_answer(process.ask(packed_job(do, "a"), folder=str(tmp_path)))
        assert (first.result, first.error, first.said) == ("aa", None, "doing a\n")
        assert (
            unpacked_answer(process.ask(packed_job(os.getenv, "OMP_NUM_THREADS"), folder=str(tmp_path))).result == "3"
        )
        assert unpacked_answer(process.ask(packed_job(os.getcwd), folder=str(tmp_path))).result == str(tmp_path)
        assert isinstance(unpacked_answer(process.ask(packed_job(do, "full"), folder="/none")).error, OSError)
        failed = unpacked_answer(process.ask(packed_job(fail), folder="/none"))
        assert repr(failed.error) == "RuntimeError('_UnlikeItsWordsError: lucky 7')"


def test_a_process_that_ends_and_one_that_nobody_wants_are_told(tmp_path: Path) -> None:
    with OwnProcess(()) as process, pytest.raises(ChildProcessError, match="signal 9"):
        process.ask(packed_job(do, "die"), folder=str(tmp_path))
    with OwnProcess(()) as process, pytest.raises(StoppedError):
        process.ask(packed_job(time.sleep, 60), folder=str(tmp_path), is_wanted=lambda: False)


def test_counts_of_threads_are_those_that_the_user_set_else_those_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "5")
    monkeypatch.setattr("img2gps.own_process.usable_processors", lambda: 4)
    assert dict(thread_counts(2)) == {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "5", "OPENBLAS_NUM_THREADS": "4"}
    assert dict(thread_counts())["OMP_NUM_THREADS"] == "4"
