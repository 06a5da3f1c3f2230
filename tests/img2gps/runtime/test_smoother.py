import numpy as np
import pytest
import torch

from img2gps.runtime.smoother import SiteSquares
from train.models.grid import Cells, site_cells
from train.models.walks import WalkSmoother


@pytest.mark.parametrize("cell_m", [4.0, 0.4])
def test_walks_are_located_as_torch_locates_them(cell_m: float) -> None:
    draws = np.random.default_rng(0)
    cells = site_cells(draws.uniform(-40, 40, (30, 2)), size_m=cell_m, reach_m=3 * cell_m)
    log_probs = torch.log_softmax(torch.from_numpy(draws.normal(0, 2, (7, len(cells)))).float(), dim=1)
    seconds = np.asarray([0.0, 4.0, 4.0, 30.0, 90.0, 200.0, 700.0])
    theirs = WalkSmoother.around(cells).log_probs(log_probs, seconds)
    squares = SiteSquares.around(cells.centres.double().numpy(), cells.size_m)
    ours = squares.log_probs(log_probs.double().numpy(), seconds)
    np.testing.assert_allclose(np.exp(ours), theirs.exp().numpy(), atol=1e-4)
    assert isinstance(cells, Cells)
