"""Who is told to be healthy and is not: error rates of a classifier by subgroup, and their gap.

Underdiagnosis (Seyyed-Kalantari et al. 2021, Nature Medicine 27:2176): the rate at which patients with a finding are
called "No Finding", its false-positive rate; among women, the young, the Black and the uninsured it is higher.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synth.core.errors import InputError
from synth.metrics.uncertainty import p_value, share_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.fairness.classifier_table import ClassifierTable

__all__ = ["RATES", "Gap", "GroupRate", "Rate", "rate_gap", "underdiagnosis"]

Rate = Literal["fpr", "fnr", "tpr", "tnr", "accuracy", "selection_rate", "prevalence"]
RATES: tuple[Rate, ...] = ("fpr", "fnr", "tpr", "tnr", "accuracy", "selection_rate", "prevalence")
"""False and true positive and negative rates; share of right answers; share of images that are called positive, and
that are positive."""

_FEW = 30
"""Images below which a rate comes with a warning, and its group is left out of the gap: a rate of one half is then
known to ± 18 points at best."""


@dataclass(frozen=True)
class GroupRate:
    """A rate in one subgroup.

    Attributes:
        group: "F", or "F, 60-79" for an intersection.
        n: Images of the group.
        patients: Patients of the group.
        count: Images that the rate is of (of a false-positive rate, the negative ones).
        rate: None without such images.
        low: Lower end of the 95 % interval, by patients.
        high: Its upper end.
        warnings: What a reader should know.
    """

    group: str
    n: int
    patients: int
    count: int
    rate: float | None
    low: float | None
    high: float | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gap:
    """The difference between the groups with the largest and the smallest rate.

    Attributes:
        name: The rate's.
        overall: The rate of all images.
        groups: All groups, the largest rate first.
        value: Largest minus smallest rate, of groups large enough; None with fewer than two.
        low: Lower end of the 95 % interval of the difference of these two groups.
        high: Its upper end.
        floor: Mean gap where groups are dealt at random among patients: what equal groups of these sizes show.
        p_value: How often a random deal shows at least this gap.
        most: The group with the largest rate.
        least: The group with the smallest.
        warnings: What a reader should know.
    """

    name: str
    overall: float | None
    groups: tuple[GroupRate, ...]
    value: float | None
    low: float | None
    high: float | None
    floor: float | None
    p_value: float | None
    most: str
    least: str
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def underdiagnosis(
    table: ClassifierTable,
    *columns: str,
    rng: np.random.Generator,
    label: Literal["no finding", "finding"] = "no finding",
    few: int = _FEW,
    draws: int = 1000,
) -> Gap:
    """The underdiagnosis gap.

    Args:
        table: Predictions of "No Finding", or of a finding.
        columns: Columns to group by; several give intersections.
        rng: Draws and deals patients.
        label: Which of both the table is of: the rate is the false-positive rate of "no finding" or the
            false-negative rate of a finding.
        few: See `rate_gap`.
        draws: See `rate_gap`.

    Raises:
        InputError: As `rate_gap`.
    """
    if label not in ("no finding", "finding"):
        raise InputError(f"label must be 'no finding' or 'finding', got {label!r}")
    return rate_gap(table, "fpr" if label == "no finding" else "fnr", *columns, rng=rng, few=few, draws=draws)


def rate_gap(
    table: ClassifierTable,
    rate: Rate,
    *columns: str,
    rng: np.random.Generator,
    few: int = _FEW,
    draws: int = 1000,
) -> Gap:
    """A rate by subgroup and its gap.

    Patients, not images, are drawn for the intervals and dealt for floor and p-value.

    Args:
        table: Predictions.
        rate: One of RATES.
        columns: Columns to group by; several give intersections.
        rng: Draws and deals patients.
        few: Images that a group's rate must be of to count for the gap.
        draws: Of the bootstrap, and of the deals.

    Raises:
        InputError: An unknown rate, no column, or no such column.
    """
    if rate not in RATES:
        raise InputError(f"unknown rate {rate!r}: use one of {', '.join(RATES)}")
    hit, counted = _rows(table, rate)
    groups = table.groups(*columns)
    found = [_group(", ".join(name), np.array(rows), hit, counted, table.patients, rng, few, draws)
             for name, rows in groups.items()]  # fmt: skip
    found.sort(key=lambda one: (one.rate is None, -(one.rate or 0), one.group))
    large = [one for one in found if one.count >= few and one.rate is not None]
    overall = float(hit[counted].mean()) if counted.any() else None
    left_out = len(found) - len(large)
    notes = table.warnings + ((f"{left_out} groups of fewer than {few} images are not in the gap",) * bool(left_out))
    if len(large) < 2:
        return Gap(rate, overall, tuple(found), None, None, None, None, None, "", "", notes)
    most, least = large[0], large[-1]
    named = {", ".join(name): np.array(rows) for name, rows in groups.items()}
    gap, low, high = _difference(most, least)
    deals = _dealt([named[one.group] for one in large], hit, counted, table.patients, rng, draws)
    floor, p = (float(np.nanmean(deals)), p_value(gap, deals[np.isfinite(deals)])) if draws else (None, None)
    return Gap(rate, overall, tuple(found), gap, low, high, floor, p, most.group, least.group, notes)


def _rows(table: ClassifierTable, rate: Rate) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) whether an image counts as a case of the rate, and whether the rate is of it."""
    truth, said = table.truth, table.prediction
    everyone = np.ones(len(truth), bool)
    of: dict[Rate, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {
        "fpr": (said, ~truth),
        "tnr": (~said, ~truth),
        "tpr": (said, truth),
        "fnr": (~said, truth),
        "accuracy": (said == truth, everyone),
        "selection_rate": (said, everyone),
        "prevalence": (truth, everyone),
    }
    return of[rate]


def _group(
    name: str,
    rows: NDArray[np.intp],
    hit: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    patients: NDArray[np.intp],
    rng: np.random.Generator,
    few: int,
    draws: int,
) -> GroupRate:
    chosen = rows[counted[rows]]
    people = len(np.unique(patients[rows]))
    if not len(chosen):
        return GroupRate(name, len(rows), people, 0, None, None, None, ("the rate is of no image of this group",))
    share = float(hit[chosen].mean())
    cases, counts = _by_patient(hit[chosen], patients[chosen])
    variance = _bootstrap_variance(cases, counts, rng, draws) if draws else share * (1 - share) / len(chosen)
    low, high = share_interval(share, variance, len(chosen) if variance > 0 else _effective(counts))
    notes = (f"small group: a rate of {len(chosen)} images",) if len(chosen) < few else ()
    return GroupRate(name, len(rows), people, len(chosen), share, low, high, notes)


def _by_patient(hit: NDArray[np.bool_], patients: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(p,) cases and images of each patient."""
    _, of = np.unique(patients, return_inverse=True)
    return np.bincount(of, hit).astype(np.int64), np.bincount(of)


def _effective(counts: NDArray[np.int64]) -> int:
    """Patients, of equal numbers of images, that say as much where a patient's images are all alike (Kish 1965)."""
    return round(float(counts.sum()) ** 2 / float(np.square(counts).sum()))


def _bootstrap_variance(
    cases: NDArray[np.int64], counts: NDArray[np.int64], rng: np.random.Generator, draws: int
) -> float:
    weights = rng.multinomial(len(cases), np.full(len(cases), 1 / len(cases)), draws)
    drawn: NDArray[np.float64] = (weights @ cases) / (weights @ counts)
    return float(drawn.var(ddof=1)) if draws > 1 else 0.0


def _difference(most: GroupRate, least: GroupRate) -> tuple[float, float, float]:
    """The difference of two shares and its interval from those of both (Newcombe 1998, method 10)."""
    (upper, upper_low, upper_high), (lower, lower_low, lower_high) = (
        (one.rate or 0.0, one.low or 0.0, one.high or 0.0) for one in (most, least)
    )
    gap = upper - lower
    down, up = np.hypot(upper - upper_low, lower_high - lower), np.hypot(upper_high - upper, lower - lower_low)
    return gap, float(gap - down), float(gap + up)


def _dealt(
    groups: list[NDArray[np.intp]],
    hit: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    patients: NDArray[np.intp],
    rng: np.random.Generator,
    draws: int,
) -> NDArray[np.float64]:
    """(draws,) gaps with the groups dealt at random among the patients (a patient in two groups counts as two)."""
    cases, counts, labels = [], [], []
    for label, rows in enumerate(groups):
        chosen = rows[counted[rows]]
        some, images = _by_patient(hit[chosen], patients[chosen])
        cases.append(some)
        counts.append(images)
        labels.append(np.full(len(images), label))
    numerators, denominators, label_of = (np.concatenate(one) for one in (cases, counts, labels))
    gaps = np.empty(draws)
    for at in range(draws):
        dealt = rng.permutation(label_of)
        rates = np.bincount(dealt, numerators, len(groups)) / np.bincount(dealt, denominators, len(groups))
        gaps[at] = rates.max() - rates.min()
    return gaps
