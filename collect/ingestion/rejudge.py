"""What another polygon makes of the photos of a dataset: judged again by their stored positions, nothing is read."""

import dataclasses
from collections.abc import Collection
from zoneinfo import ZoneInfo

from collect.validation.rules import place
from collect.validation.times import by_new_zone
from img2gps.site import Site
from img2gps.text import format_count
from img2gps.types import Photo, Rejection

__all__ = ["Rejudged", "judge_again"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """Every photo of a dataset as the new site sees it.

    `kept` stay in the manifest, `fell` leave it, `back` return to it; `outside` were left outside before and still are.
    `retimed` says that the site's clocks changed.
    """

    kept: tuple[Photo, ...]
    fell: tuple[tuple[Photo, Rejection], ...]
    back: tuple[Photo, ...]
    outside: tuple[Photo, ...]
    retimed: bool

    def notes(self, site: Site) -> list[str]:
        """Return what a person should know of the change to `site`."""
        notes = [f"The site is now {site.name}: {format_count(len(self.fell), 'photo')} fell outside."]
        if self.fell:
            notes[0] += " They are kept, and come back with a polygon that holds them."
        if self.back:
            notes.append(f"{format_count(len(self.back), 'photo')} of an earlier site came back.")
        if self.retimed:
            notes.append(
                "Its time zone is new: local times follow it, and photos given again with --rehash are timed anew."
            )
        return notes


def judge_again(
    photos: Collection[Photo], outside: Collection[Photo], old: Site, new: Site, *, exact: bool
) -> Rejudged:
    """Judge the photos of a dataset, and those that lie outside its site, by a new site and its time zone.

    `exact` lets the details of rejections name exact positions.
    """
    new_zone = new.zone if new.time_zone != old.time_zone else None
    kept, fell, back, still_outside = [], [], [], []
    for photo in photos:
        timed, placed = _judged(photo, old.zone, new, new_zone, exact=exact)
        if isinstance(placed, Rejection):
            fell.append((timed, placed))
        else:
            kept.append(placed)
    for photo in outside:
        timed, placed = _judged(photo, old.zone, new, new_zone, exact=exact)
        if isinstance(placed, Rejection):
            still_outside.append(timed)
        else:
            back.append(placed)
    return Rejudged(
        kept=tuple(kept), fell=tuple(fell), back=tuple(back), outside=tuple(still_outside), retimed=new_zone is not None
    )


def _judged(
    photo: Photo, old_zone: ZoneInfo | None, new: Site, new_zone: ZoneInfo | None, *, exact: bool
) -> tuple[Photo, Photo | Rejection]:
    """Return a photo with its time by the clocks of the new site, and what this site makes of it."""
    timed = photo if new_zone is None else by_new_zone(photo, old_zone, new_zone)
    return timed, place(timed, new, exact=exact)
