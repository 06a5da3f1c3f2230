import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from img2gps.errors import UsageError
from train.config.schema import TrainConfig
from train.config.values import changed
from train.models.calibration import Calibration
from train.models.distribution import mean_point, median_point, mode_point, region_radii
from train.models.evidence import Evidence
from train.models.grid import MOST_CELLS, Cells, site_cells, soft_labels
from train.models.probe.covisibility import Poses
from train.models.probe.features import whitening
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.features.extractor import Features
from train.models.probe.features.whitening import Whitening
from train.models.probe.heads.ensemble import Ensemble, head_names
from train.models.probe.heads.heat_map import HeatMap
from train.models.probe.heads.neighbours import Neighbours, chamfer
from train.models.probe.heads.regression import Regression

LEVELS = (0.5, 0.9)


def _line(length: int = 40) -> Cells:
    east = torch.arange(length, dtype=torch.float32)
    return Cells(centres=torch.stack([east, torch.zeros(length)], dim=1), size_m=1.0)


def _at(cells: Cells, probs: dict[int, float]) -> Tensor:
    row = torch.zeros(1, len(cells))
    for cell, share in probs.items():
        row[0, cell] = share
    return row


def test_cells_surround_every_position_and_reach_no_further_than_asked() -> None:
    xy = np.random.default_rng(0).uniform(-200, 200, (50, 2))
    cells = site_cells(xy, size_m=4.0, reach_m=14.0)
    distance = torch.cdist(torch.from_numpy(xy).float(), cells.centres)
    assert float(distance.amin(dim=1).max()) <= 4.0 / 2**0.5 + 1e-4
    assert float(distance.amin(dim=0).max()) <= 14.0 + 1e-3


def test_a_cell_stands_for_the_mean_of_the_positions_in_it() -> None:
    xy = np.array([[1.0, 1.0], [2.0, 7.0], [95.0, 43.0]])  # of cells of 20 m, the first two share one
    cells = site_cells(xy, size_m=20.0, reach_m=14.0)
    points = {(round(float(east), 3), round(float(north), 3)) for east, north in cells.centres}
    assert {(1.5, 4.0), (95.0, 43.0)} < points
    assert not {(10.0, 10.0), (90.0, 50.0)} & points
    assert (-10.0, 10.0) in points  # without a photo: its middle
    assert torch.equal(cells.middles.centres.remainder(20.0), torch.full_like(cells.centres, 10.0))
    assert torch.equal(torch.floor(cells.middles.centres / 20), torch.floor(cells.centres / 20))


@pytest.mark.slow
@pytest.mark.parametrize("extent_m", [0.0, 1e3, 1e7])
def test_a_site_of_any_size_has_a_bounded_number_of_cells(extent_m: float) -> None:
    xy = np.random.default_rng(1).uniform(0, 1, (3000, 2)) * extent_m
    cells = site_cells(xy, size_m=4.0, reach_m=14.0)
    assert 1 <= len(cells) <= MOST_CELLS
    assert (cells.size_m > 4.0) == (extent_m > 1e3 / 2)


def test_mean_median_and_mode_answer_different_questions() -> None:
    cells = _line()
    probs = _at(cells, {2: 0.3, 3: 0.3, 30: 0.4})
    assert mean_point(probs, cells)[0].tolist() == pytest.approx([13.5, 0.0])
    assert mode_point(probs, cells, bandwidth_m=0.3)[0].tolist() == pytest.approx([30.0, 0.0], abs=1e-3)
    assert float(median_point(probs, cells)[0, 0]) == pytest.approx(3.0, abs=0.2)


@pytest.mark.slow
@given(st.lists(st.floats(1e-3, 1.0), min_size=40, max_size=40))
def test_no_cell_has_a_smaller_expected_distance_than_the_median(values: list[float]) -> None:
    cells = _line()
    probs = torch.tensor([values]) / sum(values)
    expected = probs @ torch.cdist(cells.centres, cells.centres)
    own = (probs * torch.cdist(median_point(probs, cells), cells.centres)).sum()
    assert float(own) <= float(expected.min()) + 0.3


def test_median_and_mode_are_those_of_the_plain_iterations() -> None:
    draws = torch.Generator().manual_seed(0)
    cells = Cells(centres=300 * torch.rand(700, 2, generator=draws) - 150, size_m=4.0)
    probs = torch.softmax(3 * torch.randn(8, 700, generator=draws), dim=1)
    median, mode = probs @ cells.centres, cells.centres[probs.argmax(dim=1)]
    for step in range(60):
        pull = probs / torch.cdist(median, cells.centres).clamp(min=0.5)
        median = (pull @ cells.centres) / pull.sum(dim=1, keepdim=True)
        if step < 20:
            pull = probs * torch.softmax(-torch.cdist(mode, cells.centres).square() / (2 * 12.0**2), dim=1)
            mode = (pull @ cells.centres) / pull.sum(dim=1, keepdim=True)
    assert torch.allclose(median_point(probs, cells), median, rtol=0, atol=1e-6)
    assert torch.allclose(mode_point(probs, cells, bandwidth_m=12.0), mode, rtol=0, atol=1e-6)


@given(st.lists(st.floats(1e-3, 1.0), min_size=40, max_size=40), st.floats(0.0, 39.0))
def test_a_region_holds_its_level_and_no_smaller_disc_does(values: list[float], east_m: float) -> None:
    cells = _line()
    probs = torch.tensor([values]) / sum(values)
    point = torch.tensor([[east_m, 0.0]])
    distance = torch.cdist(point, cells.centres)[0]
    for level, radius in zip(LEVELS, region_radii(probs, cells, point, LEVELS)[0], strict=True):
        assert float(probs[0][distance <= radius + 1e-4].sum()) >= level - 1e-4
        if float(radius) > cells.size_m:
            assert float(probs[0][distance < radius - 1e-4].sum()) < level + 1e-4


def test_whitening_evens_out_the_axes_and_survives_equal_photos() -> None:
    draws = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 4))).float()
    stretched = draws * torch.tensor([10.0, 3.0, 1.0, 0.3])
    spread = Whitening.fit(stretched, dimensions=4, power=0.5)(stretched).std(dim=0)
    assert float(spread.max() / spread.min()) < 1.2
    alike = torch.ones(5, 7)
    assert torch.isfinite(Whitening.fit(alike, dimensions=4, power=0.5)(alike)).all()


@pytest.mark.parametrize("count", [3, 40])
def test_whitening_is_the_same_by_either_product(count: int) -> None:
    vectors = torch.from_numpy(np.random.default_rng(2).normal(size=(count, 20))).float()
    whiten = Whitening.fit(vectors, dimensions=2, power=0.35)
    axes = whiten.matrix / whiten.matrix.norm(dim=0)
    assert (axes.T @ axes).numpy() == pytest.approx(np.eye(2), abs=1e-4)


def test_axes_of_many_photos_come_from_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(4)
    strong = draws.normal(size=(900, 3)) @ draws.normal(size=(3, 60)) * 10
    vectors = torch.tensor(strong + draws.normal(size=(900, 60)), dtype=torch.float32)
    spaces = []
    for most in (50, 2048):
        monkeypatch.setattr(whitening, "_MOST_PHOTOS", most)
        spaces.append(torch.linalg.qr(Whitening.fit(vectors, dimensions=3, power=0.0).matrix).Q)
    assert torch.linalg.svdvals(spaces[0].T @ spaces[1]).numpy() == pytest.approx(1.0, abs=0.01)


def test_a_grid_is_most_like_itself_and_like_nothing_two_storeys_up() -> None:
    grids = torch.nn.functional.normalize(
        torch.from_numpy(np.random.default_rng(0).normal(size=(6, 8, 2, 16))).float(), dim=-1
    )
    similarity = chamfer(grids[0], grids)
    assert int(similarity.argmax()) == 0
    assert float(similarity[0]) == pytest.approx(2.0, abs=1e-4)
    upside_down = torch.roll(grids[:1], 4, dims=1)
    assert float(chamfer(grids[0], upside_down)[0]) < 1.5


def _scenes(count: int) -> tuple[Tensor, Tensor]:
    """Return the middle and the whole of views that have nothing in common, as grids (N, 8, 6, k)."""
    draws = np.random.default_rng(3)
    middle, whole = (torch.from_numpy(draws.normal(size=(count, 8, 6, 32))).float() for _ in range(2))
    return torch.nn.functional.normalize(middle, dim=-1), torch.nn.functional.normalize(whole, dim=-1)


@pytest.mark.parametrize("closer", ["query", "gallery"])
def test_a_view_is_found_from_nearer_and_from_farther_away(closer: str) -> None:
    middles, wholes = _scenes(31)
    gallery, query = [middles[:30].clone(), wholes[:30].clone()], [middles[30:], wholes[30:]]
    if closer == "query":
        gallery[0][5] = query[1][0]
    else:
        gallery[1][5] = query[0][0]
    xy = torch.arange(30.0)[:, None] * torch.tensor([100.0, 0.0])
    cells = site_cells(xy.double().numpy(), size_m=4.0, reach_m=14.0)
    there = torch.linalg.vector_norm(cells.centres - xy[5], dim=1) < 20
    alike = torch.ones(31, 2) / 2**0.5  # by pooled features there is nothing to choose
    config = _config(shortlist=30, temperature=0.2)

    def share_there(*kinds: int) -> float:
        local = (tuple(gallery[k] for k in kinds),)
        head = Neighbours.fit(Descriptors(pooled=alike[:30], local=local), xy, cells, config)
        photo = Descriptors(pooled=alike[30:], local=(tuple(query[k] for k in kinds),))
        return float(torch.softmax(head.evidence(photo).log_probs, dim=1)[0, there].sum())

    assert share_there(0, 1) > 0.5
    assert max(share_there(0), share_there(1)) < 0.4


def test_neighbours_come_back_from_their_tensors_with_every_network_and_size() -> None:
    middles, wholes = _scenes(8)
    photos = Descriptors(pooled=torch.ones(8, 2) / 2**0.5, local=((middles, wholes), (wholes[..., :16],)))
    xy = torch.zeros(8, 2)
    cells = site_cells(xy.double().numpy(), size_m=4.0, reach_m=14.0)
    head = Neighbours.fit(photos, xy, cells, _config())
    again = Neighbours.from_tensors(head.tensors(), cells, _config())
    assert torch.equal(again.evidence(photos).log_probs, head.evidence(photos).log_probs)
    assert [len(grids) for grids in again.gallery.local] == [2, 1]
    old = {name.removesuffix(".0"): tensor for name, tensor in head.tensors().items()}
    with pytest.raises(KeyError, match="local"):
        Neighbours.from_tensors(old, cells, _config())


def _colours() -> tuple[Descriptors, Tensor, Cells]:
    """Return photos of two places 60 m apart that look nothing alike."""
    draws = np.random.default_rng(0)
    place = np.repeat([0, 1], 30)
    xy = np.stack([place * 60.0, np.zeros(60)], axis=1) + draws.normal(0, 2, (60, 2))
    views = np.eye(2)[place] @ draws.normal(size=(2, 8)) + draws.normal(0, 0.1, (60, 8))
    pooled = torch.nn.functional.normalize(torch.from_numpy(views).float(), dim=1)
    return Descriptors(pooled=pooled), torch.from_numpy(xy).float(), site_cells(xy, size_m=4.0, reach_m=14.0)


def _config(**values: object) -> TrainConfig:
    quick = TrainConfig(method="probe", head="mlp", hidden=32, lr=1e-2, epochs=30, batch_size=20, dropout=0.1)
    return changed(quick, values)


@pytest.mark.parametrize("name", ["neighbours", "heat_map", "regression"])
def test_every_head_puts_its_shares_where_the_photo_was_taken(name: str) -> None:
    photos, xy, cells = _colours()
    config = _config()
    head = {
        "neighbours": lambda: Neighbours.fit(photos, xy, cells, config),
        "heat_map": lambda: HeatMap.fit(photos, xy, cells, config, seed=0, advance=lambda *_, **__: None),
        "regression": lambda: Regression.fit(photos, xy, cells, config, seed=0),
    }[name]()
    probs = torch.softmax(head.evidence(photos).log_probs, dim=1)
    error = torch.linalg.vector_norm(median_point(probs, cells) - xy, dim=1)
    assert float(error.median()) < 10


def test_the_largest_seed_fits_a_heat_map() -> None:
    photos, xy, cells = _colours()
    config = _config(epochs=1, heat_seeds=2)
    head = HeatMap.fit(photos, xy, cells, config, seed=2**63 - 1, advance=lambda *_, **__: None)
    assert len(head.networks) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["heat_map", "regression"])
def test_a_seed_decides_the_weights_and_leaves_torch_alone(name: str) -> None:
    photos, xy, cells = _colours()

    def fit(seed: int) -> Tensor:
        config = _config(epochs=2)
        if name == "regression":
            return Regression.fit(photos, xy, cells, config, seed=seed).evidence(photos).log_probs
        return (
            HeatMap.fit(photos, xy, cells, config, seed=seed, advance=lambda *_, **__: None).evidence(photos).log_probs
        )

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = fit(1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(fit(1), first)
    assert not torch.equal(fit(2), first)


def test_calibrated_regions_hold_what_they_claim_where_the_shares_alone_do_not() -> None:
    cells = _line(100)
    draws = np.random.default_rng(3)
    truth = torch.from_numpy(draws.uniform(20, 80, 400)).float()
    guess = truth + torch.from_numpy(draws.normal(0, 6, 400)).float()
    overconfident = -((guess[:, None] - cells.centres[None, :, 0]).square()) / 2
    log_probs = torch.log_softmax(overconfident, dim=1)
    xy = torch.stack([truth, torch.zeros(400)], dim=1)

    def answer(probs: Tensor) -> Tensor:
        return mean_point(probs.exp(), cells)

    point = answer(log_probs)
    error = torch.linalg.vector_norm(point - xy, dim=1)
    plain = Calibration().radii(log_probs, cells, point)
    assert float((error <= plain[:, 1]).float().mean()) < 0.6
    fitted = Calibration.fit(log_probs[:200], cells, xy[:200], answer, by="val")
    inside = (error[200:, None] <= fitted.radii(log_probs, cells, point)[200:]).float().mean(dim=0)
    assert inside.tolist() == pytest.approx(LEVELS, abs=0.08)
    assert fitted.photos == 200


def test_a_handful_of_photos_calibrates_nothing() -> None:
    cells = _line()
    probs = torch.log_softmax(torch.zeros(5, 40), dim=1)
    assert Calibration.fit(probs, cells, cells.centres[:5], lambda s: cells.centres[:5], by="val") == Calibration()


def test_an_unknown_head_is_named() -> None:
    with pytest.raises(UsageError, match="'oracle'"):
        head_names("neighbours+oracle")


@pytest.mark.parametrize("even_density", [True, False])
def test_what_heads_know_of_every_photo_counts_once(even_density: bool) -> None:
    draws = torch.Generator().manual_seed(0)
    far = torch.arange(330) >= 300  # a place where ten times as many photos were taken as at the other
    xy = torch.randn(330, 2, generator=draws) + torch.where(far, 200.0, 0.0)[:, None] * torch.tensor([1.0, 0.0])
    poses = Poses(xy=xy, heading_deg=torch.full((330,), torch.nan), walk=torch.arange(330) % 2)
    cells = site_cells(xy.numpy().astype(np.float64), size_m=4.0, reach_m=14.0)
    features = Features(pooled=(torch.randn(330, 12, generator=draws),), brightness=torch.zeros(330))
    config = TrainConfig(method="probe", whiten_dims=8, epochs=1, even_density=even_density)
    fitted = Ensemble.fit(features, poses, cells, config, advance=lambda *_: None)
    assert torch.equal(fitted.prior, Ensemble.from_tensors(fitted.tensors(), config, cell_m=4.0).prior)
    # heads to whom a photo tells nothing
    count = soft_labels(xy, cells, config.bandwidth_m).sum(dim=0)
    for number, uneven in ((1, 0.1), (2, 0.01), (3, 0.001)):
        heads = {str(head): _Told(count) for head in range(number)}
        told = dataclasses.replace(fitted, heads=heads).evidence(features.take(torch.tensor([0]))).log_probs.exp()[0]
        odds = float(told[cells.centres[:, 0] > 100].sum() / told[cells.centres[:, 0] < 100].sum())
        if number == 1 or not even_density:
            assert odds == pytest.approx(uneven, rel=0.2)
        else:  # and no more than that is made up for, even in part
            assert 2 * uneven < odds < 0.1


def test_cells_that_have_grown_are_divided_by_the_photos_in_them() -> None:
    corners = torch.tensor([[2.0, 2.0], [38.0, 38.0], [60.0, 20.0], [60.0, 20.0]])  # two cells of two photos each
    cells = site_cells(corners.numpy().astype(np.float64), size_m=40.0, reach_m=14.0)
    poses = Poses(xy=corners, heading_deg=torch.full((4,), torch.nan), walk=torch.arange(4) % 2)
    features = Features(pooled=(torch.eye(4),), brightness=torch.zeros(4))
    config = TrainConfig(method="probe", whiten_dims=2, epochs=1, cell_m=40.0)
    prior = Ensemble.fit(features, poses, cells, config, advance=lambda *_: None).prior
    assert float(prior.max() - prior.min()) < 1.0


@dataclasses.dataclass(frozen=True)
class _Told:
    """A head that says of every photo where photos are taken."""

    count: Tensor

    def evidence(self, photos: Descriptors) -> Evidence:
        return Evidence.without_comparison(self.count.log()[None].expand(len(photos), -1))

    def tensors(self) -> dict[str, Tensor]:
        return {}
