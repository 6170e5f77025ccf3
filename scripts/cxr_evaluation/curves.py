"""Control against fidelity: distances and areas over steps and guidance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cxr_evaluation.alignment import mean_area
from cxr_evaluation.distribution import compared, radiomics
from cxr_evaluation.study import Part
from synth.core.files import write_bytes
from synth.diffusion.cxr.generate import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cxr_evaluation.study import Study

__all__ = ["curves", "plot"]

_PANEL, _LEFT, _TOP, _GAP = (300, 190), 56, 30, 70
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")

Curve = dict[str, list[tuple[float, float]]]


def curves(study: Study, steps: Sequence[int], guidances: Sequence[float], count: int) -> Part:
    """Every pair of steps and guidance, on the prompts of the first frontal held-out radiographs."""
    rows = study.frontal[:count]
    shown, real = study.held_out.some(rows), study.held_out.images
    spaces = {"classifier": study.reader.features(real), "radiomics": radiomics(real, study.cache)}
    part, lines = Part(), []
    for guidance in guidances:
        for number in steps:
            drawn = study.drawn(shown.conditions, Settings(steps=number, guidance=guidance))
            own = {"classifier": study.reader.features(drawn.images), "radiomics": radiomics(drawn.images, study.cache)}
            found = {}
            for name, values in spaces.items():
                placed = np.zeros_like(values)
                placed[rows] = own[name]
                found[name] = compared(study, rows, values, placed).get("ratio", math.nan)
            areas = mean_area(study.reader, drawn.images, shown)
            part.values[f"{number} steps, guidance {guidance:g}"] = found | areas
            lines.append(
                [str(number), f"{guidance:g}", *(f"{value:.3g}" for value in (*found.values(), *areas.values()))]
            )
    head = [
        "steps",
        "guidance",
        "classifier, samples / halves",
        "radiomics, samples / halves",
        "AUC of findings",
        "of sex",
    ]
    part.add(f"Steps and guidance, {len(rows)} samples each", head, lines)
    write_bytes(study.out / "curves.svg", _picture(part.values, steps, guidances).encode())
    return part


def plot(panels: Mapping[str, Curve], *, across: str, logarithmic: Sequence[str] = ()) -> str:
    """Lines in panels side by side, as SVG.

    Args:
        panels: Title → label of a line → its points.
        across: What x is; its axis is logarithmic.
        logarithmic: Titles of panels with a logarithmic y.
    """
    parts = []
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    for place, (title, lines) in enumerate(panels.items()):
        left = _LEFT + place * (_PANEL[0] + _GAP)
        body = _panel(title, lines, labels, across, logarithmic=title in logarithmic)
        parts.append(f'<g transform="translate({left},{_TOP})">{body}</g>')
    for place, label in enumerate(labels):
        x, y = _LEFT + 110 * place, _TOP + _PANEL[1] + 50
        parts.append(f'<rect x="{x}" y="{y - 8}" width="14" height="4" fill="{_COLOURS[place % len(_COLOURS)]}"/>')
        parts.append(f'<text x="{x + 20}" y="{y}">{label}</text>')
    width, height = _LEFT + len(panels) * (_PANEL[0] + _GAP), _TOP + _PANEL[1] + 64
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11">{"".join(parts)}</svg>\n'
    )


def _picture(values: Mapping[str, Mapping[str, float]], steps: Sequence[int], guidances: Sequence[float]) -> str:
    titles = {"classifier": "distance over halves, classifier", "radiomics": "distance over halves, radiomics",
              "findings": "AUC of findings"}  # fmt: skip
    panels: dict[str, Curve] = {
        title: {
            f"guidance {guidance:g}": [
                (number, values[f"{number} steps, guidance {guidance:g}"][key]) for number in steps
            ]
            for guidance in guidances
        }
        for key, title in titles.items()
    }
    return plot(panels, across="steps", logarithmic=[titles["classifier"], titles["radiomics"]])


def _panel(title: str, lines: Curve, labels: Sequence[str], across: str, *, logarithmic: bool) -> str:
    width, height = _PANEL
    frame = f'<rect width="{width}" height="{height}" fill="none" stroke="#999"/><text y="-8">{title}</text>'
    frame += f'<text x="{width}" y="{height + 28}" text-anchor="end">{across}</text>'
    scale = math.log10 if logarithmic else float
    points = [(x, y) for line in lines.values() for x, y in line if math.isfinite(y) and (y > 0 or not logarithmic)]
    if not points:
        return frame
    xs, ys = sorted({x for x, _ in points}), [y for _, y in points]
    first, last, low, high = math.log10(xs[0]), math.log10(xs[-1]), scale(min(ys)), scale(max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        along = (math.log10(x) - first) / ((last - first) or 1)
        return 12 + along * (width - 24), 10 + (height - 20) * (1 - (scale(y) - low) / ((high - low) or 1))

    parts = [f'<text x="{place(x, ys[0])[0]:.1f}" y="{height + 14}" text-anchor="middle">{x:g}</text>' for x in xs]
    parts += [
        f'<text x="-4" y="{place(xs[0], y)[1] + 4:.1f}" text-anchor="end">{y:.3g}</text>' for y in (min(ys), max(ys))
    ]
    for label, line in lines.items():
        kept = [place(x, y) for x, y in line if (x, y) in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in kept)
        colour = _COLOURS[labels.index(label) % len(_COLOURS)]
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in kept]
    return frame + "".join(parts)
