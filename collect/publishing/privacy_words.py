"""What a card says about the people in and behind the photos."""

from collections.abc import Iterator, Sequence

from collect.publishing.facts import DatasetFacts
from img2gps.text import format_count

__all__ = ["privacy_lines"]


def privacy_lines(facts: DatasetFacts, redaction: Sequence[str]) -> Iterator[str]:
    """Yield the section on privacy; `redaction` are sentences about what was made unrecognisable."""
    yield from ("## Privacy", "")
    yield "- The original files are not here: pictures are smaller copies without EXIF, names or serial numbers."
    yield "  Phones, walks and groups have numbers."
    if facts.excluded:
        yield f"- Left out, because somebody excluded them: {format_count(facts.excluded, 'photo')}."
    if facts.coarseness.round_m is not None:
        grid_m = facts.coarseness.round_m
        yield f"- Positions lie on a grid of {grid_m:g} m: up to {grid_m * 0.71:.2g} m off. Heights are rounded alike."
    if facts.coarseness.hours:
        yield "- Times are cut to the hour, and rows are in no order of time."
    yield from (f"- {sentence}" for sentence in redaction)
    yield "- Signs are not made unrecognisable: they are landmarks."
    yield "- To be left out, ask the publisher, who removes the photo and publishes again."
    yield ""
