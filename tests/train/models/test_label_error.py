"""Discs of models whose labels are refined hold the places, not the labels."""

import numpy as np
import pytest
import torch

from train.models.calibration import Calibration, drawn_places
from train.models.grid import site_cells

CELLS = site_cells(np.random.default_rng(0).uniform(-60, 60, (200, 2)), size_m=4.0, reach_m=14.0)


def test_regions_hold_the_places_that_labels_of_a_known_error_stand_for() -> None:
    draws = torch.Generator().manual_seed(2)
    labels = 80 * torch.rand(400, 2, generator=draws) - 40
    truth = labels + 3.0 * torch.randn(400, 2, generator=draws)
    answers = labels + 1.0 * torch.randn(400, 2, generator=draws)  # a model of labels errs as they do, and little more
    log_probs = torch.log_softmax(-torch.cdist(answers, CELLS.centres).square() / 18, dim=1)
    held = {}
    for error_m in (None, 3.0):
        fitted = Calibration.fit(log_probs, CELLS, labels, lambda _: answers, by="walk", label_error_m=error_m)
        radii = fitted.radii(log_probs, CELLS, answers)
        held[error_m] = (torch.linalg.vector_norm(answers - truth, dim=1)[:, None] <= radii).double().mean(dim=0)
    assert held[None][0] < 0.35
    assert held[3.0].tolist() == pytest.approx([0.5, 0.9], abs=0.06)


def test_drawn_places_lie_around_the_labels() -> None:
    drawn = drawn_places(torch.zeros(500, 2), 3.0)
    assert float(drawn.std()) == pytest.approx(3.0, rel=0.05)
    assert torch.equal(drawn, drawn_places(torch.zeros(500, 2), 3.0))
