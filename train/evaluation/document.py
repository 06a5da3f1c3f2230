"""The result of an evaluation as JSON: what evaluation.json holds and ``evaluate --json`` prints.

Keys are added, never renamed: other programs read them. Lengths are metres, shares are 0..1, positions are east/north
metres of the site's frame unless named lon and lat. `intervals` and everything named so hold 95 % intervals as
[low, high], null where there are too few groups.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from img2gps.console import jsonable
from img2gps.site import Site
from img2gps.text import safe_text
from train.evaluation.explained import read_explained
from train.evaluation.result import EvaluationResult
from train.evaluation.strata import MacroAverage, Strata, Stratum
from train.evaluation.whole_walks import WholeWalks
from train.runs.remarks import TOO_FEW

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import DataclassInstance

__all__ = ["CONTRACT", "contract_of", "document_of"]

CONTRACT: Final = (
    *("run", "dataset", "split", "photos", "rmse_m", "mean_m", "median_m", "p90_m", "within_m"),
    *(
        "intervals",
        "intervals_from",
        "mean_predictor",
        "skill",
        "against_mean",
        "frame",
        "macro",
        "calibration",
        "abstain",
    ),
    *("familiarity", "walks_together", "truth", "causes", "looks_at", "forecast", "no_forecast"),
    *("left_out", "notes", "report"),
)
"""The keys that ``evaluate --json`` prints; evaluation.json has more."""

Json = dict[str, Any]


def document_of(result: EvaluationResult) -> Json:
    """Return the whole result as JSON values: what evaluation.json holds."""
    scored, beside_mean, explained = result.scored, result.beside_mean, read_explained(result.folder)
    document: Json = {
        "run": scored.run,
        "dataset": scored.dataset,
        "split": scored.split,
        "training_photos": scored.training_photos,
        "training_walks": scored.training_walks,
        "method": scored.method,
        "left_out": dict(scored.left_out),
        "notes": scored.notes,
        "report": str(result.report),
        "provenance": dict(scored.provenance),
        **result.figures.to_dict(),
        "intervals": _plain(result.intervals),
        "intervals_from": _plain(result.intervals_from),
        "mean_predictor": result.mean_predictor.to_dict(),
        "skill": {name: _plain(skill) for name, skill in result.skill.items()},
        "against_mean": beside_mean.word if beside_mean else TOO_FEW,
        "frame": {key: _plain(reference) for key, reference in result.references.items()},
        "per_walk": [_group(row) for row in result.per_walk],
        "per_day": [_group(row) for row in result.per_day],
        "macro": {"walks": _macro(result.macro_walks), "days": _macro(result.macro_days)},
        "strata": _strata(result.strata),
        "bias": _plain(result.bias),
        "labels": _plain(result.labels),
        "calibration": _plain(result.calibration),
        "risk_coverage": _plain(result.risk_coverage),
        "abstain": _plain(result.abstention),
        "familiarity": _plain(result.familiarity),
        "walks_together": _whole_walks(result.whole_walks),
        "truth": result.truth and result.truth.to_dict(),
        "causes": result.causes.to_dict(),
        "looks_at": explained and explained.document,
        "forecast": result.forecast and result.forecast.to_dict(),
        "no_forecast": result.no_forecast,
        "cdf": {"share": result.curves.share, **result.curves.error_m},
        "worst": [_plain(photo) for photo in result.worst],
        "site": _site(result.site),
        "points": _points(result.scores),
    }
    plain: Json = jsonable(document)
    return plain


def contract_of(result: EvaluationResult) -> Json:
    """Return what ``evaluate --json`` prints of an evaluation."""
    document = document_of(result)
    return {key: document[key] for key in CONTRACT}


def _plain(part: "DataclassInstance | None") -> Json | None:
    return None if part is None else dataclasses.asdict(part)


def _stratum(row: Stratum) -> Json:
    """Return a stratum; its bounds are null where it has a name alone."""
    fields = dataclasses.asdict(row)
    name, bounds = fields.pop("name"), fields.pop("bounds")
    return {"name": name, "photos": row.photos, **fields, "bounds": bounds}


def _group(row: Stratum) -> Json:
    """Return a walk or day: a stratum without bounds that may count in an average."""
    fields = _stratum(row)
    del fields["bounds"]
    return {**fields, "stands_alone": row.stands_alone}


def _macro(macro: MacroAverage) -> Json:
    return dataclasses.asdict(macro)


def _strata(strata: Strata) -> dict[str, list[Json | None]]:
    kinds: dict[str, list[Json | None]] = {
        "device": [_stratum(row) for row in strata.device],
        "light": [_stratum(row) for row in strata.light],
        "nearest_train_m": [_stratum(row) for row in strata.nearest_train_m],
        "cell": [_plain(cell) for cell in strata.cell],
    }
    return {name: rows for name, rows in kinds.items() if rows}


def _whole_walks(whole: WholeWalks | None) -> Json | None:
    if whole is None:
        return None
    return {
        **whole.figures.to_dict(),
        "with_company": whole.with_company,
        "unfamiliar_share": whole.unfamiliar_share,
        "intervals": _plain(whole.intervals),
        "intervals_from": _plain(whole.intervals_from),
        "minus_alone": {
            "differences": _plain(whole.minus_alone.differences),
            "intervals": _plain(whole.minus_alone.intervals),
        },
        "calibration": [_plain(row) for row in whole.coverage],
        "abstain": _plain(whole.abstention),
        "per_walk": [_plain(walk) for walk in whole.per_walk],
    }


def _site(site: Site) -> Json:
    rings = [
        np.round(np.asarray(part.exterior.coords), 2).tolist()
        for part in shapely.get_parts(site.local_polygon).tolist()
    ]
    origin = {"lon": site.frame.origin_lon, "lat": site.frame.origin_lat}
    return {"name": site.name, "title": site.title, "origin": origin, "outline_m": rings}


def _points(scores: "pd.DataFrame") -> Json:
    """Return every photo as columns, for maps: centimetres are enough."""
    lengths = ("east_m", "north_m", "pred_east_m", "pred_north_m", "error_m", "radius_50_m", "radius_90_m")
    columns: Json = {"id": scores["id"].tolist()}
    columns["file_name"] = [safe_text(str(name)) for name in scores["file_name"]]
    columns |= {name: scores[name].round(2).tolist() for name in (*lengths, "nearest_train_m", "uncertainty_m")}
    columns |= {name: scores[name].round(7).tolist() for name in ("lon", "lat", "pred_lon", "pred_lat")}
    columns |= {
        name: scores[name].tolist() for name in ("walk", "day", "light", "device_name", "label_state", "cause", "fold")
    }
    return columns
