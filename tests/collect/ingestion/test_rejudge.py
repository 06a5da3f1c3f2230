"""What another polygon makes of the photos of a dataset: every photo ends in exactly one pile."""

from hypothesis import given
from hypothesis import strategies as st

from collect.ingestion.rejudge import judge_again
from tests.datasets import box_site, make_walk

SITE = box_site(300, 300)
PLACES = st.lists(st.tuples(st.floats(-400, 400), st.floats(-400, 400)), min_size=1, max_size=8)


@given(PLACES, st.integers(0, 8), st.floats(50, 700))
def test_every_photo_is_kept_or_falls_and_those_outside_come_back_or_stay(
    places: list[tuple[float, float]], outside: int, side_m: float
) -> None:
    photos = make_walk("walk", places=places, seconds=9.0)
    inside, left_out, new = photos[outside:], photos[:outside], box_site(side_m, side_m)
    after = judge_again(inside, left_out, SITE, new, exact=False)
    assert sorted(p.id for p in [*after.kept, *(p for p, _ in after.fell)]) == sorted(p.id for p in inside)
    assert sorted(p.id for p in [*after.back, *after.outside]) == sorted(p.id for p in left_out)
    assert {rejection.reason for _, rejection in after.fell} <= {"outside_site"}
    assert not after.retimed
    notes = after.notes(new)
    assert f"{len(after.fell)} photo" in notes[0]
    assert len(notes) == 1 + bool(after.back)
