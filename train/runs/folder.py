"""The run folder: where its files lie, what it was made from, its metrics."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from img2gps.errors import InvalidCheckpointError, RunLockedError, UsageError
from img2gps.estimation.error_law import FORECAST_FILE
from img2gps.files import append_line, read_json_lines, sha256_bytes, write_atomic
from img2gps.locks import hold, is_held
from img2gps.progress import stderr
from img2gps.tables import frame_table, read_rows, save_table
from img2gps.text import safe_path, safe_text
from train.config.values import read_toml
from train.runs.info import RunInfo

if TYPE_CHECKING:
    import pandas as pd

    from train.data.training_data import TrainingData

__all__ = ["RunFolder", "photo_rows"]

_LOCK: Final = ".lock"
_LOOKED_AT_S: Final = 1.0  # a process that only asks whether a run is held holds it for a moment itself


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """A run, or one fold of a run, which is laid out the same."""

    root: Path

    def __fspath__(self) -> str:
        """Return the folder: what takes a path takes this, too."""
        return str(self.root)

    @property
    def config_path(self) -> Path:
        """Everything needed to run it again."""
        return self.root / "config.toml"

    @property
    def metrics_path(self) -> Path:
        """One JSON line per epoch."""
        return self.root / "metrics.jsonl"

    @property
    def photos_path(self) -> Path:
        """Which photos trained and which chose the epoch, with the positions they had."""
        return self.root / "photos.parquet"

    @property
    def best(self) -> Path:
        """The checkpoint that is the model."""
        return self.root / "best"

    @property
    def last(self) -> Path:
        """The checkpoint that training goes on from."""
        return self.root / "last"

    @property
    def previous(self) -> Path:
        """The checkpoint before the last."""
        return self.root / "previous"

    @property
    def folds_path(self) -> Path:
        """The folder of the folds and of their pooled predictions."""
        return self.root / "folds"

    @property
    def plots_path(self) -> Path:
        """The folder of the curves."""
        return self.root / "plots"

    @property
    def evaluations_path(self) -> Path:
        """The folder that evaluations go to, one folder each."""
        return self.root / "evaluations"

    @property
    def forecast_path(self) -> Path:
        """What error the next walk is to expect, for the audit of a dataset; evaluations of all folds write it."""
        return self.root / FORECAST_FILE

    def fold(self, number: int) -> "RunFolder":
        """Return the folder of one fold."""
        return RunFolder(root=self.folds_path / str(number))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing. Raises RunLockedError where another process trains it."""
        busy = f"{safe_path(self.root)} is being trained by another process: wait until it has finished, or stop it."
        with hold(self.root / _LOCK, otherwise=RunLockedError(busy), wait_s=_LOOKED_AT_S):
            yield

    def drop_lock(self) -> None:
        """Remove the file of a lock that nobody holds any more."""
        (self.root / _LOCK).unlink(missing_ok=True)

    @property
    def is_training(self) -> bool:
        """Whether a process holds the run for writing now."""
        return is_held(self.root / _LOCK)

    def append_metrics(self, figures: Mapping[str, Any]) -> None:
        """Add the line of one epoch."""
        line = json.dumps(figures, allow_nan=False)
        append_line(self.metrics_path, line)
        append_line(self._sums_path, sha256_bytes(line.encode()))

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of all epochs so far. Raises InvalidCheckpointError where one is damaged."""
        try:
            lines = read_json_lines(self.metrics_path)
            self._check_metrics()
        except ValueError as error:
            raise InvalidCheckpointError(
                f"{safe_path(self.metrics_path)} is damaged ({error}): "
                "delete that line, and the curves will lack its epoch."
            ) from error
        if any(not isinstance(line.get("epoch"), int) for line in lines):
            raise InvalidCheckpointError(
                f"{safe_path(self.metrics_path)} has a line without an epoch: delete that line."
            )
        return lines

    def cut_metrics(self, epoch: int) -> None:
        """Drop the lines of epochs after `epoch`: they will be trained again."""
        kept = [line for line in self.read_metrics() if line["epoch"] <= epoch]
        missing = sorted(set(range(1, epoch + 1)).difference(line["epoch"] for line in kept))
        if missing:
            stderr().print(
                f"{safe_path(self.metrics_path)} lacks the figures of epoch {missing[0]}"
                f"{f' and of {len(missing) - 1} more' if len(missing) > 1 else ''}: so will the curves.",
                markup=False,
            )
        texts = [json.dumps(line) for line in kept]
        sums = [sha256_bytes(text.encode()) for text in texts]
        self._sums_path.unlink(missing_ok=True)  # lines without digests are read, lines of other digests are not
        write_atomic(self.metrics_path, "".join(f"{text}\n" for text in texts).encode())
        write_atomic(self._sums_path, "".join(f"{digest}\n" for digest in sums).encode())

    def _check_metrics(self) -> None:
        """Raise ValueError naming a line that has no digest; the last may lack its own (killed between two writes)."""
        if not self._sums_path.is_file():
            return  # earlier versions wrote none
        sums = set(self._sums_path.read_text(encoding="ascii", errors="replace").split())
        lines = self.metrics_path.read_bytes().split(b"\n")[:-1] if self.metrics_path.is_file() else []
        unknown = [number for number, line in enumerate(lines, start=1) if sha256_bytes(line) not in sums]
        if unknown and not (unknown == [len(lines)] and len(sums) < len(lines)):
            raise ValueError(f"line {unknown[0]} was changed after it was written")

    def missing_metrics(self) -> int:
        """Return how many lines are gone that have a digest; a line is written before its digest."""
        if not self._sums_path.is_file():
            return 0
        sums = set(self._sums_path.read_text(encoding="ascii", errors="replace").split())
        lines = self.metrics_path.read_bytes().split(b"\n")[:-1] if self.metrics_path.is_file() else []
        return len(sums.difference(sha256_bytes(line) for line in lines))

    @property
    def _sums_path(self) -> Path:
        """A digest for each line of the metrics."""
        return self.root / "metrics.sha256"

    def write_info(self, info: RunInfo) -> None:
        """Write config.toml; its last line is a digest of the others, so that a change can be told."""
        text = tomli_w.dumps(info.to_toml())
        write_atomic(self.config_path, f"{text}{_DIGEST_LINE}{sha256_bytes(text.encode())}\n".encode())

    def read_info(self) -> RunInfo:
        """Return what the run was made from; a file that a person, or a disk, changed is used, and that is said.

        Raises InvalidCheckpointError where config.toml is damaged.
        """
        info = self.read_info_quietly()
        if self.is_config_changed():
            stderr().print(
                f"{safe_path(self.config_path)} was changed after it was written: what it says now holds.", markup=False
            )
        return info

    def read_info_quietly(self) -> RunInfo:
        """Return what `read_info` returns, and say nothing. Raises InvalidCheckpointError."""
        if not self.config_path.is_file():
            raise InvalidCheckpointError(f"{safe_path(self.root)} is no run, config.toml is missing: train again.")
        try:
            return RunInfo.from_toml(read_toml(self.config_path))
        except (AttributeError, UsageError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise InvalidCheckpointError(
                f"{safe_path(self.config_path)} is damaged ({safe_text(str(error), limit=160)}): "
                "restore it from a backup, or train again."
            ) from error

    def is_config_changed(self) -> bool:
        """Return whether config.toml is not as it was written, as far as it has a digest (see `write_info`)."""
        text, _, digest = self.config_path.read_bytes().rpartition(_DIGEST_LINE.encode())
        return bool(digest) and bool(text) and sha256_bytes(text) != digest.decode("ascii", "replace").rstrip("\n")

    @property
    def refined_path(self) -> Path:
        """What the refined positions that a model was trained on came from; absent where it was not."""
        return self.root / "refined.json"

    def refined_with(self) -> frozenset[str]:
        """Return the ids of the photos that had a part in refining what a model was trained on.

        Raises InvalidCheckpointError where refined.json is damaged.
        """
        if not self.refined_path.is_file():
            return frozenset()
        try:
            return frozenset(str(one) for one in json.loads(self.refined_path.read_bytes())["used"])
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise InvalidCheckpointError(
                f"{safe_path(self.refined_path)} is damaged: restore it from a backup, or train again."
            ) from error

    def write_photos(self, photos: "pd.DataFrame") -> None:
        """Write photos.parquet: id, photo_sha256, phash, lon, lat, role (train | val | fold), fold (-1: none)."""
        save_table(self.photos_path, frame_table(photos))

    def read_photos(self) -> "pd.DataFrame":
        """Return the rows of photos.parquet. Raises InvalidCheckpointError where it is missing or damaged."""
        remedy = "restore it from a backup, or train again"
        photos: pd.DataFrame = read_rows(self.photos_path, error=InvalidCheckpointError, remedy=remedy).to_pandas()
        lacking = [name for name in _PHOTO_COLUMNS if name not in photos.columns]
        if lacking:
            raise InvalidCheckpointError(f"{safe_path(self.photos_path)} lacks the column {lacking[0]}: {remedy}.")
        return photos


_DIGEST_LINE: Final = "# sha256 of the lines above: "
_PHOTO_COLUMNS: Final = ("id", "photo_sha256", "lon", "lat", "role", "fold")  # runs of the first days lack phash


def photo_rows(data: "TrainingData") -> "pd.DataFrame":
    """Return the rows of photos.parquet for one model's data."""
    import pandas as pd

    roles = {"train": data.train, "val": data.val}
    names = {"id": "ids", "photo_sha256": "photo_sha256", "phash": "phash", "lon": "lon", "lat": "lat"}
    parts = [
        pd.DataFrame({name: getattr(part, field) for name, field in names.items()}).assign(role=role)
        for role, part in roles.items()
        if part is not None
    ]
    return pd.concat(parts, ignore_index=True).assign(fold=-1 if data.fold is None else data.fold)
