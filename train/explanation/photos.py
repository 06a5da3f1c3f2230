"""Explain photos: which parts of each place it, or why a run holds it to be at another place."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from img2gps.dataset import Dataset
from img2gps.files import sha256_file
from img2gps.geo import FloatArray
from img2gps.pixels import Pixels, UnreadableImageError, read_pixels
from img2gps.progress import bar
from img2gps.text import safe_path
from train.explanation.content import Donors, places_of, site_donors
from train.explanation.noise import places_to_rank
from train.explanation.occlusion import DONORS, Deletion, Occlusion, deletion, occlude
from train.inference.load import load_localizer
from train.models.localizer import Localizer
from train.runs.names import open_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExplainedPhoto", "explain_photos"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPhoto:
    """A photo and what places it; `error` says why a file cannot be read, and all else is None then.

    `picture` is what the model saw, (3, height, width). `lon`, `lat` are the answer in degrees. `truth_known` says
    whether the windows could be judged against noise at the true place.
    """

    path: Path
    error: str | None = None
    picture: Pixels | None = None
    occlusion: Occlusion | None = None
    deletion: Deletion | None = None
    lon: float | None = None
    lat: float | None = None
    truth_known: bool = False

    def to_dict(self) -> dict[str, object]:
        """The explanation for JSON."""
        numbers = None if self.deletion is None else dataclasses.asdict(self.deletion)
        noise = None if self.occlusion is None else self.occlusion.noise
        return {
            "file": safe_path(self.path),
            "error": self.error,
            "lon": self.lon,
            "lat": self.lat,
            "truth_known": self.truth_known,
            "steady": None if self.occlusion is None else self.occlusion.steady,
            "above_noise": None if noise is None else noise.share,
            "p_value": None if noise is None else float(noise.p_value.min()),
            "tenth": numbers,
        }


def explain_photos(
    run: Path,
    paths: Sequence[Path],
    *,
    at: tuple[float, float] | None = None,
    on: Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> list[ExplainedPhoto]:
    """Return which parts of each photo place it where the run does, or at `at` (lon, lat in degrees).

    Parts are filled from photos of the run's dataset, or of the one `on`. Raises NotFoundError, UsageError,
    InvalidCheckpointError, DeviceError.
    """
    localizer = load_localizer(run, device=device)
    dataset = Dataset.open(open_run(run).read_info().dataset if on is None else on)
    frame = dataset.frame()
    donors = site_donors(dataset, frame, localizer, seed)
    known = _Known(frame=frame, xy=places_of(localizer, frame))
    place = None if at is None else _local(localizer, *at)
    with bar("Explaining", len(paths)) as advance:
        found = []
        for number, path in enumerate(paths):
            rng = np.random.default_rng([seed, number])
            found.append(_explained(localizer, path, donors, known, place, rng))
            advance(1)
    return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The photos of a dataset and where they were taken, (N, 2) metres."""

    frame: "pd.DataFrame"
    xy: FloatArray

    def place_of(self, path: Path) -> tuple[float, float] | None:
        """Return the label of a photo of the dataset, found by its bytes or those of its working copy."""
        digest = sha256_file(path)
        rows = np.flatnonzero((self.frame["id"] == digest) | (self.frame["photo_sha256"] == digest))
        return (float(self.xy[rows[0], 0]), float(self.xy[rows[0], 1])) if len(rows) else None


def _local(localizer: Localizer, lon: float, lat: float) -> tuple[float, float]:
    east, north = localizer.frame.to_local(lon, lat)
    return float(east), float(north)


def _explained(
    localizer: Localizer,
    path: Path,
    donors: Donors,
    known: _Known,
    place: tuple[float, float] | None,
    rng: np.random.Generator,
) -> ExplainedPhoto:
    try:
        image = read_pixels(path, localizer.pixels)
    except UnreadableImageError as error:
        return ExplainedPhoto(path=path, error=str(error))
    truth = known.place_of(path) if place is None else place
    answer = localizer.locate(torch.from_numpy(image[None]))
    spot = (float(answer.east_m[0]), float(answer.north_m[0])) if place is None else place
    content = donors.chosen(*spot, 2 * DONORS, rng, image)
    half = max(1, len(content) // 2)
    ranked = None if truth is None else places_to_rank(truth, known.xy, rng)
    occlusion = occlude(localizer, image, content[:half], place, places=ranked)
    lon, lat = localizer.frame.to_lonlat(*occlusion.answer)
    return ExplainedPhoto(
        path=path,
        picture=image,
        occlusion=occlusion,
        deletion=deletion(localizer, image, occlusion, content[half:], rng),
        lon=float(lon),
        lat=float(lat),
        truth_known=truth is not None,
    )
