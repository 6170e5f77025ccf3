"""Cases of a user's own label file, drawn again: co-occurrence of findings, sex, age and view as they were observed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.prevalence import Case

__all__ = ["Cohort"]

_GROUP_YEARS = 10


@dataclass(frozen=True, eq=False)
class Cohort:
    """Observed cases, each as often as it was counted, smoothed toward independence of patient and findings.

    A case is drawn from p = (1 − λ)·p(patient, findings) + λ·p(patient)·p(findings), λ = smoothing/(n + smoothing): as
    if so many rows had been added in which the two have nothing to do with each other. Sets of findings stay whole, so
    co-occurrences persist. The age is drawn anew from those of the same sex and decade.

    Attributes:
        cases: Distinct cases.
        below: (n,) cumulative counts.
        ages: (sex, decade) → ages, one entry a row.
        smoothing: In rows.
    """

    cases: tuple[Case, ...]
    below: NDArray[np.int64]
    ages: Mapping[tuple[str | None, int], NDArray[np.float64]]
    smoothing: float

    @classmethod
    def of(cls, counts: Mapping[Case, int], smoothing: float) -> Cohort:
        """The cohort of counted cases.

        Raises:
            InputError: smoothing is negative or not finite.
        """
        if not 0 <= smoothing < np.inf:
            raise InputError(f"smoothing must be a number of rows, 0 or more; got {smoothing:g}")
        ages: dict[tuple[str | None, int], list[float]] = {}
        for case, count in counts.items():
            if case.age is not None:
                ages.setdefault((case.sex, _decade(case.age)), []).extend([case.age] * count)
        below = np.cumsum(np.fromiter(counts.values(), np.int64, len(counts)))
        return cls(tuple(counts), below, {group: np.array(values) for group, values in ages.items()}, smoothing)

    def __len__(self) -> int:
        return int(self.below[-1])

    def draw(self, generator: np.random.Generator) -> Case:
        """One case; the number of draws is always the same."""
        patient, other = self._row(generator.random()), self._row(generator.random())
        independent = generator.random() < self.smoothing / (len(self) + self.smoothing)
        share = generator.random()
        labels = other.labels if independent else patient.labels
        if patient.age is None:
            return replace(patient, labels=labels)
        group = self.ages[patient.sex, _decade(patient.age)]
        return replace(patient, labels=labels, age=float(group[int(share * len(group))]))

    def _row(self, share: float) -> Case:
        """The case that lies at that share of all rows."""
        return self.cases[int(np.searchsorted(self.below, share * len(self), side="right"))]


def _decade(age: float) -> int:
    return int(age // _GROUP_YEARS)
