"""The picture of a plan: for each column two bars a value, before and after, as one SVG for light and dark pages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["draw_picture"]

_WIDTH = 920
_GAP = 40  # between the two columns of panels
_MARGIN = 24
_ROW = 38  # height of a value: two bars and air
_BAR = 13
_HEAD = 40  # height of a panel's title
_LETTER = 6.7  # width of a character of 12 px, about
_TITLES = {"age_group": "age", "finding": "primary finding", "any_finding": "all findings, an image under each"}

_STYLE = """
svg { --ink: #1c2430; --soft: #5c6775; --paper: #ffffff; --before: #a9b4c2; --after: #2a6fb0; --made: #d9662b; }
@media (prefers-color-scheme: dark) { svg { --ink: #e4e8ee; --soft: #9aa5b3; --paper: #14181e; --before: #56616f;
  --after: #4f93cf; --made: #f0935f; } }
text { font: 12px system-ui, sans-serif; fill: var(--soft); } .value { fill: var(--ink); }
.title, .head { font-size: 15px; font-weight: 600; fill: var(--ink); } .head { font-size: 18px; }
.paper { fill: var(--paper); } .before { fill: var(--before); }
.after { fill: var(--after); } .made { fill: var(--made); }
.base { stroke: var(--soft); stroke-opacity: .5; }
"""


def draw_picture(told: Mapping[str, Any]) -> str:
    """The SVG of a plan's summary; see `synth.dataset.plan.summary.summary`."""
    fill = told["settings"]["fill"]
    panels = [(name, rows) for name, rows in told["marginals"].items() if rows]
    top = 92
    width = (_WIDTH - 2 * _MARGIN - _GAP) / 2
    ends = [float(top), float(top)]
    parts = []
    for name, rows in sorted(panels, key=lambda panel: -len(panel[1])):  # the longest first, each where there is room
        side = ends.index(min(ends))
        left = _MARGIN + side * (width + _GAP)
        parts.append(_panel(name, rows, left, ends[side], width))
        ends[side] += _HEAD + _ROW * len(rows) + 24
    title = f"{told['samples']} samples over {', '.join(_TITLES.get(name, name) for name in told['columns'])}"
    height = max(ends)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" '
        f'height="{height:g}" role="img" aria-label="{escape(title, quote=True)}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f'<rect class="paper" width="{_WIDTH}" height="{height:g}"/>'
        f"{_text(_MARGIN, 36, title, 'head')}{_key(fill)}{''.join(parts)}</svg>\n"
    )


def _key(fill: bool) -> str:
    after = [("after", "there already"), ("made", "to be made")] if fill else [("made", "to be made")]
    parts, x = [], float(_MARGIN)
    for kind, word in [("before", "before"), *after]:
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="52" width="12" height="12" rx="2"/>')
        parts.append(_text(x + 18, 62, word))
        x += 18 + _LETTER * len(word) + 22
    return "".join(parts)


def _panel(name: str, rows: Sequence[Mapping[str, Any]], left: float, top: float, width: float) -> str:
    """One column: bars from a common base, numbers at their ends."""
    labels = min(width / 2, 18 + _LETTER * max(len(str(row["value"])) for row in rows))
    longest = max(max(row["before"], row["after"]) for row in rows) or 1
    room = width - labels - 12 - _LETTER * len(f"{longest} (100 %)")
    base = left + labels
    parts = [_text(left, top + 16, _TITLES.get(name, name), "title")]
    sums = {key: sum(row[key] for row in rows) or 1 for key in ("before", "after")}
    for number, row in enumerate(rows):
        y = top + _HEAD + _ROW * number
        parts.append(_text(base - 8, y + _BAR + 4, _short(str(row["value"]), labels), "value", "end"))
        there, grown = row["after"] - row["made"], row["made"]
        spans = [
            ("before", y, 0, row["before"]),
            ("after", y + _BAR + 1, 0, there),
            ("made", y + _BAR + 1, there, grown),
        ]
        for kind, at, start, length in spans:
            if length:
                x, wide = base + room * start / longest, max(room * length / longest, 1.0)
                parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{at:.1f}" width="{wide:.1f}" height="{_BAR}"/>')
        for key, at in (("before", y), ("after", y + _BAR + 1)):
            share = "" if name == "any_finding" else f" ({100 * row[key] / sums[key]:.0f} %)"
            parts.append(_text(base + room * row[key] / longest + 6, at + _BAR - 2, f"{row[key]}{share}"))
    bottom = top + _HEAD + _ROW * len(rows) - 8
    parts.append(f'<line class="base" x1="{base:.1f}" x2="{base:.1f}" y1="{top + _HEAD - 4:.1f}" y2="{bottom:.1f}"/>')
    return "".join(parts)


def _short(label: str, room: float) -> str:
    most = int((room - 8) / _LETTER)
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
