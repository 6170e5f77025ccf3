"""From what the network gives to probabilities of the values of attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from synth.metrics.alignment.conditions import FINDING, SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Layout", "Told", "probabilities"]

Told: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]"
"""Log-odds of signs (n, s) and of a man (n,), and of age groups (n, a), up to a constant."""


@dataclass(frozen=True)
class Layout:
    """What the outputs of a network are of.

    Attributes:
        signs: Finding and side of each sign; None where it has no side.
        ages: Age groups.
    """

    signs: tuple[tuple[str, str | None], ...]
    ages: tuple[str, ...]

    def scores(self, attribute: str, values: Sequence[str], told: Told) -> NDArray[np.float64]:
        """Scores (n, values) of an attribute, each row up to a constant.

        Args:
            attribute: "sex", "age_group", "finding:…" or "side:…".
            values: Its values.
            told: What the network gave.

        Raises:
            KeyError: The network does not tell one of them.
        """
        signs, man, age = told
        if attribute == "sex":
            by_value = {"F": np.zeros_like(man), "M": man}
        elif attribute == "age_group":
            by_value = {name: age[:, at] for at, name in enumerate(self.ages)}
        elif attribute.startswith(FINDING):
            sides = self._sides(attribute.removeprefix(FINDING), signs)
            by_value = {"no": np.zeros(len(man)), "yes": np.logaddexp.reduce(list(sides.values()), axis=0)}
        else:
            sides = self._sides(attribute.removeprefix(SIDE), signs)
            # log p(right) and log 1 − p(left) together are the right log-odds, up to what all three values share.
            by_value = {**sides, "bilateral": sides["right"] + sides["left"]}
        return np.stack([by_value[value] for value in values], 1)

    def _sides(self, finding: str, signs: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = {str(side): signs[:, at] for at, (name, side) in enumerate(self.signs) if name == finding}
        if not found:
            raise KeyError(finding)
        return found


def probabilities(scores: NDArray[np.float64], scale: float, offsets: Sequence[float]) -> NDArray[np.float64]:
    """(n, values) softmax of scale · scores + offsets."""
    logits = scale * scores + np.asarray(offsets, np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    shares: NDArray[np.float64] = odds / odds.sum(1, keepdims=True)
    return shares
