"""How often a gate accepted what was made of each subgroup, so that it cannot skew a dataset unseen.

An attempt belongs to the subgroups of what it made, refused or not: where nothing was asked for, a refused woman may be
replaced by a man. A case belongs to the subgroups of its first attempt. An attempt of several views is refused for some
of them, and counts for these; an accepted one counts for all.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synth.dataset.fragment import Head

    Row = Mapping[str, str]

__all__ = ["accept_ratios"]

_UNKNOWN = "unknown"
_NOTHING = "No Finding"


def accept_ratios(heads: Iterator[Head], each: int) -> dict[str, Any]:
    """What was accepted of how much.

    Args:
        heads: What is said of every place, in order.
        each: Places of a case.

    Returns:
        "cases", "accepted_cases" and "attempts"; and "by": column → value → "cases", "accepted" (cases), "attempts".
    """
    total = Counter[str]()
    by: dict[str, defaultdict[str, Counter[str]]] = {column: defaultdict(Counter) for column in (*_GROUPS, "view")}
    while case := list(islice(heads, each)):
        refused: dict[str, list[Row]] = {}
        for row in (row for head in case for row in head.get("rejected", ())):
            refused.setdefault(row["attempt"], []).append(row)
        rows: list[Row] = [head["row"] for head in case if "row" in head]
        total.update(cases=1, accepted_cases=int(bool(rows)), attempts=len(refused) + bool(rows))
        _count_case(by, list(refused.values()), rows)
    said = {
        column: {value: {key: counts[key] for key in _COUNTED} for value, counts in sorted(groups.items())}
        for column, groups in by.items()
    }
    return {key: total[key] for key in ("cases", "accepted_cases", "attempts")} | {"by": said}


_COUNTED = ("cases", "accepted", "attempts")


def _count_case(by: Mapping[str, defaultdict[str, Counter[str]]], refused: list[list[Row]], rows: list[Row]) -> None:
    tried = [*(some[0] for some in refused), *rows[:1]]
    for column, groups_of in _GROUPS.items():
        for number, row in enumerate(tried):
            for value in groups_of(row):
                by[column][value].update(cases=int(number == 0), attempts=1)
        for value in groups_of(rows[0]) if rows else ():
            by[column][value]["accepted"] += 1
    views = [[row["view"] or _UNKNOWN for row in some] for some in (*refused, *([rows] if rows else []))]
    for value in (value for some in views for value in some):
        by["view"][value]["attempts"] += 1
    for value in dict.fromkeys(row["view"] for row in rows):
        by["view"][value]["accepted"] += 1
    for value in dict.fromkeys(views[-1]):
        by["view"][value]["cases"] += 1


def _plain(column: str) -> Any:
    return lambda row: [row[column] or _UNKNOWN]


def _decade(row: Row) -> list[str]:
    """By tens of years: "40-49"."""
    if not row["age"]:
        return [_UNKNOWN]
    first = int(float(row["age"])) // 10 * 10
    return [f"{first}-{first + 9}"]


def _findings(row: Row) -> list[str]:
    names = [str(finding["name"]) for finding in json.loads(row["findings"] or "[]")]
    not_made = row.get("checks") == "made"  # nothing is known but what was asked for
    return list(dict.fromkeys(names)) or [_UNKNOWN if not_made else _NOTHING]


_GROUPS: Mapping[str, Any] = {
    "sex": _plain("sex"),
    "age_group": _decade,
    "race": _plain("race"),
    "finding": _findings,
}
"""Column → the subgroups that a row belongs to; views are counted by themselves."""
