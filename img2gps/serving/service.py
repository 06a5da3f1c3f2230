"""The service: POST /v1/locate, GET /v1/model, the page, the OpenAPI document, a health check."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from img2gps.answers import predictions_geojson, predictions_json
from img2gps.errors import Img2GPSError
from img2gps.serving.answering import Answers, detailed_rows, locate_uploads, needs_regions
from img2gps.serving.backend import Backend, ServedModel
from img2gps.serving.decoding import Decoders
from img2gps.serving.limits import Limits, RefusedError
from img2gps.serving.openapi import openapi_document
from img2gps.serving.page import page_files
from img2gps.serving.turns import Turns
from img2gps.serving.uploads import Memory, Share, read_uploads
from img2gps.version import __version__
from img2gps.web.guard import Bodies, Guard, Policy

__all__ = ["Service", "model_facts"]

_KINDS: Final = ("multipart/form-data", "application/octet-stream", "image/*")
_GEOJSON: Final = "application/geo+json"
_MOST_DIGITS: Final = 9
_NO_ROUTE: Final = {
    404: "There is nothing at this address: GET /openapi.json lists what there is.",
    405: "This address does not take such a request: GET /openapi.json lists what it takes.",
}
_YES: Final = {"true": True, "1": True, "on": True, "yes": True, "": False, "false": False, "0": False, "no": False}


class Service:
    """A model behind HTTP. `abstain_m` is the radius beyond which the page is not sure; None: it always is."""

    def __init__(
        self, backend: Backend, *, limits: Limits, decoders: int, abstain_m: float | None, command: str = "serve"
    ) -> None:
        self._backend, self._limits, self._abstain_m, self._command = backend, limits, abstain_m, command
        self._memory = Memory(limits.memory_bytes)
        self._decoders = Decoders(decoders, limits)
        self._turns = Turns(backend)
        self._files = page_files(
            backend.model,
            abstain_m=abstain_m,
            engine="engine.js",
            more={"mostPhotos": limits.photos, "mostBytes": limits.request_bytes},
        )
        self._answering = 0

    def close(self) -> None:
        """End the workers and the model's thread."""
        self._decoders.close()
        self._turns.close()

    def app(self, policy: Policy) -> Starlette:
        """Return the application, guarded by `policy`."""
        bodies = Bodies(
            command=self._command,
            kinds=_KINDS,
            most_bytes=self._limits.request_bytes,
            refusal="Photos are sent as multipart/form-data, image/jpeg or application/octet-stream.",
            with_length=False,
            open_paths=frozenset({"/health"}),
        )
        routes = [
            Route("/", self._file),
            Route("/static/{name}", self._file),
            Route("/favicon.ico", lambda _request: Response(status_code=204)),
            Route("/health", lambda _request: _json({"status": "ok"})),
            Route("/openapi.json", self._openapi),
            Route("/v1/model", lambda _request: _json(model_facts(self._backend.model, abstain_m=self._abstain_m))),
            Route("/v1/photos/{number}", self._photo),
            Route("/v1/locate", self._locate, methods=["POST"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, policy=policy, bodies=bodies)],
            exception_handlers={HTTPException: _refused_route},
        )

    async def _file(self, request: Request) -> Response:
        found = self._files.get(request.path_params.get("name", "index.html"))
        return Response(found[1], media_type=found[0]) if found else _error(404, "There is no such file.")

    async def _openapi(self, _request: Request) -> Response:
        return _json(openapi_document(self._backend.model, self._limits))

    def _photo(self, request: Request) -> Response:
        number = request.path_params["number"]
        told = self._backend.model.shows_photos and number.isdecimal() and len(number) <= _MOST_DIGITS
        shown = self._backend.photo(int(number)) if told else None
        return Response(shown, media_type="image/jpeg") if shown else _error(404, "There is no such photo.")

    async def _locate(self, request: Request) -> Response:
        try:
            with self._one_more():
                return await self._answer(request)
        except RefusedError as refusal:
            # the rest of a body that is refused is not wanted: without this it would be read to its end
            headers = {"connection": "close"} | ({"retry-after": str(refusal.retry_s)} if refusal.retry_s else {})
            return _error(refusal.status, str(refusal), headers)
        except Img2GPSError as error:
            return _error(400 if error.exit_code == 2 else 500, str(error))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it

    async def _answer(self, request: Request) -> Response:
        with Share(self._memory, self._limits) as share:
            uploads = await read_uploads(request, share, self._limits)
            fields: Mapping[str, str] = {**request.query_params, **uploads.fields}
            walk, details = _switch(fields, "walk"), _switch(fields, "details")
            abstain_m = _metres(fields, "abstain_m")
            if not uploads.photos:
                raise RefusedError(400, "There is no photo in this request: send one or several files.")
            if walk:
                needs_regions(self._backend.model)
            answers = await locate_uploads(uploads.photos, walk=walk, decoders=self._decoders, turns=self._turns)
        return self._written(answers, request, details=details, abstain_m=abstain_m)

    def _written(self, answers: Answers, request: Request, *, details: bool, abstain_m: float | None) -> Response:
        status = 422 if all(one.error for one in answers.predictions) else 200
        if _GEOJSON in request.headers.get("accept", ""):
            return Response(
                predictions_geojson(answers.predictions, abstain_m=abstain_m), status_code=status, media_type=_GEOJSON
            )
        if details:
            given = self._abstain_m if abstain_m is None else abstain_m
            return _json(detailed_rows(answers, self._backend.model, abstain_m=given), status)
        return _json(predictions_json(answers.predictions, abstain_m=abstain_m), status)

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[None]:
        if self._answering >= self._limits.requests:
            raise RefusedError(503, "Too many requests at once: try again in a moment.", retry_s=2)
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1


def model_facts(model: ServedModel, *, abstain_m: float | None) -> dict[str, Any]:
    """Return what GET /v1/model says: the model, its site, its cells (centres in degrees), what it can do."""
    cells: dict[str, Any] | None = None
    if model.cells is not None:
        lon, lat = model.frame.to_lonlat(model.cells[:, 0], model.cells[:, 1])
        cells = {"size_m": model.cell_m, "lon": lon.round(7).tolist(), "lat": lat.round(7).tolist()}
    return {
        "name": model.name,
        "site": model.site,
        "img2gps": __version__,
        "locates_walks": model.locates_walks,
        "tells_strangers": model.tells_strangers,
        "shows_photos": model.shows_photos,
        "unsure_beyond_m": abstain_m,
        "origin": {"lon": model.frame.origin_lon, "lat": model.frame.origin_lat},
        "cells": cells,
        **model.about,
    }


def _switch(fields: Mapping[str, str], name: str) -> bool:
    given = fields.get(name, "").lower()
    if given not in _YES:
        raise RefusedError(400, f"{name} is true or false.")
    return _YES[given]


def _metres(fields: Mapping[str, str], name: str) -> float | None:
    given = fields.get(name)
    if given is None:
        return None
    with contextlib.suppress(ValueError):
        if 0 <= float(given) < float("inf"):
            return float(given)
    raise RefusedError(400, f"{name} is a number of metres.")


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status_code=status, media_type="application/json", headers=dict(headers or {}))


def _refused_route(_request: Request, refusal: Exception) -> Response:
    """Answer what no route takes as every other refusal."""
    status = refusal.status_code if isinstance(refusal, HTTPException) else 500
    headers = refusal.headers if isinstance(refusal, HTTPException) else None
    return _error(status, _NO_ROUTE.get(status, "This request cannot be answered."), headers)


def _error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"error": sentence}, status, headers)
