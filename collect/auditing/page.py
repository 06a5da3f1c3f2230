"""audit/report.html: the audit as one offline page with a map."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from collect.auditing.conditions import Conditions, GroupSpread
from collect.auditing.coverage import Holes
from collect.auditing.label_quality import ReportedAccuracy
from collect.auditing.leakage import RADII_M, SplitLeakage
from collect.auditing.page_data import backdrop, report_data
from collect.auditing.photo_arrays import SECTOR_DEG, SECTORS
from collect.auditing.result import AuditResult
from collect.auditing.walk_list import SECTOR_NAMES, Stop
from img2gps.basemap.surroundings import Surroundings
from img2gps.cluster_jobs import JobCluster
from img2gps.files import write_atomic
from img2gps.reasons import FLAGS, REASONS, Explanation
from img2gps.report.charts import bar_chart, rose_chart, row_chart, share_bar
from img2gps.report.page import MAP_SCRIPTS, as_metres, as_percent, render_page
from img2gps.report.thumbnails import Thumbnails, make_thumbnails, share_thumbnails
from img2gps.text import format_count, join_words, safe_text

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["write_report"]

_LOST: Final = "here a visit lowers the error to expect most"
_TEMPLATE: Final = Path(__file__).parent / "report.j2"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _StopWords:
    """A stop as a person reads it, in metres: `near` to the nearest photo, `way` on foot from the stop before."""

    look: str
    hour: str
    why: str
    near: float | None
    place: str = ""
    way: float | None = None


def write_report(
    audit: AuditResult,
    path: Path,
    *,
    redact: bool = False,
    paths: "BaseGeometry | None" = None,
    workers: JobCluster | None = None,
) -> None:
    """Write the report of an audit to `path`.

    `paths` are lines in metres of the site's frame, drawn behind the photos as the buildings are. `redact` moves
    positions to the middle of their cell, times to the hour, coarsens distances to photos, and drops thumbnails and
    file names. Positions outside the site's outline never enter the page. Raises OSError where `path` cannot be
    written.
    """
    if redact:
        audit = _without_distances(audit)
    frame, site = audit.frame, audit.site
    pictures = Thumbnails(images=[None] * len(frame), note="Redacted: no thumbnails, positions by cell, times by hour.")
    if not redact:
        ids = [str(one) for one in frame["id"]]
        pictures = (
            share_thumbnails(audit.dataset, ids, workers)
            if workers
            else make_thumbnails(audit.dataset.photo_paths(ids))
        )
    data = report_data(audit, redact=redact, thumbnails=pictures.images)
    given = audit.buildings if audit.basemap is None else None  # the map shows its own
    data["site"] = backdrop(site, given, paths, basemap=audit.basemap)
    html = render_page(
        _TEMPLATE,
        title=site.title or site.name,
        scripts=(*MAP_SCRIPTS, "audit.js"),
        data=data,
        audit=audit,
        note=pictures.note,
        charts=_charts(audit.conditions),
        hours_note=_hours_note(audit.conditions),
        stops=_stops_in_words(audit),
        devices=_spread_rows(audit.evenness.devices),
        splits=_spread_rows(audit.evenness.splits),
        accuracy=_accuracy_rows(audit.accuracy.devices),
        leakage=_leakage_rows(audit.leakage),
        alike=_alike_rows(audit.leakage),
        stored=[row for row, split in enumerate(audit.leakage) if split.stored],
        rejections=_explained(audit.rejections, REASONS),
        flags=_explained(audit.flags, FLAGS),
        share_bar=share_bar,
    )
    write_atomic(path, html.encode("utf-8"))


def _without_distances(audit: AuditResult) -> AuditResult:
    """Return the audit without distances from known places to photos: a few of those tell where a photo was taken.

    What they say of the site as a whole is rounded up to whole cells.
    """
    size_m, holes = audit.cells.size_m, audit.holes

    def coarse(length_m: float | None) -> float | None:
        return None if length_m is None else math.ceil(length_m / size_m) * size_m

    return dataclasses.replace(
        audit,
        holes=Holes(
            median_m=coarse(holes.median_m),
            p95_m=coarse(holes.p95_m),
            largest_m=coarse(holes.largest_m),
            step_m=holes.step_m,
        ),
        stops=tuple(
            dataclasses.replace(stop, nearest_photo_m=None, why=_LOST if audit.expected else stop.why)
            for stop in audit.stops
        ),
        expected=None,  # errors follow from distances to photos, and would tell them
    )


def _charts(conditions: Conditions) -> dict[str, Markup]:
    hours = [str(hour) for hour in range(24)]
    sun = {band.name: band.photos for band in conditions.sun_elevation}
    sun |= {"unknown": conditions.sun_unknown} if conditions.sun_unknown else {}
    return {
        "hours": bar_chart(hours, list(conditions.hours), title="Photos by local hour", x_label="local hour"),
        "headings": rose_chart(list(conditions.headings), title="Photos by compass heading"),
        "sun_elevation": _row_chart(sun, "sun above the horizon"),
        "seasons": _row_chart(conditions.seasons, "season"),
        "devices": _row_chart(conditions.devices, "device"),
    }


def _row_chart(counts: Mapping[str, int], title: str) -> Markup:
    names = {safe_text(name, limit=30): count for name, count in counts.items()}
    return row_chart(list(names), list(names.values()), title=f"Photos by {title}")


def _hours_note(conditions: Conditions) -> str:
    """Return what the chart of hours does not show."""
    unknown, in_utc = conditions.time_unknown, conditions.hours_in_utc
    notes = [f"{format_count(unknown, 'photo')} without a time"] if unknown else []
    if zoneless := conditions.clock_without_zone:
        notes.append(
            f"{zoneless:,} of them have a clock time: time_zone in the site file, given by --site, tells its zone"
        )
    if in_utc:
        notes.append(f"{format_count(in_utc, 'photo')} in UTC: neither the photo nor the site names a time zone")
    return "; ".join(notes)


def _leakage_rows(leakage: Sequence[SplitLeakage]) -> list[list[str]]:
    return [
        [
            safe_text(split.by),
            f"{split.photos:,}",
            *(as_percent(split.within_m[radius]) for radius in RADII_M),
            as_metres(split.median_m),
            *(
                f"{count:,}"
                for count in (split.near_duplicates, split.bursts, split.walks, split.days, split.set_aside)
            ),
        ]
        for split in leakage
    ]


def _alike_rows(leakage: Sequence[SplitLeakage]) -> list[list[str]]:
    return [
        [
            safe_text(split.by),
            f"{split.photos_with_heading:,}",
            *(as_percent(split.within_m_heading[radius]) for radius in RADII_M),
        ]
        for split in leakage
        if split.photos_with_heading
    ]


def _spread_rows(rows: Sequence[GroupSpread]) -> list[list[str]]:
    return [[safe_text(row.name), f"{row.photos:,}", as_percent(row.cells), as_percent(row.unlike)] for row in rows]


def _accuracy_rows(devices: Mapping[str, ReportedAccuracy]) -> list[list[str]]:
    return [
        [
            safe_text(name),
            f"{row.photos:,}",
            as_metres(row.median_m),
            as_metres(row.p90_m),
            as_percent(row.unknown),
        ]
        for name, row in devices.items()
    ]


def _stops_in_words(audit: AuditResult) -> list[_StopWords]:
    around = None if audit.basemap is None else Surroundings(audit.basemap, frame=audit.site.frame)
    return [_stop_words(stop, around) for stop in audit.stops]


def _stop_words(stop: Stop, around: Surroundings | None) -> _StopWords:
    ways = [SECTOR_NAMES[round(heading / SECTOR_DEG) % SECTORS] for heading in stop.headings_deg]
    return _StopWords(
        look=join_words(ways),
        hour=f"{stop.hour:02d}:00",
        why=stop.why,
        near=stop.nearest_photo_m,
        place=around.at(stop.lon, stop.lat).text if around else "",
        way=stop.way_m if around and stop.order > 1 else None,
    )


def _explained(counts: Mapping[str, int], table: Mapping[str, Explanation]) -> list[list[str | int]]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [[code.replace("_", " "), count, table[code].text, table[code].remedy] for code, count in ordered if count]
