"""A panel for each metric: severity to the right, a line for each corruption, real halves as a band."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from synth.metrics.pages.svg import ticks
from synth.metrics.scoring.metrics import METRICS

from .corruptions import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.metrics.score_value import Score

    from .corruptions import Corruption
    from .run import Run

__all__ = ["drawing"]

ACROSS, WIDTH, HEIGHT = 3, 330, 236  # panels in a row, pixels of a panel
LEFT, TOP, RIGHT, BOTTOM = 46, 30, 12, 26  # around the plot of a panel
INK, FAINT, GRID, BAND = "#222222", "#777777", "#e4e4e4", "#cfcfcf"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#7a3e9d", "#8c6d1f", "#e69f00", "#333333")
APART = 2.2  # pixels between lines at one severity, so that intervals can be seen
ARROWS = {"lower": "lower is better", "higher": "higher is better", "alike": "the reference's own is best"}
SCALED = ("fd", "fd-inf", "kid", "cmmd")  # over orders of magnitude, and perhaps below 0


def drawing(result: Run, title: str) -> str:
    """The picture as an SVG document."""
    names = list(result.real[0])
    rows = -(-(len(names) + 1) // ACROSS)
    width, height = ACROSS * WIDTH, 34 + rows * HEIGHT
    parts = [f'<rect width="{width}" height="{height}" fill="#ffffff"/>', _text(12, 22, title, size=15, weight=600)]
    for k, name in enumerate(names):
        parts += _placed(k, _panel(name, result))
    parts += _placed(len(names), _legend(result.corruptions, len(result.real)))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="12" '
        f'role="img" aria-label="{escape(title, quote=True)}">'
    )
    return "\n".join([head, *parts, "</svg>\n"])


@dataclass(frozen=True)
class _Scale:
    """From values to pixels down; with `unit`, linear up to about the unit and logarithmic beyond."""

    low: float
    high: float
    unit: float | None = None

    @classmethod
    def of(cls, values: Sequence[float], unit: float | None) -> _Scale:
        bent = cls(0.0, 1.0, unit)
        low, high = min(map(bent.bend, values)), max(map(bent.bend, values))
        margin = 0.05 * (high - low) or 1.0
        return cls(low - margin, high + margin, unit)

    def bend(self, value: float) -> float:
        return value if self.unit is None else math.asinh(value / self.unit)

    def __call__(self, value: float) -> float:
        share = min(max((self.bend(value) - self.low) / (self.high - self.low), 0.0), 1.0)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)

    def ticks(self) -> list[float]:
        if self.unit is None:
            return ticks(self.low, self.high, 5)
        low, high = (self.unit * math.sinh(end) for end in (self.low, self.high))
        first = math.ceil(math.log10(self.unit))
        powers = [10.0**power for power in range(first, first + 9)]
        return [one for one in (*(-power for power in reversed(powers)), 0.0, *powers) if low <= one <= high]


def _panel(name: str, result: Run) -> list[str]:
    traces = [[scores[name] for scores in trace] for trace in result.traces]
    real = [scores[name].value for scores in result.real]
    values = [*real, *(one.value for trace in traces for one in trace)]
    if name not in SCALED:
        values += [end for trace in traces for one in trace for end in (one.low, one.high) if end is not None]
    scale = _Scale.of(values, max(map(abs, real)) if name in SCALED else None)
    parts = [_text(LEFT, 18, name, weight=600), _text(WIDTH - RIGHT, 18, ARROWS[METRICS[name].better], "end", FAINT)]
    top, bottom = scale(max(real)), scale(min(real))
    parts.append(_box(LEFT, top, WIDTH - LEFT - RIGHT, max(bottom - top, 1.0), BAND))
    for tick in scale.ticks():
        y = scale(tick)
        parts += [_level(y), _text(LEFT - 5, y + 4, _number(tick), "end", FAINT)]
    for level in range(LEVELS + 1):
        parts.append(_text(_across(level), HEIGHT - 10, str(level), "middle", FAINT))
    for k, (one, trace) in enumerate(zip(result.corruptions, traces, strict=True)):
        parts += _trace(one, trace, scale, k, len(traces))
    return parts


def _number(tick: float) -> str:
    power = round(math.log10(abs(tick))) if tick else 0
    if power < 4:
        return f"{tick:g}"
    return ("−" if tick < 0 else "") + "10" + str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _across(level: float) -> float:
    return LEFT + 14 + level * (WIDTH - LEFT - RIGHT - 28) / LEVELS


def _trace(one: Corruption, scores: Sequence[Score], scale: _Scale, k: int, count: int) -> list[str]:
    shift = APART * (k - (count - 1) / 2)
    across = [_across(level) + (shift if level else 0) for level in range(len(scores))]
    points = [(x, scale(score.value)) for x, score in zip(across, scores, strict=True)]
    spans = [
        f"M{x:.1f} {scale(score.low):.1f}V{scale(score.high):.1f}"
        for x, score in zip(across, scores, strict=True)
        if score.low is not None and score.high is not None
    ]
    line = _stroke(" ".join(f"{x:.1f},{y:.1f}" for x, y in points), COLOURS[k], dashed=not one.of_images)
    whiskers = f'<path d="{"".join(spans)}" stroke="{COLOURS[k]}" stroke-width="0.7"/>'
    return [line, whiskers, _marks(one, points, COLOURS[k])]


def _stroke(points: str, colour: str, *, dashed: bool) -> str:
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'


def _marks(one: Corruption, points: Sequence[tuple[float, float]], colour: str) -> str:
    """Dots, or squares where who is in the set changes: lines of no length with round or square ends."""
    ends, width = ("round", 5) if one.of_images else ("square", 4)
    path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width}" stroke-linecap="{ends}"/>'


def _legend(corruptions: Sequence[Corruption], splits: int) -> list[str]:
    parts = [_text(14, 18, "severity", weight=600), _text(140, 18, "1, 2, 3, 4 (0: unchanged)", fill=FAINT)]
    for k, one in enumerate(corruptions):
        y = 38 + 18 * k
        parts += [
            _stroke(f"14,{y} 36,{y}", COLOURS[k], dashed=not one.of_images),
            _marks(one, [(25, y)], COLOURS[k]),
            _text(42, y + 4, one.name),
            _text(140, y + 4, _levels(one.labels)),
        ]
    y = 38 + 18 * len(corruptions)
    return [*parts, _box(14, y - 5, 22, 11, BAND), _text(42, y + 4, f"two real halves, {splits} times; whiskers: 95 %")]


def _levels(labels: Sequence[str]) -> str:
    """What all labels begin or end with is said once: "σ 0.5, 1 px" of "σ 0.5 px" and "σ 1 px"."""
    words = [label.split(" ") for label in labels]
    head = words[0][0] if len(words[0]) > 1 and len({one[0] for one in words}) == 1 else ""
    tail = words[0][-1] if len(words[0]) > 1 and len({one[-1] for one in words}) == 1 else ""
    middle = ", ".join(" ".join(one[bool(head) : len(one) - bool(tail)]) for one in words)
    return " ".join(part for part in (head, middle, tail) if part)


def _placed(number: int, parts: list[str]) -> list[str]:
    x, y = WIDTH * (number % ACROSS), 34 + HEIGHT * (number // ACROSS)
    return [f'<g transform="translate({x} {y})">', *parts, "</g>"]


def _level(y: float) -> str:
    return f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>'


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def _text(
    x: float, y: float, content: str, anchor: str = "start", fill: str = INK, *, size: int = 12, weight: int = 400
) -> str:
    style = f'text-anchor="{anchor}" fill="{fill}"'
    style += f' font-size="{size}"' if size != 12 else ""
    style += f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(content)}</text>'
