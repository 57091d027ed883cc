"""Plots as SVG that stands within a page: lines over time, and bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from vna.migration.report.scales import moment, short, ticks

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 18, 34
_ROW, _NAME, _NUMBER = 24, 110, 170
_INNER = _WIDTH - _LEFT - _RIGHT
_FLOOR = _HEIGHT - _BOTTOM
_LABELS = 14


@dataclass(frozen=True, slots=True)
class Title:
    """What a plot is called, and what it shows in words. `key` makes its ids unique in the page."""

    key: str
    text: str
    words: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of three parts, one on the other; `number` is written beside it."""

    name: str
    verified: int
    exceptions: int
    rest: int
    number: str = ""

    @property
    def height(self) -> int:
        """All parts together."""
        return self.verified + self.exceptions + self.rest


def growth(title: Title, points: Sequence[tuple[datetime, int]], goal: int) -> str:
    """A line that climbs through `points` (at least one), below a dashed one at `goal`."""
    first, last = points[0][0], points[-1][0]
    seconds = max((last - first).total_seconds(), 1.0)
    scale = ticks(max(goal, points[-1][1]))

    def at(when: datetime) -> float:
        return _LEFT + _INNER * (when - first).total_seconds() / seconds

    path = [f"M{_LEFT} {_FLOOR}"]
    height = float(_FLOOR)
    for when, value in points:
        path.append(f"L{at(when):.1f} {height:.1f}")  # nothing is there before it was verified
        height = _up(value, scale)
        path.append(f"L{at(when):.1f} {height:.1f}")
    line = " ".join(path)
    ceiling = _up(goal, scale)
    return _svg(
        title,
        _HEIGHT,
        _rungs(scale)
        + _moments(first, last, seconds)
        + f'<path class="area" d="{line} L{at(last):.1f} {_FLOOR} Z"/><path class="line" d="{line}"/>'
        + f'<path class="goal" d="M{_LEFT} {ceiling:.1f} H{_WIDTH - _RIGHT}"/>'
        + _text(_LEFT + 6, ceiling - 5, f"listed: {short(goal)}"),
    )


def rate(title: Title, steps: Sequence[tuple[datetime, float]], width: int) -> str:
    """A bar for each step of `width` seconds, at least one; those that are missing are zero."""
    first, last = steps[0][0], steps[-1][0]
    seconds = (last - first).total_seconds() + width
    scale = ticks(max(value for _, value in steps))
    broad = _INNER * width / seconds
    bars = []
    for when, value in steps:
        x, top = _LEFT + _INNER * (when - first).total_seconds() / seconds, _up(value, scale)
        bars.append(
            f'<rect class="verified" x="{x:.1f}" y="{top:.1f}" width="{max(broad * 0.9, 0.8):.1f}" '
            f'height="{_FLOOR - top:.1f}"/>'
        )
    return _svg(title, _HEIGHT, _rungs(scale) + _moments(first, last, seconds) + "".join(bars))


def columns(title: Title, bars: Sequence[Bar]) -> str:
    """Bars side by side, at least one."""
    scale = ticks(max(bar.height for bar in bars))
    broad = _INNER / len(bars)
    every = -(-len(bars) // _LABELS)
    parts = []
    for number, bar in enumerate(bars):
        x, height = _LEFT + broad * number + broad * 0.1, 0
        for kind, value in _parts(bar):
            low, high = _up(height, scale), _up(height + value, scale)
            parts.append(_rect(kind, (x, high, min(broad * 0.8, 48), low - high), bar, value))
            height += value
        if not number % every:
            middle = x + min(broad * 0.8, 48) / 2
            parts.append(_text(middle, _FLOOR + 18, bar.name, "middle"))
    return _svg(title, _HEIGHT, _rungs(scale) + "".join(parts))


def rows(title: Title, bars: Sequence[Bar]) -> str:
    """Bars below each other, at least one, with their names before and their numbers behind them."""
    highest = max(*(bar.height for bar in bars), 1)
    room = _WIDTH - _NAME - _NUMBER
    parts = []
    for number, bar in enumerate(bars):
        y, x = 6 + _ROW * number, float(_NAME)
        parts.append(_text(_NAME - 8, y + 14, bar.name, "end"))
        for kind, value in _parts(bar):
            broad = room * value / highest
            parts.append(_rect(kind, (x, y + 2, max(broad, 1.0), _ROW - 8), bar, value))
            x += broad
        parts.append(_text(x + 8, y + 14, bar.number))
    return _svg(title, 12 + _ROW * len(bars), "".join(parts))


def _parts(bar: Bar) -> list[tuple[str, int]]:
    parts = (("verified", bar.verified), ("exception", bar.exceptions), ("rest", bar.rest))
    return [(kind, value) for kind, value in parts if value]


def _rect(kind: str, place: tuple[float, float, float, float], bar: Bar, value: int) -> str:
    x, y, width, height = place
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0.5):.1f}">'
        f"<title>{escape(bar.name)}: {value} {'not decided or excluded' if kind == 'rest' else kind}</title></rect>"
    )


def _up(value: float, scale: Sequence[float]) -> float:
    return _FLOOR - (_FLOOR - _TOP) * value / scale[-1]


def _rungs(scale: Sequence[float]) -> str:
    lines = (
        f'<path class="rung" d="M{_LEFT} {_up(value, scale):.1f} H{_WIDTH - _RIGHT}"/>'
        + _text(_LEFT - 8, _up(value, scale) + 4, short(value), "end")
        for value in scale
    )
    return "".join(lines)


def _moments(first: datetime, last: datetime, seconds: float) -> str:
    parts = 4
    texts = []
    for number in range(parts + 1):
        when = first + (last - first) * number / parts
        anchor = {0: "start", parts: "end"}.get(number, "middle")
        x = _LEFT + _INNER * number / parts
        texts.append(_text(x, _FLOOR + 18, moment(when, seconds), anchor))
        if first == last:
            break
    return "".join(texts)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: Title, height: int, content: str) -> str:
    key = escape(title.key)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="{key}-t {key}-d">'
        f'<title id="{key}-t">{escape(title.text)}</title><desc id="{key}-d">{escape(title.words)}</desc>'
        f"{content}</svg>"
    )
