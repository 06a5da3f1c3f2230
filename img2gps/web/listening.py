"""One ASGI application on one socket, until Ctrl-C, SIGTERM or SIGHUP."""

import contextlib
import dataclasses
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from img2gps.errors import UsageError
from img2gps.text import safe_text
from img2gps.web.guard import Policy, policy_for

__all__ = ["End", "ListeningAddress", "run_server"]

End = Callable[[], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListeningAddress:
    """Where the server answers; `url` carries the token where one is wanted."""

    host: str
    port: int
    url: str


def run_server(
    make_app: Callable[[Policy], ASGIApp],
    *,
    host: str,
    port: int,
    started: Callable[[ListeningAddress, End], None],
    policy_of: Callable[[str, int], Policy] = policy_for,
    connections: int | None = None,
) -> None:
    """Answer on `host` and `port` (0: any free one) until told to stop.

    `started` is told the address once it listens, and what ends the server in good order. Of more than `connections`
    at once the later ones get a 503. Raises UsageError where the address cannot be had, and what `started` raises.
    """
    listener = _listen(host, port)
    try:
        policy = policy_of(host, listener.getsockname()[1])
        # A page shows one message per failed request; the access log of a server for one person tells nobody anything.
        config = uvicorn.Config(
            make_app(policy),
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=2,
            limit_concurrency=connections,
        )
        server = uvicorn.Server(config)

        def end() -> None:
            """Let the server answer those who wait, and end."""
            server.should_exit = True

        started(_address(host, policy), end)
        with _hanging_up_like_ctrl_c(server):
            server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn has already closed everything in good order and passes the signal on
        return
    finally:
        listener.close()


@contextlib.contextmanager
def _hanging_up_like_ctrl_c(server: uvicorn.Server) -> Iterator[None]:
    """Let SIGHUP end the server in good order, as SIGINT and SIGTERM do, unless `nohup` has it ignored."""
    number = getattr(signal, "SIGHUP", None)
    in_main = threading.current_thread() is threading.main_thread()
    if number is None or not in_main or signal.getsignal(number) in (signal.SIG_IGN, None):
        yield
        return
    before = signal.signal(number, server.handle_exit)
    try:
        yield
    finally:
        signal.signal(number, before)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {safe_text(host)}, port {port} ({_reason(error)}): give another --port or --host."
        ) from error


def _reason(error: OSError) -> str:
    """Return why, without what `socket.create_server` adds to it: the address, which the sentence names."""
    if error.errno and not isinstance(error, socket.gaierror):  # whose codes are none of the system
        return os.strerror(error.errno)
    return str(error.strerror)


def _address(host: str, policy: Policy) -> ListeningAddress:
    shown = _own_address() if host in ("0.0.0.0", "::") else host  # noqa: S104  # shown, not bound
    name = f"[{shown}]" if ":" in shown else shown
    query = f"?token={policy.token}" if policy.token else ""
    return ListeningAddress(host=host, port=policy.port, url=f"http://{name}:{policy.port}/{query}")


def _own_address() -> str:
    """Return the address that other machines of the network know this one by; its name where there is no network."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # a documentation address (RFC 5737); nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
