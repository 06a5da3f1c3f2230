"""Refined positions: what models and a phone's drift make of each label, a layer of a dataset of its own.

Every refinement is one Parquet file in the dataset's folder ``refined/``, written once and never changed. Its name
counts up and ends in a digest of its rows. It names the file before it, so a lost one is noticed. The manifest and the
corrections know nothing of it. Positions of refinements are estimates: a person's correction stands above them, and
photos that a run is scored on keep the position they had.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.tables import read_rows, save_table
from img2gps.text import safe_path, safe_text, shell_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "RefinedLabels",
    "RefinementPlan",
    "read_refinement",
    "refine_labels",
    "refinement_plan",
    "refinement_problems",
    "refinements",
    "write_refinement",
]

COLUMNS: Final = ("id", "lon", "lat", "radius_50_m", "radius_90_m", "gross", "from_lon", "from_lat")
"""Per photo: the position (degrees), the discs that hold it (metres), the probability that the label is grossly wrong,
and the label that was refined."""

_GROUP: Final = "img2gps.refiners"
_KEY: Final = b"img2gps.refinement"
_NAME: Final = re.compile(r"(\d{4,})-[0-9a-f]{12}\.parquet")
_VERSION: Final = 1
_RESTORE: Final = "restore it from a backup, or delete it and refine again"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefinedLabels:
    """One refinement: a row per photo (`COLUMNS`), and what it was made from.

    `run` is the run's name and `run_sha256` the digest of its config. `used` are the ids of the photos that had a part
    in it; it cannot judge their labels. `method` has the numbers of the method by name.
    """

    rows: "pd.DataFrame"
    at: str
    run: str
    run_sha256: str
    site_sha256: str
    used: tuple[str, ...]
    method: Mapping[str, Any]
    previous: str = ""
    path: Path | None = None

    @property
    def kept_round(self) -> int:
        """The round that was believed, counted from 1; 0 where none was, and all labels stay as they are."""
        return int(self.method.get("kept_round", 1))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefinementPlan:
    """What a refinement would use: `photos` of `walks` in `parts` that are left out by turns.

    `held_back` are the photos of val and test, which have no part in it. `run` is the name of the run.
    """

    run: str
    photos: int
    walks: int
    parts: int
    held_back: int


def refine_labels(root: Path, run: Path, *, check: bool = False) -> RefinedLabels:
    """Refine the labels of the dataset at `root` by `run`, with the package that knows its kind, and return the layer.

    With `check` its method also says whether models gain by it. Raises NotFoundError where there is no such run,
    UsageError where it is of no kind that can refine, and what that package's function raises.
    """
    labels: RefinedLabels = _refiner(run)(root, run, check=check)
    return labels


def refinement_plan(root: Path, run: Path) -> RefinementPlan:
    """Return what `refine_labels` would use, without fitting a model. Raises what that raises."""
    plan: RefinementPlan = _refiner(run)(root, run, dry_run=True)
    return plan


def _refiner(run: Path) -> Callable[..., Any]:
    if not run.exists():
        raise NotFoundError(f"No run {safe_path(run)}: give a folder that `img2gps train` made.")
    for entry in entry_points(group=_GROUP):
        if (run / entry.name).exists():
            function: Callable[..., Any] = entry.load()
            return function
    raise UsageError(f"{safe_path(run)} is no run that can refine labels: give a folder that `img2gps train` made.")


def refinements(folder: Path) -> list[Path]:
    """Return the files of all refinements in a dataset's folder ``refined``, the oldest first."""
    found = [path for path in folder.glob("*.parquet") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (int(path.name.partition("-")[0]), path.name))


def read_refinement(folder: Path) -> RefinedLabels:
    """Return the newest refinement of a dataset's folder ``refined``.

    Raises NotFoundError where there is none, InvalidDatasetError where its file is damaged.
    """
    files = refinements(folder)
    if not files:
        root = folder.parent
        raise NotFoundError(
            f"{safe_path(root)} has no refined labels: make them with `img2gps label {shell_path(root)} --refine RUN`."
        )
    return _read(files[-1])


def _read(path: Path) -> RefinedLabels:
    table = read_rows(path, error=InvalidDatasetError, remedy=_RESTORE)
    rows = table.to_pandas()
    lacking = [name for name in COLUMNS if name not in rows.columns]
    if lacking:
        raise InvalidDatasetError(f"{safe_path(path)} lacks the column {lacking[0]}: {_RESTORE}.")
    try:
        about = json.loads((table.schema.metadata or {})[_KEY])
        fields = {name: str(about[name]) for name in ("at", "run", "run_sha256", "site_sha256", "previous")}
        used, method = tuple(str(one) for one in about["used"]), dict(about["method"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDatasetError(f"{safe_path(path)} does not say what it was made from: {_RESTORE}.") from error
    return RefinedLabels(rows=rows[list(COLUMNS)], used=used, method=method, path=path, **fields)


def write_refinement(folder: Path, labels: RefinedLabels) -> RefinedLabels:
    """Add a refinement to the folder ``refined`` of a dataset and return it with its file and its time.

    The dataset must be locked. Raises OSError where the disk fails; nothing is then there.
    """
    import pyarrow as pa

    files = refinements(folder)
    number = 1 + (int(files[-1].name.partition("-")[0]) if files else 0)
    previous = files[-1].name if files else ""
    at = labels.at or datetime.now(UTC).isoformat(timespec="seconds")
    whole = dataclasses.replace(labels, at=at, previous=previous, rows=labels.rows[list(COLUMNS)])
    about = {"version": _VERSION, "used": list(whole.used), "method": dict(whole.method)} | {
        name: getattr(whole, name) for name in ("at", "run", "run_sha256", "site_sha256", "previous")
    }
    table = pa.Table.from_pandas(whole.rows, preserve_index=False)
    digest = sha256_bytes(canonical_json([about, whole.rows.astype(object).to_numpy().tolist()]))[:12]
    path = folder / f"{number:04d}-{digest}.parquet"
    save_table(path, table.replace_schema_metadata({_KEY: json.dumps(about).encode()}))
    return dataclasses.replace(whole, path=path)


def refinement_problems(folder: Path) -> list[tuple[str, str]]:
    """Return the files of refinements that are not as they were written, or are missing, and what is wrong."""
    found: list[tuple[str, str]] = []
    files = refinements(folder)
    names = {path.name for path in files}
    for path in files:
        try:
            labels = _read(path)
        except InvalidDatasetError as error:
            found.append((f"refined/{safe_text(path.name)}", str(error)))
            continue
        if labels.previous and labels.previous not in names:
            found.append((f"refined/{safe_text(labels.previous)}", "it is missing"))
    return found
