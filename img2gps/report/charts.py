"""Charts as inline SVG, drawn with classes so that one stylesheet serves light and dark.

No style attributes: the page's policy refuses them. Every chart carries its title as text for screen readers,
and bars carry their values as tooltips.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from markupsafe import Markup

__all__ = ["Series", "bar_chart", "line_chart", "nice_ticks", "rose_chart", "row_chart", "scatter_chart", "share_bar"]

_WIDTH: Final = 360
_HEIGHT: Final = 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 12, 38
_COMPASS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart; `low` and `high` draw a band around it, `dashed` marks a reference."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    """The plot's rectangle and its value ranges."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    height: int = _HEIGHT

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.height - _BOTTOM - (value - low) / (high - low) * (self.height - _BOTTOM - _TOP)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """Return the SVG path through the finite points; empty where there are none."""
        points = [
            f"{self.x(x):.1f} {self.y(y):.1f}"
            for x, y in zip(xs, ys, strict=True)
            if math.isfinite(x) and math.isfinite(y)
        ]
        return "M" + "L".join(points) if points else ""


def bar_chart(
    labels: Sequence[str], values: Sequence[float], *, title: str, x_label: str = "", y_label: str = "photos"
) -> Markup:
    """Return vertical bars; of many labels only as many are written as fit."""
    ticks = nice_ticks(0, max([*values, 1]), whole=True)
    axes = _Axes(x_range=(0, max(len(values), 1)), y_range=(0, ticks[-1]))
    every = max(1, math.ceil(len(labels) * max([len(label) for label in labels] + [1]) * 7 / (_WIDTH - _LEFT)))
    parts = [_y_axis(axes, ticks, y_label)]
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        left, right = axes.x(index + 0.12), axes.x(index + 0.88)
        top = axes.y(value)
        parts.append(
            Markup(
                '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
            ).format(left, top, right - left, axes.y(0) - top, f"{label}: {value:,.0f}")
        )
        if index % every == 0:
            parts.append(_text((left + right) / 2, axes.height - _BOTTOM + 14, label, "middle"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, axes.height - 5, x_label, "middle", "label"))
    return _svg(parts, title, axes.height)


def row_chart(labels: Sequence[str], values: Sequence[float], *, title: str) -> Markup:
    """Return horizontal bars with their labels and values, for names that need room."""
    total = sum(values)
    largest = max([*values, 1])
    parts = []
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        top = 10 + 34 * index
        share = f"{value:,.0f} ({100 * value / total:.0f} %)" if value else "0"
        bar = Markup('<rect class="bar" x="8" y="{}" width="{:.1f}" height="9" rx="2"/>')
        parts += [
            _text(8, top + 10, label, "start", "label"),
            _text(_WIDTH - 8, top + 10, share, "end"),
            Markup('<rect class="track" x="8" y="{}" width="{}" height="9" rx="2"/>').format(top + 15, _WIDTH - 16),
            bar.format(top + 15, (_WIDTH - 16) * value / largest),
        ]
    return _svg(parts, title, 14 + 34 * len(labels))


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_max: float | None = None,
    y_max: float | None = None,
    percent: bool = False,
    whole_x: bool = False,
) -> Markup:
    """Return lines from zero on both axes, with a legend where there are two or more.

    `percent` writes y as %; `whole_x` marks whole numbers alone, for what is counted.
    """
    top = y_max if y_max is not None else _largest(value for one in series for value in [*one.y, *(one.high or [])])
    right = x_max if x_max is not None else _largest(value for one in series for value in one.x)
    x_ticks, y_ticks = nice_ticks(0, right, whole=whole_x), nice_ticks(0, top)
    axes = _Axes(x_range=(0, right), y_range=(0, max(y_ticks[-1], top)))
    parts = [
        _y_axis(axes, y_ticks, y_label, percent=percent),
        _x_axis(axes, [t for t in x_ticks if t <= right], x_label),
    ]
    for index, one in enumerate(series):
        shade = index % 6
        if one.low is not None and one.high is not None:
            forth, back = axes.path(one.x, one.high), axes.path(one.x[::-1], one.low[::-1])
            parts.append(
                Markup('<path class="band fill-{}" d="{}Z"/>').format(shade, forth + back.replace("M", "L", 1))
            )
        kind = "line dashed" if one.dashed else "line"
        path = axes.path(*_cut(one.x, one.y, right))
        parts.append(
            Markup('<path class="{} stroke-{}" d="{}"><title>{}</title></path>').format(kind, shade, path, one.name)
        )
    return Markup("{}{}").format(_svg(parts, title, axes.height), _legend(series))


def scatter_chart(
    x: Sequence[float], y: Sequence[float], *, title: str, x_label: str, y_label: str, digits: int = 0
) -> Markup:
    """Return points over a common range of both axes with the diagonal on which they agree.

    All points are one path of zero-length strokes with round caps: 10,000 of them stay small and quick.
    """
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    low = min((value for pair in pairs for value in pair), default=0.0)
    high = max((value for pair in pairs for value in pair), default=1.0)
    low, high = (low, high) if high > low else (low - 1, high + 1)
    margin = 0.04 * (high - low)
    axes = _Axes(x_range=(low - margin, high + margin), y_range=(low - margin, high + margin), height=_WIDTH - 40)
    ticks = [tick for tick in nice_ticks(low, high, most=4) if low - margin <= tick <= high + margin]
    dots = "".join(f"M{axes.x(a):.1f} {axes.y(b):.1f}h0" for a, b in pairs)
    parts = [
        _y_axis(axes, ticks, y_label, digits=digits),
        _x_axis(axes, ticks, x_label, digits=digits),
        Markup('<path class="line dashed stroke-muted" d="{}"/>').format(axes.path([low, high], [low, high])),
        Markup('<path class="dots" d="{}"/>').format(dots),
    ]
    return _svg(parts, title, axes.height)


def rose_chart(counts: Sequence[int], *, title: str) -> Markup:
    """Return a rose of sectors clockwise from north, their area (not their radius) in proportion to the counts."""
    size, centre, radius = 210, 105.0, 82.0
    largest = max([*counts, 1])
    width = 2 * math.pi / len(counts)
    parts = [Markup('<circle class="grid" cx="{0}" cy="{0}" r="{1}"/>').format(centre, radius * f) for f in (0.5, 1.0)]
    for index, count in enumerate(counts):
        reach = radius * math.sqrt(count / largest)
        start, end = (index - 0.46) * width, (index + 0.46) * width
        corners = [(centre + reach * math.sin(a), centre - reach * math.cos(a)) for a in (start, end)]
        (x, y), (to_x, to_y) = corners
        path = f"M{centre} {centre}L{x:.1f} {y:.1f}A{reach:.1f} {reach:.1f} 0 0 1 {to_x:.1f} {to_y:.1f}Z"
        name = _COMPASS[index] if len(counts) == len(_COMPASS) else f"{math.degrees(index * width):.0f}°"
        parts.append(Markup('<path class="bar" d="{}"><title>{}</title></path>').format(path, f"{name}: {count:,}"))
        at = radius + 13
        parts.append(
            _text(centre + at * math.sin(index * width), centre - at * math.cos(index * width) + 4, name, "middle")
        )
    return _svg(parts, title, size, size, "chart rose")


def share_bar(share: float | None, label: str = "") -> Markup:
    """Return a thin bar filled to a share of 0..1, for cards and table cells."""
    filled = 0.0 if share is None or not math.isfinite(share) else min(max(share, 0.0), 1.0)
    return Markup(
        '<svg class="share" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" height="6"/><rect class="bar" width="{:.1f}" height="6"/></svg>'
    ).format(label or f"{100 * filled:.0f} %", 100 * filled)


def nice_ticks(low: float, high: float, *, most: int = 5, whole: bool = False) -> list[float]:
    """Return values at a step of 1, 2 or 5 times a power of ten, the first at most `low`, the last at least `high`."""
    span = high - low if high > low else 1.0
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [index * step for index in range(first, last + 1)]


def _cut(xs: Sequence[float], ys: Sequence[float], right: float) -> tuple[list[float], list[float]]:
    """Return a line up to `right`, with the point where it leaves."""
    points = list(zip(xs, ys, strict=True))
    kept = [point for point in points if point[0] <= right]
    if len(kept) < len(points) and kept:
        (x, y), (next_x, next_y) = kept[-1], points[len(kept)]
        kept.append((right, y + (next_y - y) * (right - x) / (next_x - x)))
    return [x for x, _ in kept], [y for _, y in kept]


def _largest(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return max(finite, default=1.0) or 1.0


def _y_axis(axes: _Axes, ticks: Sequence[float], label: str, *, percent: bool = False, digits: int = 0) -> Markup:
    write: Callable[[float], str] = (lambda v: f"{100 * v:.0f}%") if percent else (lambda v: _tick(v, ticks, digits))
    lines = [
        Markup('<path class="grid" d="M{} {:.1f}H{}"/>{}').format(
            _LEFT, axes.y(tick), _WIDTH - _RIGHT, _text(_LEFT - 5, axes.y(tick) + 4, write(tick), "end")
        )
        for tick in ticks
    ]
    middle = (_TOP + axes.height - _BOTTOM) / 2
    turned = Markup('<text class="label" text-anchor="middle" transform="translate(10 {:.0f}) rotate(-90)">{}</text>')
    return Markup("").join([*lines, turned.format(middle, label)])


def _x_axis(axes: _Axes, ticks: Sequence[float], label: str, digits: int = 0) -> Markup:
    base = axes.height - _BOTTOM
    marks = [_text(axes.x(tick), base + 14, _tick(tick, ticks, digits), "middle") for tick in ticks]
    line = Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, base, _WIDTH - _RIGHT)
    name = _text((_LEFT + _WIDTH - _RIGHT) / 2, axes.height - 5, label, "middle", "label")
    return Markup("").join([line, *marks, name])


def _tick(value: float, ticks: Sequence[float], digits: int) -> str:
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0
    decimals = max(digits, 0 if step >= 1 else min(6, math.ceil(-math.log10(step) - 1e-9)))
    return f"{value:,.{decimals}f}".replace("-", "−")


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)


def _legend(series: Sequence[Series]) -> Markup:
    if len(series) < 2:
        return Markup("")
    item = Markup(
        '<li><svg viewBox="0 0 20 8" aria-hidden="true"><path class="{} stroke-{}" d="M1 4H19"/></svg>{}</li>'
    )
    items = [item.format("line dashed" if one.dashed else "line", i % 6, one.name) for i, one in enumerate(series)]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _svg(parts: Sequence[Markup], title: str, height: int, width: int = _WIDTH, kind: str = "chart") -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        kind, width, height, title, Markup("").join(parts)
    )
