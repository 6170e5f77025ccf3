"""Does a score rise with severity, and from where on is it beyond what two real halves score?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from scipy.stats import spearmanr

from synth.metrics.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.metrics.score_value import Score

__all__ = ["Order", "order_of", "worse"]

ROUNDING = 0.02
"""Share of the spread of real halves that does not count: mirrored images differ by the rounding of their features."""

_AT_ZERO = ("precision", "recall", "density", "coverage")  # cannot fall further
_LEAST = 1e-12


@dataclass(frozen=True)
class Order:
    """How a score follows severity.

    Attributes:
        first: The mildest severity, 1, 2, …, that is worse than all real halves, the unchanged set's among them; None
            where none is.
        kept: Whether every harsher one is worse still, or as bad as can be.
        rho: Spearman's rank correlation of severity, from 0 (unchanged), with being worse.
        better: Whether none is worse, and the harshest better, than all real halves.
    """

    first: int | None
    kept: bool
    rho: float
    better: bool

    @property
    def rises(self) -> bool:
        """Whether the score can be trusted to tell more of this from less."""
        return self.kept


def order_of(metric: str, scores: Sequence[Score], real: Sequence[Score]) -> Order:
    """Compares the scores of rising severity, the first of the unchanged set, with those of real halves."""
    values = [worse(metric, score) for score in scores]
    if metric in _AT_ZERO:  # as bad as can be: what comes later counts as worse
        values = [_LEAST * k if value == 0 else value for k, value in enumerate(values)]
    halves = [values[0], *(worse(metric, score) for score in real)]
    most = max(halves) + ROUNDING * (max(halves) - min(halves))
    first = next((k for k, value in enumerate(values) if value > most), None)
    kept = first is not None and all(later > one for one, later in pairwise(values[first:]))
    rho = float(spearmanr(range(len(values)), values).statistic) if len(set(values)) > 1 else 0.0
    return Order(first, kept, rho, first is None and values[-1] < min(halves))


def worse(metric: str, score: Score) -> float:
    """The score, turned so that more is worse; where likeness is wanted, its distance from the reference's own."""
    better = METRICS[metric].better
    if better == "alike":
        assert score.floor is not None
        return abs(score.value - score.floor)
    return score.value if better == "lower" else -score.value
