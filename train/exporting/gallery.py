"""What belongs to a gallery beside its tensors: which photos it holds, and small pictures of them."""

import base64
from pathlib import Path
from typing import Final

import numpy as np

from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError
from img2gps.files import write_atomic
from img2gps.report.thumbnails import make_thumbnails
from img2gps.runtime.description import THUMBNAILS
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer
from train.runs.names import open_run

__all__ = ["gallery_ids", "write_thumbnails"]

_SIDE_PX: Final = 160
_SAME_M: Final = 1.0  # single precision, far from the origin
_MOST_BYTES: Final = 1 << 30


def gallery_ids(path: Path, localizer: ProbeLocalizer, *, fold: int | None) -> list[str] | None:
    """Return the ids of the photos of the gallery in its order, None where the run does not say or says others."""
    head = localizer.ensemble.heads.get("neighbours")
    if not isinstance(head, Neighbours):
        return None
    try:
        photos = open_run(path).read_photos()
    except Img2GPSError:
        return None
    # of a run of folds each photo has the fold that its own model does not see
    mine = photos["role"] == "train" if fold is None else photos["fold"] != fold
    rows = photos[mine].sort_values("id")
    east_m, north_m = localizer.frame.to_local(rows["lon"].to_numpy(), rows["lat"].to_numpy())
    xy = head.xy.cpu().numpy()
    if len(rows) != len(xy) or np.hypot(xy[:, 0] - east_m, xy[:, 1] - north_m).max(initial=0.0) > _SAME_M:
        return None
    return [str(photo_id) for photo_id in rows["id"]]


def write_thumbnails(out: Path, run: Path, ids: list[str]) -> int:
    """Write ``thumbnails/00000.jpg`` and so on, one per photo of the gallery that can be found; return how many."""
    try:
        dataset = Dataset.open(open_run(run).read_info_quietly().dataset)
    except Img2GPSError:
        return 0
    made = make_thumbnails(
        dataset.photo_paths(ids),
        long_side_px=_SIDE_PX,
        most=len(ids),
        budget_bytes=_MOST_BYTES,
    )
    for row, image in enumerate(made.images):
        if image is not None:
            write_atomic(out / THUMBNAILS / f"{row:05d}.jpg", base64.b64decode(image), sync_folder=False)
    return sum(image is not None for image in made.images)
