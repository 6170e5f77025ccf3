"""Diversity as scores: that of the generated set, with interval, beside the reference's as floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.metrics.distances.diversity import (
    SCALE_WEIGHTS,
    check_images,
    ms_ssim_matrix,
    scales_of,
    vendi_influence,
    vendi_score,
)
from synth.metrics.distances.kernel import pair_variance
from synth.metrics.score_value import Score, check_pair, overlap_warnings
from synth.metrics.uncertainty import influence_variance, interval, p_value, permuted, split_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["ms_ssim_diversity_score", "vendi_diversity_score"]

LEAST = 4
"""Images a set needs for the variance of a mean over pairs."""


def ms_ssim_diversity_score(
    reference: Sequence[ArrayLike],
    generated: Sequence[ArrayLike],
    *,
    rng: np.random.Generator,
    most: int = 64,
    permutations: int = 500,
) -> Score:
    """Mean MS-SSIM over pairs of generated images; the floor is the reference's.

    The interval is for the mean over all pairs of the distribution; the p-value is two-sided, for "reference and
    generated are equally diverse, being of one distribution".

    Args:
        reference: (h, w) uint8 or uint16 images.
        generated: (h, w) uint8 or uint16 images of the same size.
        rng: Chooses images and permutes.
        most: Images of each set to compare; time goes with its square.
        permutations: For the p-value; 0 for none.

    Raises:
        InputError: Malformed images, different sizes, fewer than 4 images in a set, or `most` below 4.
    """
    for name, images in (("reference", reference), ("generated", generated), ("most", range(most))):
        if len(images) < LEAST:
            raise InputError(f"{name}: {len(images)} image(s); MS-SSIM diversity needs at least {LEAST}")
    chosen = [[images[i] for i in rng.permutation(len(images))[:most]] for images in (reference, generated)]
    stack, n = [*chosen[0], *chosen[1]], len(chosen[0])
    scales = scales_of(check_images(stack).shape[1:])
    notes = () if scales == len(SCALE_WEIGHTS) else (f"images this small have {scales} of MS-SSIM's 5 scales",)
    matrix = ms_ssim_matrix(stack)
    np.fill_diagonal(matrix, 0)
    own, other = matrix[n:, n:], matrix[:n, :n]
    low, high = interval(_pair_mean(own), pair_variance(own.sum(1), float(np.square(own).sum())), 0.0, 1.0)
    p = _pair_p_value(matrix, n, permutations, rng) if permutations else None
    return Score(_pair_mean(own), low, high, _pair_mean(other), p, len(reference), len(generated), notes)


def vendi_diversity_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    order: float = 1.0,
    permutations: int = 200,
    most: int = 300,
) -> Score:
    """The Vendi score of the generated set; the floor is the reference's, at the size of the smaller set.

    The interval is for the mean at this size; the p-value is two-sided, from at most `most` images a set.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Chooses images and permutes.
        order: As `vendi_score`.
        permutations: For the p-value; 0 for none.
        most: Images of each set in a permutation.

    Raises:
        InputError: Malformed features, a row of length 0, or q < 0.
    """
    x, y = check_pair(reference, generated)
    n, m, notes = len(x), len(y), overlap_warnings(x, y)
    if n < m:
        notes += (f"the floor is of {n} images, the score of {m}: Vendi scores grow with the number of images",)
    value = vendi_score(y, order=order)
    low, high = interval(value, influence_variance(vendi_influence(y, order=order)), 1.0, float(m))
    floor = float(np.mean([vendi_score(x[rng.permutation(n)[:m]], order=order) for _ in range(1 if n <= m else 5)]))
    p = _vendi_p_value(x, y, order, rng, permutations, most) if permutations else None
    return Score(value, low, high, floor, p, n, m, notes)


def _pair_mean(matrix: NDArray[np.float64]) -> float:
    n = len(matrix)
    return float(matrix.sum() / (n * (n - 1)))


def _pair_p_value(matrix: NDArray[np.float64], n: int, permutations: int, rng: np.random.Generator) -> float:
    m = len(matrix) - n
    first = np.zeros((n + m, 1))
    first[:n] = 1
    masks = np.hstack([first, split_masks(n, m, permutations, rng)])
    within = np.einsum("ib,ib->b", masks, matrix @ masks)
    rest = np.einsum("ib,ib->b", 1 - masks, matrix @ (1 - masks))
    gaps = rest / (m * (m - 1)) - within / (n * (n - 1))
    return p_value(float(gaps[0]), gaps[1:], two_sided=True)


def _vendi_p_value(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    order: float,
    rng: np.random.Generator,
    permutations: int,
    most: int,
) -> float:
    size = min(len(x), len(y), most)
    z = np.concatenate([rng.permutation(x)[:size], rng.permutation(y)[:size]])

    def score(_: NDArray[np.intp], second: NDArray[np.intp]) -> float:
        return vendi_score(z[second], order=order)

    everything = np.arange(2 * size)
    values = permuted(score, size, size, permutations, rng)
    return p_value(score(everything[:size], everything[size:]), values, two_sided=True)
