"""Stacked bars as an SVG document, without a plotting library."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.metrics.frd.explain import Share

__all__ = ["bars"]

WIDTH, LABELS, BARS = 900, 400, 400
ROW, BAR, HEAD = 20, 13, 40
MEAN, COVARIANCE, INK, FAINT = "#33658a", "#f6ae2d", "#222222", "#777777"
FONT = "system-ui, sans-serif"


def bars(title: str, panels: Sequence[tuple[str, Sequence[Share]]]) -> str:
    """Panels of horizontal bars, the mean part then the covariance part, each panel to its own largest.

    Args:
        title: Over the picture.
        panels: Heading and shares, in the order of the rows.
    """
    body, y = [_text(16, 26, title, size=15, weight="600")], 44
    body += [_box(16, y, 12, MEAN), _text(34, y + 11, "means differ")]
    body += [_box(136, y, 12, COVARIANCE), _text(154, y + 11, "variances and correlations differ")]
    y += 24
    for heading, shares in panels:
        body.append(_text(16, y + 22, heading, size=13, weight="600"))
        y += HEAD - 8
        most = max((one.total for one in shares), default=0.0) or 1.0
        for one in shares:
            body += _row(one, y, BARS / most)
            y += ROW
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    label = f' font-family="{FONT}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">'
    return "\n".join([head + label, f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>', *body, "</svg>\n"])


def _row(one: Share, y: int, scale: float) -> list[str]:
    first, second = one.mean * scale, one.covariance * scale
    return [
        _text(LABELS - 8, y + BAR - 2, one.name, anchor="end"),
        _box(LABELS, y, first, MEAN),
        _box(LABELS + first, y, second, COVARIANCE),
        _text(LABELS + first + second + 6, y + BAR - 2, f"{one.share:.1%}", fill=FAINT),
    ]


def _box(x: float, y: float, width: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{fill}"/>'


def _text(
    x: float, y: float, text: str, *, size: int = 12, weight: str = "400", anchor: str = "start", fill: str = INK
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
