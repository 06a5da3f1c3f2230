"""Whether refining pays is told from walks left out: the better model is called better, noise is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.refinement.check import compared

WALKS = np.repeat([f"walk-{number}" for number in range(8)], 30)


def errors(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).rayleigh(8.0, 240)


@pytest.mark.parametrize(("change_m", "pays"), [(-2.0, True), (2.0, False)])
def test_a_steady_change_is_told(change_m: float, pays: bool) -> None:
    before = errors(0) + 5.0
    found = compared(before, before + change_m, WALKS)
    assert found["pays"] is pays
    assert found["change_m"] == pytest.approx(change_m, abs=0.2)  # few lie beyond the cap
    assert found["refined"]["median_m"] - found["as_they_are"]["median_m"] == pytest.approx(change_m, abs=0.02)
    assert found["walks"] == 8


@given(seed=st.integers(0, 10_000))
def test_chance_alone_hardly_ever_pays(seed: int) -> None:
    before = errors(seed)
    assert compared(before, before, WALKS)["pays"] is None
    found = compared(before, np.random.default_rng(seed).permutation(before), WALKS)
    low, high = found["change_interval_m"]
    assert low <= found["change_m"] <= high
    assert found["pays"] is None or abs(found["change_m"]) > 0.3


def test_photos_of_another_place_do_not_decide() -> None:
    before, after = errors(1) + 3.0, errors(1)
    after[0] = 5_000.0
    assert compared(before, after, WALKS)["pays"] is True


def test_few_walks_tell_nothing() -> None:
    before = errors(2)[:120]
    found = compared(before, before - 1.0, WALKS[:120])
    assert found["change_interval_m"] is None
    assert found["pays"] is None
