"""A plan: which samples to make so that a set, or a set with what is there, has the wished distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.dataset.plan.allocation import InfeasibleError, allocate, level_total, worst
from synth.dataset.plan.requests import draw_requests
from synth.dataset.plan.settings import MOST, PlanSettings
from synth.dataset.plan.table import select, tabulate
from synth.dataset.plan.targets import read_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.dataset.plan.reference import Reference
    from synth.dataset.plan.table import Table
    from synth.dataset.plan.targets import Target
    from synth.dataset.request import Request

__all__ = ["Plan", "cell_names", "make_plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What to make, and why.

    Attributes:
        settings: How it was made; total, low and high are those that were used.
        reference: The images it is about.
        table: Their joint distribution.
        target: What shares the cells should have.
        made: (cells,) samples to make.
        requests: The samples, in an order of which any beginning has nearly the distribution of the whole.
    """

    settings: PlanSettings
    reference: Reference
    table: Table
    target: Target
    made: tuple[int, ...]
    requests: tuple[Request, ...]

    @property
    def counted(self) -> tuple[int, ...]:
        """(cells,) images that count toward the target: those there, or none."""
        return tuple(self.table.before.tolist()) if self.settings.fill else (0,) * len(self.made)

    @property
    def after(self) -> tuple[int, ...]:
        """(cells,) what counts in the end."""
        return tuple(had + made for had, made in zip(self.counted, self.made, strict=True))

    @property
    def wished(self) -> tuple[float, ...]:
        """(cells,) what the target would have of as many."""
        weights = self.target.weights
        whole = sum(n for n, weight in zip(self.after, weights, strict=True) if weight)
        per_weight = whole / sum(weights)
        return tuple(float(weight * per_weight) for weight in weights)


def make_plan(reference: Reference, settings: PlanSettings) -> Plan:
    """Tabulates, allocates and draws.

    Raises:
        InfeasibleError: Bounds, total and target contradict each other.
        InputError: A wrong setting, or a target that does not fit the table.
    """
    reference = select(
        reference, settings.balance, groups=settings.groups, view=settings.view, unknown=settings.unknown
    )
    table = tabulate(reference, settings.balance, groups=settings.groups, unknown=settings.unknown)
    target = read_target(settings.target, table)
    settings = _settled(settings, table, target)
    made = allocate(
        _counted(table, target, settings.fill),
        target=target.weights,
        total=settings.total or 0,
        low=settings.low or 0,
        high=settings.high,
        values=table.codes.tolist(),
        names=cell_names(table),
    )
    return Plan(settings, reference, table, target, tuple(made), draw_requests(reference, table, made, settings))


def cell_names(table: Table) -> list[str]:
    """The cells in words."""
    return [", ".join(cell) for cell in table.cells]


def _settled(settings: PlanSettings, table: Table, target: Target) -> PlanSettings:
    """The settings with total and low filled in."""
    low = settings.low if settings.low is not None else int(target.name == "uniform")
    had = _counted(table, target, settings.fill)
    total = settings.total
    if total is None and target.counted:
        total = _lacking(had, target, cell_names(table))
    elif total is None and settings.fill:
        total = level_total(had, target=target.weights, low=low)
    if total is None:
        raise InputError("--total: say how many samples to make; only with --fill, or a target of counts, it follows")
    if not 0 < total <= MOST:
        raise InputError(
            f"--total: {total} samples would reach the target; give another number"
            if total
            else "the reference has the target's distribution already; give --total to go beyond"
        )
    return replace(settings, low=low, total=total)


def _counted(table: Table, target: Target, fill: bool) -> list[int]:
    """(cells,) images that count toward the shares; those of unwanted cells never do."""
    return [int(n) if fill and weight else 0 for n, weight in zip(table.before, target.weights, strict=True)]


def _lacking(had: Sequence[int], target: Target, names: Sequence[str]) -> int:
    """How many samples bring every cell to its count.

    Raises:
        InfeasibleError: A cell is above it.
    """
    counts = [int(weight) for weight in target.weights]
    over = {k: f"holds {h}, the target is {n}" for k, (h, n) in enumerate(zip(had, counts, strict=True)) if h > n}
    if over:
        raise InfeasibleError(
            f"{target.name}: holds more than its target: {worst(over, names)}; raise these counts, give --total, or "
            "count the made set alone (--alone)",
            over,
        )
    return sum(counts) - sum(had)
