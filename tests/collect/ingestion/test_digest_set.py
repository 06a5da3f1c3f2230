"""A set of hashes that lie in an array."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.ingestion import digest_set
from collect.ingestion.digest_set import DigestSet, digests_of


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_set, "_FEW", 3)


@pytest.mark.usefixtures("small")
@settings(max_examples=50)
@given(st.lists(st.integers(0, 60)))
def test_it_holds_what_was_added_and_nothing_else(numbers: list[int]) -> None:
    held, plain = DigestSet(), set[str]()
    keys = [str(number) for number in range(62)]
    for number in numbers:
        held.add(keys[number])
        plain.add(keys[number])
        assert len(held) == len(plain)
    assert [key in held for key in keys] == [key in plain for key in keys]
    assert np.array_equal(held.holds(digests_of(keys)), [key in plain for key in keys])


@pytest.mark.usefixtures("small")
def test_keys_whose_hashes_end_with_a_zero_are_found() -> None:
    held, keys = DigestSet(), [f"{number}" for number in range(3000)]
    for key in keys:
        held.add(key)
    assert all(key in held for key in keys)
    assert "none of them" not in held
