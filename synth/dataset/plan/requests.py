"""The samples of a plan, drawn as the reference has them, in an order of which any beginning is nearly balanced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.cohort_rows import Row
from synth.anatomy.population import described
from synth.anatomy.reports.prompts import write_prompt
from synth.anatomy.vocabulary import KINDS, kinds_of, locations
from synth.core.record import Record
from synth.core.seeds import sample_generator
from synth.dataset.plan.drawing import Drawer
from synth.dataset.plan.reference import NO_FINDING, Reference, makeable
from synth.dataset.plan.table import UNKNOWN, Table
from synth.dataset.request import Request, seed_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synth.core.record import Finding
    from synth.dataset.plan.settings import PlanSettings

__all__ = ["draw_requests"]

_GOLDEN = (5**0.5 - 1) / 2


def draw_requests(
    reference: Reference, table: Table, made: Sequence[int], settings: PlanSettings
) -> tuple[Request, ...]:
    """The samples: `made` of each cell of the table, each a function of the seed and its number.

    Their order spreads each cell evenly over the whole.
    """
    drawer = Drawer(reference, table.known, settings.balance, settings.groups, settings.smoothing)
    cells = [dict(zip(settings.balance, cell, strict=True)) for cell in table.cells]
    width = len(str(max(sum(made) - 1, 0)))
    return tuple(
        _request(number, width, cells[cell], drawer, settings) for number, cell in enumerate(_interleaved(made))
    )


def _interleaved(made: Sequence[int]) -> list[int]:
    """The cell of each sample, each cell's spread evenly over the whole; of cells of one count, by golden section."""
    counts = np.array(made, np.int64)
    cells = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(cells)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (within + np.modf((cells + 1) * _GOLDEN)[0]) / counts[cells]
    return [int(cell) for cell in cells[np.lexsort((cells, place))]]


def _request(number: int, width: int, cell: Mapping[str, str], drawer: Drawer, settings: PlanSettings) -> Request:
    """One sample of a cell: what the cell does not give is as in a row of the reference drawn for it."""
    generator = sample_generator(settings.seed, number, "plan")
    row = drawer.row(cell, generator) or Row(None, None, "", None, None)
    given = {name: None if value == UNKNOWN else value for name, value in cell.items()}
    sex = given.get("sex", row.sex)
    age = drawer.age(sex, cell["age_group"], generator) if "age_group" in cell else row.age
    race = given.get("race", row.race or None)
    view = settings.view or given.get("view", row.view)
    findings = _findings(row, cell.get("finding"), generator)
    record = Record(view or "", sex=sex, age=age, race=race or "", findings=findings or ())
    return Request(
        number,
        seed_of(settings.seed, number),
        id=f"{number:0{width}d}",
        sex=sex,
        age=age,
        race=race,
        view=view,
        findings=findings,
        prompt="" if findings is None else write_prompt(record, generator),
    )


def _findings(row: Row, primary: str | None, generator: np.random.Generator) -> tuple[Finding, ...] | None:
    """The row's findings, but for those without words; None where nothing is known of them."""
    if primary == NO_FINDING:
        return ()
    if primary == UNKNOWN or row.labels is None:
        return None
    sides = row.sides or (None,) * len(row.labels)
    return tuple(
        _sided(described(name, kind, generator), side)
        for (name, kind), side in zip(row.labels, sides, strict=True)
        if makeable(name, kind)
    )


def _sided(finding: Finding, side: str | None) -> Finding:
    """The finding on the side that the reference says, where its kind may lie there."""
    kinds = (finding.kind,) if finding.kind else kinds_of(finding.name)
    if side is None or not all(side in KINDS[kind].lateralities for kind in kinds):
        return finding
    keeps = finding.kind is not None and finding.location in locations(finding.kind, side)
    return replace(finding, laterality=side, location=finding.location if keeps else None)
