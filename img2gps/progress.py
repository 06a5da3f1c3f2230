"""Progress on stderr with an estimate of the time left; silent where stderr is no terminal."""

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TypeVar

from rich.console import Console

from img2gps.text import format_duration

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Advance", "bar", "left_s", "part_of", "stderr", "track"]

Item = TypeVar("Item")

_PART: ContextVar[str] = ContextVar("part", default="")


class Advance(Protocol):
    """Moves a bar on by `steps`; `note` is shown behind it (a loss, a file name already made safe).

    `total` says how many steps there are in all, where that was not known when the bar began.
    """

    def __call__(self, steps: float = 1, *, note: str | None = None, total: float | None = None) -> None:
        """Advance the bar."""


def stderr() -> Console:
    """Return a console on the current stderr (made anew each time: tests and pipes replace it)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def left_s(elapsed_s: float | None, done: float, total: float | None) -> float | None:
    """Return the seconds that are left where work goes on as it did; None before the first step and without a total."""
    if not elapsed_s or done <= 0 or total is None:
        return None
    return elapsed_s / done * max(0.0, total - done)


@contextlib.contextmanager
def part_of(name: str) -> Iterator[None]:
    """Begin every bar of the block with `name`: ``fold 2 of 7``."""
    token = _PART.set(name)
    try:
        yield
    finally:
        _PART.reset(token)


@contextlib.contextmanager
def bar(description: str, total: float | None) -> Iterator[Advance]:
    """Show one bar while the block runs and yield the function that advances it.

    The time left is an average over all steps so far. So the first step gives an estimate, and a slow one does not
    change it much. Until then the bar shows the elapsed time.
    """
    with _progress() as shown:
        task = shown.add_task(": ".join(filter(None, [_PART.get(), description])), total=total, note="")

        def advance(steps: float = 1, *, note: str | None = None, total: float | None = None) -> None:
            if note is None:
                shown.update(task, advance=steps, total=total)
            else:
                shown.update(task, advance=steps, total=total, note=note)

        yield advance


def _progress() -> "Progress":
    from rich import progress
    from rich.text import Text

    class Count(progress.MofNCompleteColumn):
        """``3/20``; nothing while the total is not known."""

        def render(self, task: progress.Task) -> Text:
            return Text() if task.total is None else super().render(task)

    class Time(progress.ProgressColumn):
        """What has elapsed, and what is left as soon as that can be told."""

        def render(self, task: progress.Task) -> Text:
            elapsed_s = task.finished_time if task.finished else task.elapsed
            left = left_s(elapsed_s, task.completed, task.total)
            parts = [f"{_rounded(elapsed_s or 0.0)} elapsed"]
            known = left is not None and not task.finished
            return Text(", ".join([*parts, f"about {_rounded(left or 0.0)} left"] if known else parts))

    console = stderr()
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        Count(),
        Time(),
        progress.TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else format_duration(seconds)


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield `items` with a bar that advances after each."""
    with bar(description, total) as advance:
        for item in items:
            yield item
            advance()
