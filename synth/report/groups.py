"""The subgroups that a sample belongs to, and how many samples each has."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from synth.report.contents import Row

__all__ = ["COLUMNS", "NOTHING", "UNKNOWN", "Survey", "age_group", "findings_of", "groups_of", "objects_in", "survey"]

UNKNOWN = "unknown"
NOTHING = "No Finding"

COLUMNS: Mapping[str, str] = MappingProxyType(
    {"sex": "sex", "age_group": "age", "race": "race", "view": "view", "finding": "finding", "gate": "gate"}
)
"""Subgroups by column → its heading."""

Groups = tuple[tuple[str, ...], ...]
"""The groups of a sample, in the order of COLUMNS: one a column, of findings as many as there are."""


@dataclass
class Survey:
    """What a pass over a table counts.

    Attributes:
        totals: Column → group → samples.
        kinds: All that differ in their groups.
        kind_of: For each row the place of its groups in `kinds`.
        models: Hashes of the models that made the samples.
    """

    totals: dict[str, Counter[str]] = field(default_factory=lambda: {column: Counter() for column in COLUMNS})
    kinds: list[Groups] = field(default_factory=list)
    kind_of: array[int] = field(default_factory=lambda: array("L"))
    models: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.kind_of)


def survey(rows: Iterable[Row]) -> Survey:
    """Counts the groups of all rows; memory grows by some bytes a row."""
    found = Survey()
    places: dict[Groups, int] = {}
    for row in rows:
        groups = groups_of(row)
        place = places.setdefault(groups, len(places))
        if place == len(found.kinds):
            found.kinds.append(groups)
        found.kind_of.append(place)
        if row.get("model_hash"):
            found.models.add(row["model_hash"])
    for place, count in Counter(found.kind_of).items():
        for column, names in zip(COLUMNS, found.kinds[place], strict=True):
            found.totals[column].update(dict.fromkeys(names, count))
    return found


def groups_of(row: Row) -> Groups:
    """The groups of a row of metadata.csv."""
    findings = tuple(dict.fromkeys(str(one.get("name", UNKNOWN)) for one in findings_of(row)))
    single = {column: (row.get(column, "").strip() or UNKNOWN,) for column in ("sex", "race", "view", "gate")}
    return tuple(
        (age_group(row.get("age", "")),)
        if column == "age_group"
        else (findings or (NOTHING,))
        if column == "finding"
        else single[column]
        for column in COLUMNS
    )


def findings_of(row: Row) -> list[dict[str, Any]]:
    """The findings of a row; none where the cell is empty or no JSON."""
    return objects_in(row.get("findings", ""))


def objects_in(cell: str) -> list[dict[str, Any]]:
    """The objects of a cell of JSON; none where it holds anything else."""
    try:
        found = json.loads(cell) if cell else []
    except ValueError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def age_group(cell: str) -> str:
    """The decade of an age in years: "40-49"."""
    try:
        years = float(cell)
    except ValueError:
        return UNKNOWN
    if not 0 <= years < math.inf:
        return UNKNOWN
    low = int(years // 10) * 10
    return f"{low}-{low + 9}"
