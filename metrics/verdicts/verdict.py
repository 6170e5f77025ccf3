"""What a check of one sample found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Outcome", "Verdict", "above", "below", "outcome_of", "undecided"]

Outcome: TypeAlias = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """One check of one sample.

    Attributes:
        name: What was checked.
        value: What was measured; None where there is no number.
        threshold: What it was held against; of a range the end that is nearer.
        outcome: "undecided" where there is too little to say.
        reason: In words.
    """

    name: str
    value: float | None
    threshold: float | None
    outcome: Outcome
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def above(name: str, value: float, threshold: float, what: str) -> Verdict:
    """Fails above the threshold; `what` names the measure in the reason."""
    fails = value > threshold
    relation = "above" if fails else "not above"
    return Verdict(
        name, value, threshold, "fail" if fails else "pass", f"{what} {value:.3g} is {relation} {threshold:.3g}"
    )


def below(name: str, value: float, threshold: float, what: str) -> Verdict:
    """Fails below the threshold."""
    fails = value < threshold
    relation = "below" if fails else "not below"
    return Verdict(
        name, value, threshold, "fail" if fails else "pass", f"{what} {value:.3g} is {relation} {threshold:.3g}"
    )


def undecided(name: str, reason: str, value: float | None = None, threshold: float | None = None) -> Verdict:
    """Too little to say."""
    return Verdict(name, value, threshold, "undecided", reason)


def outcome_of(verdicts: Iterable[Verdict]) -> Outcome:
    """Of several checks of one sample: fails where one fails, passes where none failed and one passed."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if "fail" in outcomes:
        return "fail"
    return "pass" if "pass" in outcomes else "undecided"
