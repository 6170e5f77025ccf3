"""Classifier-free guidance, within an interval of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Guidance"]


@dataclass(frozen=True)
class Guidance:
    """How strongly the condition is followed (Ho and Salimans 2022, arXiv:2207.12598).

    Outside the interval the conditional prediction is taken as it is: guidance at high noise narrows the distribution
    and at low noise does nothing (Kynkäänniemi et al. 2024, arXiv:2404.07724).

    Attributes:
        scale: 1 follows the model's own conditional distribution; above 1 the condition counts for more, at the cost
            of variety.
        low: Least time with guidance.
        high: Largest.
    """

    scale: float = 1.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= 100:
            raise InputError(f"guidance {self.scale:g}: give 0 to 100; 1 is none")
        if not 0 <= self.low <= self.high <= 1:
            raise InputError(f"guidance interval {self.low:g} to {self.high:g}: give two times within 0 to 1")

    @property
    def off(self) -> bool:
        """Whether the unconditional prediction is never needed."""
        return self.scale == 1.0 or self.low == self.high

    def at(self, time: float) -> bool:
        """Whether both predictions are needed at a time."""
        return not self.off and self.low <= time <= self.high

    def mix(self, conditional: Tensor, unconditional: Tensor) -> Tensor:
        """The guided prediction."""
        return unconditional + self.scale * (conditional - unconditional)
