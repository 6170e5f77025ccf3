"""KID and CMMD as scores: with interval, floor and p-value, from one pass over the kernel matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.distances.kernel import (
    CMMD_SCALE,
    CMMD_SIGMA,
    KernelSums,
    Polynomial,
    Rbf,
    kernel_sums,
    mmd_variance,
    normalised,
    squared_distance,
)
from synth.metrics.score_value import Score, check_pair, overlap_warnings, same_set
from synth.metrics.uncertainty import interval, p_value, split_masks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]

__all__ = ["cmmd_score", "kid_score"]

LEAST = 4
"""Images a set needs for the variance: products of two kernel values take four."""


def kid_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    permutations: int = 500,
    repeats: int = 50,
) -> Score:
    """KID of all images, unbiased; the interval is for the distance of the distributions.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Splits and permutes.
        permutations: For the p-value; 0 for none.
        repeats: Splits of the reference for the floor, the standard deviation of real against real; 0 for none.

    Raises:
        InputError: Malformed features, or fewer than 4 images in a set.
    """
    x, y = check_pair(reference, generated, least=LEAST)
    return _score(x, y, Polynomial(x.shape[1]), rng, permutations, repeats, unbiased=True)


def cmmd_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    unbiased: bool = False,
    permutations: int = 500,
    repeats: int = 50,
) -> Score:
    """CMMD, by default as published.

    Args:
        reference: (n, d) CLIP image embeddings.
        generated: (m, d) CLIP image embeddings.
        rng: Splits and permutes.
        unbiased: Leave out pairs of an image with itself; the interval is then for the distance of the distributions,
            and else for the mean at these sizes.
        permutations: For the p-value; 0 for none.
        repeats: Splits of the reference for the floor; 0 for none.

    Raises:
        InputError: Malformed features, fewer than 4 images in a set, or an embedding of length 0.
    """
    x, y = check_pair(reference, generated, least=LEAST)
    x, y = normalised(x, "reference features"), normalised(y, "generated features")
    return _score(x, y, Rbf(CMMD_SIGMA), rng, permutations, repeats, unbiased=unbiased, scale=CMMD_SCALE)


def _score(
    x: Features,
    y: Features,
    kernel: Polynomial | Rbf,
    rng: np.random.Generator,
    permutations: int,
    repeats: int,
    *,
    unbiased: bool,
    scale: float = 1.0,
) -> Score:
    n, m = len(x), len(y)
    masks = split_masks(n, m, permutations, rng)
    halves = np.concatenate([split_masks(n // 2, n - n // 2, repeats, rng), np.zeros((m, repeats))])
    sums = kernel_sums(x, y, kernel, np.hstack([masks, halves]))
    surplus = 0.0 if unbiased else _surplus(sums)
    first, second = sums.rows[:n, 0].sum(), sums.rows[n:, 1].sum()
    observed = float(squared_distance(first, second, sums.rows[:n, 1].sum(), n, m))
    floor = _floor(sums, halves[:n], sums.within[permutations:], m, unbiased=unbiased) if repeats else None
    notes = overlap_warnings(x, y)
    if same_set(x, y):
        return Score(0.0, 0.0, 0.0, None if floor is None else scale * floor, 1.0, n, m, notes)
    values = _split(sums.rows.sum(1), masks, sums.within[:permutations], n, m)
    p = p_value(observed, values) if permutations else None
    value = scale * (observed + surplus)
    low, high = interval(value, scale**2 * mmd_variance(sums))
    return Score(value, low, high, None if floor is None else scale * floor, p, n, m, notes)


def _split(rows: Features, masks: Features, within: Features, n: int, m: int) -> Features:
    """(B,) MMD² of the points that masks mark against the rest; n and m of them."""
    marked = masks.T @ rows
    return squared_distance(within, rows.sum() - 2 * marked + within, marked - within, n, m)


def _surplus(sums: KernelSums) -> float:
    """What pairs of an image with itself add: Σ over sets of (mean k(x, x) − mean k(x, x′))/n."""
    n, m = sums.n, len(sums.rows) - sums.n
    one = (sums.diagonal[:n].mean() - sums.rows[:n, 0].mean() / (n - 1)) / n
    return float(one + (sums.diagonal[n:].mean() - sums.rows[n:, 1].mean() / (m - 1)) / m)


def _floor(sums: KernelSums, halves: Features, within: Features, m: int, *, unbiased: bool) -> float:
    """Real against real at sizes n and m, from halves of the reference: both parts go with 1/n + 1/m."""
    n = sums.n
    h = n // 2
    if not unbiased:
        own = sums.diagonal[:n].mean() - sums.rows[:n, 0].mean() / (n - 1)
        return float(own * (1 / n + 1 / m))
    values = _split(sums.rows[:n, 0], halves, within, h, n - h)
    return float(values.std(ddof=1)) * (1 / n + 1 / m) / (1 / h + 1 / (n - h))
