"""Precision, recall, density and coverage as scores: with intervals, floors and p-values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.distances.prdc import Prdc, check_neighbours, exact_prdc
from synth.metrics.patients import dense, few_patients, one_of_each, repeated, shuffled
from synth.metrics.score_value import Score, overlap_warnings
from synth.metrics.uncertainty import disjoint_variance, interval, p_value, permuted, real_floor, share_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.metrics.patients import PatientCodes, Patients

    Features = NDArray[np.float64]

__all__ = ["prdc_scores"]

_MOST = 1000  # images a set in permutations and groups

T95 = 2.131
"""97.5 % quantile of Student's distribution with 15 degrees of freedom: simulated, the variance from 40 deals has a
coefficient of variation of 0.3 to 0.4, and √(2/15) is 0.37."""

T95_DENSITY = 2.306
"""With 8: the density of half as many images varies a little less than twice as much (5 to 15 % in the deviation)."""


def prdc_scores(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    k: int = 5,
    permutations: int = 100,
    repeats: int = 40,
    patients: Patients | None = None,
) -> dict[str, Score]:
    """The four with how far to trust them.

    Intervals are for the mean at these sizes, from disjoint groups; floors are what real against real scores, at most
    half the reference each; p-values are two-sided, from at most 1000 images a set
    and one a patient.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Deals and permutes.
        k: Neighbours.
        permutations: For the p-values; 0 for none.
        repeats: Deals for the interval, a quarter of them for the floor; 0 for neither.
        patients: Names of the patients of both sets; images of one are not independent. Default: an image each.

    Returns:
        A score under each of "precision", "recall", "density" and "coverage".

    Raises:
        InputError: As `prdc`.
    """
    x, y = check_neighbours(reference, generated, k)
    own = repeated(patients, len(x), len(y))
    values, notes = exact_prdc(x, y, k), overlap_warnings(x, y)
    few = min(len(x), len(y)) < 4 * (k + 1)
    if few:
        notes += (f"{min(len(x), len(y))} images for k = {k}: no interval, no floor; use at least {4 * (k + 1)}",)
    elif fewer := few_patients(own):
        few, notes = True, (*notes, fewer)
    trust = _trust(x, y, k, values, rng, 0 if few else permutations, 0 if few else repeats, own)
    return {
        name: Score(value, *trust[name], n_reference=len(x), n_generated=len(y), warnings=notes)
        for name, value in values._asdict().items()
    }


_Trust = tuple[float | None, float | None, float | None, float | None]


def _trust(
    x: Features,
    y: Features,
    k: int,
    values: Prdc,
    rng: np.random.Generator,
    permutations: int,
    repeats: int,
    own: PatientCodes | None,
) -> dict[str, _Trust]:
    """Low, high, floor and p-value of each, all from one matrix of distances of at most 2000 images a set."""
    n, m = min(len(x), 2 * _MOST), min(len(y), 2 * _MOST)
    sides = (None, None) if own is None else own
    rows = [shuffled(len(one), codes, rng)[: 2 * _MOST] for one, codes in zip((x, y), sides, strict=True)]
    own = None if own is None else (dense(own[0][rows[0]]), dense(own[1][rows[1]]))
    distances = _matrix(np.concatenate([x[rows[0]], y[rows[1]]]))

    def score(first: NDArray[np.intp], second: NDArray[np.intp]) -> Features:
        return np.array(_count_matrix(distances, first, second, k))

    found: dict[str, _Trust] = {}
    shrink = (1 / len(x) + 1 / len(y)) / (1 / n + 1 / m)
    if repeats:
        variance = shrink * disjoint_variance(
            lambda i, j: score(i, n + j), n, m, rng, repeats=repeats, most=_MOST, patients=own
        )
        people = None if own is None else own[0]
        floors = real_floor(score, n, m, rng, repeats=-(-repeats // 4), exponent=0.0, patients=people)
    p_values = _p_values(distances, n, k, rng, permutations, own) if permutations else None
    counts = {"precision": len(y), "recall": len(x), "coverage": len(x)}
    for at, (name, value) in enumerate(values._asdict().items()):
        ends: tuple[float, float] | tuple[None, None] = (None, None)
        if repeats and name in counts:
            ends = share_interval(value, float(variance[at]), counts[name], T95)
        elif repeats:
            ends = interval(value, float(variance[at]), 0.0, quantile=T95_DENSITY)
        found[name] = (*ends, float(floors[at]) if repeats else None, p_values[at] if p_values else None)
    return found


def _p_values(
    distances: Features, n: int, k: int, rng: np.random.Generator, permutations: int, own: PatientCodes | None
) -> list[float]:
    """Two-sided p-values of the four, from at most 1000 images of each set, one a patient.

    Images of one patient lie in each other's balls: an exchange of patients with as many images is exact, but one of
    patients with several and with one image is not, however many there are.
    """
    sides = (None, None) if own is None else own
    one, other = (
        one_of_each(size, codes, rng)[:_MOST] for size, codes in zip((n, len(distances) - n), sides, strict=True)
    )
    chosen, first = np.concatenate([one, n + other]), len(one)

    def score(i: NDArray[np.intp], j: NDArray[np.intp]) -> Features:
        return np.array(_count_matrix(distances, chosen[i], chosen[j], k))

    everything = np.arange(len(chosen))
    observed = score(everything[:first], everything[first:])
    values = permuted(score, first, len(chosen) - first, permutations, rng)
    return [p_value(value, column, two_sided=True) for value, column in zip(observed, values.T, strict=True)]


def _matrix(z: Features) -> Features:
    """(N, N) squared distances in float64."""
    z = z - z.mean(0)
    norm = np.square(z).sum(1)
    square: Features = norm[:, None] + norm - 2 * (z @ z.T)
    np.fill_diagonal(square, 0)
    return square


def _count_matrix(distances: Features, first: NDArray[np.intp], second: NDArray[np.intp], k: int) -> Prdc:
    """The four from rows of one matrix of squared distances."""
    real, fake = (_radii(distances[np.ix_(i, i)], k) for i in (first, second))
    between = distances[np.ix_(first, second)]
    in_real, in_fake = between < real[:, None], between < fake
    return Prdc(
        float(in_real.any(0).mean()),
        float(in_fake.any(1).mean()),
        float(in_real.mean()) * len(first) / k,
        float(in_real.any(1).mean()),
    )


def _radii(distances: Features, k: int) -> Features:
    """(n,) distance to the k-th nearest other, or to the last where parts by patients are this small."""
    k = min(k, len(distances) - 1)
    radii: Features = np.partition(distances, k, axis=1)[:, k]
    return radii
