"""An address that cannot be had is told in one sentence, before anything is served."""

import errno
import os
import socket

import pytest

from img2gps.errors import UsageError
from img2gps.web.listening import run_server

REMEDY = "give another --port or --host."


def refused(host: str, port: int) -> str:
    """Return why a server on an address is refused; it must not come as far as making its pages."""
    with pytest.raises(UsageError) as found:
        run_server(lambda _: pytest.fail("made"), host=host, port=port, started=lambda *_: pytest.fail("started"))
    return str(found.value)


def test_a_port_in_use_is_said_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = refused("127.0.0.1", port)
    assert words == f"Cannot listen on 127.0.0.1, port {port} ({os.strerror(errno.EADDRINUSE)}): {REMEDY}"


def test_a_host_that_is_nowhere_is_refused() -> None:
    assert refused("no.such.host.invalid", 0).endswith(REMEDY)
