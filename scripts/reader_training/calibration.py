"""How well each attribute is told on bodies that were not trained on, and how scores become probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from phantom_classifier.scoring import area_under_curve
from scipy.optimize import minimize

from synth.metrics.alignment.conditions import FINDING, SIDE
from synth.metrics.readers.scores import probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reader_training.films import Films
    from synth.metrics.readers.scores import Layout, Told

__all__ = ["LEAST_AREA", "LEAST_BODIES", "Measured", "measured"]

LEAST_AREA = 0.85
"""Attributes below are left out."""

LEAST_BODIES = 5
"""Bodies of each value, below which an attribute is not judged."""

_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Measured:
    """An attribute.

    Attributes:
        name: "sex", "finding:Edema", …
        values: Those that enough bodies have.
        bodies: That state it.
        area: Mean over values of the area under the curve, each against the others; None with too few bodies.
        scale: See `synth.metrics.readers.scores.probabilities`.
        offsets: The same.
        asked: (m,) places of the films that state it.
        stated: (m,) number of the value.
        chances: (m, values) probabilities.
    """

    name: str
    values: tuple[str, ...]
    bodies: int
    area: float | None
    scale: float
    offsets: tuple[float, ...]
    asked: NDArray[np.int64]
    stated: NDArray[np.int64]
    chances: NDArray[np.float64]

    @property
    def told(self) -> bool:
        """Whether it is told well enough."""
        return self.area is not None and self.area >= LEAST_AREA

    def refused(self, least: float) -> NDArray[np.bool_]:
        """(m, values): whether a record that said so would be refused."""
        return self.chances < least

    def rates(self, least: float) -> tuple[float, float]:
        """Share of right statements, and of wrong ones, that would be refused."""
        refused, right = self.refused(least), np.eye(len(self.values), dtype=np.bool_)[self.stated]
        return float(refused[right].mean()), float(refused[~right].mean())


def measured(films: Films, chosen: NDArray[np.int64], layout: Layout, told: Told) -> list[Measured]:
    """All that could be told of the chosen films, whose outputs are `told`."""
    found = []
    for name, stated in _stated(films, chosen).items():
        bodies = films.bodies[chosen]
        counted = {value: len(set(bodies[stated == value])) for value in dict.fromkeys(stated) if value}
        values = tuple(value for value in _order(name, counted) if counted[value] >= LEAST_BODIES)
        asked = np.flatnonzero(np.isin(stated, values))
        at = np.array([values.index(value) for value in stated[asked]], np.int64)
        if len(values) < 2:
            none = np.empty((len(asked), len(values)))
            found.append(Measured(name, values, len(set(bodies[asked])), None, 1.0, (), asked, at, none))
            continue
        scores = layout.scores(name, values, told)[asked]
        scale, offsets = _calibrated(scores, at)
        chances = probabilities(scores, scale, offsets)
        area = float(np.mean([area_under_curve(chances[:, n], at == n) for n in range(len(values))]))
        found.append(Measured(name, values, len(set(bodies[asked])), area, scale, offsets, asked, at, chances))
    return found


def _stated(films: Films, chosen: NDArray[np.int64]) -> dict[str, NDArray[np.str_]]:
    """Attribute → the value that each film's record states; empty where it states none."""
    found = {
        "sex": np.array(["M" if man else "F" for man in films.men[chosen]]),
        "age_group": np.array([films.ages[row] for row in chosen]),
    }
    for name in dict.fromkeys(name for name, _ in films.signs):
        found[FINDING + name] = np.array(["yes" if name in films.findings[row] else "no" for row in chosen])
        if (name, "right") in films.signs:
            found[SIDE + name] = np.array([films.findings[row].get(name) or "" for row in chosen])
    return found


def _order(name: str, counted: dict[str, int]) -> list[str]:
    usual = ["no", "yes"] if name.startswith(FINDING) else ["right", "left", "bilateral"]
    return [value for value in (usual if ":" in name else sorted(counted)) if value in counted]


def _calibrated(scores: NDArray[np.float64], stated: NDArray[np.int64]) -> tuple[float, tuple[float, ...]]:
    """Scale and offsets of the greatest likelihood, all values weighing the same, whatever the network's own bias."""
    values = scores.shape[1]
    weights = 1 / np.bincount(stated, minlength=values)[stated] / values

    def cost(at: NDArray[np.float64]) -> float:
        chances = probabilities(scores, float(np.exp(at[0])), list(at[1:]))
        likelihood = weights @ np.log(chances[np.arange(len(stated)), stated] + 1e-12)
        return float(-likelihood + _RIDGE * (at @ at))

    best = minimize(cost, np.zeros(1 + values)).x
    return float(np.exp(best[0])), tuple(float(one) for one in best[1:] - best[1:].mean())
