"""Tables of plain text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["number", "text_table"]

_NUMERIC = set("0123456789+-−.—/ %e")


def number(value: float | None) -> str:
    """A number with 4 digits; a dash where there is none."""
    return "—" if value is None or math.isnan(value) else f"{value:.4g}"


def text_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart; columns of numbers to the right, others to the left."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in heads]
    widths = [max(map(len, (head, *cells))) for head, cells in zip(heads, columns, strict=True)]
    right = [all(set(cell) <= _NUMERIC for cell in cells) for cells in columns]
    return "\n".join(_line(line, widths, right) for line in (heads, *rows))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = zip(cells, widths, right, strict=True)
    return "  ".join(cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in parts).rstrip()
