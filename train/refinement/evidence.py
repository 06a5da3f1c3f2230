"""What models say of photos whose walks they had not seen: those of a run with folds, or heads fitted for it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.progress import bar
from img2gps.text import safe_path
from train.config.schema import ProbeConfig
from train.data.training_data import DatasetPhotos, Photos
from train.inference.load import load_localizer
from train.inference.locate import evidence_of
from train.models.calibration import Parts, inner_parts
from train.models.grid import Cells, site_cells
from train.models.probe.covisibility import Poses
from train.models.probe.model import ProbeLocalizer, make_extractor
from train.models.probe.site_model import DatasetFeatures, held_out_evidence, steps_in_all
from train.refinement.places import PlaceEvidence

__all__ = ["HeldOutModels", "folds_keep_walks", "run_evidence"]

_PARTS: Final = 6  # of the walks: each is told of by a model of the other five
_REACH_M: Final = 24.0  # of the squares around labels, which are off themselves
_AT_ONCE: Final = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldOutModels:
    """Heads that are fitted to some photos of a dataset again and again, as their labels change."""

    config: ProbeConfig
    photos: Photos
    part: NDArray[np.int64]
    features: DatasetFeatures
    cells: Cells
    device: torch.device

    @classmethod
    def of(cls, config: ProbeConfig, source: DatasetPhotos, photos: Photos, device: torch.device) -> "HeldOutModels":
        """Return the models of `photos`. Raises UsageError where they are of one walk and one place."""
        parts = inner_parts(photos, most=_PARTS)
        if parts is None:
            raise UsageError(
                f"Labels of {safe_path(source.dataset.root)} cannot be refined: its training photos are one group, "
                "which no model can be kept from. Add a walk."
            )
        features = DatasetFeatures.of(source, config, make_extractor(config, device), device)
        cells = site_cells(_labels(photos), size_m=config.cell_m, reach_m=max(config.reach_m, _REACH_M))
        rows = torch.from_numpy(source.rows(photos))
        return cls(
            config=config,
            photos=photos,
            part=parts.part,
            features=features.take(rows),
            cells=cells.middles.to(device),
            device=device,
        )

    def evidence(self, labels_m: FloatArray, title: str) -> PlaceEvidence:
        """Return what is said of each photo by a model of the other parts, whose labels (N, 2) in metres are these."""
        poses = dataclasses.replace(
            Poses.of(self.photos, self.device),
            xy=torch.tensor(labels_m, dtype=torch.float32, device=self.device),
        )
        frozen = make_extractor(self.config, self.device).last
        steps = steps_in_all(len(poses), Parts(part=self.part, by="walk"), self.config)
        with bar(title, steps) as advance:
            found = held_out_evidence(
                self.features, poses, self.part, self.cells, self.config, frozen=frozen, advance=advance
            )
        return _places(found.log_probs, self.cells)


def run_evidence(
    path: Path, source: DatasetPhotos, photos: Photos, folds: NDArray[np.int64], device: str
) -> list[tuple[NDArray[np.int64], PlaceEvidence]]:
    """Return, for each fold of the run at `path`, the rows of `photos` in it and what its model says of them.

    `folds` (N,) is the fold of each photo. Raises UsageError for a model without a distribution over the site, and
    what loading raises.
    """
    found = []
    with bar("Asking the models of the folds", len(photos)) as advance:
        for number in np.unique(folds).tolist():
            localizer = load_localizer(path, fold=number, device=device)
            if not isinstance(localizer, ProbeLocalizer):
                raise UsageError(
                    f"{safe_path(path)} says no distribution over the site: refine by a run of quick or default."
                )
            rows = np.flatnonzero(folds == number)
            paths = [source.dataset.photo_path(str(photo_id)) for photo_id in photos.ids[rows]]
            evidence = evidence_of(localizer, paths, _AT_ONCE, advance)
            found.append((rows.astype(np.int64), _places(evidence.log_probs, localizer.ensemble.cells)))
    return found


def folds_keep_walks(walks: Sequence[str] | NDArray[np.str_], folds: NDArray[np.int64]) -> bool:
    """Return whether every walk lies in one fold, and every photo in one."""
    pairs = {(str(walk), int(fold)) for walk, fold in zip(walks, folds, strict=True)}
    return bool((folds >= 0).all()) and len(pairs) == len({walk for walk, _ in pairs})


def _labels(photos: Photos) -> FloatArray:
    return np.stack([photos.east_m, photos.north_m], axis=1)


def _places(log_probs: torch.Tensor, cells: Cells) -> PlaceEvidence:
    squares = torch.floor(cells.centres.double() / cells.size_m).long()
    return PlaceEvidence(
        log_probs=log_probs.float().cpu().numpy(), squares=squares.cpu().numpy(), size_m=float(cells.size_m)
    )
