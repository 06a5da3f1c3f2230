"""Progress on stderr with an estimate of the time left; silent where stderr is no terminal."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console

__all__ = ["Advance", "bar", "stderr", "track"]

Item = TypeVar("Item")


class Advance(Protocol):
    """Moves a bar on by `steps`; `note` is shown behind it (a loss, a file name already made safe)."""

    def __call__(self, steps: float = 1, *, note: str | None = None) -> None:
        """Advance the bar."""


def stderr() -> Console:
    """Return a console on the current stderr (made anew each time: tests and pipes replace it)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def bar(description: str, total: float | None) -> Iterator[Advance]:
    """Show one bar while the block runs and yield the function that advances it."""
    from rich import progress

    console = stderr()
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("elapsed"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task(description, total=total, note="")

        def advance(steps: float = 1, *, note: str | None = None) -> None:
            if note is None:
                shown.update(task, advance=steps)
            else:
                shown.update(task, advance=steps, note=note)

        yield advance


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield `items` with a bar that advances after each."""
    with bar(description, total) as advance:
        for item in items:
            yield item
            advance()
