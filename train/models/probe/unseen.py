"""Photos that a model had not learned from, and what they say of how sure it may be."""

import dataclasses

import torch
from torch import Tensor

from img2gps.walks import walk_rows, walk_weights
from train.config.schema import ProbeConfig
from train.data.training_data import Photos
from train.models.calibration import FEWEST_TO_CALIBRATE, Calibration
from train.models.evidence import Evidence
from train.models.grid import Cells
from train.models.probe.model import points_of
from train.models.reliability import Reliability
from train.models.walks import WalkSmoother

__all__ = ["Unseen", "calibrated"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """N photos that a model had not learned from, to calibrate it on: positions (N, 2) in metres and evidence.

    They are the validation photos, or training photos held out of models of their own; `by` says which. The labels of
    the latter may err by less than those of phones (`TrainingData.label_error_m`). Of `whole_walks` the model knew no
    photo: others of one walk look more alike than those of another.
    """

    photos: Photos
    xy: Tensor
    cells: Cells
    evidence: Evidence
    by: str
    whole_walks: bool
    label_error_m: float | None = None

    def reliability(self) -> Reliability | None:
        """Return how far heads are to be believed, by these photos; those of much the same view count as one.

        None where they are not of whole walks: all of another day would seem to look like nothing.
        """
        if not self.whole_walks:
            return None
        weights = walk_weights(self.photos.walk, self.photos.captured_s)
        return Reliability.fit(self.evidence, self.cells, self.xy, weights, label_error_m=self.label_error_m)


def calibrated(unseen: Unseen | None, smoother: WalkSmoother, config: ProbeConfig) -> tuple[Calibration, Calibration]:
    """Return the calibration of photos alone, and of those that have company on their walk, with its other photos.

    The first is the second, too, where too few have company.
    """
    if unseen is None:
        return Calibration(), Calibration()

    def answer(log_probs: Tensor) -> Tensor:
        return points_of(log_probs, unseen.cells, config)[config.answer]

    log_probs, photos, xy = unseen.evidence.log_probs, unseen.photos, unseen.xy
    alone = Calibration.fit(log_probs, unseen.cells, xy, answer, by=unseen.by, label_error_m=unseen.label_error_m)
    company = [torch.from_numpy(rows).to(xy.device) for rows in walk_rows(photos.walk, photos.captured_s)]
    if sum(map(len, company)) < FEWEST_TO_CALIBRATE:
        return alone, alone
    walks = [smoother.log_probs(log_probs[rows], photos.captured_s[rows.cpu().numpy()]) for rows in company]
    return alone, Calibration.fit(
        torch.cat(walks), unseen.cells, xy[torch.cat(company)], answer, by=unseen.by, label_error_m=unseen.label_error_m
    )
