"""Variances of mean kernel values over pairs of images, or of patients with several images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.metrics.patients import totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.distances.kernel_sums import KernelSums
    from synth.metrics.patients import Codes

    Features = NDArray[np.float64]

__all__ = ["mmd_variance", "pair_mean", "pair_variance", "patient_blocks"]


def mmd_variance(sums: KernelSums) -> float:
    """Variance of the U-statistic, estimated without bias (for patients of one size), quadratic terms included.

    Var = Var A + Var B + 4 Var C − 4 Cov(A, C) − 4 Cov(B, C) for A, B and C the means over pairs within the sets and
    between them; each is a sum of products of two kernel values that share two, one or no image (Serfling 1980,
    section 5.2; Bounliphone et al. 2016 and Sutherland 2019 give the case n = m), estimated by its own U-statistic.

    Args:
        sums: Of at least 4 images, or patients, a set.

    Returns:
        The estimate, at least the part of the quadratic terms alone: below it the estimate is noise.
    """
    n, m = sums.n, len(sums.rows) - sums.n
    (xx, xy), (sxx, sxy) = _residuals(sums, slice(0, n))
    (yx, yy), (_, syy) = _residuals(sums, slice(n, n + m))
    within = pair_variance(xx, sxx), pair_variance(yy, syy)
    between = _variance_between(xy, yx, sxy)
    cross = _covariance(xx, xy, m) + _covariance(yy, yx, n)
    everything = within[0] + within[1] + 4 * between - 4 * cross
    quadratic = 2 * _centred(xx, sxx, n) / (n * (n - 1)) + 2 * _centred(yy, syy, m) / (m * (m - 1))
    return float(max(everything, quadratic))


def pair_variance(rows: Features, squares: float) -> float:
    """Variance of a mean over pairs within one set, estimated without bias.

    Args:
        rows: (n,) sums of each row of the symmetric matrix of pair values, diagonal 0; n at least 4.
        squares: Sum of the matrix's squares.
    """
    n = len(rows)
    total, shared = rows.sum(), np.square(rows).sum()
    two = squares / (n * (n - 1))
    one = (shared - squares) / (n * (n - 1) * (n - 2))
    none = (total**2 - 4 * shared + 2 * squares) / (n * (n - 1) * (n - 2) * (n - 3))
    return float((4 * (n - 2) * (one - none) + 2 * (two - none)) / (n * (n - 1)))


def pair_mean(matrix: Features, own: Codes | None = None) -> tuple[float, float]:
    """The mean over pairs within one set, and its variance.

    Args:
        matrix: (n, n) symmetric pair values; the diagonal is not looked at.
        own: Patients; pairs of images of one are left out.
    """
    blocks, sizes = patient_blocks(matrix, own)
    n = float(sizes.sum())
    mean = float(blocks.sum() / (n**2 - np.square(sizes).sum()))
    rest = (blocks - mean * np.outer(sizes, sizes)) * (len(sizes) / n) ** 2
    np.fill_diagonal(rest, 0)
    return mean, pair_variance(rest.sum(1), float(np.square(rest).sum()))


def patient_blocks(matrix: Features, own: Codes | None) -> tuple[Features, Features]:
    """(P, P) sums of pair values (n, n) over the images of two patients, diagonal 0; and (P,) images of each."""
    if own is None:
        blocks, sizes = matrix.copy(), np.ones(len(matrix))
    else:
        blocks, sizes = totals(totals(matrix, own).T, own), np.bincount(own).astype(float)
    np.fill_diagonal(blocks, 0)
    return blocks, sizes


def _variance_between(rows: Features, columns: Features, squares: float) -> float:
    """Of the mean over pairs between sets."""
    n, m = len(rows), len(columns)
    by_row, by_column = np.square(rows).sum(), np.square(columns).sum()
    two = squares / (n * m)
    row = (by_row - squares) / (n * m * (m - 1))
    column = (by_column - squares) / (n * m * (n - 1))
    none = (rows.sum() ** 2 - by_row - by_column + squares) / (n * m * (n - 1) * (m - 1))
    return float(((two - none) + (m - 1) * (row - none) + (n - 1) * (column - none)) / (n * m))


def _covariance(within: Features, between: Features, m: int) -> float:
    """Of the mean over pairs within a set with the mean over pairs between it and another of m."""
    n = len(within)
    shared = within @ between
    one = shared / (n * (n - 1) * m)
    none = (within.sum() * between.sum() - 2 * shared) / (n * (n - 1) * (n - 2) * m)
    return float(2 * (one - none) / n)


def _centred(rows: Features, squares: float, n: int) -> float:
    """Variance of the kernel between two images once the mean of each is taken off, at least 0."""
    total = rows.sum() / (n * (n - 1))
    means = rows / (n - 1) - total
    return max(float(squares / (n * (n - 1)) - total**2 - 2 * np.square(means).mean()), 0.0)


def _residuals(sums: KernelSums, rows: slice) -> tuple[Features, Features]:
    """Sums (2, points) and sums of squares (2,) of rows of the kernel less its mean, in units of points.

    With a the mean of the kernel between two sets, entries k − a c c′ for points of c and c′ images sum to 0; times
    N N′/n n′ their mean varies as that of the kernel does when points are drawn, to first order also where sizes vary.
    """
    own = 0 if rows.start == 0 else 1
    sides = sums.first, sums.second
    sizes = sums.sizes[rows]
    found, squares = np.empty((2, len(sizes))), np.empty(2)
    for other, side in enumerate(sides):
        between = float(sums.rows[rows, other].sum()) / (sides[own].images * side.images)
        mean = side.mean if other == own else between
        rest = side.images - (sizes if other == own else 0)
        square = np.square(side.sizes).sum() - (np.square(sizes) if other == own else 0)
        unit = len(sizes) * len(side.sizes) / (sides[own].images * side.images)
        found[other] = unit * (sums.rows[rows, other] - mean * sizes * rest)
        spread = sums.squares[rows, other] - 2 * mean * sizes * sums.weighted[rows, other]
        squares[other] = unit**2 * float((spread + (mean * sizes) ** 2 * square).sum())
    return found, squares
