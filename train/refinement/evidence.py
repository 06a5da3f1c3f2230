"""What models say of photos whose walks they had not seen, and which photos they take for the same view."""

import dataclasses
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
from train.models.calibration import inner_parts
from train.models.distribution import median_point
from train.models.grid import Cells, site_cells
from train.models.probe.covisibility import Poses
from train.models.probe.features.stored_features import AnyFeatures
from train.models.probe.heads.ensemble import Ensemble, head_names
from train.models.probe.model import make_extractor
from train.models.probe.site_model import DatasetFeatures
from train.refinement.matches import Matches
from train.refinement.places import PlaceEvidence

__all__ = ["HeldOutModels", "walk_parts"]

_PARTS: Final = 6  # of the walks: each is told of by a model of the other five
_REACH_M: Final = 24.0  # of the squares around labels, which are off themselves
_NAMED: Final = 40  # photos that each names as most alike


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeldOutModels:
    """Heads that are fitted to some photos of a dataset again and again, as their labels change."""

    config: ProbeConfig
    photos: Photos
    part: NDArray[np.int64]
    features: AnyFeatures
    cells: Cells
    device: torch.device

    @classmethod
    def of(cls, config: ProbeConfig, source: DatasetPhotos, photos: Photos, device: torch.device) -> "HeldOutModels":
        """Return the models of `photos`. Raises UsageError where they are of one walk and one place."""
        part = walk_parts(source, photos)
        config = _cheap(config)
        features = DatasetFeatures.of(source, config, make_extractor(config, device), device)
        cells = site_cells(_labels(photos), size_m=config.cell_m, reach_m=max(config.reach_m, _REACH_M))
        rows = torch.from_numpy(source.rows(photos))
        return cls(
            config=config,
            photos=photos,
            part=part,
            features=features.take(rows).features,
            cells=cells.middles.to(device),
            device=device,
        )

    def evidence(self, labels_m: FloatArray, title: str) -> tuple[PlaceEvidence, Matches]:
        """Return what is said of each photo by a model of the other parts, whose labels (N, 2) in metres are these.

        With it come the photos that show the same view. Of a model that compares photos only this head is fitted: it
        takes a tenth of the time and serves as well.
        """
        poses = self._poses(labels_m)
        log_probs = poses.xy.new_zeros(len(poses), len(self.cells))
        index, share = np.zeros((len(poses), _NAMED), dtype=np.int64), np.zeros((len(poses), _NAMED))
        numbers = np.unique(self.part)
        with bar(title, len(numbers)) as advance:
            for number in numbers:
                asked, others = np.flatnonzero(self.part == number), np.flatnonzero(self.part != number)
                ensemble = self._fitted(others, poses)
                features = self.features.take(torch.from_numpy(asked)).to(self.device)
                log_probs[torch.from_numpy(asked).to(self.device)] = ensemble.evidence(features).log_probs
                named, belief = (one.cpu().numpy() for one in ensemble.named(features, _NAMED))
                index[asked, : named.shape[1]] = others[named]
                share[asked, : named.shape[1]] = belief
                advance(1)
        return _places(log_probs, self.cells), Matches.mutual(index, share).facing(self.photos.heading_deg)

    def located(self, asked: NDArray[np.int64], labels_m: FloatArray) -> FloatArray:
        """Return where the photos `asked` (A,) were taken, (A, 2), by a model of all others, whose labels are these."""
        others = np.setdiff1d(np.arange(len(self.photos)), asked)
        ensemble = self._fitted(others, self._poses(labels_m))
        evidence = ensemble.evidence(self.features.take(torch.from_numpy(asked)).to(self.device))
        points: FloatArray = median_point(torch.softmax(evidence.log_probs, dim=1), self.cells).double().cpu().numpy()
        return points

    def _poses(self, labels_m: FloatArray) -> Poses:
        places = torch.tensor(labels_m, dtype=torch.float32, device=self.device)
        return dataclasses.replace(Poses.of(self.photos, self.device), xy=places)

    def _fitted(self, rows: NDArray[np.int64], poses: Poses) -> Ensemble:
        own = torch.from_numpy(rows)
        features, kept = self.features.take(own).to(self.device), poses.take(own.to(self.device))
        return Ensemble.fit(features, kept, self.cells, self.config, advance=_unseen)


def walk_parts(source: DatasetPhotos, photos: Photos) -> NDArray[np.int64]:
    """Return the part (N,) of each photo: walks of a part are left out together. Raises UsageError for one group."""
    parts = inner_parts(photos, most=_PARTS)
    if parts is None:
        raise UsageError(
            f"Labels of {safe_path(source.dataset.root)} cannot be refined: its training photos are one group, "
            "which no model can be kept from. Add a walk."
        )
    return parts.part


def _unseen(steps: float = 1, *, note: str | None = None, total: float | None = None) -> None:
    """Show no progress: a fit is a step of the bar."""


def _cheap(config: ProbeConfig) -> ProbeConfig:
    heads = "neighbours" if "neighbours" in head_names(config.heads) else config.heads
    return config.model_copy(update={"heads": heads, "heat_seeds": 1, "tune_epochs": 0})


def _labels(photos: Photos) -> FloatArray:
    return np.stack([photos.east_m, photos.north_m], axis=1)


def _places(log_probs: torch.Tensor, cells: Cells) -> PlaceEvidence:
    squares = torch.floor(cells.centres.double() / cells.size_m).long()
    return PlaceEvidence(
        log_probs=log_probs.float().cpu().numpy(), squares=squares.cpu().numpy(), size_m=float(cells.size_m)
    )
