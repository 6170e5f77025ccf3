"""How the samples spread over subgroups: in the dataset, and before and after where a plan was followed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.pages.page import figure
from synth.metrics.pages.svg import grouped_bar_plot
from synth.report.groups import COLUMNS, NOTHING, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synth.report.contents import Contents
    from synth.report.groups import Survey

__all__ = ["plan_part", "spread_part"]

_MOST = 24  # groups of a column that are drawn
_STAGES = (("before", "--soft"), ("made", "--two"), ("after", "--one"))


def spread_part(survey: Survey) -> str:
    """The section of the dataset's own subgroups; columns of which nothing is known are left out."""
    figures = []
    for column, heading in COLUMNS.items():
        counts = survey.totals[column]
        if column != "gate" and set(counts) - {UNKNOWN}:
            caption = _caption({"": counts}, "; one may have several" if column == "finding" else "")
            figures.append(figure(_bars({"": counts}, [len(survey)], heading), heading.capitalize(), caption))
    return f'<h2>Who and what is in it</h2><div class="plots">{"".join(figures)}</div>' if figures else ""


def plan_part(contents: Contents) -> str:
    """The section before and after; empty where no plan was followed.

    Raises:
        InputError: plan.json is not as `synth plan` writes it.
    """
    plan = contents.plan
    if plan is None:
        return ""
    try:
        images = [sum(int(one[stage]) for one in plan["cells"]) for stage, _ in _STAGES]
        figures = [_column(name, counts, images) for name, counts in _marginals(plan).items()]
    except (KeyError, TypeError, ValueError) as error:
        path = contents.root / "plan.json"
        raise InputError(f"{path}: not as synth plan writes it ({type(error).__name__}: {error})") from error
    keys = "".join(f'<span class="key" style="background: var({colour})"></span>{name}' for name, colour in _STAGES)
    return (
        f"<h2>Before and after</h2><p>What the reference had, what the plan adds, and both together.{keys}</p>"
        f'<div class="plots stages">{"".join(figures)}</div>'
    )


def _marginals(plan: Mapping[str, Any]) -> dict[str, dict[str, Counter[str]]]:
    """Column → stage → group → images: as the plan tells them, else the sums of its cells."""
    told = plan.get("marginals")
    if told is None:
        told = {name: [{"value": one["values"][name], **one} for one in plan["cells"]] for name in plan["columns"]}
    found: dict[str, dict[str, Counter[str]]] = {}
    for column, rows in told.items():
        counts = found.setdefault(str(column), {stage: Counter() for stage, _ in _STAGES})
        for row in rows:
            for stage, count in counts.items():
                count[str(row["value"]) or UNKNOWN] += int(row[stage])
    return found


def _column(name: str, counts: Mapping[str, Counter[str]], images: Sequence[int]) -> str:
    heading = COLUMNS.get(name, name.replace("_", " ")).capitalize()
    return figure(_bars(counts, images, heading), heading, _caption(counts))


def _caption(counts: Mapping[str, Counter[str]], more: str = "") -> str:
    left = len({name for one in counts.values() for name in one}) - _MOST
    return f"share and number of images{more}" + (f"; {left} groups more" if left > 0 else "")


def _bars(counts: Mapping[str, Counter[str]], totals: Sequence[int], title: str) -> str:
    """A row a group, a bar a stage: its share of the stage's total."""
    every: Counter[str] = Counter()
    for one in counts.values():
        every.update(one)
    names = sorted(every, key=lambda name: (name in (UNKNOWN, NOTHING), _low(name), -every[name], name))
    rows = []
    for name in names[:_MOST]:
        bars = []
        for one, total in zip(counts.values(), totals, strict=True):
            share = one[name] / total if total else 0.0
            bars.append((share, f"{share:.1%} ({one[name]:,})"))
        rows.append((name, bars))
    return grouped_bar_plot(rows, title)


def _low(name: str) -> int:
    """Where an age group begins; 0 of other groups."""
    low = name.rstrip("+").partition("-")[0]
    return int(low) if low.isdigit() else 0
