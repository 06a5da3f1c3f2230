"""The audit on one screen: figures beside a small map of the site."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.coverage import ENOUGH_HEADINGS, ENOUGH_PHOTOS, ENOUGH_WALKS, CellTable
from collect.auditing.leakage import RADII_M, SplitLeakage
from collect.auditing.result import AuditResult
from collect.auditing.walk_list import SECTOR_NAMES
from img2gps.report.page import as_metres, as_percent
from img2gps.text import format_count, safe_path, safe_text, shell_path

__all__ = ["map_lines", "summary_lines"]

_BESIDE: Final = (30, 26)
_MAP_ROWS_ABOVE: Final = 12
_UNICODE: Final = ("  ", "··", "░░", "▒▒", "██")
_ASCII: Final = ("  ", "..", "--", "++", "##")
_GAP: Final = 3
_DOUBTFUL_POSITIONS: Final = (
    *("stale_fix", "void_fix", "network_fix", "poor_accuracy", "poor_geometry", "quantised_gps", "implausible_speed"),
)
_DOUBTFUL_TIMES: Final = ("time_unknown", "times_disagree", "repeated_hour")


def summary_lines(audit: AuditResult, *, unicode: bool = True, width: int = 100) -> list[str]:
    """Return the lines of the terminal page of an audit.

    Where `width` allows, the map stands beside the figures, else above them. `unicode=False` draws in ASCII.
    """
    drawn = map_lines(audit, unicode=unicode, width=width)
    said = [*_headline(audit), "", *_coverage(audit), "", *_conditions(audit), "", *_labels(audit)]
    column = max((len(line) for line in drawn), default=0) + _GAP
    if column + max(map(len, said)) > width:
        together = [*drawn, "", *said]
    else:
        height = max(len(drawn), len(said))
        drawn += [""] * (height - len(drawn))
        said += [""] * (height - len(said))
        together = [f"{left:<{column}}{right}".rstrip() for left, right in zip(drawn, said, strict=True)]
    return [*together, "", *_leakage(audit, width), "", *_next_walk(audit)]


def map_lines(audit: AuditResult, *, unicode: bool = True, width: int = 100) -> list[str]:
    """Return the map, north up, two characters per cell (or block of cells on a large site), with its legend.

    A map to stand beside the figures is small; a wide, flat site may take the whole width above them instead.
    """
    glyphs = _UNICODE if unicode else _ASCII
    cells = audit.cells
    if not len(cells):
        return []
    size_m = cells.size_m
    columns = np.round(cells.east_m / size_m).astype(int)
    rows = np.round(cells.north_m / size_m).astype(int)
    columns, rows = columns - columns.min(), rows - rows.min()
    block = min(
        max(-(-(int(columns.max()) + 1) // most[0]), -(-(int(rows.max()) + 1) // most[1]))
        for most in (_BESIDE, (max(1, width // 2), _MAP_ROWS_ABOVE))
    )
    levels = _levels(cells)
    board = np.full((int(rows.max()) // block + 1, int(columns.max()) // block + 1), -1.0)
    total, count = np.zeros_like(board), np.zeros_like(board)
    np.add.at(total, (rows // block, columns // block), levels)
    np.add.at(count, (rows // block, columns // block), 1)
    # A block with any photo shows some, however empty the rest of it is.
    mean = np.maximum(np.round(total / np.maximum(count, 1)), total > 0)
    board = np.where(count > 0, mean, -1).astype(int)
    drawn = ["".join(glyphs[level + 1] for level in line) for line in board[::-1].tolist()]
    scale = f"{block * size_m:g} m a square, north up"
    words = ("no photo", "some", f"{ENOUGH_PHOTOS}+ photos", f"and {ENOUGH_WALKS}+ walks, {ENOUGH_HEADINGS}+ headings")
    return [*drawn, "", scale, *(f"{glyph} {word}" for glyph, word in zip(glyphs[1:], words, strict=True))]


def _levels(cells: CellTable) -> NDArray[np.int64]:
    enough = cells.photos >= ENOUGH_PHOTOS
    full = enough & (cells.walks >= ENOUGH_WALKS) & (cells.headings >= ENOUGH_HEADINGS)
    return (cells.photos > 0).astype(np.int64) + enough + full


def _headline(audit: AuditResult) -> list[str]:
    site = audit.site
    counts = f"{format_count(audit.photos, 'photo')} on {format_count(audit.walk_count, 'walk')}"
    days = format_count(audit.conditions.days, "day")
    edge = f", {audit.edge:,} just outside the outline" if audit.edge else ""
    reach = {row.name: as_percent(row.cells) for row in audit.evenness.splits}
    splits = ", ".join(f"{name} {count:,} ({reach[name]})" for name, count in audit.splits.items())
    return [
        safe_text(site.title or site.name),
        f"{counts} and {days}{edge}",
        f"Splits (of visited cells): {splits or 'none'}",
    ]


def _coverage(audit: AuditResult) -> list[str]:
    cells, holes = audit.cells, audit.holes
    lines = [
        f"Coverage of {format_count(len(cells), 'cell')} of {cells.size_m:g} m",
        f"  {as_percent(audit.shares.visited):>5}  any photo",
        f"  {as_percent(audit.shares.coverage):>5}  {ENOUGH_PHOTOS} photos or more",
        f"  {as_percent(audit.shares.walks):>5}  {ENOUGH_WALKS} walks or more",
        f"  {as_percent(audit.shares.headings):>5}  {ENOUGH_HEADINGS} of 8 headings or more",
    ]
    if holes.largest_at is not None:
        at = holes.largest_at
        lines += [
            f"To the nearest photo: median {as_metres(holes.median_m)}, P95 {as_metres(holes.p95_m)}",
            f"Largest hole: {as_metres(holes.largest_m)} around lon {at.lon:.6f}, lat {at.lat:.6f}",
        ]
    return lines


def _conditions(audit: AuditResult) -> list[str]:
    found = audit.conditions
    total = max(1, audit.photos)
    headings = " ".join(f"{name} {count}" for name, count in zip(SECTOR_NAMES, found.headings, strict=True))
    unknown = as_percent(found.heading_unknown / total)
    rose = f"{headings} (unknown {unknown})" if sum(found.headings) else "unknown for all photos"
    devices = ", ".join(f"{safe_text(name, limit=24)} {count:,}" for name, count in list(found.devices.items())[:3])
    seasons = ", ".join(f"{name} {count:,}" for name, count in found.seasons.items() if count)
    zoneless = found.clock_without_zone
    zone_line = [
        f"Time zone unknown: {format_count(zoneless, 'photo')} by the clock alone; add time_zone to the site file",
        "  and ingest with --site",
    ]
    return [
        *(zone_line if zoneless else []),
        f"Hours: {_hours(found.hours)}; after dark {as_percent(found.after_dark / total)}",
        f"Seasons: {seasons or 'none'}",
        f"Headings: {rose}",
        f"Devices: {devices or 'none'}{', ...' if len(found.devices) > 3 else ''}",
    ]


def _hours(hours: Sequence[int]) -> str:
    """Return ``9-12 h, 18-19 h``: the stretches of the day in which photos were taken."""
    taken = [hour for hour in range(24) if hours[hour]]
    starts = [hour for hour in taken if hour - 1 not in taken]
    ends = [hour + 1 for hour in taken if hour + 1 not in taken]
    return ", ".join(f"{start}-{end} h" for start, end in zip(starts, ends, strict=True)) or "unknown"


def _labels(audit: AuditResult) -> list[str]:
    accuracy, corrections = audit.accuracy.overall, audit.corrections
    floor = (
        f"Reported accuracy: median {as_metres(accuracy.median_m)}, unknown {as_percent(accuracy.unknown)}"
        if accuracy.median_m is not None
        else "Reported accuracy: unknown for all photos"
    )
    moved = f", moved by a median of {as_metres(corrections.moved_median_m)}" if corrections.move else ""
    return [
        floor,
        f"Doubtful positions: {_flagged(audit, _DOUBTFUL_POSITIONS) or 'none flagged'}",
        *([f"Doubtful times: {times}"] if (times := _flagged(audit, _DOUBTFUL_TIMES)) else []),
        f"Looked at by a person: {as_percent(corrections.share)}{moved}",
    ]


def _flagged(audit: AuditResult, flags: Sequence[str]) -> str:
    counts = {flag: audit.flags[flag] for flag in flags}
    return ", ".join(f"{flag.replace('_', ' ')} {count:,}" for flag, count in counts.items() if count)


def _leakage(audit: AuditResult, width: int) -> list[str]:
    lines = ["Leakage: val and test photos with a training photo within"]
    columns = ["split", "photos", *(f"{radius} m" for radius in RADII_M), "same walk 5 m"]
    columns += ["near-dup.", "bursts", "walks", "days", "set aside"]
    rows = [columns, *(cells for row in audit.leakage for cells in _leakage_cells(row))]
    lines += _in_parts(rows, width)
    if any(row.stored and row.photos_with_heading for row in audit.leakage):
        lines.append("(facing alike: training photos with a heading within 45°)")
    if not any(row.stored for row in audit.leakage):
        split = f"Nothing is held out yet: `img2gps split {shell_path(audit.dataset.root)}`"
        lines.append("No val and test photos: the folds test every photo" if audit.folds else split)
    return lines


def _leakage_cells(row: SplitLeakage) -> Iterator[list[str]]:
    shares = [as_percent(row.within_m[radius]) for radius in RADII_M]
    counts = (row.near_duplicates, row.bursts, row.walks, row.days, row.set_aside)
    same_walk = as_percent(row.within_m_same_walk[5])
    yield [safe_text(row.by), f"{row.photos:,}", *shares, same_walk, *(f"{count:,}" for count in counts)]
    if row.stored and row.photos_with_heading:
        alike = [as_percent(row.within_m_heading[radius]) for radius in RADII_M]
        yield ["  facing alike", f"{row.photos_with_heading:,}", *alike, *[""] * (1 + len(counts))]


def _in_parts(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return a table in lines, in several below each other where it is wider; each begins with the first column."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    parts: list[list[int]] = [[]]
    for index in range(1, len(widths)):
        used = widths[0] + sum(2 + widths[other] for other in (*parts[-1], index))
        if used > width and parts[-1]:
            parts.append([])
        parts[-1].append(index)
    return [
        (f"{row[0]:<{widths[0]}}" + "".join(f"  {row[index]:>{widths[index]}}" for index in part)).rstrip()
        for part in parts
        for row in rows
        if part is parts[0] or any(row[index] for index in part)
    ]


def _expected_line(audit: AuditResult) -> list[str]:
    if audit.expected is None:
        return []
    error_m, figures = audit.expected.error_m, audit.expected.law.figures
    low, high = figures["new_walk_interval_90_m"]
    ground = "where the photos are" if figures["where"] == "photos" else "anywhere on the site"
    return [
        f"Expected error of {safe_text(audit.expected.run)}: {np.sqrt(np.mean(error_m**2)):.0f} m RMSE over the cells, "
        f"{error_m.max():.0f} m in the worst. A new walk {ground}: {low:.0f} to {high:.0f} m (90 %).",
        "The stops lower this error most per minute on foot.",
    ]


def _next_walk(audit: AuditResult) -> list[str]:
    stops = audit.stops
    if not stops:
        return ["Next walk: every cell has what it needs."]
    first, path = stops[0], audit.dataset.audit_path / "walk-list.gpx"
    way, minutes = as_metres(audit.walk_length_m, 0), audit.walk_minutes
    time = f"about {format_count(round(minutes), 'minute')} with the photos"
    return [
        f"Next walk: {format_count(len(stops), 'stop')}, {way} on foot, {time}, start about {first.hour:02d}:00",
        *_expected_line(audit),
        *([audit.walk_warning] if audit.walk_warning else []),
        *(
            f"  {stop.order:>2}. {stop.lat:.6f}, {stop.lon:.6f}  look "
            f"{' '.join(SECTOR_NAMES[round(heading / 45) % 8] for heading in stop.headings_deg):<11}  {stop.why}"
            for stop in stops[:5]
        ),
        *([f"  ... and {len(stops) - 5} more in {safe_path(path)}"] if len(stops) > 5 else []),
    ]
