"""Maximum mean discrepancies: KID and CMMD.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y)        (Gretton et al. 2012)

As a U-statistic, without pairs of an image with itself, it is right on average at any n (KID: Bińkowski et al. 2018,
k = (x·y/d + 1)³); as a V-statistic, with them, it is too large by about c/n (CMMD: Jayasumana et al. 2024). Everything
said of it here comes from sums over rows and blocks of one kernel matrix, which is never held as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from synth.core.errors import InputError
from synth.metrics.score_value import check_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]

__all__ = [
    "CMMD_SCALE",
    "CMMD_SIGMA",
    "KernelSums",
    "Polynomial",
    "Rbf",
    "cmmd",
    "kernel_sums",
    "kid",
    "kid_subsets",
    "mmd_variance",
    "normalised",
    "pair_variance",
    "squared_distance",
]

CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0
"""Width of the Gaussian and factor of CMMD (Jayasumana et al. 2024)."""

_CELLS = 1 << 22  # of one block of the kernel matrix: 32 MB


@dataclass(frozen=True)
class Polynomial:
    """k(x, y) = (x·y/d + 1)³, of KID."""

    d: int

    def __call__(self, product: Features, norm_x: Features, norm_y: Features) -> Features:
        """(n, m) kernel from (n, m) inner products."""
        base = product / self.d + 1
        return base * base * base


@dataclass(frozen=True)
class Rbf:
    """k(x, y) = exp(−|x − y|²/2σ²)."""

    sigma: float

    def __call__(self, product: Features, norm_x: Features, norm_y: Features) -> Features:
        """(n, m) kernel from (n, m) inner products, and (n,) and (m,) squared norms."""
        square = np.maximum(norm_x[:, None] + norm_y - 2 * product, 0)
        return np.asarray(np.exp(square * (-0.5 / self.sigma**2)))


Kernel = Polynomial | Rbf


class KernelSums(NamedTuple):
    """Sums of a kernel matrix of N = n + m points, without its diagonal.

    Attributes:
        n: Points in the first set; the rest is the second.
        rows: (N, 2) sums of a row over the first and over the second set.
        squares: (N, 2) sums of squares of a row.
        diagonal: (N,) k(x, x).
        within: (B,) sums over pairs within the points that each column of the masks marks.
    """

    n: int
    rows: Features
    squares: Features
    diagonal: Features
    within: Features


def kid(reference: ArrayLike, generated: ArrayLike) -> float:
    """KID of all images: the unbiased estimate, below 0 where the distance is less than its noise.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.

    Raises:
        InputError: Malformed features, or fewer than 2 images in a set.
    """
    x, y = check_pair(reference, generated)
    sums = kernel_sums(x, y, Polynomial(x.shape[1]))
    return float(squared_distance(*_totals(sums), len(x), len(y)))


def kid_subsets(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator | np.random.RandomState,
    subsets: int = 100,
    size: int = 1000,
) -> Features:
    """KID of random subsets, as its users report it: (subsets,) values, of which they give the mean.

    torch-fidelity draws from the first set, then from the second; clean-fid from the generated set, then from the
    reference. With their RandomState (2020 there, numpy's global seed here) and their order the values are theirs.

    Args:
        first: (n, d) features, drawn from first.
        second: (m, d) features.
        rng: Draws the subsets.
        subsets: How many.
        size: Images of each set in a subset, at most all of the smaller set.

    Raises:
        InputError: Malformed features, fewer than 2 images in a set or a subset, or no subset.
    """
    x, y = check_pair(first, second)
    size = min(size, len(x), len(y))
    if subsets < 1 or size < 2:
        raise InputError(f"{subsets} subsets of {size} images: give at least one subset of at least 2")
    kernel, values = Polynomial(x.shape[1]), np.empty(subsets)
    for i in range(subsets):
        a = x[rng.choice(len(x), size, replace=False)]
        b = y[rng.choice(len(y), size, replace=False)]
        values[i] = _plain(a, b, kernel)
    return values


def cmmd(reference: ArrayLike, generated: ArrayLike) -> float:
    """CMMD as published: 1000 × MMD² of unit vectors with σ = 10, pairs of an image with itself included.

    Args:
        reference: (n, d) CLIP image embeddings.
        generated: (m, d) CLIP image embeddings.

    Raises:
        InputError: Malformed features, fewer than 2 images in a set, or an embedding of length 0.
    """
    x, y = check_pair(reference, generated)
    x, y = normalised(x, "reference features"), normalised(y, "generated features")
    sums = kernel_sums(x, y, Rbf(CMMD_SIGMA))
    first, second, between = _totals(sums)
    n, m = len(x), len(y)
    own = sums.diagonal[:n].sum(), sums.diagonal[n:].sum()
    return CMMD_SCALE * max(float((first + own[0]) / n**2 + (second + own[1]) / m**2 - 2 * between / (n * m)), 0.0)


def normalised(features: Features, name: str) -> Features:
    """Rows of unit length.

    Raises:
        InputError: A row of length 0.
    """
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if not length.all():
        row = int((length[:, 0] == 0).argmax())
        raise InputError(f"{name}: row {row} is all zeros and has no direction; leave this image out")
    scaled: Features = features / length
    return scaled


def kernel_sums(x: Features, y: Features, kernel: Kernel, masks: Features | None = None) -> KernelSums:
    """Sums of the kernel matrix of both sets, block by block.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        kernel: Of inner products and squared norms.
        masks: (n + m, B) of 0 and 1: for each column, kᵀKk is wanted; none by default.
    """
    z, n = np.concatenate([x, y]), len(x)
    total, norm = len(z), np.square(z).sum(1)
    masks = np.zeros((total, 0)) if masks is None else masks
    side = np.zeros((total, 2))
    side[:n, 0] = side[n:, 1] = 1
    sums = KernelSums(n, np.zeros((total, 2)), np.zeros((total, 2)), np.empty(total), np.zeros(masks.shape[1]))
    step = max(1, int(np.sqrt(_CELLS)))
    for i in range(0, total, step):
        rows = slice(i, i + step)
        for j in range(i, total, step):
            columns = slice(j, j + step)
            block = kernel(z[rows] @ z[columns].T, norm[rows], norm[columns])
            if i == j:
                sums.diagonal[rows] = block.diagonal()
                np.fill_diagonal(block, 0)
            _add(sums, block, rows, columns, side, masks)
    return sums


def squared_distance(first: Features, second: Features, between: Features, n: int, m: int) -> Features:
    """MMD² as a U-statistic from sums over ordered pairs within either set and over pairs between them."""
    return np.asarray(first / (n * (n - 1)) + second / (m * (m - 1)) - 2 * between / (n * m))


def mmd_variance(sums: KernelSums) -> float:
    """Variance of the U-statistic, estimated without bias, quadratic terms included.

    Var = Var A + Var B + 4 Var C − 4 Cov(A, C) − 4 Cov(B, C) for A, B and C the means over pairs within the sets and
    between them; each is a sum of products of two kernel values that share two, one or no image (Serfling 1980,
    section 5.2; Bounliphone et al. 2016 and Sutherland 2019 give the case n = m), estimated by its own U-statistic.

    Args:
        sums: Of at least 4 images a set.

    Returns:
        The estimate, at least the part of the quadratic terms alone: below it the estimate is noise.
    """
    n, m = sums.n, len(sums.rows) - sums.n
    xx, xy = sums.rows[:n].T
    yx, yy = sums.rows[n:].T
    (sxx, sxy), (_, syy) = sums.squares[:n].sum(0), sums.squares[n:].sum(0)
    within = pair_variance(xx, sxx), pair_variance(yy, syy)
    between = _variance_between(xy, yx, sxy)
    cross = _covariance(xx, xy, m) + _covariance(yy, yx, n)
    everything = within[0] + within[1] + 4 * between - 4 * cross
    quadratic = 2 * _centred(xx, sxx, n) / (n * (n - 1)) + 2 * _centred(yy, syy, m) / (m * (m - 1))
    return float(max(everything, quadratic))


def _plain(x: Features, y: Features, kernel: Kernel) -> float:
    """The U-statistic of small sets, from whole matrices."""
    norm_x, norm_y = np.square(x).sum(1), np.square(y).sum(1)
    first, second = kernel(x @ x.T, norm_x, norm_x), kernel(y @ y.T, norm_y, norm_y)
    between = kernel(x @ y.T, norm_x, norm_y).sum()
    n, m = len(x), len(y)
    return float(squared_distance(first.sum() - first.trace(), second.sum() - second.trace(), between, n, m))


def _add(sums: KernelSums, block: Features, rows: slice, columns: slice, side: Features, masks: Features) -> None:
    """Adds a block above the diagonal, or on it, in place; above it, its mirror image, too."""
    square = block * block
    sums.rows[rows] += block @ side[columns]
    sums.squares[rows] += square @ side[columns]
    mirrored = rows != columns
    if mirrored:
        sums.rows[columns] += block.T @ side[rows]
        sums.squares[columns] += square.T @ side[rows]
    if masks.shape[1]:
        pairs = np.einsum("ib,ib->b", masks[rows], block @ masks[columns])
        np.add(sums.within, pairs * (2 if mirrored else 1), out=sums.within)


def _totals(sums: KernelSums) -> tuple[Features, Features, Features]:
    n = sums.n
    return sums.rows[:n, 0].sum(), sums.rows[n:, 1].sum(), sums.rows[:n, 1].sum()


def pair_variance(rows: Features, squares: float) -> float:
    """Variance of a mean over pairs within one set, estimated without bias.

    Args:
        rows: (n,) sums of each row of the symmetric matrix of pair values, diagonal 0; n at least 4.
        squares: Sum of its squares.
    """
    n = len(rows)
    total, shared = rows.sum(), np.square(rows).sum()
    two = squares / (n * (n - 1))
    one = (shared - squares) / (n * (n - 1) * (n - 2))
    none = (total**2 - 4 * shared + 2 * squares) / (n * (n - 1) * (n - 2) * (n - 3))
    return float((4 * (n - 2) * (one - none) + 2 * (two - none)) / (n * (n - 1)))


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
