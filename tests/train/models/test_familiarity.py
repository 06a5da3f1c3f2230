"""Whether photos and walks that are of the site pass for such, and others do not."""

import dataclasses
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from img2gps.answers import UNFAMILIAR_BELOW
from img2gps.cli import run as img2gps
from img2gps.familiarity import walk_familiarity
from img2gps.geo import FloatArray
from img2gps.walks import evidence_weights
from tests.train.colours import TINY, colour_dataset, colour_photo
from train.config.presets import preset
from train.config.values import changed
from train.data.pixel_cache import cached_pixels
from train.data.training_data import read_photos
from train.evaluation.evaluate import evaluate_run
from train.evaluation.summary import remarks
from train.inference.load import load_localizer, stated
from train.inference.locate import locate_files
from train.models.familiarity import Familiarity, Power
from train.models.grid import site_cells
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import ProbeLocalizer
from train.models.strangers import mixed_views
from train.runs.checkpoint import read_checkpoint, write_checkpoint
from train.runs.folder import RunFolder
from train.runs.remarks import familiarity_sentence
from train.training.session import start_run


@pytest.mark.slow
@given(st.lists(st.floats(-5, 5, width=32), min_size=20, max_size=60), st.floats(-6, 6, width=32))
def test_familiarity_is_the_rank_among_held_out_photos(held_out: list[float], similarity: float) -> None:
    found = Familiarity.fit(torch.tensor(held_out)).of(torch.tensor([similarity]))
    assert found is not None
    below = sum(other <= similarity for other in held_out)
    assert found[0] == pytest.approx((1 + below) / (1 + len(held_out)))


def test_of_photos_of_the_site_no_more_than_claimed_are_unfamiliar() -> None:
    draws = torch.Generator().manual_seed(0)
    probs = []
    for _ in range(200):
        familiarity = Familiarity.fit(torch.randn(39, generator=draws)).of(torch.randn(50, generator=draws))
        assert familiarity is not None
        probs.append(np.mean(familiarity <= 0.05))
    assert np.mean(probs) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("similarity", [torch.arange(19.0), torch.full((30,), torch.nan), torch.empty(0)])
def test_nothing_is_known_by_a_handful_of_photos_or_without_a_comparison(similarity: torch.Tensor) -> None:
    assert Familiarity.fit(similarity).of(torch.zeros(3)) is None


def _walks(count: int, *, agree: float = 0.9, low: float = 0.0, high: float = 1.0) -> FloatArray:
    """Return the familiarity of 2,000 walks of `count` photos five minutes apart."""
    draws = np.random.default_rng(count)
    weights = evidence_weights(np.arange(count) * 300.0)
    own = [(draws.uniform(low, high, count), draws.uniform(size=count) < agree) for _ in range(2000)]
    return np.asarray([walk_familiarity(familiarity, agrees, weights) for familiarity, agrees in own])


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8, 20, 100])
def test_walks_of_the_site_pass_for_such(count: int) -> None:
    found = _walks(count)
    assert np.mean(found < UNFAMILIAR_BELOW) < 0.06
    assert ((found > 0) & (found <= 1)).all()


def test_a_walk_in_other_light_passes() -> None:
    assert np.mean(_walks(30, high=0.8) < UNFAMILIAR_BELOW) < 0.1


def test_two_even_p_values_give_an_even_one() -> None:
    """Familiarity and agreement that are as rare as two draws: the result is as rare as it says."""
    many = 400  # photos enough for shares to be fine
    draws = np.random.default_rng(0).uniform(0.001, 0.999, (4000, 2))
    bell, weights = NormalDist(), np.ones(many)
    found = []
    for familiar, agreed in draws.tolist():
        score = bell.inv_cdf(familiar) * math.hypot(1 / math.sqrt(many), 0.4)
        share = 0.9 + bell.inv_cdf(agreed) * math.hypot(math.sqrt(0.09 / many), 0.05) - 0.5 / many
        agrees = np.arange(many) < round(many * min(share, 1.0))
        found.append(walk_familiarity(np.full(many, bell.cdf(score)), agrees, weights))
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(np.asarray(found) <= level) == pytest.approx(level, abs=0.3 * level)


def test_agreement_counts_from_five_photos_on_and_only_against_a_walk() -> None:
    def found(familiar: float, agrees: bool, count: int) -> float:
        return walk_familiarity(np.full(count, familiar), np.full(count, agrees), np.ones(count))

    assert found(0.5, agrees=False, count=4) == found(0.5, agrees=True, count=4)
    assert found(0.5, agrees=False, count=5) < 0.001 < found(0.5, agrees=True, count=5)
    assert found(0.1, agrees=True, count=20) == pytest.approx(
        walk_familiarity(np.full(20, 0.1), np.arange(20) < 18, np.ones(20)), rel=1e-6
    )
    assert found(1e-9, agrees=True, count=2) == found(0.005, agrees=True, count=2)


@pytest.mark.parametrize("count", [100, 1000])
def test_a_long_walk_whose_regions_hold_a_little_less_passes(count: int) -> None:
    assert np.mean(_walks(count, agree=0.86) < UNFAMILIAR_BELOW) < 0.05


def test_either_test_may_fail_a_walk() -> None:
    assert np.mean(_walks(10, high=0.1, agree=1.0) < UNFAMILIAR_BELOW) > 0.95
    assert np.mean(_walks(20, agree=0.5) < UNFAMILIAR_BELOW) > 0.9


@given(own=st.floats(0.0, 1.0), count=st.integers(1, 20))
def test_photos_of_one_moment_are_one_look(own: float, count: int) -> None:
    """Ten photos of one strange view are no stronger evidence than one, and no weaker."""
    familiarity, agrees = np.full(count, own), np.ones(count, dtype=bool)
    at_once = walk_familiarity(familiarity, agrees, evidence_weights(np.zeros(count)))
    assert at_once == pytest.approx(walk_familiarity(familiarity[:1], agrees[:1], np.ones(1)))
    assert at_once == pytest.approx(own, abs=0.05)  # a little less sure than of the photo by itself
    if own < 0.03:
        assert at_once < UNFAMILIAR_BELOW


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_photos_of_a_short_walk_elsewhere_stay_strange(count: int) -> None:
    strange, agrees = np.full(count, 0.02), np.ones(count, dtype=bool)
    assert walk_familiarity(strange, agrees, evidence_weights(np.arange(count) * 10.0)) < UNFAMILIAR_BELOW


def test_what_looks_like_the_gallery_is_more_familiar_in_whole_and_in_part() -> None:
    draws = torch.Generator().manual_seed(1)

    def grid(count: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(count, 4, 3, 16, generator=draws), dim=-1)

    def pooled(count: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(count, 32, generator=draws), dim=-1)

    cells = site_cells(np.zeros((40, 2)), size_m=4.0, reach_m=14.0)
    gallery = Descriptors(pooled=pooled(40), local=((grid(40),),))
    head = Neighbours.fit(gallery, torch.zeros(40, 2), cells, preset("quick"))
    strange = Descriptors(pooled=pooled(40), local=((grid(40),),))
    same_parts = Descriptors(pooled=strange.pooled, local=gallery.local)
    same_whole = Descriptors(pooled=gallery.pooled, local=strange.local)
    known, parts, whole, unknown = (
        head.evidence(photos).similarity.median() for photos in (gallery, same_parts, same_whole, strange)
    )
    assert known > parts > unknown
    assert known > whole > unknown
    one = Descriptors(pooled=strange.pooled[:1], local=tuple(tuple(g[:1] for g in part) for part in strange.local))
    assert head.evidence(one).similarity == pytest.approx(head.evidence(strange).similarity[:1], abs=1e-5)


def _fitted(folder: Path, *, heads: str = "neighbours+heat_map", val: int = 20) -> tuple[RunFolder, ProbeLocalizer]:
    dataset = colour_dataset(folder / "ds", 90, val=val, split=bool(val))
    base = {"model": TINY, "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 4, "heads": heads}
    run = start_run(dataset.root, changed(preset("quick"), base), runs=folder, name="probe")
    localizer = load_localizer(run.root, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    return run, localizer


def _noise(localizer: ProbeLocalizer, count: int) -> torch.Tensor:
    draws = np.random.default_rng(0)
    coarse = draws.integers(0, 2, (count, 3, localizer.pixels.height // 8, localizer.pixels.width // 8))
    return torch.from_numpy((255 * coarse).astype(np.uint8)).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


@pytest.mark.slow
@pytest.mark.parametrize("val", [0, 40])
def test_a_model_tells_photos_of_its_site_from_others(tmp_path: Path, val: int) -> None:
    run, localizer = _fitted(tmp_path, val=val)
    places = np.random.default_rng(5).uniform(-85, 85, (60, 2)).tolist()
    for number, (east_m, north_m) in enumerate(places):
        colour_photo(east_m, north_m, seed=1).save(tmp_path / f"{number}.png")
    known = locate_files(localizer, sorted(tmp_path.glob("*.png"))).familiarity
    strange = localizer.locate(_noise(localizer, 30)).familiarity
    assert known is not None
    assert strange is not None
    assert np.mean(known < UNFAMILIAR_BELOW) <= 0.15
    assert 0.3 < np.mean(known) < 0.8
    assert np.mean(strange < UNFAMILIAR_BELOW) > 0.4  # random features know little; chance is 0.05
    evidence = localizer.evidence(_noise(localizer, 10))
    walk = localizer.estimate_walk(evidence, localizer.estimate(evidence), np.arange(10) * 60.0).familiarity
    assert walk is not None
    assert len(set(walk.tolist())) == 1
    assert walk[0] < UNFAMILIAR_BELOW
    evidence = localizer.evidence(_noise(localizer, 8))
    alone = localizer.estimate(evidence)
    at_home = dataclasses.replace(alone, familiarity=np.full(8, 0.5))
    astray = dataclasses.replace(at_home, east_m=alone.east_m + 1000)
    near, far = (localizer.estimate_walk(evidence, own, np.arange(8) * 60.0).familiarity for own in (at_home, astray))
    assert near is not None
    assert far is not None
    assert far[0] < 0.01 < near[0]
    one_by_one = [localizer.locate(_noise(localizer, 30)[row : row + 1]).familiarity for row in range(5)]
    assert [float(own[0]) for own in one_by_one if own is not None] == strange[:5].tolist()
    checkpoint = read_checkpoint(run.best)
    assert len(checkpoint.tensors["familiarity"]) == (val or 90)


@pytest.mark.slow
def test_models_that_compare_no_photos_and_those_of_earlier_versions_say_nothing(tmp_path: Path) -> None:
    _, localizer = _fitted(tmp_path / "a", heads="heat_map")
    assert localizer.locate(_noise(localizer, 3)).familiarity is None
    run, _ = _fitted(tmp_path / "b")
    checkpoint = read_checkpoint(run.best)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name != "familiarity"}
    write_checkpoint(run.best, tensors=tensors, state={k: v for k, v in checkpoint.state.items() if k != "format"})
    earlier = load_localizer(run.root, device="cpu")
    assert isinstance(earlier, ProbeLocalizer)
    evidence = earlier.evidence(_noise(earlier, 3))
    assert earlier.estimate(evidence).familiarity is None
    together = earlier.estimate_walk(evidence, earlier.estimate(evidence), np.arange(3) * 1.0)
    assert together.familiarity is None
    assert np.isfinite(together.east_m).all()


def test_mixed_views_are_pieces_of_the_photos_each_in_its_band_of_rows() -> None:
    rows = np.arange(3, 30)
    pixels = np.zeros((40, 3, 30, 20), dtype=np.uint8)
    pixels[:, 0] = np.arange(40)[:, None, None]  # which photo
    pixels[:, 1] = np.arange(30)[:, None]  # which row
    pixels[:, 2] = np.arange(20)  # which column
    views = mixed_views(pixels, rows, count=50, seed=1).numpy()
    assert (views[:, 1] == np.arange(30)[:, None]).all()
    assert set(np.unique(views[:, 0])) <= set(rows.tolist())
    for top in (0, 10, 20):
        for left in (0, 10):
            piece = views[:, :, top : top + 10, left : left + 10]
            assert (piece[:, 0] == piece[:, 0, :1, :1]).all()  # of one photo
            steps = np.diff(piece[:, 2, 0].astype(int), axis=1)
            assert (np.abs(steps) == 1).all()
            assert {1, -1} == set(steps[:, 0].tolist())  # some are mirrored
    assert len({view.tobytes() for view in views}) == 50
    assert (mixed_views(pixels, rows, count=50, seed=1).numpy() == views).all()
    assert (mixed_views(pixels, rows, count=50, seed=2).numpy() != views).any()


def test_power_is_the_share_that_is_found_out() -> None:
    blind = Power.of(np.random.default_rng(0).uniform(size=400), below=0.05, seed=0)
    assert (blind.photos, blind.walks) == (pytest.approx(0.05, abs=0.03), pytest.approx(0.02, abs=0.05))
    sharp = Power.of(np.full(48, 0.01), below=0.05, seed=0)
    assert (sharp.photos, sharp.walks, sharp.strangers) == (1, 1, 48)
    half = Power.of(np.tile([0.01, 0.3], 24), below=0.05, seed=0)
    assert half.photos == 0.5
    assert half.walks > 0.7  # ten photos together say more than one


@pytest.mark.slow
@pytest.mark.parametrize("val", [0, 40])
def test_a_model_states_its_power_and_keeps_it(tmp_path: Path, val: int) -> None:
    run, localizer = _fitted(tmp_path, val=val)
    power = localizer.familiarity.power
    assert power is not None
    assert 0 <= power.photos <= 1
    assert stated(run.root, "familiarity_power") == dataclasses.asdict(power)
    assert familiarity_sentence(dataclasses.asdict(power)) in (run.root / "README.md").read_text()
    assert img2gps(["predict", str(run.root), str(next((tmp_path / "ds").rglob("*.jpg")))]) == 0


@pytest.mark.slow
def test_the_estimated_power_is_about_that_of_strangers_of_the_same_kind(tmp_path: Path) -> None:
    """Views of other photos of the site, mixed in the same way, are found out as often as the estimate says."""
    _, localizer = _fitted(tmp_path)
    other = colour_dataset(tmp_path / "other", 95, split=False)
    pixels = cached_pixels(read_photos(other.root), localizer.pixels)
    views = mixed_views(np.asarray(pixels), np.arange(95), count=100, seed=9)
    found = localizer.locate(views).familiarity
    power = localizer.familiarity.power
    assert found is not None
    assert power is not None
    assert np.mean(found < UNFAMILIAR_BELOW) == pytest.approx(power.photos, abs=0.2)


@pytest.mark.slow
def test_a_run_from_before_says_that_its_power_is_not_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = _fitted(tmp_path)
    checkpoint = read_checkpoint(run.best)
    state = {name: value for name, value in checkpoint.state.items() if name not in ("format", "familiarity_power")}
    write_checkpoint(run.best, tensors=checkpoint.tensors, state=state)
    earlier = load_localizer(run.root, device="cpu")
    assert isinstance(earlier, ProbeLocalizer)
    assert earlier.familiarity.power is None
    photo = next((tmp_path / "ds").rglob("*.jpg"))
    assert img2gps(["predict", str(run.root), str(photo)]) == 0
    assert "is not known" in capsys.readouterr().err
    found = evaluate_run(run.root, write=False).familiarity
    assert found is not None
    assert found.power is None


@pytest.mark.parametrize(
    ("photos", "walks", "words"),
    [
        (0.06, 0.0, "cannot tell whether a photo is of the site"),
        (0.1, 0.9, "hardly tell"),
        (0.7, 1.0, "finds about 70%"),
    ],
)
def test_the_sentence_promises_no_more_than_the_power(photos: float, walks: float, words: str) -> None:
    assert words in familiarity_sentence({"photos": photos, "walks": walks, "strangers": 48, "looks": 10})


@pytest.mark.slow
def test_folds_share_the_mean_of_their_powers(tmp_path: Path) -> None:
    dataset = colour_dataset(tmp_path / "ds", 60, split=False, folds=2)
    base = {"model": TINY, "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 2}
    run = start_run(dataset.root, changed(preset("quick"), base), runs=tmp_path, name="probe", folds=True)
    powers = [stated(run.root, "familiarity_power", fold=fold)["photos"] for fold in (0, 1)]
    result = evaluate_run(run.root, write=False)
    assert result.familiarity is not None
    assert result.familiarity.power is not None
    assert result.familiarity.power.photos == pytest.approx(np.mean(powers))
    assert any("made-up views" in line for line in remarks(result))
