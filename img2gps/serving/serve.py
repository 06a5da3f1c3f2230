"""From a model to a server that answers until it is told to stop."""

import contextlib
from collections.abc import Callable

from img2gps.serving.answering import unsure_beyond_m
from img2gps.serving.backend import Backend
from img2gps.serving.limits import Limits
from img2gps.serving.service import Service
from img2gps.threads import usable_processors
from img2gps.web.guard import policy_for, public_policy
from img2gps.web.listening import ListeningAddress, run_server

__all__ = ["serve_backend"]

_MOST_DECODERS = 4


def serve_backend(
    backend: Backend,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    public: bool = False,
    abstain_m: float | None = None,
    limits: Limits | None = None,
    started: Callable[[ListeningAddress], None] = lambda _address: None,
) -> None:
    """Answer on `host` and `port` (0: any free one) until Ctrl-C; `started` is told the address once it listens.

    On other addresses than this machine's own a token is wanted, unless `public`. A 90 % region beyond `abstain_m`
    metres is "not sure" on the page; None: beyond a third of the site. Raises UsageError where the address cannot be
    had.
    """
    limits = limits or Limits()
    given_m = unsure_beyond_m(backend.model) if abstain_m is None else abstain_m
    decoders = min(_MOST_DECODERS, usable_processors())
    service = Service(backend, limits=limits, decoders=decoders, abstain_m=given_m)
    with contextlib.closing(service):
        run_server(
            service.app,
            host=host,
            port=port,
            started=lambda address, _end: started(address),
            policy_of=(lambda _host, port: public_policy(port)) if public else policy_for,
        )
