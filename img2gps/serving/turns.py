"""Photos of several requests located together: what waits while the model is busy goes into its next batch."""

import dataclasses
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from img2gps.errors import DeviceError, Img2GPSError
from img2gps.serving.backend import Backend, DecodedPhoto, Located

__all__ = ["Turns"]

_AT_ONCE: Final = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    shots: Sequence[DecodedPhoto]
    walk: bool
    found: "Future[list[Located]]"


class Turns:
    """One thread that gives photos to the model, up to 16 at a time; a walk has a turn of its own."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="img2gps-model", daemon=True)
        self._thread.start()

    def locate(self, shots: Sequence[DecodedPhoto], *, walk: bool) -> "Future[list[Located]]":
        """Return what will be the answers to photos, in their order, or the Img2GPSError that the model raises."""
        task = _Task(shots=shots, walk=walk, found=Future())
        self._waiting.put(task)
        return task.found

    def close(self) -> None:
        """Answer what waits, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        left_over: _Task | None = None
        while True:
            task = left_over or self._waiting.get()
            left_over = None
            if task is None:
                return
            batch = [task]
            while not batch[-1].walk and sum(len(one.shots) for one in batch) < _AT_ONCE:
                try:
                    following = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if following is None or following.walk:
                    self._locate(batch)
                    batch = []
                    if following is None:
                        return
                    left_over = following
                    break
                batch.append(following)
            if batch:
                self._locate(batch)

    def _locate(self, batch: list[_Task]) -> None:
        shots = [shot for task in batch for shot in task.shots]
        try:
            found = self._backend.locate(shots, walk=batch[0].walk)
        except Img2GPSError as error:
            for task in batch:
                task.found.set_exception(error)
        except Exception as error:  # noqa: BLE001  the thread lives on; its callers are told
            reason = f"The model failed ({type(error).__name__}): see the server's messages."
            for task in batch:
                failure = DeviceError(reason)
                failure.__cause__ = error
                task.found.set_exception(failure)
        else:
            for task in batch:
                task.found.set_result(found[: len(task.shots)])
                found = found[len(task.shots) :]
