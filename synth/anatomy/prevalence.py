"""Who is imaged and what is found where no data is at hand: CheXpert's published counts, with co-occurrence by factors.

Published: the share of each label (Irvin et al. 2019, arXiv:1901.07031, table 1: positives among 187,641 studies), of
women (41 %), the mean and spread of age (60.4 ± 17.8 years) and the counts of views in its training set (161,590 AP,
29,420 PA, 32,387 lateral). Ours: everything about how these go together. Four hidden factors (heart failure,
infection, chest surgery or injury, acuity of care) load on the labels and on the view with the columns of
tables/prevalence.csv; `woman` and `decade` are what a woman and ten years of age add on the probit scale.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.stats import norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Case", "Healthy", "Prevalence", "Source"]

_FACTORS = ("failure", "infection", "surgery", "acuity")
_WOMEN, _AGE, _AGE_SD = 0.406, 60.4, 17.8
_AGE_NORMAL = (63.1, 21.9)  # cut to adults and to whole years, it has the mean and spread above
_AGE_HEALTHY = (43.8, 20.3)  # likewise 47 ± 16.6
_PA_OF_STANDING = 29420 / (29420 + 32387)
_ADULT, _OLDEST = 18.0, 95.0


@dataclass(frozen=True)
class Case:
    """One patient's image, in the words of a label set; what is unknown is None or empty.

    Attributes:
        sex: "F" or "M".
        age: Years.
        race: Free text.
        view: "PA", "AP" or "LATERAL".
        labels: (name, kind) of each finding, kind None where the data does not say.
    """

    sex: str | None
    age: float | None
    race: str
    view: str | None
    labels: tuple[tuple[str, str | None], ...]


class Source(Protocol):
    """What cases are drawn from."""

    def draw(self, generator: np.random.Generator) -> Case:
        """One case."""
        ...


@dataclass(frozen=True, eq=False)
class Prevalence:
    """Cases by a multivariate probit: a label is there where a normal variate exceeds its threshold.

    Attributes:
        names: "AP" first, then the labels.
        threshold: (n,) so that each share comes out over all ages and both sexes.
        woman: (n,) added to the variate of women.
        decade: (n,) added for each decade past the mean age.
        loading: (n, 4) on the hidden factors; what they leave of the unit variance is the label's own.
    """

    names: tuple[str, ...]
    threshold: NDArray[np.float64]
    woman: NDArray[np.float64]
    decade: NDArray[np.float64]
    loading: NDArray[np.float64]

    @classmethod
    def read(cls) -> Prevalence:
        """The shipped table."""
        text = files("synth.anatomy").joinpath("tables", "prevalence.csv").read_text(encoding="utf-8")
        rows = list(csv.DictReader(text.splitlines()))

        def column(name: str) -> NDArray[np.float64]:
            return np.array([float(row[name]) for row in rows])

        woman, decade = column("woman"), column("decade")
        # The variate's variance over the population, and its mean, decide where its quantile lies.
        variance = 1 + (decade * _AGE_SD / 10) ** 2 + woman**2 * _WOMEN * (1 - _WOMEN)
        threshold = woman * _WOMEN - norm.ppf(column("share")) * np.sqrt(variance)
        loading = np.stack([column(name) for name in _FACTORS], axis=1)
        return cls(tuple(row["finding"] for row in rows), threshold, woman, decade, loading)

    def draw(self, generator: np.random.Generator) -> Case:
        """One case; the number of draws is always the same."""
        sex = "F" if generator.random() < _WOMEN else "M"
        age = _draw_age(generator, *_AGE_NORMAL)
        own = np.sqrt(1 - (self.loading**2).sum(axis=1))
        variate = self.loading @ generator.standard_normal(len(_FACTORS))
        variate += own * generator.standard_normal(len(self.names))
        variate += self.woman * (sex == "F") + self.decade * (age - _AGE) / 10
        found = dict(zip(self.names, (variate > self.threshold).tolist(), strict=True))
        standing = "PA" if generator.random() < _PA_OF_STANDING else "LATERAL"
        view = "AP" if found["AP"] else standing
        return Case(sex, age, "", view, tuple((name, None) for name in self.names[1:] if found[name]))


@dataclass(frozen=True)
class Healthy:
    """Outpatients without a finding, seen from behind: the sexes and ages of NIH ChestX-ray14.

    44 % women, 47 ± 16.6 years in its file Data_Entry_2017; cut to adults, by our rule.

    Attributes:
        women: Their share.
    """

    women: float = 0.44

    def draw(self, generator: np.random.Generator) -> Case:
        """One case."""
        sex = "F" if generator.random() < self.women else "M"
        return Case(sex, _draw_age(generator, *_AGE_HEALTHY), "", "PA", ())


def _draw_age(generator: np.random.Generator, mean: float, sd: float) -> float:
    """Whole years: a normal cut to 18 to 95 years, at the fraction that one draw gives."""
    low, high = (float(norm.cdf((age - mean) / sd)) for age in (_ADULT, _OLDEST))
    return float(math.floor(mean + sd * float(norm.ppf(low + (high - low) * generator.random()))))
