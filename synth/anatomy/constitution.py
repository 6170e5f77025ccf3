"""From a person to a body: the relations of synth.anatomy.relations, with the scatter that people show about them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.build import Build
from synth.anatomy.relations import RELATIONS
from synth.anatomy.traits import Traits
from synth.core.errors import InputError

if TYPE_CHECKING:
    from synth.anatomy.person import Person
    from synth.anatomy.traits import Relation

__all__ = ["constitution", "measures"]

_DRAWN = tuple(field.name for field in dataclasses.fields(Build))
_FURTHEST = 2.5
"""Residuals are cut at this many standard deviations: a body is unusual in a few measures, impossible in none."""


def constitution(
    person: Person,
    generator: np.random.Generator | None,
    *,
    inspiration: float | None = None,
    arms_up: bool | None = None,
    supine: bool | None = None,
) -> Build:
    """The measures of a person's body, healthy for the age.

    Args:
        person: Whose body; race is not read.
        generator: Source of the residual scatter; None gives the expected body. The number of draws is the same for all
            persons and arguments, so that one person can be had in two postures.
        inspiration: Share of the inspiratory capacity, 0 to 1; default drawn: 0.86 ± 0.08 standing, 0.78 ± 0.09 lying
            (ours), without a generator its mean.
        arms_up: Default: as in CT when supine, beside the body when standing.
        supine: Default: standing.

    Returns:
        The build.

    Raises:
        InputError: inspiration outside 0 to 1.
    """
    supine = bool(supine)
    breath = 0.0 if generator is None else float(np.clip(generator.standard_normal(), -_FURTHEST, _FURTHEST))
    if inspiration is None:
        inspiration = min((0.78 if supine else 0.86) + (0.09 if supine else 0.08) * breath, 1.0)
    if not 0 <= inspiration <= 1:
        raise InputError(f"inspiration must be from 0 to 1, the share of the inspiratory capacity; got {inspiration:g}")
    values = measures(Traits.of(person, supine=supine, inspiration=inspiration), generator)
    return Build(
        female=person.sex == "F",
        age=person.age,
        inspiration=inspiration,
        arms_up=supine if arms_up is None else arms_up,
        supine=supine,
        **{name: value for name, value in values.items() if name in _DRAWN},
    )


def measures(traits: Traits, generator: np.random.Generator | None) -> dict[str, float]:
    """All measures of the table, those that only serve others too (lung volumes, fat per cent, …).

    Args:
        traits: What is asked of the person.
        generator: Source of one normal residual a relation; None: no scatter.

    Returns:
        Name of the relation → value.
    """
    drawn = np.zeros(len(RELATIONS)) if generator is None else generator.standard_normal(len(RELATIONS))
    values: dict[str, float] = {}
    residuals: dict[str, float] = {}
    for relation, own in zip(RELATIONS, drawn.tolist(), strict=True):
        leader, correlation = relation.follows or (relation.name, 0.0)
        shared = correlation * residuals.get(leader, 0.0) + math.sqrt(1 - correlation**2) * own
        residuals[relation.name] = min(max(shared, -_FURTHEST), _FURTHEST)
        values[relation.name] = _value(relation, traits, values, residuals[relation.name])
    return values


def _value(relation: Relation, traits: Traits, values: dict[str, float], residual: float) -> float:
    mean = relation.mean(traits, values)
    sd = relation.sd if isinstance(relation.sd, float) else traits.by_sex(*relation.sd)
    low, high = relation.limits
    return min(max(mean * math.exp(sd * residual) if relation.relative else mean + sd * residual, low), high)
