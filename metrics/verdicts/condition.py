"""Whether a sample shows what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.metrics.verdicts.verdict import Verdict, undecided

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["condition_verdicts"]


def condition_verdicts(
    stated: Mapping[str, str | None], read: Mapping[str, Mapping[str, float]], *, least: float = 0.2
) -> tuple[Verdict, ...]:
    """The verdicts on one sample, one an attribute that was asked for.

    Passes where what was asked for is the likeliest; fails where its probability is below `least`; else, and where the
    reader does not know the attribute, nothing can be said.

    Args:
        stated: Attribute → what was asked for; None where nothing was. See `alignment.conditions.stated_conditions`.
        read: Attribute → value → probability, from a `ConditionReader`.
        least: Below this probability the sample fails.

    Raises:
        InputError: `least` is no probability.
    """
    if not 0 <= least <= 1:
        raise InputError(f"least {least:g}: give a probability")
    asked = {attribute: value for attribute, value in stated.items() if value is not None}
    return tuple(_one(attribute, value, read.get(attribute), least) for attribute, value in asked.items())


def _one(attribute: str, wanted: str, probabilities: Mapping[str, float] | None, least: float) -> Verdict:
    name = f"condition {attribute}"
    if probabilities is None or wanted not in probabilities:
        return undecided(name, f"the reader does not tell {attribute} {wanted}")
    value = float(probabilities[wanted])
    first = max(probabilities, key=lambda one: probabilities[one])
    if value >= least and value == probabilities[first]:
        return Verdict(name, value, least, "pass", f"asked for {wanted}, read as such ({value:.0%})")
    reason = f"asked for {wanted} ({value:.0%}), read as {first} ({probabilities[first]:.0%})"
    return Verdict(name, value, least, "fail", reason) if value < least else undecided(name, reason, value, least)
