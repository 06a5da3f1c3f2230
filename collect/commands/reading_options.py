"""The options that ingest and validate share: what photos are judged by, and how they are read."""

from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

from img2gps.console import PLACE, FiniteRange, jobs_option

__all__ = ["reading_options", "strict_option"]

Function = TypeVar("Function", bound=Callable[..., Any])

_TEN_YEARS_S = 10 * 366 * 86_400  # a clock that was never set is off by years, and dates must stay ones of the calendar


class _ClockOffset(FiniteRange):
    """Seconds, or ``auto``."""

    name = "seconds|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or the word."""
        return value if value == "auto" else super().convert(value, param, ctx)


_OPTIONS = (
    click.option(
        "--labels",
        type=PLACE,
        multiple=True,
        help="A table with positions: file_name, latitude, longitude (any usual spelling). May be given several times; "
        "the later file counts.",
    ),
    click.option(
        "--gpx",
        type=PLACE,
        multiple=True,
        help="A track (GPX, KML) that gives positions to photos without one. May be given several times.",
    ),
    click.option(
        "--clock-offset",
        type=_ClockOffset(-_TEN_YEARS_S, _TEN_YEARS_S),
        default=0.0,
        metavar="SECONDS|auto",
        help="Seconds to add to the camera's clock for --gpx. `auto` finds them from photos with a position, or "
        "from stops of the track.",
    ),
    click.option(
        "--max-accuracy",
        type=FiniteRange(min=0, min_open=True),
        help="Reject positions with a reported accuracy worse than this, in metres.",
    ),
    click.option(
        "--timeout", type=FiniteRange(min=0, min_open=True), default=60.0, help="Seconds that one file may take."
    ),
    click.option(
        "--include-hidden",
        is_flag=True,
        help="Include recycle bins, folders of thumbnails, and unfinished files.",
    ),
    jobs_option,
)


def reading_options(function: Function) -> Function:
    """Add --labels, --gpx, --clock-offset, --max-accuracy, --timeout, --include-hidden and --jobs."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def strict_option(function: Function) -> Function:
    """Add ``--strict``: exit 7 where a file was rejected or a label met no file."""
    return click.option("--strict", is_flag=True, help="Exit with 7 if files were rejected or labels match no file.")(
        function
    )
