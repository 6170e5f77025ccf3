"""How a plan is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synth.core.errors import InputError
from synth.dataset.plan.groups import AgeGroups

__all__ = ["MOST", "VIEWS", "PlanSettings"]

VIEWS = ("PA", "AP", "LATERAL")
MOST = 10_000_000
"""Samples of one plan."""


@dataclass(frozen=True)
class PlanSettings:
    """How a plan is made.

    Attributes:
        balance: Columns; see `synth.dataset.plan.table.COLUMNS`.
        total: Samples to make; None: as few as bring every cell to its share exactly.
        target: "uniform", "reference", or a table; see `synth.dataset.plan.targets.read_target`.
        fill: Whether the images that are there count, so that the samples fill up what they lack; else the samples have
            the target's distribution by themselves.
        low: Least that a wanted cell holds in the end; None: 1 for a uniform target, else 0.
        high: Most; None for no limit.
        unknown: What is done with images of unknown values; see `synth.dataset.plan.table.UNKNOWNS`.
        groups: Age groups.
        view: The view of all samples; images known to be of other views do not count. None: as the reference has them.
        smoothing: Rows; see `synth.dataset.plan.drawing`.
        seed: Root of all that is drawn.
    """

    balance: tuple[str, ...]
    total: int | None = None
    target: str | Path = "uniform"
    fill: bool = True
    low: int | None = None
    high: int | None = None
    unknown: str = "keep"
    groups: AgeGroups = field(default_factory=AgeGroups)
    view: str | None = None
    smoothing: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("--total", self.total, 1), ("--min", self.low, 0), ("--max", self.high, 1)):
            if value is not None and not least <= value <= MOST:
                raise InputError(f"{name} must be {least} to {MOST}, got {value}")
        if self.view is not None and self.view not in VIEWS:
            raise InputError(f"--view {self.view}: use one of {', '.join(VIEWS)}")
        if self.view is not None and "view" in self.balance:
            raise InputError("--view asks for one view: leave view out of --balance")

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON, without paths."""
        values = asdict(self) | {"age_groups": list(self.groups.edges), "balance": list(self.balance)}
        del values["groups"]
        return values | {
            "target": str(self.target) if self.target in ("uniform", "reference") else Path(self.target).name
        }
