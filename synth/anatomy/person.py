"""Persons: sex, age, height and weight, given or drawn from a population's distributions.

The table tables/persons.csv holds height and body mass index of adults of the United States by sex and age, after
NHANES 2015-2018 (Fryar et al. 2021, Vital Health Stat 3(46)): means, spreads and their course with age, smoothed and
rounded by us, the median of a log-normal body mass index standing for its mean; the rows for 18 and 95 years continue
it by our rule. Between ages it is linear.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AGES", "Person", "draw_person"]

AGES = (18.0, 95.0)
"""Youngest and oldest, years: adults, to where the tables reach."""
_HEIGHTS_CM = (135.0, 210.0)
_BMI = (14.0, 55.0)
_BMI_DRAWN = (16.5, 45.0)
_AGE_ENDS = (18, 25, 35, 45, 55, 65, 75, 85, 95)
_AGE_SHARES = (0.117, 0.178, 0.165, 0.156, 0.165, 0.128, 0.065, 0.026)
"""Share of the adults between the ages above: United States census of 2020, rounded; none is older."""


@dataclass(frozen=True)
class Person:
    """An adult.

    Attributes:
        sex: "F" or "M".
        age: Years, 18 to 95.
        height_cm: Standing height.
        weight_kg: Body mass.
        race: Free text, for the record. It changes nothing in the anatomy: bodies differ far more within such a group
            than between, and no relation used here asks for it.

    Raises:
        InputError: A value out of range, or a height and weight that no adult has together.
    """

    sex: str
    age: float
    height_cm: float
    weight_kg: float
    race: str = ""

    def __post_init__(self) -> None:
        if self.sex not in ("F", "M"):
            raise InputError(f"sex must be F or M, got {self.sex!r}")
        _within("age", self.age, AGES, "years")
        _within("height", self.height_cm, _HEIGHTS_CM, "cm")
        _within("body mass index", self.bmi, _BMI, "kg/m²: mend the weight")

    @property
    def bmi(self) -> float:
        """Body mass index, kg/m²."""
        return self.weight_kg / (self.height_cm / 100) ** 2

    @property
    def bsa(self) -> float:
        """Body surface area, m² (Mosteller 1987, NEJM 317:1098)."""
        return math.sqrt(self.height_cm * self.weight_kg / 3600)


def draw_person(
    generator: np.random.Generator,
    *,
    sex: str | None = None,
    age: float | None = None,
    height_cm: float | None = None,
    weight_kg: float | None = None,
    race: str | None = None,
) -> Person:
    """A person, what is not given being drawn: sex evenly, age from the census, height and body mass index by both.

    Height is normal and the body mass index log-normal about the table's values, each cut at 2.5 standard deviations;
    the two are independent, as they nearly are among adults.

    Args:
        generator: Source of the draws; always four of them, so that a given value leaves the others as they were.
        sex: "F" or "M".
        age: Years.
        height_cm: Standing height.
        weight_kg: Body mass; default: from height and the drawn body mass index.
        race: Free text, default empty; changes nothing else.

    Returns:
        The person.

    Raises:
        InputError: As for Person.
    """
    woman, born = generator.random(), generator.random()
    tall, heavy = np.clip(generator.standard_normal(2), -2.5, 2.5)
    sex = sex if sex is not None else "F" if woman < 0.5 else "M"
    age = age if age is not None else _age(born)
    if sex not in ("F", "M"):
        raise InputError(f"sex must be F or M, got {sex!r}")
    _within("age", age, AGES, "years")
    ages, columns = _table()[sex]
    mean, sd, median, log_sd = (float(np.interp(age, ages, column)) for column in columns)
    height_cm = height_cm if height_cm is not None else round(mean + sd * float(tall), 1)
    if weight_kg is None:
        bmi = float(np.clip(median * math.exp(log_sd * heavy), *_BMI_DRAWN))
        weight_kg = round(bmi * (height_cm / 100) ** 2, 1)
    return Person(sex, age, height_cm, weight_kg, race or "")


def _age(share: float) -> float:
    """The age, in whole years, below which that share of the adults is."""
    below = np.cumsum((0.0, *_AGE_SHARES))
    return float(math.floor(np.interp(share * below[-1], below, _AGE_ENDS)))


@cache
def _table() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Sex → ages (n,) and columns (4, n): mean and SD of height in cm, median and log-SD of body mass index."""
    text = files("synth.anatomy").joinpath("tables", "persons.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))[1:]
    table = {sex: np.array([row[1:] for row in rows if row[0] == sex], float).T for sex in ("F", "M")}
    return {sex: (columns[0], columns[1:]) for sex, columns in table.items()}


def _within(what: str, value: float, allowed: tuple[float, float], unit: str) -> None:
    if not allowed[0] <= value <= allowed[1]:
        raise InputError(f"{what} must be from {allowed[0]:g} to {allowed[1]:g} {unit}; got {value:g}")
