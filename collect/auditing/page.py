"""audit/report.html: the audit as one offline page with a map; reads the figures of `collect.auditing.audit`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from collect.auditing.leakage import RADII_M
from collect.auditing.page_data import backdrop, report_data
from collect.auditing.photo_arrays import SECTOR_DEG, SECTORS
from collect.auditing.walk_list import SECTOR_NAMES
from img2gps.dataset import Dataset
from img2gps.files import write_atomic
from img2gps.reasons import FLAGS, REASONS
from img2gps.report.charts import bar_chart, rose_chart, row_chart, share_bar
from img2gps.report.page import MAP_SCRIPTS, as_metres, as_percent, render_page
from img2gps.report.thumbnails import Thumbnails, make_thumbnails
from img2gps.site import Site
from img2gps.text import format_count, join_words, safe_text

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["write_report"]

_TEMPLATE: Final = Path(__file__).parent / "report.j2"


def write_report(
    dataset: Dataset,
    site: Site,
    frame: "pd.DataFrame",
    audit: dict[str, Any],
    path: Path,
    *,
    redact: bool = False,
    buildings: "BaseGeometry | None" = None,
    paths: "BaseGeometry | None" = None,
) -> None:
    """Write the report of `audit` over `frame` (of `Dataset.frame`) to `path`.

    `buildings` and `paths` are geometries in metres of the site's frame, drawn behind the photos. `redact` moves
    positions to the middle of their cell, times to the hour, coarsens distances to photos, and drops thumbnails and
    file names. Positions outside the site's outline never enter the page. Raises OSError where `path` cannot be
    written.
    """
    if redact:
        audit = _without_distances(audit)
    pictures = Thumbnails(images=[None] * len(frame), note="Redacted: no thumbnails, positions by cell, times by hour.")
    if not redact:
        pictures = make_thumbnails([dataset.photo_path(str(photo_id)) for photo_id in frame["id"]])
    data = report_data(frame, site, audit, redact=redact, thumbnails=pictures.images)
    data["site"] = backdrop(site, buildings, paths)
    html = render_page(
        _TEMPLATE,
        title=site.title or site.name,
        scripts=(*MAP_SCRIPTS, "audit.js"),
        data=data,
        audit=audit,
        note=pictures.note,
        charts=_charts(audit["conditions"]),
        hours_note=_hours_note(audit["conditions"]),
        stops=[_stop_words(stop) for stop in audit["walk_list"]],
        devices=_evenness_rows(audit["evenness"]["devices"]),
        splits=_evenness_rows(audit["evenness"]["splits"]),
        accuracy=_accuracy_rows(audit["accuracy"]["devices"]),
        leakage=_leakage_rows(audit["leakage"]),
        alike=_alike_rows(audit["leakage"]),
        stored=[row for row, split in enumerate(audit["leakage"]) if split["stored"]],
        rejections=_explained(audit["rejections"], REASONS),
        flags=_explained(audit["flags"], FLAGS),
        share_bar=share_bar,
    )
    write_atomic(path, html.encode("utf-8"))


def _without_distances(audit: dict[str, Any]) -> dict[str, Any]:
    """Return the figures without distances from known places to photos: a few of those tell where a photo was taken.

    What they say of the site as a whole is rounded up to whole cells.
    """
    size_m = audit["cells"]["size_m"]
    whole = {
        key: None if audit["holes"][key] is None else math.ceil(audit["holes"][key] / size_m) * size_m
        for key in ("median_m", "p95_m", "largest_m")
    }
    stops = [stop | {"nearest_photo_m": None} for stop in audit["walk_list"]]
    return audit | {"holes": audit["holes"] | whole | {"largest_at": None}, "walk_list": stops}


def _charts(conditions: dict[str, Any]) -> dict[str, Markup]:
    hours = [str(hour) for hour in range(24)]
    charts = {
        "hours": bar_chart(hours, conditions["hours"], title="Photos by local hour", x_label="local hour"),
        "headings": rose_chart(conditions["headings"], title="Photos by compass heading"),
    }
    for key, title in {"sun_elevation": "sun above the horizon", "seasons": "season", "devices": "device"}.items():
        counts = {safe_text(name, limit=30): count for name, count in conditions[key].items()}
        charts[key] = row_chart(list(counts), list(counts.values()), title=f"Photos by {title}")
    return charts


def _hours_note(conditions: dict[str, Any]) -> str:
    """Return what the chart of hours does not show."""
    unknown, in_utc = conditions["time_unknown"], conditions["hours_in_utc"]
    notes = [f"{format_count(unknown, 'photo')} without a time"] if unknown else []
    if zoneless := conditions["clock_without_zone"]:
        notes.append(
            f"{zoneless:,} of them have a clock time: time_zone in the site file, given by --site, tells its zone"
        )
    if in_utc:
        notes.append(f"{format_count(in_utc, 'photo')} in UTC: neither the photo nor the site names a time zone")
    return "; ".join(notes)


def _leakage_rows(leakage: list[dict[str, Any]]) -> list[list[str]]:
    counts = ("near_duplicates", "bursts", "walks", "days", "set_aside")
    return [
        [
            safe_text(split["by"]),
            f"{split['photos']:,}",
            *(as_percent(split["within_m"][str(radius)]) for radius in RADII_M),
            as_metres(split["median_m"]),
            *(f"{split[key]:,}" for key in counts),
        ]
        for split in leakage
    ]


def _alike_rows(leakage: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            safe_text(split["by"]),
            f"{split['photos_with_heading']:,}",
            *(as_percent(split["within_m_heading"][str(radius)]) for radius in RADII_M),
        ]
        for split in leakage
        if split["photos_with_heading"]
    ]


def _evenness_rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [safe_text(row["name"]), f"{row['photos']:,}", as_percent(row["cells"]), as_percent(row["unlike"])]
        for row in rows
    ]


def _accuracy_rows(devices: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [
            safe_text(row["device"]),
            f"{row['photos']:,}",
            as_metres(row["median_m"]),
            as_metres(row["p90_m"]),
            as_percent(row["unknown"]),
        ]
        for row in devices
    ]


def _stop_words(stop: dict[str, Any]) -> dict[str, Any]:
    """Return a stop as a person reads it."""
    ways = [SECTOR_NAMES[round(heading / SECTOR_DEG) % SECTORS] for heading in stop["headings_deg"]]
    return {
        "look": join_words(ways),
        "hour": f"{stop['hour']:02d}:00",
        "why": stop["why"],
        "near": stop["nearest_photo_m"],
    }


def _explained(counts: dict[str, int], table: Any) -> list[list[Any]]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [[code.replace("_", " "), count, table[code].text, table[code].remedy] for code, count in ordered if count]
