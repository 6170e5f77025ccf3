"""Maximum mean discrepancies: KID and CMMD.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y)        (Gretton et al. 2012)

As a U-statistic, without pairs of an image with itself, it is right on average at any n (KID: Bińkowski et al. 2018,
k = (x·y/d + 1)³); as a V-statistic, with them, it is too large by about c/n (CMMD: Jayasumana et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.metrics.distances.kernel_sums import kernel_sums, surplus, unbiased_distance
from synth.metrics.score_value import check_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]

__all__ = ["CMMD_SCALE", "CMMD_SIGMA", "Polynomial", "Rbf", "cmmd", "kid", "kid_subsets", "normalised"]

CMMD_SIGMA, CMMD_SCALE = 10.0, 1000.0
"""Width of the Gaussian and factor of CMMD (Jayasumana et al. 2024)."""


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


def kid(reference: ArrayLike, generated: ArrayLike) -> float:
    """KID of all images: the unbiased estimate, below 0 where the distance is less than its noise.

    Args:
        reference: (n, d) features.
        generated: (m, d) features.

    Raises:
        InputError: Malformed features, or fewer than 2 images in a set.
    """
    x, y = check_pair(reference, generated)
    return unbiased_distance(kernel_sums(x, y, Polynomial(x.shape[1])))


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
    return CMMD_SCALE * max(unbiased_distance(sums) + sum(surplus(sums)), 0.0)


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


def _plain(x: Features, y: Features, kernel: Polynomial) -> float:
    """The U-statistic of small sets, from whole matrices."""
    norm_x, norm_y = np.square(x).sum(1), np.square(y).sum(1)
    first, second = kernel(x @ x.T, norm_x, norm_x), kernel(y @ y.T, norm_y, norm_y)
    between = kernel(x @ y.T, norm_x, norm_y).mean()
    n, m = len(x), len(y)
    within = (first.sum() - first.trace()) / (n * (n - 1)) + (second.sum() - second.trace()) / (m * (m - 1))
    return float(within - 2 * between)
