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
    """Rows of a table (class, share of area, metres per tenth, interval), the headline in words, and a verdict.

    `training` is the headline of training photos, judged by models that had not seen their walks; None where unknown.
    """

    rows: tuple[tuple[str, ...], ...]
    headline: str
    training: str | None
    leans_on_moving: bool

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
        rows = tuple(_row(one) for one in document["classes"] if one["cost_m"]["value"] is not None)
        training = document.get("training")
        return ExplainedClasses(
            rows=rows,
            headline=_cell(document["headline"]),
            training=None if training is None else _cell(training["headline"]),
            leans_on_moving=document["leans_on_moving"] is True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    elsewhere = as_metres(one["elsewhere_m"]["value"])
    return (safe_text(str(one["name"]), limit=40), as_percent(one["share"]), _cell(one["cost_m"]), elsewhere)


def _cell(figure: dict[str, Any]) -> str:
    """Return a figure with its interval, an en dash where it is not known."""
    bounds = figure["interval"]
    text = as_metres(figure["value"])
    return text if bounds is None else f"{text} ({bounds[0]:.1f} to {bounds[1]:.1f}{NARROW}m)"
