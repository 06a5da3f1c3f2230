"""What a person does to a label, as lines of corrections.csv: pure functions from a request to the lines it adds.

A request names, for every photo it changes, the version of the label that the person saw. That is the digest of the
photo's newest line, or empty. Where one of them is no longer the newest, nothing of the request is written.
"""

import dataclasses
import math
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from img2gps.corrections import Action, Correction, histories
from img2gps.errors import UsageError
from img2gps.text import safe_text

__all__ = [
    "BY_LIMIT",
    "Change",
    "Kind",
    "Label",
    "TooLongError",
    "clean_why",
    "labels_of",
    "lines_of",
    "lines_to",
    "new_batch",
    "parse_changes",
    "shown",
    "stale",
    "too_long",
    "undo_lines",
]

Kind = Literal["move", "turn", "unsure", "exclude", "confirm", "unmark", "reset"]
"""unmark takes "unsure", "exclude" or "confirm" off and keeps a new position; reset goes back to ingest."""

BY_LIMIT: Final = 80
"""Characters of a person's name."""

_MOST_CHANGES: Final = 20_000
_WHY_LIMIT: Final = 2000


class TooLongError(UsageError):
    """A reason longer than anybody reads."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The label of one photo as it stands: `state` is "" where nobody has touched it; None: as ingested."""

    state: str = ""
    lon: float | None = None
    lat: float | None = None
    heading_deg: float | None = None
    version: str = ""
    by: str = ""
    at: str = ""
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One photo's part of a request; `lon`, `lat` (degrees) for a move, `heading_deg` for a turn."""

    photo_id: str
    version: str
    kind: Kind
    lon: float | None = None
    lat: float | None = None
    heading_deg: float | None = None


def labels_of(corrections: list[Correction]) -> dict[str, Label]:
    """Return the label of every photo that has a line, undone ones included (their version counts on)."""
    versions = {correction.photo_id: correction.digest for correction in corrections}
    labels = {}
    for photo_id, stack in histories(corrections).items():
        top = stack[-1] if stack else None
        if top is None or top.action == "reset":
            labels[photo_id] = Label(version=versions[photo_id])
            continue
        kept = {name: getattr(top, name) for name in ("lon", "lat", "heading_deg", "by", "at", "why")}
        labels[photo_id] = Label(state=top.action, version=versions[photo_id], **kept)
    return labels


def shown(label: Label) -> dict[str, Any]:
    """Return a label as plain JSON values; the name of a person is made fit to be shown."""
    return dataclasses.asdict(label) | {"by": safe_text(label.by, limit=BY_LIMIT)}


def stale(changes: list[Change], labels: Mapping[str, Label]) -> list[str]:
    """Return the ids of the photos whose label is newer than the one the person saw."""
    return [change.photo_id for change in changes if labels.get(change.photo_id, Label()).version != change.version]


def lines_of(
    changes: list[Change],
    labels: Mapping[str, Label],
    ingested: Mapping[str, tuple[float, float]],
    *,
    by: str,
    why: str,
    batch: str,
) -> list[Correction]:
    """Return the lines that `changes` add; a change that changes nothing adds none."""
    afters = {change.photo_id: _after(change, labels.get(change.photo_id, Label())) for change in changes}
    return lines_to(afters, labels, ingested, by=by, why=dict.fromkeys(afters, why), batch=batch)


def lines_to(
    afters: Mapping[str, Label],
    labels: Mapping[str, Label],
    ingested: Mapping[str, tuple[float, float]],
    *,
    by: str,
    why: Mapping[str, str],
    batch: str,
) -> list[Correction]:
    """Return the lines that lead from `labels` to `afters`; a label that stays as it is needs none."""
    at = _now()
    lines = []
    for photo_id, after in afters.items():
        label = labels.get(photo_id, Label())
        if _same(after, label):
            continue
        from_lon, from_lat = _position(label, ingested[photo_id])
        lines.append(
            Correction(
                at=at,
                by=by,
                photo_id=photo_id,
                action=_action(after.state),
                from_lon=from_lon,
                from_lat=from_lat,
                lon=after.lon,
                lat=after.lat,
                heading_deg=after.heading_deg,
                why=why[photo_id],
                batch=batch,
            )
        )
    return lines


def undo_lines(
    corrections: list[Correction],
    ingested: Mapping[str, tuple[float, float]],
    *,
    undone: str,
    by: str,
    batch: str,
) -> tuple[list[Correction], list[str]]:
    """Return the lines that take the batch `undone` back, and the photos that were changed again since.

    Where there are such photos, nothing should be written. Both are empty where the batch was undone before.
    """
    at = _now()
    lines, changed = [], []
    for photo_id, stack in histories(corrections).items():
        if not any(line.batch == undone for line in stack):
            continue
        if stack[-1].batch != undone:
            changed.append(photo_id)
            continue
        top, below = stack[-1], stack[-2] if len(stack) > 1 else None
        standing = Label(lon=top.lon, lat=top.lat)
        from_lon, from_lat = _position(standing, ingested.get(photo_id, (top.from_lon, top.from_lat)))
        lines.append(
            Correction(
                at=at,
                by=by,
                photo_id=photo_id,
                action=below.action if below else "reset",
                from_lon=from_lon,
                from_lat=from_lat,
                lon=below.lon if below else None,
                lat=below.lat if below else None,
                heading_deg=below.heading_deg if below else None,
                why="undo",
                batch=batch,
                undoes=top.digest,
            )
        )
    return lines, changed


def parse_changes(given: Any) -> list[Change]:
    """Return the changes of a request's JSON. Raises UsageError naming the first that makes no sense."""
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_CHANGES:
        raise UsageError(f"A request holds between 1 and {_MOST_CHANGES:,} changes in its list `changes`.")
    changes = [_parse(entry, number) for number, entry in enumerate(given, start=1)]
    if len({change.photo_id for change in changes}) < len(changes):
        raise UsageError("A request changes every photo once.")
    return changes


def _parse(entry: Any, number: int) -> Change:
    if not isinstance(entry, dict) or not isinstance(entry.get("photo_id"), str):
        raise UsageError(f"Change {number} names no photo_id.")
    kinds: tuple[Kind, ...] = get_args(Kind)
    kind, version = next((known for known in kinds if known == entry.get("kind")), None), entry.get("version")
    if kind is None:
        raise UsageError(f"Change {number} has no kind among {', '.join(kinds)}.")
    if not isinstance(version, str):
        raise UsageError(f"Change {number} lacks the version of the label it was based on.")
    lon, lat = (_number(entry, name, number) if kind == "move" else None for name in ("lon", "lat"))
    heading = _number(entry, "heading_deg", number) % 360.0 if kind == "turn" else None
    return Change(photo_id=entry["photo_id"], version=version, kind=kind, lon=lon, lat=lat, heading_deg=heading)


def _number(entry: dict[str, Any], name: str, number: int) -> float:
    value = entry.get(name)
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:  # JSON's integers have no end
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"Change {number} has no number in {safe_text(name)}.")
    return found


def new_batch() -> str:
    """Return a name for one action that no other has."""
    return secrets.token_hex(8)


def too_long(why: str) -> str:
    """Return what is wrong with the length of a reason, "" where nothing is."""
    return f"its why has {len(why):,} characters: shorten it to {_WHY_LIMIT:,}" if len(why) > _WHY_LIMIT else ""


def clean_why(given: Any) -> str:
    """Return a reason as it was typed, "" where there is none. Raises TooLongError over 2,000 characters."""
    why = given if isinstance(given, str) else ""
    if complaint := too_long(why):
        raise TooLongError(f"Nothing was saved, {complaint}.")
    return why


def _after(change: Change, label: Label) -> Label:
    """Return the label after the change: an excluded photo stays so when it is moved, an unsure one does not."""
    placed = label.lon is not None or label.heading_deg is not None
    if change.kind == "reset":
        return Label()
    if change.kind == "unmark":
        return dataclasses.replace(label, state="move" if placed else "")
    if change.kind in ("unsure", "exclude", "confirm"):
        return dataclasses.replace(label, state=change.kind)
    state = "exclude" if label.state == "exclude" else "move"
    if change.kind == "turn":
        return dataclasses.replace(label, state=state, heading_deg=change.heading_deg)
    return dataclasses.replace(label, state=state, lon=change.lon, lat=change.lat)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _same(after: Label, before: Label) -> bool:
    names = ("state", "lon", "lat", "heading_deg")
    return all(getattr(after, name) == getattr(before, name) for name in names)


def _action(state: str) -> Action:
    known: tuple[Action, ...] = get_args(Action)
    return next((action for action in known if action == state), "reset")


def _position(label: Label, ingested: tuple[float, float]) -> tuple[float, float]:
    return (label.lon, label.lat) if label.lon is not None and label.lat is not None else ingested
