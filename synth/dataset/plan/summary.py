"""What a plan changes: counts before and after, of each cell and of each column, as data and as text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.dataset.plan.table import UNKNOWN
from synth.metrics.pages.text_table import text_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synth.dataset.plan.planning import Plan
    from synth.dataset.plan.reference import Reference
    from synth.dataset.request import Request

__all__ = ["ANY_FINDING", "summary", "text_summary"]

ANY_FINDING = "any_finding"
"""The marginal that counts an image under each of its findings, not only under the primary one."""

_MOST_LINES = 40

Counts = list[dict[str, Any]]


def summary(plan: Plan) -> dict[str, Any]:
    """A plan without its samples, as plain JSON.

    Returns:
        "columns", what is balanced; "cells", a list of {"values", "before", "target", "made", "after"}; "marginals",
        column → list of {"value", "before", "made", "after"}, for every column of which something is known, and for
        ANY_FINDING; "unknown", column → images of which it is unknown; "reference" and "settings".
    """
    names = [column.name for column in plan.table.columns]
    occurs = plan.table.occurs()
    numbers = zip(plan.table.before.tolist(), plan.wished, plan.made, plan.after, strict=True)
    cells = [
        {"values": dict(zip(names, cell, strict=True)), "before": b, "target": round(t, 3), "made": m, "after": a}
        for cell, (b, t, m, a), there in zip(plan.table.cells, numbers, occurs, strict=True)
        if there
    ]
    marginals = _marginals(plan)
    unknown = {name: row["before"] for name, rows in marginals.items() for row in rows if row["value"] == UNKNOWN}
    reference = plan.reference
    return {
        "columns": names,
        "samples": sum(plan.made),
        "cells": cells,
        "marginals": marginals,
        "unknown": unknown,
        "reference": {
            "files": [{"name": name, "sha256": digest} for name, digest in reference.files.items()],
            "layout": reference.layout,
            "images": len(reference),
            "left_out": dict(reference.left_out),
        },
        "settings": plan.settings.as_dict(),
    }


def text_summary(told: Mapping[str, Any]) -> str:
    """A summary as tables of text: the cells where they are few, or the ones that gain most, then each column."""
    lines = [_headline(told), ""]
    cells = sorted(told["cells"], key=lambda cell: -cell["made"]) if len(told["cells"]) > _MOST_LINES else told["cells"]
    rows = [
        [*cell["values"].values(), str(cell["before"]), f"{cell['target']:.1f}", str(cell["made"]), str(cell["after"])]
        for cell in cells[:_MOST_LINES]
    ]
    lines.append(text_table([*told["columns"], "before", "target", "made", "after"], rows))
    if len(cells) > _MOST_LINES:
        lines.append(f"… and {len(cells) - _MOST_LINES} cells more, which gain less")
    for column, counts in told["marginals"].items():
        rows = [[row["value"], *(str(row[key]) for key in ("before", "made", "after"))] for row in counts]
        lines += ["", text_table([column.replace("_", " "), "before", "made", "after"], rows)]
    return "\n".join(lines) + "\n"


def _headline(told: Mapping[str, Any]) -> str:
    settings, reference = told["settings"], told["reference"]
    way = "counting the images there" if settings["fill"] else "by themselves"
    left = "; ".join(f"{n} {why} left out" for why, n in reference["left_out"].items())
    return (
        f"{told['samples']} samples to make, {settings['target']} over {', '.join(told['columns'])}, {way}: "
        f"{reference['images']} of {', '.join(each['name'] for each in reference['files'])} ({reference['layout']})"
        + (f"; {left}" if left else "")
    )


def _marginals(plan: Plan) -> dict[str, Counts]:
    reference, columns = plan.reference, plan.table.known
    marginals = {}
    for name, column in columns.items():
        images = np.bincount(column.codes, weights=reference.counts, minlength=len(column.values))
        before = {value: int(n) for value, n in zip(column.values, images, strict=True)}
        made = Counter(_value(name, request, plan) for request in plan.requests)
        marginals[name] = _counts([*column.values, *sorted(set(made) - set(column.values))], before, made, plan)
    if "finding" in columns:
        made = Counter(name for one in plan.requests for name in {finding.name for finding in one.findings or ()})
        there = Counter(reference.frequency)
        marginals[ANY_FINDING] = _counts(sorted({*there, *made}, key=lambda k: (-there[k], k)), there, made, plan)
    return marginals


def _counts(values: Sequence[str], before: Mapping[str, int], made: Mapping[str, int], plan: Plan) -> Counts:
    return [
        {
            "value": value,
            "before": before.get(value, 0),
            "made": made.get(value, 0),
            "after": (before.get(value, 0) if plan.settings.fill else 0) + made.get(value, 0),
        }
        for value in values
    ]


def _value(column: str, request: Request, plan: Plan) -> str:
    """What a sample counts under."""
    if column == "age_group":
        groups = plan.settings.groups
        return UNKNOWN if request.age is None else groups.names[groups.of(request.age)]
    if column == "finding":
        return _primary(request, plan.reference)
    told: str | None = getattr(request, column)
    return told or UNKNOWN


def _primary(request: Request, reference: Reference) -> str:
    if request.findings is None:
        return UNKNOWN
    return reference.primary([(finding.name, finding.kind) for finding in request.findings]) or UNKNOWN
