"""KID and CMMD as scores: with interval, floor and p-value, from one pass over the kernel matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.distances.kernel_sums import KernelSums, kernel_sums, squared_distance, surplus, unbiased_distance
from synth.metrics.distances.mmd import CMMD_SCALE, CMMD_SIGMA, Polynomial, Rbf, normalised
from synth.metrics.distances.pair_variance import mmd_variance
from synth.metrics.patients import comparable, few_patients, point_sizes, repeated
from synth.metrics.score_value import Score, check_pair, overlap_warnings, same_set
from synth.metrics.uncertainty import interval, p_value, split_masks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.metrics.patients import PatientCodes, Patients

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
    patients: Patients | None = None,
) -> Score:
    """KID of all images, unbiased; the interval is for the distance of the distributions.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Splits and permutes.
        permutations: For the p-value; 0 for none.
        repeats: Splits of the reference for the floor, the standard deviation of real against real; 0 for none.
        patients: Names of the patients of both sets. Pairs of images of one patient are then left out, as those of an
            image with itself are. Default: an image each.

    Raises:
        InputError: Malformed features, or fewer than 4 images in a set.
    """
    x, y = check_pair(reference, generated, least=LEAST)
    return _score(x, y, Polynomial(x.shape[1]), rng, permutations, repeats, patients, unbiased=True)


def cmmd_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    unbiased: bool = False,
    permutations: int = 500,
    repeats: int = 50,
    patients: Patients | None = None,
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
        patients: Names of the patients of both sets; images of one are not independent. Default: an image each.

    Raises:
        InputError: Malformed features, fewer than 4 images in a set, or an embedding of length 0.
    """
    x, y = check_pair(reference, generated, least=LEAST)
    x, y = normalised(x, "reference features"), normalised(y, "generated features")
    kernel = Rbf(CMMD_SIGMA)
    return _score(x, y, kernel, rng, permutations, repeats, patients, unbiased=unbiased, scale=CMMD_SCALE)


def _score(
    x: Features,
    y: Features,
    kernel: Polynomial | Rbf,
    rng: np.random.Generator,
    permutations: int,
    repeats: int,
    patients: Patients | None,
    *,
    unbiased: bool,
    scale: float = 1.0,
) -> Score:
    n, m = len(x), len(y)
    own = repeated(patients, n, m)
    few = few_patients(own)
    permutations, repeats = (0, 0) if few else (permutations, repeats)
    sizes = point_sizes(n, m, own)
    masks = split_masks(n, m, permutations if own is None else 0, rng, np.concatenate(sizes))
    halves = split_masks(n // 2, n - n // 2, repeats, rng, sizes[0])
    everything = np.hstack([masks, np.concatenate([halves, np.zeros((len(sizes[1]), repeats))])])
    sums = kernel_sums(x, y, kernel, everything, own)
    notes = overlap_warnings(x, y)
    floor = scale * _floor(sums, halves, m, unbiased=unbiased) if repeats else None
    if same_set(x, y):
        return Score(0.0, 0.0, 0.0, floor, 1.0, n, m, notes)
    value = scale * (unbiased_distance(sums) + (0.0 if unbiased else sum(surplus(sums))))
    if few:
        return Score(value, n_reference=n, n_generated=m, warnings=(*notes, few))
    low, high = interval(value, scale**2 * mmd_variance(sums))
    p = None
    if permutations:
        p = _p_value(sums, masks) if own is None else _p_of_patients(x, y, kernel, rng, permutations, own)
    return Score(value, low, high, floor, p, n, m, notes)


def _p_of_patients(
    x: Features, y: Features, kernel: Polynomial | Rbf, rng: np.random.Generator, permutations: int, own: PatientCodes
) -> float:
    first, second, left = comparable(len(x), len(y), own, rng)
    n, m = len(first), len(second)
    masks = split_masks(n, m, permutations, rng, np.concatenate(point_sizes(n, m, left)))
    return _p_value(kernel_sums(x[first], y[second], kernel, masks, left), masks)


def _p_value(sums: KernelSums, masks: Features) -> float:
    """From the first sums within masks, which are of random exchanges."""
    values = _split(sums.rows.sum(1), masks, sums.within[: masks.shape[1]], sums.sizes)
    return p_value(unbiased_distance(sums), values)


def _split(rows: Features, masks: Features, within: Features, sizes: Features) -> Features:
    """(B,) MMD² of the points that masks mark against the rest."""
    marked, images, squares = masks.T @ rows, masks.T @ sizes, masks.T @ np.square(sizes)
    rest, others = sizes.sum() - images, np.square(sizes).sum() - squares
    pairs = images**2 - squares, rest**2 - others
    return squared_distance(within, rows.sum() - 2 * marked + within, marked - within, (images, rest), pairs)


def _floor(sums: KernelSums, halves: Features, m: int, *, unbiased: bool) -> float:
    """Real against real at sizes n and m, from halves of the reference: both parts go with 1/n + 1/m."""
    n = int(sums.first.images)
    if not unbiased:
        return surplus(sums)[0] * n * (1 / n + 1 / m)
    h, within = n // 2, sums.within[len(sums.within) - halves.shape[1] :]
    values = _split(sums.first.rows, halves, within, sums.first.sizes)
    return float(values.std(ddof=1)) * (1 / n + 1 / m) / (1 / h + 1 / (n - h))
