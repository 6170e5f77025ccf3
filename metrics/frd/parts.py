"""The Fréchet distance of two feature sets, split into its columns.

The distance is the least mean square by which one Gaussian must be moved to become the other, E|x − y|² under the
optimal coupling (Dowson and Landau 1982): a sum over columns j of

    (μ₁ − μ₂)ⱼ² + Σ₁ⱼⱼ + Σ₂ⱼⱼ − 2 (TΣ₁)ⱼⱼ,    T the optimal map,

the mean part and the covariance part of the column, both at least 0, and adding up exactly. The same numbers are ½ of
the distance's derivative by the logarithm of the column's scale (Euler's theorem: the distance is of degree 2 in it).

With Σ₁ = AᵀA, Σ₂ = BᵀB and ABᵀ = USVᵀ the coupling's cross-covariance TΣ₁ is AᵀUVᵀB. Directions that a covariance
lacks, and with fewer images than features most are, couple to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import linalg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ColumnParts", "column_parts"]


class ColumnParts(NamedTuple):
    """What each column adds to the squared distance.

    Attributes:
        mean: (d,), from its mean.
        covariance: (d,), from its variance and its ties to the other columns.
    """

    mean: Floats
    covariance: Floats

    @property
    def total(self) -> Floats:
        """(d,), both; the sum is the distance."""
        return self.mean + self.covariance


def column_parts(x: Floats, y: Floats) -> ColumnParts:
    """Parts of the distance between checked features (n, d) and (m, d), n and m at least 2."""
    gap = x.mean(0) - y.mean(0)
    a, b = _factor(x), _factor(y)
    u, s, v = linalg.svd(a @ b.T, full_matrices=False, check_finite=False)
    real = s > max(len(a), len(b)) * np.finfo(float).eps * s.max(initial=0.0)
    coupled = ((u[:, real].T @ a) * (v[real] @ b)).sum(0)
    spread = np.square(a).sum(0) + np.square(b).sum(0) - 2 * coupled
    return ColumnParts(np.square(gap), np.maximum(spread, 0.0))


def _factor(features: Floats) -> Floats:
    """A of at most d rows with AᵀA the covariance."""
    centred: Floats = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    return np.asarray(linalg.qr(centred, mode="r", check_finite=False)[0][: centred.shape[1]], np.float64)
