"""The dataset as the label page sees it: photos, layers, the queue, and the one place that writes corrections."""

import contextlib
import dataclasses
import getpass
import math
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collect.label.actions import (
    BY_LIMIT,
    Change,
    Label,
    labels_of,
    lines_of,
    lines_to,
    new_batch,
    shown,
    stale,
    undo_lines,
)
from collect.label.layers import to_geojson
from collect.label.predictions import FoldPrediction, read_predictions
from collect.label.queue import Suspicion
from collect.label.ranking import Ranking, stamp_of
from collect.label.standing import WORTH_LOOKING, WRONG_M, Standing, standing_of, verdicts
from collect.layers import read_layer
from img2gps.corrections import Correction, append_corrections, histories, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError, NotFoundError, UsageError
from img2gps.geo import LocalFrame
from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["LabelDesk", "Outcome", "new_batch", "open_desk"]

_FARTHEST_M: Final = 1000.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request: the lines written, or the photos whose label was newer than the one seen."""

    batch: str
    written: tuple[Correction, ...] = ()
    stale: tuple[str, ...] = ()


class LabelDesk:
    """An open dataset, read again on `refresh`; safe to call from several threads."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        by: str,
        buildings: "list[BaseGeometry] | None" = None,
        paths: "list[BaseGeometry] | None" = None,
        predictions: dict[str, FoldPrediction] | None = None,
    ) -> None:
        self.dataset = dataset
        self.by = by
        self.site = dataset.site()
        self._buildings, self._paths = buildings or [], paths or []
        self._predictions = predictions or {}
        self._writing = threading.Lock()
        self._ranking = Ranking(self.site.frame, self._buildings, self._predictions)
        self._read()

    def _read(self) -> None:
        self._stamp = stamp_of(self.dataset.root)  # before reading: what changes meanwhile is read again next time
        self._frame: pd.DataFrame = self.dataset.frame()

    def refresh(self) -> None:
        """Read manifest and corrections again where a file changed: another process may have ingested or corrected."""
        if stamp_of(self.dataset.root) != self._stamp:
            self._read()

    @property
    def frame(self) -> "pd.DataFrame":
        """The manifest with its corrections, as of the last `refresh`."""
        return self._frame

    @property
    def ids(self) -> frozenset[str]:
        """The photos of the dataset."""
        return frozenset(self._frame["id"])

    def labels(self) -> dict[str, Label]:
        """Return the labels of the photos that anybody touched, read from the file."""
        return labels_of(read_corrections(self.dataset.corrections_path))

    def queue(self) -> list[Suspicion]:
        """Return the photos nobody has looked at, most suspicious first, under the labels of this moment."""
        self.refresh()
        return self._ranking.of(self._frame, self._stamp)

    @property
    def ranked(self) -> tuple[int, int]:
        """How many photos of how many are ranked."""
        return self._ranking.progress

    def standing(self) -> Standing:
        """Return how many wrong labels were found and are expected, and down to which rank looking is worth it."""
        suspicions = self.queue()
        return standing_of([suspicion.probability for suspicion in suspicions], verdicts(self._frame))

    def warm_up(self) -> None:
        """Rank before anybody asks; what goes wrong is told to whoever asks."""
        with contextlib.suppress(Img2GPSError, OSError):
            self.queue()

    def queue_rows(self) -> list[dict[str, Any]]:
        """Return the queue as plain JSON values with the photos' names and positions (degrees)."""
        suspicions = self.queue()
        rows = {row["id"]: row for row in self._frame.to_dict("records")}
        return [
            {
                "rank": rank,
                "id": suspicion.photo_id,
                "file": safe_text(rows[suspicion.photo_id]["source_name"]),
                "score": suspicion.score,
                "probability": suspicion.probability,
                **{name: rows[suspicion.photo_id][name] for name in ("lon", "lat", "walk")},
                "expected_lon": suspicion.expected_lon,
                "expected_lat": suspicion.expected_lat,
                "reasons": [dataclasses.asdict(reason) for reason in suspicion.reasons],
            }
            for rank, suspicion in enumerate(suspicions, start=1)
        ]

    def photo_file(self, photo_id: str) -> Path | None:
        """Return the working copy of a photo of the dataset, None where there is none inside the dataset's folder."""
        if photo_id not in self.ids:
            return None
        root, path = self.dataset.photos_path.resolve(), self.dataset.photo_path(photo_id).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None

    def apply(self, changes: list[Change], *, why: str, batch: str) -> Outcome:
        """Append the lines of a request under the dataset's lock, all or none.

        A batch that the file knows already is not written twice: its sender missed the answer and asked again.
        Raises NotFoundError for a photo the dataset has not, UsageError for a position far off the site,
        DatasetLockedError where another process is writing.
        """
        ingested = self._ingested()
        self._check(changes, ingested)
        with self._writing, self.dataset.lock():
            corrections = read_corrections(self.dataset.corrections_path)
            known = [line for line in corrections if line.batch == batch]
            if known:
                return Outcome(batch=batch, written=tuple(known))
            labels = labels_of(corrections)
            outdated = stale(changes, labels)
            if outdated:
                return Outcome(batch=batch, stale=tuple(outdated))
            lines = lines_of(changes, labels, ingested, by=self.by, why=why, batch=batch)
            return Outcome(batch=batch, written=tuple(append_corrections(self.dataset.corrections_path, lines)))

    def apply_import(self, afters: Mapping[str, Label], why: Mapping[str, str], *, replace: bool) -> list[str]:
        """Append the lines that lead to `afters` and return the photos left alone because they are corrected already.

        With `replace` those are overwritten too. Raises DatasetLockedError where another process is writing.
        """
        with self._writing, self.dataset.lock():
            corrections = read_corrections(self.dataset.corrections_path)
            labels = labels_of(corrections)
            kept = [] if replace else [photo_id for photo_id in afters if labels.get(photo_id, Label()).state]
            wanted = {photo_id: after for photo_id, after in afters.items() if photo_id not in set(kept)}
            lines = lines_to(wanted, labels, self._ingested(), by=self.by, why=why, batch=new_batch())
            append_corrections(self.dataset.corrections_path, lines)
        return kept

    def undo(self, undone: str | None, *, batch: str) -> Outcome:
        """Take back a batch (None: the newest of this desk's person that still counts), all or none.

        Raises NotFoundError where there is nothing to undo.
        """
        with self._writing, self.dataset.lock():
            corrections = read_corrections(self.dataset.corrections_path)
            known = [line for line in corrections if line.batch == batch]
            if known:
                return Outcome(batch=batch, written=tuple(known))
            target = undone if undone is not None else _newest_batch(corrections, self.by)
            if target is None:
                raise NotFoundError("There is nothing to undo.")
            lines, changed = undo_lines(corrections, self._ingested(), undone=target, by=self.by, batch=batch)
            if changed:
                return Outcome(batch=batch, stale=tuple(changed))
            if not lines:
                raise NotFoundError("There is nothing to undo: that was undone before.")
            return Outcome(batch=batch, written=tuple(append_corrections(self.dataset.corrections_path, lines)))

    def describe(self) -> dict[str, Any]:
        """Return everything the page draws, as plain JSON values."""
        self.refresh()
        frame = self._frame
        labels = self.labels()
        return {
            "site": {"name": self.site.title or self.site.name, "geometry": to_geojson([self.site.polygon])[0]},
            "projection": _projection(self.site.frame),
            "by": safe_text(self.by, limit=BY_LIMIT),
            "worth_looking": WORTH_LOOKING,
            "wrong_m": WRONG_M,
            "buildings": to_geojson(self._buildings),
            "paths": to_geojson(self._paths),
            "photos": [self._photo(row, labels.get(row["id"], Label())) for row in frame.to_dict("records")],
        }

    def _photo(self, row: dict[Any, Any], label: Label) -> dict[str, Any]:
        prediction = self._predictions.get(row["id"])
        return {
            "id": row["id"],
            "name": safe_text(row["source_name"], limit=120),
            "walk": row["walk"],
            "burst": _text(row["burst"]),
            "captured_at": _time(row),
            "accuracy_m": _number(row["gps_accuracy_m"]),
            "lon": row["ingest_lon"],
            "lat": row["ingest_lat"],
            "heading_deg": _number(row["ingest_heading_deg"]),
            "width": row["width"],
            "height": row["height"],
            "model": dataclasses.asdict(prediction) if prediction else None,
            "label": shown(label),
        }

    def _ingested(self) -> dict[str, tuple[float, float]]:
        frame = self._frame
        return dict(zip(frame["id"], zip(frame["ingest_lon"], frame["ingest_lat"], strict=True), strict=True))

    def complaint(self, lon: float | None, lat: float | None) -> str:
        """Return why a position (degrees) cannot be a photo's, "" where it can or there is none."""
        if lon is None or lat is None:
            return ""
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            return "it lies beyond 180 degrees of longitude or 90 of latitude"
        distance_m = self.site.distance_m(lon, lat)
        if distance_m <= _FARTHEST_M:
            return ""
        if self.site.holds_swapped(lon, lat):
            return f"its lon and lat are swapped: lon {lat:.6f}, lat {lon:.6f} lies on the site"
        return f"it lies {distance_m:,.0f} m outside the site"

    def _check(self, changes: list[Change], ingested: dict[str, tuple[float, float]]) -> None:
        for change in changes:
            if change.photo_id not in ingested:
                raise NotFoundError("The dataset has no such photo: load the page again.")
            complaint = self.complaint(change.lon, change.lat)
            if complaint:
                raise UsageError(f"That cannot be the position, {complaint}: nothing was changed.")


def open_desk(
    root: Path,
    *,
    by: str | None = None,
    run: Path | None = None,
    buildings: Path | None = None,
    paths: Path | None = None,
) -> LabelDesk:
    """Return the desk of a dataset folder with its layers and, from a run of ``train --folds``, predictions.

    `by` defaults to the name of the user's account. Raises what reading each of the files raises.
    """
    dataset = Dataset.open(root)
    site = dataset.site() if buildings or paths else None
    return LabelDesk(
        dataset,
        by=(by or _account())[:BY_LIMIT],
        buildings=read_layer(buildings, kinds=("Polygon",), site=site),
        paths=read_layer(paths, kinds=("LineString", "Polygon"), site=site),
        predictions=read_predictions(run) if run else None,
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user without a name
        return "somebody"


def _newest_batch(corrections: list[Correction], by: str) -> str | None:
    counting = {line.digest for stack in histories(corrections).values() for line in stack}
    names = (by, safe_text(by, limit=BY_LIMIT))  # lines of earlier versions have the second form
    return next((line.batch for line in reversed(corrections) if line.by in names and line.digest in counting), None)


def _projection(frame: LocalFrame) -> dict[str, float]:
    """Return the origin and the metres per degree there: all a page needs to draw a site in metres.

    The straight-line approximation is off by some centimetres at the end of a kilometre, in the drawing alone:
    the page reads positions back through the same numbers.
    """
    step = 1e-3
    east_m, _ = frame.to_local(frame.origin_lon + step, frame.origin_lat)
    _, north_m = frame.to_local(frame.origin_lon, frame.origin_lat + step)
    return {
        "lon": frame.origin_lon,
        "lat": frame.origin_lat,
        "m_per_lon": float(east_m) / step,
        "m_per_lat": float(north_m) / step,
    }


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _time(row: dict[Any, Any]) -> str | None:
    """Return the capture time as the phone's clock showed it, where its offset is known, else in UTC."""
    import pandas as pd

    captured, offset_min = row["captured_at"], _number(row["utc_offset_min"])
    if captured is None or pd.isna(captured):
        return None
    if offset_min is None:
        return f"{captured:%Y-%m-%d %H:%M:%S} UTC"
    return f"{captured + timedelta(minutes=offset_min):%Y-%m-%d %H:%M:%S}"
