"""A page made of packaged files, and what it sends back: shared by the pages on which people draw and mark."""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from img2gps.errors import UsageError
from img2gps.report.page import embed_json
from img2gps.text import safe_text

__all__ = ["Files", "json_response", "kept", "page_routes"]

Files = Mapping[str, tuple[str, Sequence[str]]]
"""For each name below ``/static``: its media type, and the packaged files (``package/name``) that make it up."""


def page_routes(page: str, state: Callable[[], Any], files: Files) -> list[Route]:
    """Return the routes of a page, a packaged file whose ``{{data}}`` becomes `state`, and its `files`."""

    def html(_request: Request) -> Response:
        text = _packaged(page).replace("{{data}}", str(embed_json(state())))
        return Response(text, media_type="text/html")

    def file(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            return json_response({"error": "There is no such file."}, 404)
        return Response("\n".join(map(_packaged, found[1])), media_type=found[0])

    return [
        Route("/", html),
        Route("/favicon.ico", lambda _request: Response(status_code=204)),
        Route("/static/{name}", file),
    ]


async def kept(request: Request, save: Callable[[Any], Mapping[str, Any]]) -> Response:
    """Give the JSON of a request to `save`, and answer with what that returns.

    What is no JSON, or is refused with a UsageError, is a 400 with a sentence; what cannot be written is a 507.
    """
    try:
        asked = json.loads(await request.body())
    except (ValueError, RecursionError):
        return json_response({"error": "The body is not JSON."}, 400)
    try:
        return json_response(await run_in_threadpool(save, asked))
    except UsageError as error:
        return json_response({"error": safe_text(str(error))}, 400)
    except OSError as error:
        return json_response({"error": f"Not saved: {error.strerror or type(error).__name__}."}, 507)


def json_response(value: Mapping[str, Any], status: int = 200) -> Response:
    """Return a value as JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    return Response(json.dumps(value, allow_nan=False), status_code=status, media_type="application/json")


def _packaged(name: str) -> str:
    package, _, file = name.partition("/")
    return (resources.files(package) / file).read_text(encoding="utf-8")
