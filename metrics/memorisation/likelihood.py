"""Likelihood of real images under a mixture of Gaussians around generated ones, and the gap of two sets in it.

Feature likelihood divergence (Jiralerspong et al. 2023, arXiv:2302.04440): a Gaussian around every generated image,
isotropic, of a width of its own, chosen so that real images become likely. A Gaussian around a copy shrinks onto the
image it copies, and the copied set becomes likelier than another set of the same population.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from synth.metrics.score_value import check_features, check_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]

__all__ = ["fld_gap", "log_likelihoods", "pooled_log_likelihoods"]

_ITERATIONS = 50  # the paper's number of optimisation steps; expectation–maximisation needs fewer
_NEAR = 1e-3
"""Added to squared distances of standardised features, so that an exact copy has a width (the authors' number)."""


def fld_gap(generated: ArrayLike, train: ArrayLike, holdout: ArrayLike) -> float:
    """The generalisation gap of FLD: 100/d · (mean negative log-likelihood of training images − of hold-out images).

    The widths are fitted to the training images, features are standardised by the hold-out, as the authors do; widths
    are found by expectation–maximisation instead of Adam. Below 0 also for fresh images, as the fit favours those it
    was made with: to compare generators by, not to decide by.

    Args:
        generated: (m, d).
        train: (n, d).
        holdout: (n', d).

    Raises:
        InputError: Malformed features.
    """
    x, y = check_pair(train, holdout)
    z = check_features(generated, "generated features")
    mean, scale = _standard(y)
    x, y, z = ((one - mean) / scale for one in (x, y, z))
    squares = _squares(x, z)
    log_widths = _fit(squares, x.shape[1])
    gap = log_likelihoods(_squares(y, z), log_widths, y.shape[1]).mean()
    gap -= log_likelihoods(squares, log_widths, x.shape[1]).mean()
    return float(100 / x.shape[1] * gap)


def pooled_log_likelihoods(generated: Features, pool: Features) -> Features:
    """(N,) log-likelihood of each real image over d, with widths fitted to all of them.

    The fit does not know which images are training images: that label may be exchanged among images of equal standing,
    so that a permutation test of the difference is exact.
    """
    mean, scale = _standard(pool)
    squares = _squares((pool - mean) / scale, (generated - mean) / scale)
    d = pool.shape[1]
    found: Features = log_likelihoods(squares, _fit(squares, d), d) / d
    return found


def log_likelihoods(squares: Features, log_widths: Features, d: int) -> Features:
    """(n,) log of Σ N(x; z, w·1)/m.

    Args:
        squares: (n, m) squared distances of images and centres.
        log_widths: (m,) log w, of variances.
        d: Features an image.
    """
    total = logsumexp(_densities(squares, log_widths, d), axis=1)
    found: Features = total - d / 2 * np.log(2 * np.pi) - np.log(len(log_widths))
    return found


def _fit(squares: Features, d: int) -> Features:
    """(m,) logarithms of the variances that make the images most likely, by expectation–maximisation."""
    log_widths: Features = np.log((squares.min(0) + _NEAR) / d)
    least = np.log(_NEAR / d)
    for _ in range(_ITERATIONS):
        weights = _densities(squares, log_widths, d)
        weights -= logsumexp(weights, axis=1, keepdims=True)
        np.exp(weights, out=weights)
        total = weights.sum(0)
        used = total > 1e-12  # a centre that explains no image keeps its width
        found = np.log(np.maximum((weights * squares).sum(0)[used] / (d * total[used]), 1e-300))
        before, log_widths = log_widths, log_widths.copy()
        log_widths[used] = np.maximum(found, least)
        if np.abs(log_widths - before).max() < 1e-4:
            break
    return log_widths


def _densities(squares: Features, log_widths: Features, d: int) -> Features:
    return -0.5 * squares * np.exp(-log_widths) - d / 2 * log_widths


def _squares(x: Features, z: Features) -> Features:
    """(n, m) squared distances."""
    square: Features = np.square(x).sum(1)[:, None] + np.square(z).sum(1) - 2 * (x @ z.T)
    return np.maximum(square, 0, out=square)


def _standard(x: Features) -> tuple[Features, Features]:
    scale = x.std(0)
    return x.mean(0), np.where(scale > 0, scale, 1.0)
