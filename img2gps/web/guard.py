"""Who may talk to a server of this program: one middleware in front of every route.

Every website that a person has open can reach a page on the loopback address. So requests that name another host (DNS
rebinding) or come from another origin are refused. A request that changes something must be of a kind that the server
names, such as JSON, which no form can send. On other addresses a token is wanted as well. After OWASP's "Cross-Site
Request Forgery Prevention" and "HTTP Headers" cheat sheets.
"""

import asyncio
import contextlib
import dataclasses
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Bodies", "Guard", "Policy", "is_loopback", "policy_for", "public_policy"]

_COOKIE: Final = "img2gps_token"
_DRAINED_BYTES: Final = 32 << 20
_DRAINED_S: Final = 5.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """The requests with a body that a server reads, and what it is called in its sentences.

    `kinds` are content types; ``image/*`` means all that begin so. `most_bytes` is the largest body that states its
    length, and a server with `with_length` takes no other. `open_paths` answer without a token.
    """

    command: str
    kinds: tuple[str, ...]
    most_bytes: int
    refusal: str
    with_length: bool = True
    open_paths: frozenset[str] = frozenset()

    def takes(self, content_type: str) -> bool:
        """Return whether a body of this content type is read."""
        given = content_type.split(";")[0].strip().lower()
        return any(given.startswith(kind[:-1]) if kind.endswith("*") else given == kind for kind in self.kinds)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of a request.

    `names` are the host names answered to (addresses too if `any_address`). None means all, from every origin and
    within every frame: for a server behind another that the public may use.
    """

    names: frozenset[str] | None
    port: int
    any_address: bool
    token: str | None


def is_loopback(host: str) -> bool:
    """Return whether a host to listen on is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def policy_for(host: str, port: int) -> Policy:
    """Return the policy of a server on `host` and `port`: a fresh token where others can reach it."""
    loopback = frozenset({"127.0.0.1", "localhost", "::1"})
    if is_loopback(host):
        return Policy(names=loopback | {host}, port=port, any_address=False, token=None)
    own = socket.gethostname().lower()
    names = loopback | {host.lower(), own, f"{own}.local"}
    return Policy(names=names, port=port, any_address=True, token=secrets.token_urlsafe(24))


def public_policy(port: int) -> Policy:
    """Return the policy of a server that everybody may use who can reach it."""
    return Policy(names=None, port=port, any_address=True, token=None)


class Guard:
    """ASGI middleware that answers what the policy refuses and marks every response."""

    def __init__(self, app: ASGIApp, *, policy: Policy, bodies: Bodies) -> None:
        self._app = app
        self._policy = policy
        self._bodies = bodies
        self._headers = _headers(framed=policy.names is None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass the request on."""
        if scope["type"] != "http":
            return
        refusal = _refusal(scope, self._policy, self._bodies)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        if refusal is not None:
            await _drained(scope, receive)
        await (refusal or self._app)(scope, receive, send_marked)


async def _drained(scope: Scope, receive: Receive) -> None:
    """Let a refused body arrive if it is short: a program that is still sending sees a reset and no answer.

    A client that asks before it sends (``Expect: 100-continue``) is answered at once.
    """
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    if "expect" in headers or not length.isdigit() or int(length) > _DRAINED_BYTES:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED_S):
            while (await receive()).get("more_body", False):
                pass


def _headers(*, framed: bool) -> Mapping[str, str]:
    return {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {'*' if framed else chr(39) + 'none' + chr(39)}"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
    }


def _refusal(scope: Scope, policy: Policy, bodies: Bodies) -> Response | None:
    """Return the answer to a request that is refused, None for one that is not."""
    headers = Headers(scope=scope)
    if policy.names is not None and not _is_own_host(headers.get("host", ""), policy.names, policy):
        return _no(421, f"This address is not the server's: open the address that img2gps {bodies.command} printed.")
    if policy.names is not None and not _is_own_origin(headers, scope):
        return _no(403, "Requests from other websites are refused.")
    if scope["method"] not in ("GET", "HEAD"):
        if not bodies.takes(headers.get("content-type", "")):
            return _no(415, bodies.refusal)
        length = headers.get("content-length", "")
        if not length.isdigit():
            if bodies.with_length or length:
                return _no(411, "A request says how long it is (Content-Length).")
        elif int(length) > bodies.most_bytes:
            return _no(413, f"A request holds at most {bodies.most_bytes >> 20} MiB.")
    open_to_all = policy.token is None or scope["path"] in bodies.open_paths
    return None if open_to_all else _token_refusal(scope, headers, str(policy.token), bodies.command)


def _is_own_host(header: str, names: frozenset[str], policy: Policy) -> bool:
    name, _, port = header.rpartition(":") if not header.endswith("]") and ":" in header else (header, "", "80")
    name = name.strip("[]").lower()
    if port != str(policy.port):
        return False
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return policy.any_address


def _is_own_origin(headers: Headers, scope: Scope) -> bool:
    """Return whether the request comes from the page itself, or from a person who typed or followed its address."""
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{headers.get('host', '').lower()}":
        return False
    site = headers.get("sec-fetch-site", "none")
    return site in ("none", "same-origin") or (scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate")


def _token_refusal(scope: Scope, headers: Headers, token: str, command: str) -> Response | None:
    given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
    if scope["path"] == "/" and scope["method"] == "GET" and _equal(given, token):
        # The token moves from the address, which is shared and kept in histories, to a cookie of this page alone.
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(_COOKIE, token, httponly=True, samesite="strict", path="/")
        return answer
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if _equal(_cookie(headers), token) or (scheme.lower() == "bearer" and _equal(bearer.strip(), token)):
        return None
    return _no(401, f"A token is needed: open the full address that img2gps {command} printed.")


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _no(status: int, sentence: str) -> JSONResponse:
    # a refused body is not wanted: without this it would be read to its end
    return JSONResponse({"error": sentence}, status_code=status, headers={"connection": "close"})
