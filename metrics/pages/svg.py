"""Plots as SVG text: intervals beside a floor, clouds of points, bars alone and in groups; the page has the colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Interval", "bar_plot", "grouped_bar_plot", "interval_plot", "scatter_plot", "ticks"]

WIDTH = 460
_LINE = 26  # pixels of height a row
_LETTER = 7.2  # pixels of width a character, about
_RIGHT = 16
_MOST_LETTERS = 34  # of a label at the left
_BAR = 14  # pixels of height a bar of a group


@dataclass(frozen=True)
class Interval:
    """A row of an interval plot.

    Attributes:
        label: At its left.
        value: The point.
        low: Lower end of the interval; None for none.
        high: Its upper end.
        mark: A second point, drawn hollow: the floor, or a threshold.
        tone: CSS class of the point: "", "pass", "fail" or "undecided".
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None
    tone: str = ""

    @property
    def numbers(self) -> list[float]:
        """All its finite numbers."""
        every = (self.value, self.low, self.high, self.mark)
        return [one for one in every if one is not None and math.isfinite(one)]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from low to high."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / rough)))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def interval_plot(rows: Sequence[Interval], title: str) -> str:
    """Points with their intervals, a row each, hollow marks for floors; rows without a finite number are left out."""
    rows = [row for row in rows if math.isfinite(row.value)]
    if not rows:
        return ""
    numbers = [one for row in rows for one in row.numbers]
    left = _room([row.label for row in rows])
    axis = _Axis.around(numbers, left, WIDTH - _RIGHT)
    height = _LINE * len(rows)
    parts = [axis.grid(height)]
    for number, row in enumerate(rows):
        y = _LINE * (number + 0.5)
        parts.append(_text(left - 8, y + 4, _short(row.label), "end"))
        if row.low is not None and row.high is not None and math.isfinite(row.low) and math.isfinite(row.high):
            ends = f'x1="{axis(row.low):.1f}" x2="{axis(row.high):.1f}"'
            parts.append(f'<line class="span {row.tone}" {ends} y1="{y:.1f}" y2="{y:.1f}"/>')
        if row.mark is not None and math.isfinite(row.mark):
            x = axis(row.mark)
            parts.append(f'<path class="mark" d="M{x:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z"/>')
        parts.append(f'<circle class="point {row.tone}" cx="{axis(row.value):.1f}" cy="{y:.1f}" r="4"/>')
    return _picture(WIDTH, height + 22, title, parts)


def scatter_plot(clouds: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """Clouds of points, the first as CSS class cloud0, the second as cloud1; no units on the axes."""
    points = [point for cloud in clouds.values() for point in cloud if all(map(math.isfinite, point))]
    if not points:
        return ""
    across, down = (_Axis.around([point[k] for point in points], 8, WIDTH - 8) for k in (0, 1))
    parts = [f'<rect class="frame" x="1" y="1" width="{WIDTH - 2}" height="{WIDTH - 2}"/>']
    for number, cloud in enumerate(clouds.values()):
        dots = [
            f'<circle cx="{across(x):.1f}" cy="{WIDTH - down(y):.1f}" r="3"/>'
            for x, y in cloud
            if math.isfinite(x) and math.isfinite(y)
        ]
        parts.append(f'<g class="cloud{number}">{"".join(dots)}</g>')
    return _picture(WIDTH, WIDTH, title, parts)


def bar_plot(bars: Sequence[tuple[str, float]], title: str, *, unit: str = "") -> str:
    """Bars from 0, a row each, with their numbers."""
    bars = [bar for bar in bars if math.isfinite(bar[1])]
    if not bars:
        return ""
    left = _room([label for label, _ in bars])
    axis = _Axis(0.0, max(*(value for _, value in bars), 1e-12), left, WIDTH - 64)
    parts = []
    for number, (label, value) in enumerate(bars):
        y = _LINE * number
        width = max(axis(max(value, 0.0)) - left, 0.5)
        parts.append(_text(left - 8, y + 17, _short(label), "end"))
        parts.append(f'<rect class="bar" x="{left:.1f}" y="{y + 5}" width="{width:.1f}" height="{_LINE - 10}"/>')
        parts.append(_text(left + width + 6, y + 17, f"{value:.3g}{unit}", "start"))
    return _picture(WIDTH, _LINE * len(bars), title, parts)


def grouped_bar_plot(rows: Sequence[tuple[str, Sequence[tuple[float, str]]]], title: str) -> str:
    """Bars from 0 in groups, a group a row: of CSS class series0, series1, … in every group.

    Args:
        rows: Label, and for each bar its length and what to write at its end.
        title: For readers who do not see it.
    """
    rows = [row for row in rows if all(math.isfinite(value) for value, _ in row[1])]
    if not rows:
        return ""
    left = _room([label for label, _ in rows])
    right = 14 + _LETTER * max(len(said) for _, bars in rows for _, said in bars)
    axis = _Axis(0.0, max(1e-12, *(value for _, bars in rows for value, _ in bars)), left, WIDTH - right)
    parts, y = [], 0.0
    for label, bars in rows:
        height = max(_BAR * len(bars), _LINE - 10) + 10
        parts.append(_text(left - 8, y + height / 2 + 4, _short(label), "end"))
        top = y + (height - _BAR * len(bars)) / 2
        for number, (value, said) in enumerate(bars):
            width = max(axis(max(value, 0.0)) - left, 0.5)
            place = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BAR - 2}"'
            parts.append(f'<rect class="series{number}" {place}/>')
            parts.append(_text(left + width + 6, top + _BAR - 3, said, "start"))
            top += _BAR
        y += height
    return _picture(WIDTH, y, title, parts)


@dataclass(frozen=True)
class _Axis:
    """From numbers to pixels."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, numbers: Sequence[float], start: float, end: float) -> _Axis:
        """With a margin of 5 %."""
        low, high = min(numbers), max(numbers)
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def grid(self, height: float) -> str:
        lines = []
        for tick in ticks(self.low, self.high, 4):
            x = self(tick)
            lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>')
            lines.append(_text(x, height + 16, f"{tick:.6g}", "middle"))
        return "".join(lines)


def _room(labels: Sequence[str]) -> float:
    """Pixels for the labels at the left."""
    return 14 + _LETTER * max(len(_short(label)) for label in labels)


def _short(label: str) -> str:
    return label if len(label) <= _MOST_LETTERS else f"{label[: _MOST_LETTERS - 1]}…"


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def _picture(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"
