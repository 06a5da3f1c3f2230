"""Refined positions as the label commands see them: made, summed up, written to a table."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.files import write_csv
from img2gps.geo import geodesic_m
from img2gps.refined import RefinedLabels, read_refinement, refine_labels, refinement_plan, refinements
from img2gps.text import format_count, safe_path, safe_text

__all__ = ["PlannedRefinement", "RefinedPlace", "RefinementSummary", "export_refined", "plan", "read_refined", "refine"]

_COLUMNS = ("id", "source_name", "lon", "lat", "radius_m")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefinedPlace:
    """Where a refinement places a photo (degrees), its disc of 90 %, and how probably the label is grossly wrong."""

    lon: float
    lat: float
    radius_90_m: float
    gross: float


def read_refined(dataset: Dataset) -> dict[str, RefinedPlace]:
    """Return the newest refinement by photo, nothing where there is none. Raises InvalidDatasetError."""
    if not refinements(dataset.refined_path):
        return {}
    rows = read_refinement(dataset.refined_path).rows
    names = [field.name for field in dataclasses.fields(RefinedPlace)]
    return {
        str(row["id"]): RefinedPlace(**{name: float(row[name]) for name in names}) for row in rows.to_dict("records")
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefinementSummary:
    """What a refinement did: how many photos, how far they moved, how sure the positions are (medians, metres).

    `labels_apart_m` and `refined_apart_m` are how far apart photos of two walks lie that show one view, before and
    after. They are None where there are none (`matches`), and of refinements of earlier versions.
    `check` says what it does to models, where that was asked for (`train.refinement.check.compared`).
    """

    file: str
    photos: int
    moved_median_m: float
    radius_50_median_m: float
    radius_90_median_m: float
    log_likelihood: tuple[float, ...]
    kept_round: int
    matches: int
    labels_apart_m: float | None
    refined_apart_m: float | None
    check: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, labels: RefinedLabels) -> "RefinementSummary":
        """Return the summary of a refinement that was written."""
        rows = labels.rows
        moved_m = geodesic_m(rows["from_lon"], rows["from_lat"], rows["lon"], rows["lat"])
        radii = [round(float(rows[name].median()), 2) for name in ("radius_50_m", "radius_90_m")]
        rounds = labels.method["rounds"]
        kept = rounds[max(labels.kept_round - 1, 0)]
        return cls(
            file="" if labels.path is None else f"refined/{labels.path.name}",
            photos=len(rows),
            moved_median_m=round(float(np.median(moved_m)), 2),
            radius_50_median_m=radii[0],
            radius_90_median_m=radii[1],
            log_likelihood=tuple(float(one["log_likelihood"]) for one in rounds),
            kept_round=labels.kept_round,
            matches=int(kept.get("matches", 0)),
            labels_apart_m=kept.get("labels_apart_m"),
            refined_apart_m=kept.get("refined_apart_m"),
            check=labels.method.get("check"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)

    def sentence(self) -> str:
        """Return the summary in words."""
        photos = format_count(self.photos, "position")
        return (
            (self._moved(photos) if self.kept_round else self._left(photos))
            + f" Half lie within {self.radius_50_median_m:.1f} m of the truth, if the model of errors holds. "
            f"Kept in {safe_text(self.file)}; corrections stand above it."
            + ("" if self.check is None else f" {_check_sentence(self.check)}")
        )

    def _moved(self, photos: str) -> str:
        rounds = format_count(len(self.log_likelihood), "round")
        apart = ""
        if self.labels_apart_m is not None and self.refined_apart_m is not None:
            apart = (
                f" Photos of two walks that show one view ({format_count(self.matches, 'pair')}) lay "
                f"{self.labels_apart_m:.1f} m apart in the median, and now lie {self.refined_apart_m:.1f} m apart."
            )
        return (
            f"{photos} refined in {rounds}, of which {self.kept_round} was kept. "
            f"They moved {self.moved_median_m:.1f} m in the median.{apart}"
        )

    def _left(self, photos: str) -> str:
        return (
            f"{photos} looked at, and left as they are: refining does not pay here. Photos of two walks that "
            f"seemed to show one view ({format_count(self.matches, 'pair')}) lie {self.labels_apart_m or 0:.1f} m "
            f"apart in the median. Drawn together, they would still lie {self.refined_apart_m or 0:.1f} m apart: "
            "most of these pairs are false."
        )


def _check_sentence(check: Mapping[str, Any]) -> str:
    """Return in words what refining does to models."""
    before, after, bounds = check["as_they_are"], check["refined"], check["change_interval_m"]
    advice = {
        True: "It pays: train on refined labels.",
        False: "It does harm: train on the labels as they are.",
        None: "It cannot be told whether it pays.",
    }[check["pays"]]
    interval = "" if bounds is None else f" ({bounds[0]:+.1f} to {bounds[1]:+.1f})"
    return (
        f"Checked on {format_count(check['walks'], 'walk')} left out, against their own labels. Models of the labels "
        f"as they are err by {before['median_m']:.1f} m in the median, of refined ones by {after['median_m']:.1f} m. "
        f"The mean changes by {check['change_m']:+.1f} m{interval}. {advice}"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRefinement:
    """What a refinement would use (`img2gps.refined.RefinementPlan`), and how many the dataset has."""

    run: str
    photos: int
    walks: int
    parts: int
    held_back: int
    refinements: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self) | {"dry_run": True}

    def sentence(self) -> str:
        """Return the plan in words."""
        held_back = f" {format_count(self.held_back, 'photo')} of val and test keep theirs." if self.held_back else ""
        return (
            f"Dry run: {format_count(self.photos, 'position')} of {format_count(self.walks, 'walk')} would be refined "
            f"by models like those of {safe_text(self.run)}. "
            f"{format_count(self.parts, 'part')} would be left out by turns."
            f"{held_back} The dataset has {format_count(self.refinements, 'refinement')}; nothing was written."
        )


def plan(dataset: Dataset, run: Path) -> PlannedRefinement:
    """Return what `refine` would use, in seconds. Raises what that raises."""
    found = refinement_plan(dataset.root, run)
    return PlannedRefinement(**dataclasses.asdict(found), refinements=len(refinements(dataset.refined_path)))


def refine(dataset: Dataset, run: Path, *, check: bool = False) -> RefinementSummary:
    """Refine the labels of a dataset by a run (`img2gps.refined.refine_labels`) and return what came of it."""
    return RefinementSummary.of(refine_labels(dataset.root, run, check=check))


def export_refined(dataset: Dataset, path: Path) -> int:
    """Write every photo that is not excluded to a CSV (`_COLUMNS`), refined where it was, and return how many.

    Raises NotFoundError where nothing was refined, UsageError for a file of another kind or in the dataset's folder.
    """
    if path.resolve().is_relative_to(dataset.root.resolve()):
        raise UsageError(f"{safe_path(path)} lies in the dataset itself: name a file outside its folder.")
    if path.suffix.lower() != ".csv":
        raise UsageError(f"{safe_path(path)} is no .csv: refined labels are written as one.")
    frame = dataset.frame(labels="refined")
    kept = frame[frame["split"].fillna("") != "excluded"]
    rows = [
        {
            "id": row["id"],
            "source_name": safe_text(row["source_name"]),
            "lon": f"{row['lon']:.8f}",
            "lat": f"{row['lat']:.8f}",
            "radius_m": f"{row['refined_radius_m']:.2f}" if np.isfinite(row["refined_radius_m"]) else "",
        }
        for row in kept.to_dict("records")
    ]
    write_csv(path, _COLUMNS, rows)
    return len(rows)
