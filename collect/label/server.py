"""The label server: one starlette application over one dataset, until Ctrl-C."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware

from collect.label.api import routes
from collect.label.opening import Opening
from img2gps.web.guard import Bodies, Guard, Policy
from img2gps.web.listening import End, ListeningAddress, run_server

if TYPE_CHECKING:
    from collect.label.labelling import Labelling

__all__ = ["create_app", "serve"]

_BODIES: Final = Bodies(
    command="label",
    kinds=("application/json",),
    most_bytes=8 << 20,  # some 40,000 photos moved at once
    refusal="A change is sent as application/json.",
)


def create_app(dataset: "Labelling | Opening", policy: Policy) -> Starlette:
    """Return the application over one dataset, open or still opening, guarded by `policy`."""
    opening = dataset if isinstance(dataset, Opening) else Opening.of(dataset)
    return Starlette(routes=routes(opening), middleware=[Middleware(Guard, policy=policy, bodies=_BODIES)])


def serve(opening: Opening, *, host: str, port: int, started: Callable[[ListeningAddress], None]) -> None:
    """Answer on `host` and `port` (0: any free one) until Ctrl-C; `started` is told the address once it listens.

    The dataset opens meanwhile. Raises UsageError where the address cannot be had, and what opening the dataset raises.
    """

    def open_and_tell(address: ListeningAddress, end: End) -> None:
        opening.start(failed=end)
        started(address)

    run_server(lambda policy: create_app(opening, policy), host=host, port=port, started=open_and_tell)
    failure = opening.failure()
    if failure:
        raise failure
