"""The Fréchet distance and FD∞ as scores: with interval, floor and p-value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from synth.metrics.distances.frechet import frechet_distance, transport
from synth.metrics.distances.frechet_infinity import LEAST, extrapolate, second_order_variance
from synth.metrics.distances.gaussian import GaussianStatistics
from synth.metrics.patients import comparable, design_effect, few_patients, repeated
from synth.metrics.score_value import ENOUGH, Score, check_pair, overlap_warnings, same_set, size_warnings
from synth.metrics.uncertainty import interval, p_value, permuted, real_floor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.metrics.patients import PatientCodes, Patients

__all__ = ["frechet_infinity_score", "frechet_score", "same_distribution"]

COMPONENTS = 64
"""Principal components of both sets together on which the permutation test measures the Fréchet distance."""


def frechet_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 200,
    repeats: int = 3,
    patients: Patients | None = None,
) -> Score:
    """The Fréchet distance as everyone computes it, with how far to trust it.

    The interval is for its mean at these sizes; what other sizes would give it does not say: compare with `floor`, or
    use `frechet_infinity_score`.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Splits and permutes.
        permutations: For the p-value; 0 for none.
        repeats: Splits of the reference for the floor; 0 for none.
        patients: Names of the patients of both sets; images of one are not independent. Default: an image each.

    Raises:
        InputError: Malformed features, or fewer than 2 images in a set.
    """
    x, y = check_pair(reference, generated)
    own = repeated(patients, len(x), len(y))
    notes = (*overlap_warnings(x, y), *size_warnings(len(x), len(y), x.shape[1]))
    if few := few_patients(own):
        value = frechet_distance(x, y)
        return Score(value, n_reference=len(x), n_generated=len(y), warnings=(*notes, few))
    floor = _floor(x, len(y), rng, repeats, own) if repeats else None
    if same_set(x, y):
        return Score(0.0, 0.0, 0.0, floor, 1.0, len(x), len(y), notes)
    parts = transport(x, y)
    low, high = interval(parts.distance, second_order_variance(x, y, parts, rng, own), least=0.0)
    p = same_distribution(x, y, rng=rng, permutations=permutations, patients=patients) if permutations else None
    return Score(parts.distance, low, high, floor, p, len(x), len(y), notes)


def frechet_infinity_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    splits: int = 8,
    permutations: int = 200,
    repeats: int = 10,
    patients: Patients | None = None,
) -> Score:
    """FD∞ with how far to trust it: the interval is for the distance of the distributions.

    Below two independent images a feature FD∞ is too large by an unknown amount: it then has neither interval nor
    floor. How many independent ones the images of patients stand for is measured (`patients.design_effect`).

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Splits and permutes.
        splits: Random splits into halves to extrapolate from.
        permutations: For the p-value; 0 for none.
        repeats: Splits of the reference for the floor, the standard deviation of real against real; 0 for none.
        patients: Names of the patients of both sets; images of one are not independent. Default: an image each.

    Raises:
        InputError: Malformed features, or fewer than 6 images in a set.
    """
    x, y = check_pair(reference, generated, least=LEAST)
    own = repeated(patients, len(x), len(y))
    sizes = _independent(x, y, own)
    enough, few = min(sizes) >= ENOUGH * x.shape[1], few_patients(own)
    notes = (*overlap_warnings(x, y), *size_warnings(*sizes, x.shape[1]))
    notes += () if enough else ("so few images leave FD∞ too large, by how much is unknown: no interval, no floor",)
    if few:
        value = extrapolate(x, y, transport(x, y), rng, splits).value
        return Score(value, n_reference=len(x), n_generated=len(y), warnings=(*notes, few))
    floor = _floor(x, len(y), rng, repeats, own, spread=True) if repeats and enough else None
    if same_set(x, y):
        return Score(0.0, 0.0, 0.0, floor, 1.0, len(x), len(y), notes)
    value, variance = extrapolate(x, y, transport(x, y), rng, splits, own)
    low, high = interval(value, variance) if enough else (None, None)
    p = same_distribution(x, y, rng=rng, permutations=permutations, patients=patients) if permutations else None
    return Score(value, low, high, floor, p, len(x), len(y), notes)


def same_distribution(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 200,
    patients: Patients | None = None,
) -> float:
    """Permutation p-value of "both sets come from one distribution" by the Fréchet distance.

    It is measured on the first 64 principal components of both sets together, which an exchange of images does not
    change: the test stays exact, and one permutation costs a millisecond whatever d. Patients of several images change
    sides as a whole; the test is then about level (see `patients.comparable`).

    Raises:
        InputError: Malformed features.
    """
    x, y = check_pair(reference, generated)
    first, second, own = comparable(len(x), len(y), repeated(patients, len(x), len(y)), rng)
    x, y = x[first], y[second]
    z = _components(np.concatenate([x, y]), min(COMPONENTS, max(1, (min(len(x), len(y)) - 1) // 2)))
    moment, total = z.T @ z, z.sum(0)

    def distance(first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
        part = z[first]
        found, sum_ = part.T @ part, part.sum(0)
        return frechet_distance(
            _statistics(len(first), sum_, found), _statistics(len(second), total - sum_, moment - found)
        )

    values = permuted(distance, len(x), len(y), permutations, rng, own)
    everything = np.arange(len(z))
    return p_value(distance(everything[: len(x)], everything[len(x) :]), values)


def _components(z: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(n, at most count) principal components of centred rows."""
    z = z - z.mean(0)
    few = len(z) <= z.shape[1]
    matrix = z @ z.T if few else z.T @ z
    size = len(matrix)
    values, vectors = linalg.eigh(matrix, subset_by_index=[max(0, size - count), size - 1], check_finite=False)
    return vectors * np.sqrt(np.clip(values, 0, None)) if few else z @ vectors


def _statistics(n: int, total: NDArray[np.float64], moment: NDArray[np.float64]) -> GaussianStatistics:
    """From sums of rows and of their outer products; the rows are centred, so that nothing cancels."""
    mean = total / n
    return GaussianStatistics(n, mean, moment - np.outer(mean, total))


def _floor(
    x: NDArray[np.float64],
    m: int,
    rng: np.random.Generator,
    repeats: int,
    own: PatientCodes | None,
    *,
    spread: bool = False,
) -> float | None:
    """Real against real at sizes n and m; None with too few images to split."""
    n, d = x.shape
    if n < 4:
        return None
    exponent = 1.0 if spread or n // 2 >= d else None

    def distance(first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
        return frechet_distance(x[first], x[second])

    people = None if own is None else own[0]
    return float(real_floor(distance, n, m, rng, repeats=repeats, exponent=exponent, spread=spread, patients=people))


def _independent(x: NDArray[np.float64], y: NDArray[np.float64], own: PatientCodes | None) -> tuple[int, int]:
    """How many independent images both sets stand for."""
    if own is None:
        return len(x), len(y)
    return int(len(x) / design_effect(x, own[0])), int(len(y) / design_effect(y, own[1]))
