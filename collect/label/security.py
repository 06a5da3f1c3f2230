"""Who may talk to the label server: one middleware in front of every route.

A page on the loopback address can be reached by every website the person has open, so requests that name
another host (DNS rebinding) or come from another origin are refused, and a request that changes something must be
JSON, which no form can send. On other addresses a token is wanted as well. After OWASP's "Cross-Site
Request Forgery Prevention" and "HTTP Headers" cheat sheets.
"""

import dataclasses
import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["MOST_BYTES", "Guard", "Policy", "is_loopback", "policy_for"]

MOST_BYTES: Final = 8 << 20
"""The largest body that is read: some 40,000 photos moved at once."""

_COOKIE: Final = "img2gps_token"
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of a request: `names` are the host names answered to (addresses too where `any_address`)."""

    names: frozenset[str]
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


class Guard:
    """ASGI middleware that answers what the policy refuses and marks every response."""

    def __init__(self, app: ASGIApp, *, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass the request on."""
        if scope["type"] != "http":
            return
        refusal = _refusal(scope, self._policy)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await (refusal or self._app)(scope, receive, send_marked)


def _refusal(scope: Scope, policy: Policy) -> Response | None:
    """Return the answer to a request that is refused, None for one that is not."""
    headers = Headers(scope=scope)
    if not _is_own_host(headers.get("host", ""), policy):
        return _no(421, "This address is not the label server's: open the address that img2gps label printed.")
    if not _is_own_origin(headers, scope):
        return _no(403, "Requests from other websites are refused.")
    if scope["method"] not in ("GET", "HEAD"):
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return _no(415, "A change is sent as application/json.")
        length = headers.get("content-length", "")
        if not length.isdigit():
            return _no(411, "A change says how long it is (Content-Length).")
        if int(length) > MOST_BYTES:
            return _no(413, f"A change holds at most {MOST_BYTES >> 20} MiB.")
    return _token_refusal(scope, headers, policy.token) if policy.token else None


def _is_own_host(header: str, policy: Policy) -> bool:
    name, _, port = header.rpartition(":") if not header.endswith("]") and ":" in header else (header, "", "80")
    name = name.strip("[]").lower()
    if port != str(policy.port):
        return False
    if name in policy.names:
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


def _token_refusal(scope: Scope, headers: Headers, token: str) -> Response | None:
    given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
    if scope["path"] == "/" and scope["method"] == "GET" and _equal(given, token):
        # The token moves from the address, which is shared and kept in histories, to a cookie of this page alone.
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(_COOKIE, token, httponly=True, samesite="strict", path="/")
        return answer
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    if _equal(_cookie(headers), token) or _equal(bearer, token):
        return None
    return _no(401, "A token is wanted: open the whole address that img2gps label printed.")


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _no(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status_code=status)
