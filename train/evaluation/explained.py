"""What `explain` found out about an evaluated run, for the evaluation's report: read where it lies in the run."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from img2gps.report.page import NARROW, as_metres, as_percent
from img2gps.text import safe_text

__all__ = ["DOCUMENT", "LEANS_ON_MOVING", "ExplainedClasses", "explanation_path", "read_explained"]

DOCUMENT: Final = "explanation.json"
LEANS_ON_MOVING: Final = (
    "This model leans on things that move: people and vehicles tell it more than buildings and trees do, and they "
    "will not be there again."
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedClasses:
    """Rows of a table (class, share of area, costs per tenth), the headline in words, and a verdict.

    `training` is the headline of training photos, judged by models that had not seen their walks, and `training_rows`
    their table; None and empty where unknown. `document` is what ``evaluate --json`` says of all this.
    """

    rows: tuple[tuple[str, ...], ...]
    headline: str
    training: str | None
    training_rows: tuple[tuple[str, ...], ...]
    leans_on_moving: bool
    document: dict[str, Any]

    @property
    def warning(self) -> str:
        """What to say of a model that leans on things that move."""
        training = "" if self.training is None else f", on training photos {self.training}"
        return f"{LEANS_ON_MOVING} Headline: {self.headline} per tenth of a photo{training}."


def explanation_path(evaluation_folder: Path) -> Path:
    """Return where the explanation of the photos of an evaluation lies, if there is one."""
    return evaluation_folder.parent.parent / "explanations" / evaluation_folder.name / DOCUMENT


def read_explained(evaluation_folder: Path) -> ExplainedClasses | None:
    """Return what the classes are worth to the run; None where nobody asked, or the file is damaged."""
    try:
        document = json.loads(explanation_path(evaluation_folder).read_text(encoding="utf-8"))
        training = document.get("training")
        leans = document["leans_on_moving"] is True
        return ExplainedClasses(
            rows=_rows(document),
            headline=_cell(document["headline"]),
            training=None if training is None else _cell(training["headline"]),
            training_rows=() if training is None else _rows(training),
            leans_on_moving=leans,
            document={
                "headline": document["headline"],
                "training_headline": None if training is None else training["headline"],
                "leans_on_moving": leans,
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _rows(document: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(_row(one) for one in document["classes"] if one["cost_m"]["value"] is not None)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    name, elsewhere = safe_text(str(one["name"]), limit=40), as_metres(one["elsewhere_m"]["value"])
    return (name, as_percent(one["share"]), _cell(one["cost_m"]), elsewhere, _log_cell(one["cost_log_prob"]))


def _log_cell(figure: dict[str, Any]) -> str:
    """Return a difference of log-probabilities with its interval, an en dash where it is not known."""
    if figure["value"] is None:
        return "–"
    bounds = figure["interval"]
    return f"{figure['value']:.2f}" + ("" if bounds is None else f" ({bounds[0]:.2f} to {bounds[1]:.2f})")


def _cell(figure: dict[str, Any]) -> str:
    """Return a figure with its interval, an en dash where it is not known."""
    bounds = figure["interval"]
    text = as_metres(figure["value"])
    return text if bounds is None else f"{text} ({bounds[0]:.1f} to {bounds[1]:.1f}{NARROW}m)"
