"""What the relations between person and body ask of a person, and what a relation is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from synth.anatomy.person import Person

__all__ = ["Relation", "Traits"]


@dataclass(frozen=True)
class Traits:
    """What the relations ask of a person.

    Attributes:
        female: 1 in women, 0 in men.
        age: Years.
        decades: Decades past the age of 30; negative before.
        height_m: Standing height, m.
        bmi: Body mass index, kg/m².
        stout: Body mass index above that of the default man, 24.2 kg/m².
        weight_kg: Body mass.
        bsa: Body surface area, m².
        supine: 1 lying on the back, 0 standing.
        inspiration: Share of the inspiratory capacity, 0 to 1.
    """

    female: float
    age: float
    decades: float
    height_m: float
    bmi: float
    stout: float
    weight_kg: float
    bsa: float
    supine: float
    inspiration: float

    @classmethod
    def of(cls, person: Person, *, supine: bool, inspiration: float) -> Traits:
        """The traits of a person in a posture."""
        return cls(
            female=float(person.sex == "F"),
            age=person.age,
            decades=(person.age - 30) / 10,
            height_m=person.height_cm / 100,
            bmi=person.bmi,
            stout=person.bmi - 24.2,
            weight_kg=person.weight_kg,
            bsa=person.bsa,
            supine=float(supine),
            inspiration=inspiration,
        )

    def by_sex(self, woman: float, man: float) -> float:
        """One value for women, another for men."""
        return woman if self.female else man


@dataclass(frozen=True)
class Relation:
    """One measure.

    Attributes:
        name: Field of Build, or a quantity that later relations use.
        mean: From traits and the measures above, its expected value.
        sd: Standard deviation of the residual; where `relative`, of its logarithm. A pair is (women, men).
        limits: Least and greatest value.
        source: Where it comes from.
        relative: The residual is a factor, exp(sd·z), in place of a summand sd·z.
        follows: An earlier measure and the correlation of the two residuals.
    """

    name: str
    mean: Callable[[Traits, Mapping[str, float]], float]
    sd: float | tuple[float, float]
    limits: tuple[float, float]
    source: str
    relative: bool = False
    follows: tuple[str, float] | None = None
