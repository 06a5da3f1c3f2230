"""Columns of a frame of photos as short, plain lists: what the report's script reads."""

from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["coded", "device_names", "flag_bits", "local_minutes", "short_ids", "split_names", "walk_names"]

_ID_CHARACTERS: Final = 12


def coded(values: Sequence[Hashable], order: Sequence[Hashable] = ()) -> tuple[list[Any], list[int]]:
    """Return the distinct values (those of `order` that occur first, the rest as met) and each value's index."""
    distinct = dict.fromkeys(values)
    words = [word for word in order if word in distinct] + [word for word in distinct if word not in order]
    index = {word: position for position, word in enumerate(words)}
    return words, [index[value] for value in values]


def short_ids(frame: "pd.DataFrame") -> list[str]:
    """Return the first characters of the photos' ids, enough to find one by."""
    return [str(photo_id)[:_ID_CHARACTERS] for photo_id in frame["id"]]


def split_names(frame: "pd.DataFrame") -> list[str]:
    """Return each photo's split, ``no split`` where it has none."""
    return [value if isinstance(value, str) and value else "no split" for value in frame["split"]]


def device_names(frame: "pd.DataFrame") -> dict[str, str]:
    """Return a name a person knows for each device hash: its model, with some of the hash where two share it."""
    models: dict[str, str] = {}
    for device, model in zip(frame["device"], frame["model"], strict=True):
        known = isinstance(model, str) and model.strip()
        models.setdefault(str(device), safe_text(model.strip(), limit=40) if known else "")
    names = list(models.values())
    short = {device: safe_text(device[:6]) for device in models}
    return {
        device: f"device {short[device]}"
        if not name
        else name
        if names.count(name) == 1
        else f"{name} ({short[device]})"
        for device, name in models.items()
    }


def walk_names(frame: "pd.DataFrame", minutes: Sequence[int | None]) -> dict[str, str]:
    """Return a name for each walk: when it began (local time) and with what; its own name where it has no time."""
    from datetime import UTC, datetime

    devices = device_names(frame)
    first: dict[str, int] = {}
    device_of: dict[str, str] = {}
    for walk, device, minute in zip(frame["walk"], frame["device"], minutes, strict=True):
        device_of.setdefault(str(walk), devices[str(device)])
        if minute is not None:
            first[str(walk)] = min(minute, first.get(str(walk), minute))
    names = {}
    for walk, device in device_of.items():
        if walk in first:
            began = datetime.fromtimestamp(first[walk] * 60, tz=UTC)
            names[walk] = f"{began:%Y-%m-%d %H:%M} · {device}"
        else:
            names[walk] = f"{safe_text(walk, limit=30)} · {device}"
    return dict(sorted(names.items(), key=lambda item: (first.get(item[0], 0), item[1])))


def local_minutes(frame: "pd.DataFrame", zone: ZoneInfo | None) -> list[int | None]:
    """Return when each photo was taken, in whole minutes of its own local time since 1970; None where unknown.

    The offset is the photo's own, else the zone's at that moment, else UTC. A clock time whose zone nothing names is
    local time all the same.
    """
    import pandas as pd

    minutes: list[int | None] = []
    columns = (frame["captured_at"], frame["utc_offset_min"], frame["clock_local"])
    for taken, offset, clock in zip(*columns, strict=True):
        if pd.isna(taken):
            minutes.append(None if pd.isna(clock) else _wall_clock_minutes(clock))
            continue
        local_offset = taken.tz_convert(zone).utcoffset() if zone and pd.isna(offset) else None
        shift = int(local_offset.total_seconds() // 60) if local_offset else 0 if pd.isna(offset) else int(offset)
        minutes.append(int(taken.timestamp() // 60) + shift)
    return minutes


def _wall_clock_minutes(clock_local: str) -> int:
    return int(datetime.fromisoformat(clock_local).replace(tzinfo=UTC).timestamp() // 60)


def flag_bits(flags: Sequence[Sequence[str]], order: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the flags that occur, in `order`, and each photo's flags as bits over them."""
    present = {flag for some in flags for flag in some}
    words = [flag for flag in order if flag in present] + sorted(present - set(order))
    return words, [sum(1 << words.index(flag) for flag in set(some)) for some in flags]
