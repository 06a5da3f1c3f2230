"""audit.json: the one place where an audit becomes plain JSON values. Keys are added, never renamed."""

import dataclasses
from typing import TYPE_CHECKING, Any

from collect.auditing.conditions import Conditions, Evenness
from collect.auditing.coverage import CellTable
from collect.auditing.expected_error import ExpectedErrors
from collect.auditing.label_quality import AccuracyTable
from collect.auditing.leakage import SplitLeakage
from collect.auditing.result import AuditResult
from collect.auditing.walk_list import Stop

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["audit_document", "stop_document"]

Document = dict[str, Any]


def audit_document(audit: AuditResult) -> Document:
    """Return the contents of audit.json and of ``audit --json``."""
    return {
        "photos": audit.photos,
        "edge": audit.edge,
        "walk_count": audit.walk_count,
        "splits": dict(audit.splits),
        **_fields(audit.shares),
        "leakage_5m": audit.leakage_5m,
        "site": {"name": audit.site.name, "title": audit.site.title, "area_m2": audit.area_m2},
        "split": dict(audit.split) if audit.split else None,
        "cells": _cells(audit.cells),
        "holes": _fields(audit.holes),
        "conditions": _conditions(audit.conditions),
        "evenness": _evenness(audit.evenness),
        "accuracy": _accuracy(audit.accuracy),
        "corrections": _fields(audit.corrections),
        "flags": dict(audit.flags),
        "leakage": [_leakage(row) for row in audit.leakage],
        "rejections": dict(audit.rejections),
        "walk_list": [stop_document(stop) for stop in audit.stops],
        "walk_list_m": audit.walk_length_m,
        "walk_list_minutes": audit.walk_minutes,
        "walk_list_warning": audit.walk_warning,
        **({"forecast": _forecast(audit.expected)} if audit.expected else {}),
    }


def _forecast(expected: ExpectedErrors) -> Document:
    """Return the run's forecast, and the RMSE to expect in each of `cells`."""
    return {"run": expected.run, **expected.law.figures, "cells_rmse_m": expected.error_m.round(2).tolist()}


def stop_document(stop: Stop) -> Document:
    """Return a stop of the next walk as audit.json and walk-list.geojson hold it."""
    return _fields(stop) | {"headings_deg": list(stop.headings_deg), "way": [list(place) for place in stop.way]}


def _fields(part: "DataclassInstance") -> Document:
    return dataclasses.asdict(part)


def _cells(cells: CellTable) -> Document:
    return {
        "size_m": cells.size_m,
        "east_m": cells.east_m.tolist(),
        "north_m": cells.north_m.tolist(),
        "photos": cells.photos.tolist(),
        "walks": cells.walks.tolist(),
        "days": cells.days.tolist(),
        "headings": cells.headings.tolist(),
        "sectors": cells.sectors.tolist(),
        "last_visit": [None if last is None else last.isoformat(timespec="seconds") for last in cells.last_visit],
    }


def _conditions(found: Conditions) -> Document:
    sun = {band.name: band.photos for band in found.sun_elevation}
    return {
        "hours": list(found.hours),
        "time_unknown": found.time_unknown,
        "clock_without_zone": found.clock_without_zone,
        "hours_in_utc": found.hours_in_utc,
        "sun_elevation": sun | ({"unknown": found.sun_unknown} if found.sun_unknown else {}),
        "seasons": dict(found.seasons),
        "days": found.days,
        "devices": dict(found.devices),
        "headings": list(found.headings),
        "heading_unknown": found.heading_unknown,
    }


def _evenness(found: Evenness) -> Document:
    return {
        "gini": found.gini,
        "devices": [_fields(group) for group in found.devices],
        "splits": [_fields(group) for group in found.splits],
    }


def _accuracy(found: AccuracyTable) -> Document:
    devices = [{"device": name, **_fields(reported)} for name, reported in found.devices.items()]
    return {**_fields(found.overall), "devices": devices}


def _leakage(row: SplitLeakage) -> Document:
    by_radius = ("within_m", "within_m_same_walk", "within_m_heading")
    shares = {key: {str(radius): share for radius, share in getattr(row, key).items()} for key in by_radius}
    return _fields(row) | shares
