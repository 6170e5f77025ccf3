"""log.csv, a row every so many steps, and its curves as SVG."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

from synth.core.files import atomic_path, write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Log", "curves"]

_PANEL = (420, 150)  # pixels of width and height
_MARGIN = (64, 26)


class Log:
    """The rows of a stage; a resumed run goes on after the step of its checkpoint.

    Args:
        path: The table.
        step: Rows of later steps are forgotten.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if step and path.is_file():
            with path.open(encoding="utf-8", newline="") as stream:
                self.rows = [row for row in csv.DictReader(stream) if int(row["step"]) <= step]

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Puts values into the row of a step."""
        row = next((row for row in self.rows[-1:] if row["step"] == str(step)), None)
        if row is None:
            row = {"step": str(step)}
            self.rows.append(row)
        row |= {key: f"{value:.6g}" for key, value in values.items()}

    def write(self) -> None:
        """Writes the table, and the curves beside it."""
        names = list(dict.fromkeys(key for row in self.rows for key in row))
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        write_bytes(self.path.with_name("curves.svg"), curves(self.rows).encode())


def curves(rows: Sequence[Mapping[str, str]]) -> str:
    """A panel for each column of numbers over steps; losses have logarithmic axes."""
    names = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "step"]
    panels = []
    for place, name in enumerate(names):
        points = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
        left, top = place % 2 * (_PANEL[0] + _MARGIN[0]), place // 2 * (_PANEL[1] + 2 * _MARGIN[1])
        panels.append(f'<g transform="translate({left + _MARGIN[0]},{top + _MARGIN[1]})">{_panel(name, points)}</g>')
    width = 2 * (_PANEL[0] + _MARGIN[0]) + 20
    height = math.ceil(len(names) / 2) * (_PANEL[1] + 2 * _MARGIN[1])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11">{"".join(panels)}</svg>\n'
    )


def _panel(name: str, points: list[tuple[float, float]]) -> str:
    logarithmic = "loss" in name
    points = [(x, y) for x, y in points if math.isfinite(y) and (y > 0 or not logarithmic)]
    frame = f'<rect width="{_PANEL[0]}" height="{_PANEL[1]}" fill="none" stroke="#999"/><text y="-6">{name}</text>'
    if not points:
        return frame
    values = [math.log10(y) if logarithmic else y for _, y in points]
    low, high, last = min(values), max(values), max(x for x, _ in points) or 1.0
    reach = (high - low) or 1.0
    at = [
        f"{x / last * _PANEL[0]:.1f},{_PANEL[1] * (1 - (value - low) / reach):.1f}"
        for (x, _), value in zip(points, values, strict=True)
    ]
    ends = [f"{10**value if logarithmic else value:.4g}" for value in (high, low)]
    return (
        f'{frame}<polyline points="{" ".join(at)}" fill="none" stroke="#1f5fa8"/>'
        f'<text x="-4" y="10" text-anchor="end">{ends[0]}</text>'
        f'<text x="-4" y="{_PANEL[1]}" text-anchor="end">{ends[1]}</text>'
        f'<text x="{_PANEL[0]}" y="{_PANEL[1] + 13}" text-anchor="end">{last:.0f} steps</text>'
    )
