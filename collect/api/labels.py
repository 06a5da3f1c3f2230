"""Labels without the page: corrections in and out of a dataset, and which labels to look at first."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from collect.api.arguments import DatasetOrPath, as_path, opened, root_of

if TYPE_CHECKING:
    from collect.label.exchange import ImportReport
    from collect.label.refined import PlannedRefinement, RefinementSummary
    from collect.label.review_queue import LabelQueue
    from collect.label.unplaced import Placer

__all__ = ["export_labels", "import_labels", "label_queue", "refine_labels"]


def import_labels(
    dataset: DatasetOrPath, file: str | Path, *, replace: bool = False, by: str | None = None
) -> "ImportReport":
    """Take corrections over from a table, GeoJSON, KML, GeoPackage or GPX: what ``img2gps label --import`` does.

    `replace` overwrites corrections that differ, too. `by` is whose corrections these are (None: the name of the user's
    account). What was not taken over is in the report, with the reason. Raises NotFoundError, UsageError,
    InvalidDatasetError, DatasetLockedError.

        >>> from collect import import_labels
        >>> report = import_labels("quad", "surveyed.csv", by="kim")
        >>> report.found == report.applied + report.unchanged, report.unmatched
        (True, ())
    """
    from collect.label.exchange import import_corrections
    from collect.label.labelling import open_labelling

    return import_corrections(open_labelling(root_of(dataset), by=by).store, Path(file), replace=replace)


def placer_of(dataset: DatasetOrPath) -> "Placer":
    """Return what takes a photo without a position into a dataset at one that a person gives.

    It takes the file and lon, lat in degrees. It returns what is wrong with the photo, or "".
    """
    import tempfile

    from collect.api.photos import ingest
    from img2gps.files import write_csv
    from img2gps.reasons import REASONS

    def place(path: Path, lon: float, lat: float) -> str:
        """Ingest the one file with a table of the one position. Raises what `ingest` raises."""
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "placed.csv"
            row = {"file_name": path.name, "latitude": repr(lat), "longitude": repr(lon)}
            write_csv(table, list(row), [row])
            outcomes = ingest(path, dataset, labels=table, rehash=True, command="img2gps label")
        return "; ".join(REASONS[code].text for code in outcomes.rejected)

    return place


def export_labels(
    dataset: DatasetOrPath, file: str | Path, *, labels: Literal["corrected", "refined"] = "corrected"
) -> int:
    """Write the corrections of a dataset to a .csv, .geojson or .gpx: what ``img2gps label --export`` does.

    Returns how many there are. With `labels` ``refined`` it writes a .csv of all photos: id, source_name, lon, lat and
    radius_m. That is the 90 % radius, empty if a position was not refined. Raises NotFoundError,
    InvalidDatasetError, and UsageError for a file in the dataset's own folder or of another kind.

        >>> from collect import export_labels, import_labels
        >>> report = import_labels("quad", "surveyed.csv")
        >>> export_labels("quad", "corrections.geojson")
        1
    """
    from collect.label.exchange import export_corrections
    from collect.label.labelling import open_labelling
    from collect.label.refined import export_refined

    if labels == "refined":
        return export_refined(opened(dataset), Path(file))
    return export_corrections(open_labelling(root_of(dataset)).store, Path(file))


@overload
def refine_labels(
    dataset: DatasetOrPath, run: str | Path, *, dry_run: Literal[False] = False, check: bool = False
) -> "RefinementSummary": ...
@overload
def refine_labels(
    dataset: DatasetOrPath, run: str | Path, *, dry_run: Literal[True], check: bool = False
) -> "PlannedRefinement": ...
def refine_labels(
    dataset: DatasetOrPath, run: str | Path, *, dry_run: bool = False, check: bool = False
) -> "RefinementSummary | PlannedRefinement":
    """Refine the positions of a dataset by a run, and keep them beside it: what ``img2gps label --refine`` does.

    The run is best one of ``train --folds`` with folds by walk. Photos of val and test keep their positions and have no
    part in it. With `dry_run` it returns what it would use, and writes nothing. With `check` it first trains models on
    both kinds of labels and tells whether they gain, which takes a few minutes. Raises NotFoundError, UsageError,
    InvalidDatasetError, InvalidCheckpointError, DatasetLockedError.

        >>> from collect import refine_labels
        >>> refine_labels("quad", "runs/quick-001").photos > 0
        True
    """
    from collect.label.refined import plan, refine

    if dry_run:
        return plan(opened(dataset), Path(run))
    return refine(opened(dataset), Path(run), check=check)


def label_queue(
    dataset: DatasetOrPath, *, run: str | Path | None = None, buildings: str | Path | None = None
) -> "LabelQueue":
    """Return the labels to look at first, how probably each is wrong, and why: what ``img2gps label --queue`` does.

    `run` is a run of ``train --folds``, whose out-of-fold predictions are used. `buildings` is a layer of polygons in
    which nobody stands. Raises NotFoundError, UsageError, InvalidDatasetError.

        >>> from collect import label_queue
        >>> queue = label_queue("quad")
        >>> [label.rank for label in queue.labels[:3]]
        [1, 2, 3]
        >>> 0 < queue.labels[0].probability < 1
        True
    """
    from collect.label.labelling import open_labelling

    labelling = open_labelling(root_of(dataset), run=as_path(run), buildings=as_path(buildings))
    return labelling.queue.listing()
