"""The Fréchet distance that infinitely many images would have.

The mean and trace terms are unbiased once |μ₁ − μ₂|² gives up tr Σ₁/n + tr Σ₂/m. The nuclear norm falls short by
nearly c · (1/(n − 1) + 1/(m − 1)), down to as many images as features: for two samples of s + 1 of one isotropic
distribution its mean is d · (1 − d/4s) to first order, and at s = d, where free probability gives it as the moment of
order ½ of the product of two Marchenko–Pastur laws, Γ(5/2)/(Γ(3/2)Γ(2)) / 2 = 3/4 exactly on the same line. So it is
measured with all images and with halves of both sets, and the line drawn to 0: right from two images a feature on.

Chong and Forsyth (2020, "Effectively unbiased FID and Inception Score") shrink the generated set only: the reference's
share of the bias stays. The line holds for sets of one size, so the larger set is taken in parts of the smaller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from synth.metrics.distances.frechet import Transport, nuclear_norm, transport
from synth.metrics.score_value import check_pair
from synth.metrics.uncertainty import influence_variance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Extrapolated", "extrapolate", "frechet_infinity", "second_order_variance"]

LEAST = 6
"""Images a set needs for halves that have covariances worth the name."""


class Extrapolated(NamedTuple):
    """FD∞ and the variance of where it was drawn from: splits, and both sets."""

    value: float
    variance: float


def frechet_infinity(reference: ArrayLike, generated: ArrayLike, *, rng: np.random.Generator, splits: int = 8) -> float:
    """FD∞: the Fréchet distance freed of its dependence on n.

    Args:
        reference: (n, d) features; n at least 2d.
        generated: (m, d) features; m at least 2d.
        rng: Splits the sets.
        splits: Random splits into halves to average over.

    Returns:
        The estimate; below 0 where the distance is less than its noise.

    Raises:
        InputError: Malformed features, or fewer than 6 images in a set.
    """
    x, y = check_pair(reference, generated, least=LEAST)
    return extrapolate(x, y, transport(x, y), rng, splits).value


def extrapolate(
    x: NDArray[np.float64], y: NDArray[np.float64], parts: Transport, rng: np.random.Generator, splits: int
) -> Extrapolated:
    """FD∞ of checked features, whose transport is known, and its variance."""
    n, m = len(x), len(y)
    unbiased = parts.mean - parts.traces[0] / n - parts.traces[1] / m + sum(parts.traces)
    whole = parts.nuclear if n == m else None
    nuclear = np.array([_to_zero(x, y, parts, whole, rng) for _ in range(splits)])
    between = 4 * float(nuclear.var(ddof=1)) / splits if splits > 1 else 0.0
    return Extrapolated(
        unbiased - 2 * float(nuclear.mean()), between + second_order_variance(x, y, parts, rng, keep=0.25)
    )


def second_order_variance(
    x: NDArray[np.float64], y: NDArray[np.float64], parts: Transport, rng: np.random.Generator, *, keep: float = 0.0
) -> float:
    """Variance of the Fréchet distance by the jackknife, less what the jackknife adds to quadratic terms.

    The jackknife finds σ₁² + 2σ₂² with all images and 2σ₁² + 8σ₂² with half of them, so that
    σ₁² + (1 + k)σ₂² = (3 − k)/2 · V(n) − (1 − k)/4 · V(n/2), at least V(n)/2.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        parts: Their transport.
        rng: Splits the sets.
        keep: k, the share of the surplus to keep: 0 for the distance itself; ¼ for FD∞, for what extrapolating
            adds, as simulated.
    """
    whole = influence_variance(parts.influence_reference, parts.influence_generated)
    h, g = len(x) // 2, len(y) // 2
    if min(h, g) < 2:
        return whole
    first, second = rng.permutation(len(x)), rng.permutation(len(y))
    halves = [transport(x[first[:h]], y[second[:g]]), transport(x[first[h : 2 * h]], y[second[g : 2 * g]])]
    half = np.mean([influence_variance(one.influence_reference, one.influence_generated) for one in halves])
    return max((3 - keep) / 2 * whole - (1 - keep) / 4 * float(half), whole / 2)


def _to_zero(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    parts: Transport,
    whole: float | None,
    rng: np.random.Generator,
) -> float:
    """The nuclear norm at 1/n = 0, from one random part of the larger set and one split of both."""
    size = min(len(x), len(y))
    first, second = rng.permutation(len(x))[:size], rng.permutation(len(y))[:size]
    all_ = nuclear_norm(x[first], y[second]) if whole is None else whole
    h = size // 2
    half = np.mean([nuclear_norm(x[first[part]], y[second[part]]) for part in (slice(0, h), slice(h, 2 * h))])
    ratio = (size - 1) / (h - 1)
    drawn = (parts.pull_reference[first].mean() - parts.pull_reference.mean()) / 2
    drawn += (parts.pull_generated[second].mean() - parts.pull_generated.mean()) / 2
    return float((ratio * all_ - half) / (ratio - 1) - drawn)
