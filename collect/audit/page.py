"""audit/report.html: the audit as one offline page with a map.

Reads from the audit's dict (all shares 0..1, all lists parallel, east/north in metres of `Site.frame`):

    photos, edge                              counts of accepted photos, and of those outside the outline
    coverage, walks, headings, leakage_5m     the keys of the contract
    cells    size_m, east_m, north_m (south-west corners), photos, walks, days, headings, last_visit (ISO or None)
    holes    median_m, p95_m, largest_m
    conditions   hours [24], sun_elevation {label: n}, seasons {label: n}, headings [8], heading_unknown
    accuracy     median_m, devices [{device, photos, median_m, p90_m, unknown}]
    flags        {flag: n}
    leakage      [{by, photos, within_m: {"1", "5", "10", "25"}, near_duplicates, bursts, walks, days}]
    rejections   {reason: n}
    walk_list    [{east_m, north_m, heading_deg, hour, why}] in visiting order
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collect.audit.page_data import backdrop, report_data
from img2gps.dataset import Dataset
from img2gps.files import write_atomic
from img2gps.reasons import FLAGS, REASONS
from img2gps.report.charts import bar_chart, rose_chart, share_bar
from img2gps.report.page import MAP_SCRIPTS, as_metres, as_percent, render_page
from img2gps.report.thumbnails import Thumbnails, make_thumbnails

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["write_report"]

_TEMPLATE: Final = Path(__file__).parent / "report.j2"


def write_report(
    dataset: Dataset,
    frame: "pd.DataFrame",
    audit: dict[str, Any],
    path: Path,
    *,
    redact: bool = False,
    buildings: "BaseGeometry | None" = None,
    paths: "BaseGeometry | None" = None,
) -> None:
    """Write the report of `audit` over `frame` (of `Dataset.read_frame`) to `path`.

    `buildings` and `paths` are geometries in metres of the site's frame, drawn behind the photos. `redact` moves
    positions to the middle of their cell, times to the hour, and drops thumbnails and file names. Positions outside
    the site's outline never enter the page. Raises OSError where `path` cannot be written.
    """
    site = dataset.site()
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
        leakage=_leakage_rows(audit["leakage"]),
        rejections=_explained(audit["rejections"], REASONS),
        flags=_explained(audit["flags"], FLAGS),
        share_bar=share_bar,
    )
    write_atomic(path, html.encode("utf-8"))


def _charts(conditions: dict[str, Any]) -> dict[str, Any]:
    hours = [str(hour) for hour in range(24)]
    named = {"sun_elevation": "sun above the horizon", "seasons": "", "devices": ""}
    charts = {"hours": bar_chart(hours, conditions["hours"], title="Photos by hour of the day", x_label="local hour")}
    for key, x_label in named.items():
        counts = conditions[key]
        charts[key] = bar_chart(list(counts), list(counts.values()), title=f"Photos by {key}", x_label=x_label)
    charts["headings"] = rose_chart(conditions["headings"], title="Photos by compass heading")
    return charts


def _leakage_rows(leakage: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [row["by"], *(as_percent(row["within_m"][radius]) for radius in ("1", "5", "10", "25")), row["near_duplicates"]]
        for row in leakage
    ]


def _explained(counts: dict[str, int], table: Any) -> list[list[Any]]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [[code.replace("_", " "), count, table[code].text, table[code].remedy] for code, count in ordered if count]
