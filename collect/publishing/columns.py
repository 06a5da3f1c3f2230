"""The columns of a published dataset, declared once: what Arrow, the Hub and a reader of the card call them."""

import dataclasses
import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PUBLISHED_COLUMNS", "PublishedColumn", "hub_features", "hub_metadata", "published_schema"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishedColumn:
    """One column: its kind (a key of `_HUB_TYPES`, ``strings`` or ``image``) and what it says, in words."""

    name: str
    kind: str
    about: str


def _columns(*rows: tuple[str, str, str]) -> tuple[PublishedColumn, ...]:
    return tuple(PublishedColumn(name=name, kind=kind, about=about) for name, kind, about in rows)


PUBLISHED_COLUMNS: Final = _columns(
    ("image", "image", "the photo: upright, sRGB, a JPEG without metadata"),
    ("lon", "float64", "longitude in degrees (EPSG:4326), corrected where a person corrected it"),
    ("lat", "float64", "latitude in degrees (EPSG:4326), corrected where a person corrected it"),
    ("captured_at", "timestamp", "when it was taken (UTC)"),
    ("heading_deg", "float64", "where the camera looked, clockwise from north"),
    ("gps_accuracy_m", "float64", "the error of the position that the phone reported, in metres"),
    ("device", "string", "the phone, by a number"),
    ("walk", "string", "photos of one phone without a gap over ten minutes, by a number"),
    ("group", "string", "photos that must not be split apart: bursts, equal positions, near-duplicates"),
    ("split", "string", "train, val, test; excluded: set aside so that nothing leaks"),
    ("fold", "int32", "the part of a cross-validation that the photo is held out in"),
    ("flags", "strings", "what is doubtful about the photo"),
    ("label_state", "string", "what a person said of the position: move, confirm, unsure; empty: nothing"),
    ("phone_lon", "float64", "the phone's own longitude where a person looked at the position"),
    ("phone_lat", "float64", "the phone's own latitude where a person looked at the position"),
    ("phone_heading_deg", "float64", "the phone's own heading where a person looked at the position"),
    ("burst", "string", "photos of a walk within 4 s and 15 m"),
    ("gps_source", "string", "what the position was read from"),
    ("gps_dop", "float64", "dilution of precision"),
    ("gps_status", "string", "A: a valid fix, V: a void one"),
    ("gps_method", "string", "GPS, NETWORK, ... as the phone wrote it"),
    ("fix_age_s", "float64", "how much older than the photo the fix is, in seconds"),
    ("altitude_m", "float64", "height above sea level as the phone reported it, in metres"),
    ("heading_ref", "string", "T: the phone's heading counted from true north, M: from magnetic north"),
    ("utc_offset_min", "int32", "local time minus UTC, in minutes"),
    ("time_source", "string", "what the time was read from"),
    ("clock_local", "string", "what the camera's clock showed"),
    ("site_relation", "string", "inside the site's outline, or at its edge"),
    ("traits", "strings", "what is special about the picture, such as panorama"),
    ("width", "int32", "pixels"),
    ("height", "int32", "pixels"),
    ("redacted", "int32", "how many regions were made unrecognisable"),
    ("phash", "string", "a perceptual hash of the photo, 64 bits"),
    ("id", "string", "SHA-256 of the original file, which is not published"),
    ("geometry", "binary", "the position as a point (WKB)"),
)
"""The schema, in file order."""

_HUB_TYPES: Final = {
    "string": "string",
    "float64": "float64",
    "int32": "int32",
    "timestamp": "timestamp[us, tz=UTC]",
    "binary": "binary",
}


@cache
def published_schema() -> "pa.Schema":
    """Return the schema as Arrow has it, without metadata; `image` is the struct that the Hub's Image feature is."""
    import pyarrow as pa

    types = {
        "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "string": pa.string(),
        "float64": pa.float64(),
        "int32": pa.int32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "strings": pa.list_(pa.string()),
        "binary": pa.binary(),
    }
    return pa.schema([(column.name, types[column.kind]) for column in PUBLISHED_COLUMNS])


def hub_metadata() -> bytes:
    """Return what Parquet files carry under ``huggingface``: the features as the library `datasets` names them."""
    features: dict[str, Any] = {}
    for column in PUBLISHED_COLUMNS:
        if column.kind == "image":
            features[column.name] = {"_type": "Image"}
        elif column.kind == "strings":
            features[column.name] = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}
        else:
            features[column.name] = {"dtype": _HUB_TYPES[column.kind], "_type": "Value"}
    return json.dumps({"info": {"features": features}}).encode()


def hub_features() -> list[dict[str, str]]:
    """Return the features as the YAML of a dataset card lists them (``dataset_info.features``)."""
    found = []
    for column in PUBLISHED_COLUMNS:
        key = "sequence" if column.kind == "strings" else "dtype"
        kind = {"strings": "string", "image": "image"}.get(column.kind) or _HUB_TYPES[column.kind]
        found.append({"name": column.name, key: kind})
    return found
