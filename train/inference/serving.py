"""A run behind the service: what `predict` says of decoded photos, and the training photos most like them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from img2gps.basemap.features import Basemap
from img2gps.basemap.file import usable_basemap
from img2gps.basemap.surroundings import Surroundings
from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError, UsageError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.pixels import fit_pixels
from img2gps.report.thumbnails import small_jpeg
from img2gps.serving.backend import DecodedPhoto, Ground, Located, ServedModel
from img2gps.serving.ground import ground_of_cells, ground_of_points, ground_of_site
from img2gps.site import Site
from img2gps.text import safe_path
from train.inference.load import load_localizer, stated
from train.inference.locate import estimate_walks
from train.models.grid import Cells
from train.models.localizer import Estimate, Localizer
from train.models.probe.model import ProbeLocalizer
from train.runs.names import open_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunBackend", "serving_backend"]

_ALIKE: Final = 4
_SAME_PLACE_M: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunBackend:
    """A run as the service asks it (`img2gps.serving.backend.Backend`). `photos` are its training photos' files."""

    model: ServedModel
    localizer: Localizer
    photos: tuple[Path, ...]

    def locate(self, shots: Sequence[DecodedPhoto], *, walk: bool) -> list[Located]:
        """Return one answer per photo. Raises UsageError for walks of a model that gives points alone."""
        pixels = np.stack([fit_pixels(shot.image, self.localizer.pixels) for shot in shots])
        images = torch.from_numpy(pixels)
        if not isinstance(self.localizer, ProbeLocalizer):
            if walk:
                raise UsageError("This run gives points alone: leave walk out.")
            return self._located(self.localizer.locate(images), None, [()] * len(shots))
        features = self.localizer.extractor(images)
        evidence = self.localizer.evidence_of(features)
        if walk:
            estimate = estimate_walks(self.localizer, evidence, [shot.capture for shot in shots])
        else:
            estimate = self.localizer.estimate(evidence)
        # a walk's answers rest on all of its photos, not on the distribution of each
        probs = None if walk else self.localizer.calibrated_probs(evidence).cpu().double().numpy()
        return self._located(estimate, probs, self.localizer.most_alike(features, _ALIKE))

    def photo(self, number: int) -> bytes | None:
        """Return a training photo as a small JPEG; None where the dataset does not hold it any more."""
        return small_jpeg(self.photos[number]) if 0 <= number < len(self.photos) else None

    def _located(self, estimate: Estimate, probs: FloatArray | None, alike: Sequence[tuple[int, ...]]) -> list[Located]:
        lons, lats = self.localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)

        def number(values: FloatArray | None, row: int) -> float | None:
            return None if values is None else float(values[row])

        return [
            Located(
                lon=float(lons[row]),
                lat=float(lats[row]),
                radius_50_m=number(estimate.radius_50_m, row),
                radius_90_m=number(estimate.radius_90_m, row),
                familiarity=number(estimate.familiarity, row),
                probs=None if probs is None else probs[row],
                alike=alike[row],
            )
            for row in range(len(lons))
        ]


def serving_backend(
    run_path: Path, *, fold: int | None = None, device: str = "auto", thumbnails: bool = True
) -> RunBackend:
    """Return the model of a run for the service; `thumbnails` shows its training photos where its dataset is there.

    Raises NotFoundError, InvalidCheckpointError naming the damaged file, DeviceError.
    """
    localizer = load_localizer(run_path, fold=fold, device=device)
    probe = localizer if isinstance(localizer, ProbeLocalizer) else None
    made = _made_of(run_path)
    gallery = None if probe is None or probe.neighbours is None else probe.neighbours.xy.cpu().double().numpy()
    photos = () if gallery is None or not thumbnails else _photos(made, gallery, localizer.frame)
    cells = None if probe is None else probe.ensemble.cells
    model = ServedModel(
        name=safe_path(run_path.resolve().name),
        site=made.site_title or str(stated(run_path, "site", fold=fold) or "the site"),
        frame=localizer.frame,
        ground=_ground(made, localizer.frame, cells),
        locates_walks=probe is not None,
        tells_strangers=probe is not None and len(probe.familiarity.held_out) > 0,
        cells=None if cells is None else cells.centres.cpu().double().numpy(),
        cell_m=None if cells is None else cells.size_m,
        alike_lonlat=None if gallery is None else np.stack(localizer.frame.to_lonlat(*gallery.T), axis=1),
        shows_photos=bool(photos),
        surroundings=None if made.basemap is None else Surroundings(made.basemap, frame=localizer.frame),
        about={} if made.about is None else made.about,
    )
    return RunBackend(model=model, localizer=localizer, photos=photos)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _MadeOf:
    """What is left of what a run was made of; None where it is gone."""

    dataset: Dataset | None = None
    site: Site | None = None
    basemap: Basemap | None = None
    photos: "pd.DataFrame | None" = None
    about: Mapping[str, Any] | None = None

    @property
    def site_title(self) -> str | None:
        return None if self.site is None else self.site.title or self.site.name


def _made_of(run_path: Path) -> _MadeOf:
    try:
        run = open_run(run_path)
        info, photos = run.read_info(), run.read_photos()
    except Img2GPSError:  # a checkpoint alone
        return _MadeOf()
    config = info.config
    about = {"preset": config.preset, "backbone": config.model, "size": [config.pixels.width, config.pixels.height]}
    try:
        dataset = Dataset.open(info.dataset)
        site = dataset.site()
    except Img2GPSError:
        return _MadeOf(photos=photos, about=about)
    if site.sha256 != info.site_sha256:
        return _MadeOf(dataset=dataset, photos=photos, about=about)
    return _MadeOf(dataset=dataset, site=site, basemap=usable_basemap(dataset), photos=photos, about=about)


def _ground(made: _MadeOf, frame: LocalFrame, cells: Cells | None) -> Ground:
    """Return the outline of the site the run was trained on; else where its cells or its photos lie."""
    if made.site is not None and made.site.frame == frame:
        return ground_of_site(made.site, made.basemap)
    if cells is not None:
        return ground_of_cells(cells.centres.cpu().double().numpy(), cells.size_m)
    if made.photos is None or made.photos.empty:
        return ground_of_points(np.zeros((1, 2)), margin_m=200)
    return ground_of_points(np.stack(frame.to_local(made.photos["lon"], made.photos["lat"]), axis=1))


def _photos(made: _MadeOf, gallery: FloatArray, frame: LocalFrame) -> tuple[Path, ...]:
    """Return the files of the training photos in the gallery's order; none where that is not the order of the run."""
    if made.dataset is None or made.photos is None:
        return ()
    rows = made.photos[made.photos["role"] == "train"]
    xy = np.stack(frame.to_local(rows["lon"], rows["lat"]), axis=1)
    if xy.shape != gallery.shape or np.abs(xy - gallery).max() > _SAME_PLACE_M:
        return ()
    return tuple(made.dataset.photo_path(str(photo_id)) for photo_id in rows["id"])
