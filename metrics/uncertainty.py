"""Intervals that cover, floors, and p-values, for any score of two sets.

A distance between two sets holds terms quadratic in the data, and with them pairs of an image with itself: they make it
grow as n falls. The ordinary bootstrap draws images twice, counts these as new self-pairs, and so resamples around a
value that is biased once more: its intervals cover next to nothing (docs/scores.md). Here nothing is drawn twice:
influences (the infinitesimal jackknife), groups left out, disjoint groups, and permutations; of whole patients where a
patient has several images.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.patients import cut, exchanged, shuffled, totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from synth.metrics.patients import Codes, PatientCodes

    Indices = NDArray[np.intp]
    Values = NDArray[np.float64]
    Statistic = Callable[[Indices, Indices], float] | Callable[[Indices, Indices], Values]
    """A score, or several in an array; results have its shape."""

__all__ = [
    "disjoint_variance",
    "group_jackknife",
    "influence_variance",
    "interval",
    "p_value",
    "permuted",
    "real_floor",
    "share_interval",
    "split_masks",
]

Z95 = 1.959964
"""97.5 % quantile of the standard normal distribution."""


def interval(
    value: float, variance: float, least: float = -np.inf, most: float = np.inf, quantile: float = Z95
) -> tuple[float, float]:
    """Normal 95 % interval, cut to what the score can be; another `quantile` where the variance is rough."""
    half = quantile * float(np.sqrt(max(variance, 0.0)))
    return float(np.clip(value - half, least, most)), float(np.clip(value + half, least, most))


def share_interval(share: float, variance: float, count: int, quantile: float = Z95) -> tuple[float, float]:
    """95 % interval of a share, within 0 to 1 and of some width also at 0 and at 1.

    Wilson's interval (1927) of as many independent images as would give this variance, at most `count`.

    Args:
        share: 0 to 1.
        variance: Of the share.
        count: Images of which it is the share.
        quantile: Of the normal distribution, or of Student's where the variance is rough.
    """
    spread = share * (1 - share)
    images = max(min(spread / variance, count), 1.0) if variance > 0 and spread > 0 else float(count)
    z = quantile**2 / images
    middle, half = (share + z / 2) / (1 + z), float(np.sqrt(z * (spread + z / 4))) / (1 + z)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def influence_variance(*influences: NDArray[np.float64], patients: Sequence[Codes] | None = None) -> float:
    """Variance of a score by the infinitesimal jackknife (Jaeckel 1972; Efron 1982, chapter 6).

    Args:
        influences: For each independent set, (n,) derivatives of the score by the weight of an image times n, mean 0.
        patients: Their patients, whose images' influences are added up; default: images are independent.

    Returns:
        Σ over sets of s²/n, or of P s²/n² of P patients. For a score with quadratic terms σ₁² + 2σ₂² on average where
        the truth is σ₁² + σ₂² (Efron and Stein 1981): never too small, twice too large where both sets are of one
        distribution.
    """
    if patients is None:
        return float(sum(values.var(ddof=1) / len(values) for values in influences))
    sums = [totals(values, own) for values, own in zip(influences, patients, strict=True)]
    return float(sum(len(s) * s.var(ddof=1) / len(v) ** 2 for s, v in zip(sums, influences, strict=True)))


def group_jackknife(
    statistic: Statistic,
    n: int,
    m: int,
    rng: np.random.Generator,
    groups: int = 20,
    patients: PatientCodes | None = None,
) -> Values:
    """Variance of a score by leaving out groups of each set in turn (Shao and Wu 1989).

    Args:
        statistic: The score from indices into both sets.
        n: Images in the one set.
        m: Images in the other.
        rng: Deals images into groups.
        groups: Groups a set, at most one an image or patient; every one costs one evaluation.
        patients: Of both sets, to be left out as a whole.

    Returns:
        Σ over sets of (G − 1)/G · Σ (θ₍g₎ − mean)².
    """
    whole = np.arange(n), np.arange(m)
    variance = np.zeros(())
    for side in (0, 1):
        size, own = len(whole[side]), None if patients is None else patients[side]
        dealt = cut(shuffled(size, own, rng), own, min(groups, size))
        left = [np.setdiff1d(whole[side], group) for group in dealt]
        values = [statistic(*((rest, whole[1]) if side == 0 else (whole[0], rest))) for rest in left]
        variance = variance + (len(values) - 1) * np.var(np.array(values), axis=0)
    return variance


def disjoint_variance(
    statistic: Statistic,
    n: int,
    m: int,
    rng: np.random.Generator,
    *,
    repeats: int = 40,
    most: int = 1000,
    patients: PatientCodes | None = None,
) -> Values:
    """Variance of any score, smooth or not, from its values on disjoint groups.

    Both sets are dealt into groups; scores of disjoint groups are independent, so that their sample variance is right
    on average for a group's size, and that size over n times it for the whole, as for any score with a first-order
    term. Where the quadratic term rules it is too large.

    Args:
        statistic: The score from indices into both sets.
        n: Images in the one set, at least 4.
        m: Images in the other, at least 4.
        rng: Deals images into groups.
        repeats: Deals to average over.
        most: Largest group; smaller groups are cheaper.
        patients: Of both sets, to stay together; at least 2 a set.
    """
    count = max(2, -(-min(n, m) // most))
    own = (None, None) if patients is None else patients
    found = []
    for _ in range(repeats):
        first, second = (cut(shuffled(k, one, rng), one, count) for k, one in zip((n, m), own, strict=True))
        pairs = list(zip(first, second, strict=False))
        share = (1 / n + 1 / m) / np.mean([1 / len(i) + 1 / len(j) for i, j in pairs])
        found.append(share * np.var(np.array([statistic(i, j) for i, j in pairs]), axis=0, ddof=1))
    mean: Values = np.mean(found, axis=0)
    return mean


def real_floor(
    statistic: Statistic,
    n: int,
    m: int,
    rng: np.random.Generator,
    *,
    repeats: int = 5,
    exponent: float | None = 1.0,
    spread: bool = False,
    patients: Codes | None = None,
) -> Values:
    """What a perfect generator would score: real against real at sizes n and m, from n real images.

    Disjoint parts of the reference are scored against each other. Scores depend on sizes through 1/n + 1/m, so that
    parts of the harmonic mean h of n and m stand for both; where h is more than n/2, halves are scored, and
    F(h) = F(n/2) · (n/2h)^e.

    Args:
        statistic: The score from two lists of indices into the reference.
        n: Images in the reference, at least 4.
        m: Images in the generated set.
        rng: Deals images into parts.
        repeats: Deals to average over.
        exponent: e; 1 for unbiased scores and for covariances of halves with an image a feature, 0 for shares.
            None measures it between quarters and halves and goes half the way to 1, where it ends with many images:
            within 13 % for the Fréchet distance down to n = d/2 (docs/scores.md).
        spread: The standard deviation instead of the mean, for scores that average to 0.
        patients: Of the reference, of whom none is in both parts.
    """
    size = max(2, n // 2)
    wanted = 2 / (1 / n + 1 / m)
    level = partial(_level, statistic, n, rng=rng, repeats=repeats, patients=patients)
    if wanted <= size:
        return level(max(2, round(wanted)), spread=spread)
    halves = level(size, spread=spread)
    growth = _growth(size, halves, level) if exponent is None else np.asarray(exponent)
    floor: Values = halves * (size / wanted) ** growth
    return floor


def p_value(observed: float, values: NDArray[np.float64], *, two_sided: bool = False) -> float:
    """Share of permuted values at least as extreme, the observed one included (Phipson and Smyth 2010).

    Args:
        observed: The score.
        values: (B,) scores after random exchange of the images of both sets.
        two_sided: Extreme is far from the mean of all, on either side; else, large.
    """
    pool = np.append(values, observed)
    far = np.abs(pool - pool.mean()) if two_sided else pool
    slack = 1e-12 * np.abs(pool).max()  # equal but for rounding is equal
    return float(np.mean(far >= far[-1] - slack))


def permuted(
    statistic: Statistic,
    n: int,
    m: int,
    permutations: int,
    rng: np.random.Generator,
    patients: PatientCodes | None = None,
) -> Values:
    """(B, …) scores with the images or patients of both sets exchanged at random; indices count through both sets."""
    return np.array([statistic(*exchanged(n, m, patients, rng)) for _ in range(permutations)])


def split_masks(
    n: int, m: int, count: int, rng: np.random.Generator, sizes: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Random choices of about n of n + m images, a column of 0 and 1 each, for scores of one kernel matrix.

    Args:
        n: Images to choose.
        m: The others.
        count: How many choices.
        rng: Chooses.
        sizes: (P,) images of each patient, who are chosen as a whole; default: n + m images each of its own.

    Returns:
        (P, count).
    """
    sizes = np.ones(n + m) if sizes is None else sizes
    masks = np.zeros((len(sizes), count))
    for column in masks.T:
        order = rng.permutation(len(sizes))
        column[order[: int(np.abs(np.cumsum(sizes[order])[:-1] - n).argmin()) + 1]] = 1
    return masks


def _level(
    statistic: Statistic,
    n: int,
    size: int,
    *,
    rng: np.random.Generator,
    repeats: int,
    patients: Codes | None = None,
    spread: bool = False,
) -> Values:
    values = []
    for _ in range(repeats):
        halves = cut(shuffled(n, patients, rng), patients, 2)
        values.append(statistic(halves[0][:size], halves[-1][:size]))
    found = np.array(values)
    level: Values = found.std(axis=0, ddof=1) if spread else found.mean(axis=0)
    return level


def _growth(size: int, halves: Values, level: Callable[[int], Values]) -> Values:
    """The exponent from n/2 on: half-way between that from n/4 to n/2 and 1."""
    quarter = max(2, size // 2)
    quarters, tiny = level(quarter), np.finfo(float).tiny
    steps = np.log(max(size / quarter, 1.001))
    slope: Values = np.log(np.maximum(quarters, tiny) / np.maximum(halves, tiny)) / steps
    return (1 + np.clip(slope, 0, 1)) / 2
