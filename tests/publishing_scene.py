"""A small dataset with splits, folds and corrections, and the folder that is published of it."""

import dataclasses
from datetime import timedelta
from pathlib import Path

from ingest_runs import run_ingest
from photos import EAST_CAMPUS, FIRST_PHOTO_AT, write_walk

from collect.api import publish, split
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset

LON, LAT = EAST_CAMPUS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A dataset, the folder published of it, and the ids of a photo that was moved, turned and excluded."""

    dataset: Dataset
    out: Path
    moved: str
    turned: str
    excluded: str


def make_published(folder: Path) -> Published:
    """Return three walks of two phones, split and folded, of which somebody corrected three photos."""
    raw = folder / "raw" / "kims secret walk"
    for number, serial in enumerate(("SERIAL-0815", "SERIAL-0815", "SERIAL-4711")):
        write_walk(
            raw,
            5,
            start=(LON + number * 2e-4, LAT),
            first_at=FIRST_PHOTO_AT + timedelta(hours=number),
            first_seed=10 * number,
            prefix=f"KIM{number}_",
            size=(96, 72),
            serial=serial,
        )
    run_ingest(raw, folder / "quad")
    dataset = Dataset.open(folder / "quad")
    split(dataset, by="walk", val=5, test=5, folds=2)
    frame = dataset.frame()
    moved, turned, excluded = frame[frame["split"] == "train"]["id"].tolist()[:3]

    def entry(photo_id: str, **fields: object) -> Correction:
        row = frame[frame["id"] == photo_id].iloc[0]
        line = {"at": "2026-01-02T03:04:05+00:00", "by": "kim", "photo_id": photo_id, "why": "stood at the well"}
        return Correction(**line | {"from_lon": row["lon"], "from_lat": row["lat"]} | fields)  # type: ignore[arg-type]

    corrections = [
        entry(moved, action="move", lon=LON + 1e-4, lat=LAT + 1e-4),
        entry(turned, action="move", heading_deg=123.0),
        entry(excluded, action="exclude"),
    ]
    append_corrections(dataset.corrections_path, corrections)
    publish(dataset, folder / "out", license="cc-by-4.0", title="The quad", authors=["The Lab"])
    return Published(dataset=dataset, out=folder / "out", moved=moved, turned=turned, excluded=excluded)
