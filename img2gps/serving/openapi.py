"""The OpenAPI 3.1 document of the service, from the same limits that it keeps."""

import dataclasses
from typing import Any, Final

from img2gps.answers import Prediction
from img2gps.serving.backend import ServedModel
from img2gps.serving.limits import Limits
from img2gps.version import __version__

__all__ = ["openapi_document"]

_NUMBER: Final = {"type": ["number", "null"]}
_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "file": {"type": "string", "description": "The name it was sent by; `photo` for raw bytes."},
    "lon": {**_NUMBER, "description": "Longitude in degrees (WGS 84); null where there is an error."},
    "lat": {**_NUMBER, "description": "Latitude in degrees (WGS 84)."},
    "radius_50_m": {**_NUMBER, "description": "Half of such photos were taken within so many metres."},
    "radius_90_m": {**_NUMBER, "description": "Nine in ten of such photos were taken within so many metres."},
    "familiarity": {
        **_NUMBER,
        "description": "p-value of the photo being of the site; below 0.05 it is unlike what is taken there.",
    },
    "error": {"type": ["string", "null"], "description": "Why this photo could not be read, else null."},
}
_DETAILS: Final[dict[str, dict[str, Any]]] = {
    "verdict": {"enum": ["here", "unsure", "elsewhere"]},
    "place": {"type": ["string", "null"], "description": "Where it is in words, of a site with a map."},
    "shares": {
        "type": ["array", "null"],
        "items": {"type": "integer", "minimum": 0, "maximum": 255},
        "description": "The distribution over the cells of /v1/model, in 255ths of its largest.",
    },
    "alike": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "photo": {"type": "integer"},
                "lon": {"type": "number"},
                "lat": {"type": "number"},
                "url": {"type": "string"},
            },
            "required": ["photo"],
        },
        "description": "The training photos that look most like it, the most similar first.",
    },
}
_ERROR: Final = {
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    "description": "A sentence that says what is wrong and what to do.",
}


def openapi_document(model: ServedModel, limits: Limits) -> dict[str, Any]:
    """Return the document."""
    names = [field.name for field in dataclasses.fields(Prediction)]
    answer = {
        "type": "object",
        "properties": {name: _FIELDS[name] for name in names} | {"sure": {"type": ["boolean", "null"]}} | _DETAILS,
        "required": names,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"img2gps: photos of {model.site}",
            "version": __version__,
            "description": "Says where on the site a photo was taken. Photos are not kept.",
        },
        "paths": {
            "/v1/locate": {"post": _locate(limits)},
            "/v1/model": {"get": _get("The model: its site, its cells, what it can do.")},
            "/v1/photos/{number}": {"get": _photo()},
            "/health": {"get": _get("Answers while the server does.")},
        },
        "components": {
            "schemas": {
                "Answer": answer,
                "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
            }
        },
    }


def _locate(limits: Limits) -> dict[str, Any]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}}
    form = {
        "type": "object",
        "properties": {"photo": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    }
    found = {
        "application/json": {"schema": rows},
        "application/geo+json": {"schema": {"type": "object", "description": "A FeatureCollection of points."}},
    }
    return {
        "summary": "Where were these photos taken?",
        "description": (
            f"One photo as raw bytes, or up to {limits.photos} as files of a form; {limits.photo_bytes >> 20} MiB a "
            f"photo, {limits.request_bytes >> 20} MiB a request. Formats: JPEG, PNG, WebP, TIFF, HEIC, AVIF."
        ),
        "parameters": [
            _query("walk", "boolean", "Locate the photos of a walk together, by the capture times in their EXIF."),
            _query("abstain_m", "number", "Adds `sure`: is the 90 % region within so many metres, and familiar?"),
            _query("details", "boolean", "Adds `verdict`, `place`, `shares` and `alike`, which the page draws."),
        ],
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}, "image/*": raw, "application/octet-stream": raw},
        },
        "responses": {
            "200": {"description": "One answer per photo, in their order.", "content": found},
            "422": {"description": "None of the photos could be read; `error` says why.", "content": found},
            **dict.fromkeys(("400", "401", "408", "413", "415", "503"), _ERROR),
        },
    }


def _query(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, "description": text}


def _get(text: str) -> dict[str, Any]:
    schema = {"schema": {"type": "object"}}
    return {"summary": text, "responses": {"200": {"description": text, "content": {"application/json": schema}}}}


def _photo() -> dict[str, Any]:
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
    picture = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "summary": "A training photo, small.",
        "parameters": [number],
        "responses": {"200": {"description": "The picture.", "content": picture}, "404": _ERROR},
    }
