"""An evaluation's report.html: the figures, the map of errors, and the worst photos, in one offline page."""

from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from img2gps.dataset import Dataset
from img2gps.files import write_atomic
from img2gps.manifest import ManifestInfo, read_table
from img2gps.metrics import WITHIN_M
from img2gps.report.charts import Series, line_chart, scatter_chart, share_bar
from img2gps.report.page import MAP_SCRIPTS, NARROW, as_metres, as_percent, render_page
from img2gps.report.thumbnails import make_thumbnails
from img2gps.text import safe_text
from train.evaluation.page_data import inside_site, report_data
from train.evaluation.summary import figures_beside, next_steps

__all__ = ["write_report"]

_TEMPLATE: Final = Path(__file__).parent / "report.j2"
_WORST_LONG_SIDE_PX: Final = 224
_CURVES: Final = {
    "model": "This run",
    "walks_together": "Whole walks",
    "mean_predictor": "Mean position",
    "nearest_thumbnail": "Most similar thumbnail",
    "oracle": "Nearest training photo",
}
_LENGTHS: Final = {"median_m": "Median", "rmse_m": "RMSE", "mean_m": "Mean", "p90_m": "90th percentile"}


def write_report(path: Path, document: dict[str, Any], *, dataset: Dataset) -> None:
    """Write the report of an evaluation's document (see `train.evaluation.document`) to `path`.

    `dataset` is what was scored: its site and working copies. Photos outside the site's outline are counted, but
    their positions are not drawn. Raises OSError where `path` cannot be written.
    """
    site = dataset.site()
    table, info = read_table(dataset.manifest_path)
    names = dict(zip(table.column("id").to_pylist(), table.column("source_name").to_pylist(), strict=True))
    pictures = make_thumbnails([dataset.photo_path(photo_id) for photo_id in document["points"]["id"]])
    groups = _groups(document)
    html = render_page(
        _TEMPLATE,
        title=f"{safe_text(document['run'])} on {safe_text(document['dataset'])}",
        scripts=(*MAP_SCRIPTS, "evaluation.js"),
        data=report_data(document, site, pictures.images, names),
        doc=document,
        note=pictures.note,
        outside=int((~inside_site(document["points"], site)).sum()),
        next_steps=next_steps(document)[:-1],  # the last one points to this page
        figures=_figure_rows(document),
        groups={title: _group_rows(rows) for title, rows in groups.items()},
        strong_rows={
            title: [i for i, row in enumerate(rows) if row["photos"] is None] for title, rows in groups.items()
        },
        labels=_label_rows(document),
        charts=_charts(document, dataset),
        worst=_worst(document, dataset, names),
        provenance=_provenance(document, info),
        beside=[_CURVES[key] for key in _beside(document)],
        together_rows=_together_rows(document),
        share_bar=share_bar,
        interval=_interval,
    )
    write_atomic(path, html.encode("utf-8"))


def _beside(document: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that stand beside those of the run, those of `_CURVES` in its order."""
    known = figures_beside(document)
    return {key: known[key] for key in _CURVES if key in known}


def _figure_rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the table of figures: one row per figure, the run beside what needs no model."""
    beside = _beside(document)
    bounds = document["intervals"] or {}
    rows = [
        [name, as_metres(document[key]), _interval(bounds.get(key)), *(as_metres(one[key]) for one in beside.values())]
        for key, name in _LENGTHS.items()
    ]
    within = bounds.get("within_m") or {}
    for radius in map(str, WITHIN_M):
        others = (as_percent(one["within_m"][radius]) for one in beside.values())
        share = as_percent(document["within_m"][radius])
        rows.append([f"Within {radius} m", share, _interval(within.get(radius), percent=True), *others])
    return rows


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    titles = {
        "device": "By device",
        "light": "By light",
        "nearest_train_m": "By distance to the nearest training photo",
    }
    strata = {title: document["strata"][key] for key, title in titles.items() if key in document["strata"]}
    walks, days = document["per_walk"], document["per_day"]
    macro = document["macro"]
    return {"By walk": walks + _macro(macro["walks"]), "By day": days + _macro(macro["days"]), **strata}


def _macro(macro: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the average over walks or days as one more row, where there is more than one."""
    if len(macro["of"]) < 2:
        return []
    return [{**macro, "name": f"average of {len(macro['of'])}", "photos": None, "intervals": None, "bias": None}]


def _together_rows(document: dict[str, Any]) -> list[list[str]]:
    """Return a row per walk: its figures located photo by photo, and together."""
    if not document["walks_together"]:
        return []
    alone = {row["name"]: row["figures"] for row in document["per_walk"]}
    return [
        [row["name"], f"{row['figures']['photos']:,}"]
        + [as_metres(part[key]) for key in ("median_m", "rmse_m") for part in (alone[row["name"]], row["figures"])]
        + [as_percent(part["within_m"]["25"]) for part in (alone[row["name"]], row["figures"])]
        for row in document["walks_together"]["per_walk"]
    ]


def _label_rows(document: dict[str, Any]) -> list[list[str]]:
    """Return the figures of labels as ingested, moved, confirmed and unsure; nothing where no label was touched."""
    kinds = document["labels"]["scores"]
    if set(kinds) <= {"as_ingested"}:
        return []
    return [
        [
            kind.replace("_", " "),
            f"{row['figures']['photos']:,}",
            as_metres(row["figures"]["median_m"]),
            _interval((row["intervals"] or {}).get("median_m")),
            as_metres(row["figures"]["rmse_m"]),
        ]
        for kind, row in kinds.items()
    ]


def _group_rows(rows: list[dict[str, Any]]) -> list[list[Any]]:
    return [
        [
            safe_text(str(row["name"]), limit=60),
            "" if row["photos"] is None else f"{row['photos']:,}",
            as_metres(row["figures"]["median_m"]),
            "" if row["photos"] is None else _interval((row["intervals"] or {}).get("median_m")),
            as_metres(row["figures"]["rmse_m"]),
            as_percent(row["figures"]["within_m"]["25"]),
            as_metres(row["mean_predictor"]["rmse_m"]),
            "" if row["bias"] is None else f"{_signed(row['bias']['east_m'])}, {_signed(row['bias']['north_m'])}",
        ]
        for row in rows
    ]


def _charts(document: dict[str, Any], dataset: Dataset) -> dict[str, Markup]:
    cdf = document["cdf"]
    far = max(50.0, cdf["model"][int(0.97 * (len(cdf["model"]) - 1))], cdf["mean_predictor"][len(cdf["share"]) // 2])
    curves = [
        Series(
            name=name,
            x=[*cdf[key], max(far, cdf[key][-1])],
            y=[*cdf["share"], 1.0],
            dashed=key not in ("model", "walks_together"),
        )
        for key, name in _CURVES.items()
        if key in cdf
    ]
    charts = {
        "cdf": line_chart(
            curves,
            title="Share of photos within each error",
            x_label="error (m)",
            y_label="share of photos",
            x_max=far,
            y_max=1,
            percent=True,
        )
    }
    if document["risk_coverage"]:
        charts["risk"] = _risk_chart(document["risk_coverage"])
    if document["calibration"]:
        charts["reliability"] = _reliability_chart(document["calibration"]["reliability"])
    points = document["points"]
    inside = inside_site(points, dataset.site()).tolist()
    for key, name in (("lat", "Latitude"), ("lon", "Longitude")):
        truth, answer = ([v for v, here in zip(points[k], inside, strict=True) if here] for k in (key, f"pred_{key}"))
        charts[key] = scatter_chart(
            truth, answer, title=f"{name}: answer against truth", x_label="truth (°)", y_label="answer (°)"
        )
    return charts


def _risk_chart(curve: dict[str, Any]) -> Markup:
    share = curve["coverage"]
    everyone = Series(name="mean error of all", x=[0.0, 1.0], y=[curve["area_random"]] * 2, dashed=True)
    lines = [
        Series(name="mean error", x=share, y=curve["mean_m"]),
        Series(name="median error", x=share, y=curve["median_m"]),
    ]
    return line_chart(
        [*lines, everyone],
        title="Error of the surest photos",
        x_label="share answered, surest first",
        y_label="error (m)",
        x_max=1,
    )


def _reliability_chart(rows: list[dict[str, float]]) -> Markup:
    stated, actual = ([row[key] for row in rows] for key in ("median_radius_m", "median_error_m"))
    end = 1.05 * max([*stated, *actual, 1.0])
    lines = [
        Series(name="photos of like radius", x=stated, y=actual),
        Series(name="as stated", x=[0, end], y=[0, end], dashed=True),
    ]
    title = "Stated and actual error"
    return line_chart(
        lines, title=title, x_label="stated 50 % radius (m)", y_label="median error (m)", x_max=end, y_max=end
    )


def _worst(document: dict[str, Any], dataset: Dataset, names: dict[str, str]) -> list[dict[str, Any]]:
    rows = document["worst"]
    paths = [dataset.photo_path(row["id"]) for row in rows]
    pictures = make_thumbnails(paths, long_side_px=_WORST_LONG_SIDE_PX)
    keys = ("error_m", "uncertainty_m", "nearest_train_m")
    return [
        {
            "id": row["id"][:12],
            "picture": picture,
            "name": safe_text(names.get(row["id"], row["file_name"]), limit=80),
            "walk": safe_text(str(row["walk"]), limit=60),
            "light": row["light"],
            **{key: row[key] for key in keys},
        }
        for row, picture in zip(rows, pictures.images, strict=True)
    ]


def _provenance(document: dict[str, Any], info: ManifestInfo) -> dict[str, str]:
    return {
        "Run": safe_text(document["run"]),
        "Dataset": safe_text(document["dataset"]),
        "Photos": f"{document['split']}: {document['photos']:,} scored, {document['training_photos']:,} in training",
        "Site": f"{safe_text(info.site_name)}, SHA-256 {info.site_sha256}",
        "Manifest": f"SHA-256 of its rows {info.rows_sha256}, written by img2gps {safe_text(info.tool_version)}",
        **{safe_text(key): safe_text(str(value)) for key, value in document.get("provenance", {}).items()},
    }


def _interval(bounds: list[float] | None, *, percent: bool = False) -> str:
    if not bounds:
        return "–"
    low, high = (f"{100 * bound:.0f}" if percent else f"{bound:,.1f}" for bound in bounds)
    return f"{low} to {high}{NARROW}{'%' if percent else 'm'}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
