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
from synth.metrics.distances.pair_variance import pair_mean, patient_blocks
from synth.metrics.patients import comparable, dense, few_patients, one_of_each, point_sizes, repeated, thinned
from synth.metrics.score_value import Score, check_pair, overlap_warnings
from synth.metrics.uncertainty import influence_variance, interval, p_value, permuted, split_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from synth.metrics.patients import Codes, PatientCodes, Patients

    Floats = NDArray[np.float64]

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
    patients: Patients | None = None,
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
        patients: Names of the patients of both sets: images of as many as possible are compared, and not two of one.
            Default: an image each.

    Raises:
        InputError: Malformed images, different sizes, fewer than 4 images in a set, or `most` below 4.
    """
    for name, images in (("reference", reference), ("generated", generated), ("most", range(most))):
        if len(images) < LEAST:
            raise InputError(f"{name}: {len(images)} image(s); MS-SSIM diversity needs at least {LEAST}")
    own = repeated(patients, len(reference), len(generated))
    sides = (None, None) if own is None else own
    rows = [_chosen(len(one), codes, most, rng) for one, codes in zip((reference, generated), sides, strict=True)]
    own = None if own is None else (dense(own[0][rows[0]]), dense(own[1][rows[1]]))
    stack, n = [*(reference[i] for i in rows[0]), *(generated[i] for i in rows[1])], len(rows[0])
    scales = scales_of(check_images(stack).shape[1:])
    notes = () if scales == len(SCALE_WEIGHTS) else (f"images this small have {scales} of MS-SSIM's 5 scales",)
    matrix = ms_ssim_matrix(stack)
    if few := few_patients(own):
        value, sizes = pair_mean(matrix[n:, n:])[0], (len(reference), len(generated))
        return Score(value, n_reference=sizes[0], n_generated=sizes[1], warnings=(*notes, few))
    first, second = (None, None) if own is None else own
    value, variance = pair_mean(matrix[n:, n:], second)
    low, high = interval(value, variance, 0.0, 1.0)
    p = _pair_p_value(matrix, n, permutations, rng, own) if permutations else None
    floor = pair_mean(matrix[:n, :n], first)[0]
    return Score(value, low, high, floor, p, len(reference), len(generated), notes)


def vendi_diversity_score(
    reference: ArrayLike,
    generated: ArrayLike,
    *,
    rng: np.random.Generator,
    order: float = 1.0,
    permutations: int = 200,
    most: int = 300,
    patients: Patients | None = None,
) -> Score:
    """The Vendi score of the generated set; the floor is the reference's, at the size of the smaller set.

    The interval is for the mean at this size; the p-value is two-sided, from at most `most` images a set and one a
    patient.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.
        rng: Chooses images and permutes.
        order: As `vendi_score`.
        permutations: For the p-value; 0 for none.
        most: Images of each set in a permutation.
        patients: Names of the patients of both sets; images of one are not independent. Default: an image each.

    Raises:
        InputError: Malformed features, a row of length 0, or q < 0.
    """
    x, y = check_pair(reference, generated)
    n, m, notes = len(x), len(y), overlap_warnings(x, y)
    if n < m:
        notes += (f"the floor is of {n} images, the score of {m}: Vendi scores grow with the number of images",)
    value, own = vendi_score(y, order=order), repeated(patients, n, m)
    if few := few_patients(own):
        return Score(value, n_reference=n, n_generated=m, warnings=(*notes, few))
    people = None if own is None else own[1:]
    variance = influence_variance(vendi_influence(y, order=order), patients=people)
    low, high = interval(value, variance, 1.0, float(m))
    floor = float(np.mean([vendi_score(x[rng.permutation(n)[:m]], order=order) for _ in range(1 if n <= m else 5)]))
    p = _vendi_p_value(x, y, order, rng, permutations, most, own) if permutations else None
    return Score(value, low, high, floor, p, n, m, notes)


def _chosen(n: int, own: Codes | None, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of at most so many images, of as many patients as possible."""
    return rng.permutation(n)[:most] if own is None else thinned(own, most, rng)


def _pair_p_value(
    matrix: Floats, n: int, permutations: int, rng: np.random.Generator, own: PatientCodes | None
) -> float:
    first, second, own = comparable(n, len(matrix) - n, own, rng)
    rows = np.concatenate([first, n + second])
    sizes = point_sizes(len(first), len(second), own)
    both = None if own is None else np.concatenate([own[0], own[1] + len(sizes[0])])
    matrix, counts = patient_blocks(matrix[np.ix_(rows, rows)], both)
    observed = np.repeat([1.0, 0.0], [len(sizes[0]), len(sizes[1])])[:, None]
    masks = np.hstack([observed, split_masks(len(first), len(second), permutations, rng, counts)])
    gaps = _mean_within(matrix, 1 - masks, counts) - _mean_within(matrix, masks, counts)
    return p_value(float(gaps[0]), gaps[1:], two_sided=True)


def _mean_within(matrix: Floats, masks: Floats, sizes: Floats) -> Floats:
    """(B,) mean over pairs of images of different patients among those that masks mark."""
    images, squares = masks.T @ sizes, masks.T @ np.square(sizes)
    return np.asarray(np.einsum("ib,ib->b", masks, matrix @ masks) / (images**2 - squares))


def _vendi_p_value(
    x: Floats,
    y: Floats,
    order: float,
    rng: np.random.Generator,
    permutations: int,
    most: int,
    own: PatientCodes | None,
) -> float:
    sides = (None, None) if own is None else own
    rows = [one_of_each(len(one), codes, rng) for one, codes in zip((x, y), sides, strict=True)]
    size = min(*map(len, rows), most)
    z = np.concatenate([x[rows[0][:size]], y[rows[1][:size]]])

    def score(_: NDArray[np.intp], second: NDArray[np.intp]) -> float:
        return vendi_score(z[second], order=order)

    everything = np.arange(2 * size)
    values = permuted(score, size, size, permutations, rng)
    return p_value(score(everything[:size], everything[size:]), values, two_sided=True)
