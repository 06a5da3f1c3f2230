"""How many wrong labels are left, and what a person's findings do to the probabilities."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.label.labelling import Labelling
from collect.label.standing import learned_shift, probability, standing_of
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.types import Photo
from tests.datasets import make_walk
from tests.labelling import labelled_dataset, walk_with_a_slip

scores = st.floats(0, 1)


@given(scores, scores, st.floats(-2, 2))
def test_probabilities_keep_the_order_of_the_scores(one: float, other: float, shift: float) -> None:
    low, high = sorted((one, other))
    assert 0 < probability(low, shift) <= probability(high, shift) < 1


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=3), st.tuples(scores, st.booleans()), max_size=20))
def test_findings_pull_the_probabilities_to_what_was_found(found: dict[str, tuple[float, bool]]) -> None:
    given_scores, wrong = {key: value[0] for key, value in found.items()}, {key: v[1] for key, v in found.items()}
    shift = learned_shift(given_scores, wrong)
    surplus = sum(wrong.values()) - sum(probability(score) for score in given_scores.values())
    assert np.sign(shift) == np.sign(surplus) or abs(surplus) < 0.05
    after = sum(wrong.values()) - sum(probability(score, shift) for score in given_scores.values())
    assert abs(after) <= abs(surplus) + 0.05


def test_nothing_found_moves_nothing() -> None:
    assert learned_shift({}, {}) == 0
    assert learned_shift({"a": 0.5}, {}) == 0


def test_a_standing_counts_and_says_where_to_stop() -> None:
    standing = standing_of([0.9, 0.5, 0.1, 0.04, 0.04], {"x": True, "y": False})
    assert (standing.judged, standing.found_wrong, standing.worth_looking) == (2, 1, 3)
    assert (standing.expected_wrong_there, standing.expected_wrong_beyond) == (1.5, 0.08)
    assert standing_of([0.05, 0.2, 0.01], {}).worth_looking == 2
    assert "worth looking down to rank 3" in standing.sentence()
    assert "a good place to stop" in standing_of([0.05], {}).sentence()
    assert "where fewer than one may be wrong; fewer than one after" in standing_of([0.4, 0.05], {}).sentence()


def _noisy(seed: int) -> tuple[list[Photo], set[str]]:
    """Return 120 photos round a block with 8 m of noise per axis, 6 of them 70 to 150 m off, and which those are."""
    rng = np.random.default_rng(seed)
    along = np.linspace(0, 900, 120) % 480
    corners = np.array([[-60, -60], [60, -60], [60, 60], [-60, 60], [-60, -60]], dtype=float)
    places = np.column_stack([np.interp(along, np.arange(5) * 120.0, corners[:, axis]) for axis in (0, 1)])
    places += rng.normal(0, 8, places.shape)
    wrong = rng.choice(120, 6, replace=False)
    angle, reach = rng.uniform(0, 2 * np.pi, 6), rng.uniform(70, 150, 6)
    places[wrong] += reach[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    photos = make_walk("w", places=[(float(e), float(n)) for e, n in places], seconds=7.0)
    return photos, {photos[index].id for index in wrong}


@pytest.mark.slow
def test_the_number_expected_is_near_the_number_there_is(tmp_path: Path) -> None:
    expected, worth, found = 0.0, 0, 0
    for seed in range(4):
        photos, wrong = _noisy(seed)
        labelling = Labelling.of(labelled_dataset(tmp_path / str(seed), photos), by="kim")
        standing = labelling.queue.standing()
        expected += standing.expected_wrong_there + standing.expected_wrong_beyond
        worth += standing.worth_looking
        found += len(
            wrong & {suspicion.photo_id for suspicion in labelling.queue.suspicions()[: standing.worth_looking]}
        )
    assert expected == pytest.approx(24, rel=0.35)
    assert found >= 23
    assert worth <= 48  # a tenth of the photos


def _correct(dataset: Dataset, photo: Photo, **fields: object) -> None:
    line = Correction(
        at="now",
        by="kim",
        photo_id=photo.id,
        action="confirm",
        from_lon=photo.lon,
        from_lat=photo.lat,
        **fields,  # type: ignore[arg-type]
    )
    append_corrections(dataset.corrections_path, [line])


def test_what_a_person_found_changes_the_other_photos(tmp_path: Path) -> None:
    photos = walk_with_a_slip()
    dataset = labelled_dataset(tmp_path / "quad", photos)
    labelling = Labelling.of(dataset, by="kim")
    before = labelling.queue.suspicions()
    assert labelling.queue.suspicions() == before
    _correct(dataset, photos[12])  # the most suspicious one was right, the person says
    after = labelling.queue.suspicions()
    assert before[0].photo_id == photos[12].id
    assert len(after) == len(before) - 1
    assert max(suspicion.probability for suspicion in after) < 0.1
    assert labelling.queue.standing().judged == 1


def test_the_walk_says_where_it_places_a_photo_and_only_where_it_can(tmp_path: Path) -> None:
    photos = walk_with_a_slip()
    queue = Labelling.of(labelled_dataset(tmp_path / "quad", photos), by="kim").queue.suspicions()
    slip = next(suspicion for suspicion in queue if suspicion.photo_id == photos[12].id)
    assert slip.expected_lon == pytest.approx((photos[11].lon + photos[13].lon) / 2, abs=1e-4)
    assert slip.expected_lat == pytest.approx((photos[11].lat + photos[13].lat) / 2, abs=5e-5)
    pair = Labelling.of(labelled_dataset(tmp_path / "pair", photos[:2]), by="kim").queue.suspicions()
    assert [(suspicion.expected_lon, suspicion.expected_lat) for suspicion in pair] == 2 * [(None, None)]
