"""Which radiographs are compared with which: frontal ones with frontal ones, lateral ones with lateral ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synth.metrics.images.subgroups import column_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["rows_by_view", "view_group"]

_FRONTAL = frozenset({"PA", "AP", "FRONTAL", "POSTEROANTERIOR", "ANTEROPOSTERIOR"})
_LATERAL = frozenset({"LATERAL", "RLATERAL", "LLATERAL", "LAT", "LL", "RL", "L"})
_UNKNOWN = frozenset({"", "NAN", "NONE", "NULL", "UNKNOWN", "NA"})
_COLUMNS = ("view", "frontal/lateral", "frontal_lateral")
"""Columns that tell; CheXpert's later ones tell more than its AP/PA, an alias of the first."""


def view_group(view: str) -> str:
    """The group of a view, by its name: "frontal", "lateral", or the name; "" where it says nothing."""
    text = view.strip().upper()
    if text in _UNKNOWN:
        return ""
    first = re.split(r"[^A-Z0-9]", text)[0]  # "AP_horizontal", "LL (left)"
    return "frontal" if first in _FRONTAL else "lateral" if first in _LATERAL else text


def rows_by_view(rows: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    """Group of views → positions of the rows of a table; all under "" where it says nothing of views."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [""] * len(rows)
    for column in filter(None, (column_named(names, wanted) for wanted in _COLUMNS)):
        cells = [row.get(column, "").strip() or cell for row, cell in zip(rows, cells, strict=True)]
    groups: dict[str, list[int]] = {}
    for at, cell in enumerate(cells):
        groups.setdefault(view_group(cell), []).append(at)
    return groups
