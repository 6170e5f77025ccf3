"""Who is trained on: patients of a hospital, healthy people, and people with a finding of any kind, rare ones too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synth.anatomy.population import Population
from synth.anatomy.prevalence import Case, Prevalence
from synth.anatomy.vocabulary import KINDS

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NAME", "Mixed", "mixed_population"]

NAME = "a third each: hospital, healthy, one or two findings of kinds drawn evenly"
_HOSPITAL, _HEALTHY = 1 / 3, 2 / 3  # ends of their thirds
_TWO = 0.3  # share of the last third with two findings
_AGES = (18, 91)


@dataclass(frozen=True, eq=False)
class Mixed:
    """A source of cases. In the last two thirds sexes are equally frequent and all ages from 18 to 90."""

    hospital: Prevalence = field(default_factory=Prevalence.read)

    def draw(self, generator: np.random.Generator) -> Case:
        """One case."""
        part = generator.random()
        if part < _HOSPITAL:
            return self.hospital.draw(generator)
        sex, age = "FM"[int(generator.integers(2))], float(generator.integers(*_AGES))
        if part < _HEALTHY:
            return Case(sex, age, "", "PA", ())
        count = 2 if generator.random() < _TWO else 1
        kinds = [str(kind) for kind in generator.choice(list(KINDS), count, replace=False)]
        return Case(sex, age, "", "PA", tuple((KINDS[kind].name, kind) for kind in kinds))


def mixed_population() -> Population:
    """The population that the shipped model is of."""
    return Population(Mixed())
