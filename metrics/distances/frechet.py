"""Fréchet distance between Gaussians fitted to two feature sets, without a matrix square root.

    F = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½        (Dowson and Landau 1982; Heusel et al. 2017, FID)

With Σ₁ = AᵀA and Σ₂ = BᵀB the last trace is the nuclear norm of ABᵀ, the sum of its singular values: A and B are the
centred features over √(n − 1) where images are fewer than features, and factors of the covariances otherwise. The
singular values are roots of eigenvalues of a symmetric matrix of the smaller size: nothing complex, nothing singular.

The distance grows as images get fewer, by about c/n: compare at equal sizes, look at the floor, or extrapolate
(`synth.metrics.distances.frechet_infinity`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import linalg

from synth.core.errors import InputError
from synth.metrics.distances.gaussian import GaussianStatistics
from synth.metrics.score_value import check_features, check_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Transport", "frechet_distance", "nuclear_norm", "transport"]


class Transport(NamedTuple):
    """The Fréchet distance of two sets in parts, and what every image does to it.

    Attributes:
        mean: |μ₁ − μ₂|².
        traces: tr Σ₁ and tr Σ₂.
        nuclear: tr (Σ₁Σ₂)^½.
        pull_reference: (n,), xᵀTx of centred reference features, T the optimal map from the reference to the generated
            Gaussian: what an image adds to the nuclear norm; averages to `nuclear` (but for n − 1 against n).
        pull_generated: (m,), the same of the generated features and the map back.
        influence_reference: (n,), first derivative of the distance by the weight of an image, mean 0.
        influence_generated: (m,).
    """

    mean: float
    traces: tuple[float, float]
    nuclear: float
    pull_reference: NDArray[np.float64]
    pull_generated: NDArray[np.float64]
    influence_reference: NDArray[np.float64]
    influence_generated: NDArray[np.float64]

    @property
    def distance(self) -> float:
        """F, at least 0."""
        return max(self.mean + sum(self.traces) - 2 * self.nuclear, 0.0)


def frechet_distance(
    reference: ArrayLike | GaussianStatistics, generated: ArrayLike | GaussianStatistics, *, ddof: int = 1
) -> float:
    """The Fréchet distance; with Inception features, FID.

    Args:
        reference: (n, d) features, or their statistics.
        generated: (m, d) features, or their statistics.
        ddof: What covariances take off n in the denominator: 1 as numpy.cov, clean-fid, pytorch-fid, torch-fidelity
            and frd-score do.

    Returns:
        The squared distance, as everyone reports it, at least 0; symmetric but for rounding. Relative error about 1e-9
        of tr Σ₁ + tr Σ₂.

    Raises:
        InputError: Malformed features, NaN, different numbers of features, or a set with n ≤ ddof or one image.
    """
    if not isinstance(reference, GaussianStatistics) and not isinstance(generated, GaussianStatistics):
        x, y = check_pair(reference, generated, least=max(2, ddof + 1))
        if min(len(x), len(y)) <= x.shape[1]:
            return _of_few(x, y, ddof)
        reference, generated = GaussianStatistics.of(x), GaussianStatistics.of(y)
    one, other = _statistics(reference, "reference features"), _statistics(generated, "generated features")
    if one.d != other.d:
        raise InputError(f"reference has {one.d} features an image, generated {other.d}; use the same extractor")
    first, second = one.covariance(ddof), other.covariance(ddof)
    gap = one.mean - other.mean
    nuclear = _nuclear_of_covariances(first, second, one.n - 1, other.n - 1)
    return max(float(gap @ gap + np.trace(first) + np.trace(second)) - 2 * nuclear, 0.0)


def nuclear_norm(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The trace of (Σ₁Σ₂)^½ of checked features (n, d) and (m, d), covariances with n − 1 and m − 1."""
    if min(len(x), len(y)) <= x.shape[1]:
        return _sum_of_singular_values(_rotated(x, 1) @ _rotated(y, 1).T)
    first, second = (GaussianStatistics.of(features).covariance() for features in (x, y))
    return _nuclear_of_covariances(first, second, len(x) - 1, len(y) - 1)


def transport(x: NDArray[np.float64], y: NDArray[np.float64]) -> Transport:
    """Parts and influences of the distance between checked features (n, d) and (m, d).

    The derivative of tr (Σ₁Σ₂)^½ by Σ₁ is T/2, T the optimal map (Rippl, Munk and Sturm 2016, "Limit laws of the
    empirical Wasserstein distance: Gaussian distributions"), so that an image x, centred, adds to the distance
    2 (μ₁ − μ₂)·x + n/(n − 1) · (|x|² − xᵀTx), less its mean. With C = ABᵀ = USVᵀ the pulls are the diagonals of USUᵀ
    and VSVᵀ.
    """
    gap = x.mean(0) - y.mean(0)
    x, y = x - x.mean(0), y - y.mean(0)
    n, m = len(x) - 1, len(y) - 1
    pull_x, pull_y, nuclear = (_pulls_of_few if min(n, m) < x.shape[1] else _pulls_of_many)(x, y)
    square_x, square_y = np.square(x).sum(1), np.square(y).sum(1)
    first = 2 * x @ gap + (square_x - pull_x) * (len(x) / n)
    second = -2 * y @ gap + (square_y - pull_y) * (len(y) / m)
    traces = (float(square_x.sum() / n), float(square_y.sum() / m))
    return Transport(
        float(gap @ gap), traces, nuclear, pull_x, pull_y, first - first.mean(), second - second.mean()
    )  # fmt: skip


def _of_few(x: NDArray[np.float64], y: NDArray[np.float64], ddof: int) -> float:
    gap = x.mean(0) - y.mean(0)
    a, b = _rotated(x, ddof), _rotated(y, ddof)
    nuclear = _sum_of_singular_values(a @ b.T)
    return max(float(gap @ gap + np.vdot(a, a) + np.vdot(b, b)) - 2 * nuclear, 0.0)


def _rotated(features: NDArray[np.float64], ddof: int) -> NDArray[np.float64]:
    """(n − 1, d) rows A with AᵀA the covariance.

    A Householder reflection takes the mean into the first row, which is left out: against centred rows, which are
    linearly dependent, no singular value is 0 by construction, and no root is taken of rounding noise.
    """
    n = len(features)
    root = np.sqrt(n)
    v_first = 1 + 1 / root  # v = e₁ + 1/√n, the reflection I − 2vvᵀ/|v|² takes 1/√n to −e₁
    along = features[0] + features.sum(0) / root
    rest: NDArray[np.float64] = features[1:] - along / (root * v_first)
    rest /= np.sqrt(n - ddof)
    return rest


def _sum_of_singular_values(c: NDArray[np.float64]) -> float:
    gram = c @ c.T if c.shape[0] <= c.shape[1] else c.T @ c
    return float(np.sqrt(np.clip(linalg.eigvalsh(gram, check_finite=False, overwrite_a=True), 0, None)).sum())


def _nuclear_of_covariances(
    first: NDArray[np.float64], second: NDArray[np.float64], rank_first: int, rank_second: int
) -> float:
    """The trace from covariances of at most these ranks: eigenvalues of LᵀΣL, LLᵀ the one of lower rank."""
    if rank_second < rank_first:
        first, second, rank_first = second, first, rank_second
    factor, _ = _factor(first, rank_first)
    inner = factor.T @ second @ factor
    return float(np.sqrt(np.clip(linalg.eigvalsh(inner, check_finite=False, overwrite_a=True), 0, None)).sum())


def _factor(covariance: NDArray[np.float64], rank: int) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """L (d, r) with LLᵀ the covariance; and for a singular one its pseudo-inverse (r, d)."""
    d = len(covariance)
    if rank >= d:
        try:
            return linalg.cholesky(covariance, lower=True, check_finite=False), None
        except linalg.LinAlgError:
            pass
    values, vectors = linalg.eigh(covariance, check_finite=False)
    keep = np.arange(d) >= d - rank
    keep &= values > d * np.finfo(float).eps * max(values[-1], 0.0)
    root = np.sqrt(values[keep])
    return vectors[:, keep] * root, (vectors[:, keep] / root).T


_Pulls = tuple["NDArray[np.float64]", "NDArray[np.float64]", float]


def _pulls_of_few(x: NDArray[np.float64], y: NDArray[np.float64]) -> _Pulls:
    """Pulls of centred features by the eigenvectors of CCᵀ, C = ABᵀ, on the side of the smaller set."""
    if len(x) > len(y):
        pull_y, pull_x, nuclear = _pulls_of_few(y, x)
        return pull_x, pull_y, nuclear
    n, m = len(x) - 1, len(y) - 1
    c = x @ y.T / np.sqrt(n * m)
    s, u = _roots(c @ c.T)
    return n * (np.square(u) @ s), m * (np.square(c.T @ u) @ _inverse(s)), float(s.sum())


def _pulls_of_many(x: NDArray[np.float64], y: NDArray[np.float64]) -> _Pulls:
    """Pulls by T = L⁻ᵀ(LᵀΣ₂L)^½L⁻¹ and its inverse, LLᵀ = Σ₁."""
    n, m = len(x) - 1, len(y) - 1
    factor, inverse = _factor(x.T @ x / n, n)
    half = y @ factor
    s, w = _roots(half.T @ half / m)
    inverse = linalg.solve_triangular(factor, np.eye(len(factor)), lower=True) if inverse is None else inverse
    white = x @ inverse.T
    return np.square(white @ w) @ s, np.square(half @ w) @ _inverse(s), float(s.sum())


def _roots(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, vectors = linalg.eigh(matrix, check_finite=False, overwrite_a=True)
    return np.sqrt(np.clip(values, 0, None)), vectors


def _inverse(roots: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/s, and 0 where s is the root of rounding noise."""
    least = np.sqrt(len(roots) * np.finfo(float).eps) * roots.max(initial=0.0)
    return np.divide(1.0, roots, out=np.zeros_like(roots), where=roots > least)


def _statistics(features: ArrayLike | GaussianStatistics, name: str) -> GaussianStatistics:
    if isinstance(features, GaussianStatistics):
        return features
    return GaussianStatistics.of(check_features(features, name))
