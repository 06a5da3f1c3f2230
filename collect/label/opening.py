"""A dataset that opens while the page is already there: the server answers at once, what needs photos waits."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collect.label.labelling import Labelling

__all__ = ["Opening"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the page waits for: `done` of `total` photos of the stage (0 of 0: not known)."""

    stage: Literal["reading", "ranking", "ready"]
    done: int = 0
    total: int = 0


class Opening:
    """The open dataset, as soon as there is one. Safe to call from several threads."""

    def __init__(self, opens: "Callable[[], Labelling]") -> None:
        self._opens = opens
        self._labelling: Future[Labelling] = Future()

    @classmethod
    def of(cls, labelling: "Labelling") -> "Opening":
        """Return the opening of a dataset that is open."""
        opening = cls(lambda: labelling)
        opening._labelling.set_result(labelling)
        return opening

    def start(self, failed: Callable[[], None]) -> None:
        """Open the dataset in a thread of its own and rank its labels; `failed` is called where it cannot be opened."""
        if not self._labelling.done():
            threading.Thread(target=self._run, args=(failed,), daemon=True).start()

    def labelling(self) -> "Labelling":
        """Wait for the open dataset. Raises what opening it raised."""
        return self._labelling.result()

    def failure(self) -> BaseException | None:
        """Return what went wrong, None where nothing did or where it is not done yet."""
        return self._labelling.exception() if self._labelling.done() else None

    def progress(self) -> dict[str, Any]:
        """Return how far it is, as plain JSON values."""
        if not self._labelling.done() or self._labelling.exception():
            return dataclasses.asdict(Progress(stage="reading"))
        done, total = self._labelling.result().queue.progress
        stage: Literal["ranking", "ready"] = "ready" if done == total and total else "ranking"
        return dataclasses.asdict(Progress(stage=stage, done=done, total=total))

    def _run(self, failed: Callable[[], None]) -> None:
        try:
            labelling = self._opens()
        except Exception as error:  # noqa: BLE001  # told to everybody who waits, and raised by the server when it has ended
            self._labelling.set_exception(error)
            failed()
            return
        self._labelling.set_result(labelling)
        labelling.queue.warm_up()
