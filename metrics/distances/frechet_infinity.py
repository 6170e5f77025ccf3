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
from synth.metrics.patients import cut, dense, design_effect, shuffled
from synth.metrics.score_value import check_pair
from synth.metrics.uncertainty import influence_variance

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.metrics.patients import Codes, PatientCodes

    Features = NDArray[np.float64]
    Rows = NDArray[np.intp]

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
    x: Features,
    y: Features,
    parts: Transport,
    rng: np.random.Generator,
    splits: int,
    own: PatientCodes | None = None,
) -> Extrapolated:
    """FD∞ of checked features, whose transport is known, and its variance.

    With several images a patient, the mean term is too large by the variance of the means, and the traces too small by
    the same: what is taken off for independent images stays right.
    """
    n, m = len(x), len(y)
    unbiased = parts.mean - parts.traces[0] / n - parts.traces[1] / m + sum(parts.traces)
    whole = parts.nuclear if n == m else None
    nuclear = np.array([_to_zero(x, y, parts, whole, rng, own) for _ in range(splits)])
    between = 4 * float(nuclear.var(ddof=1)) / splits if splits > 1 else 0.0
    return Extrapolated(
        unbiased - 2 * float(nuclear.mean()), between + second_order_variance(x, y, parts, rng, own, keep=0.25)
    )


def second_order_variance(
    x: Features,
    y: Features,
    parts: Transport,
    rng: np.random.Generator,
    own: PatientCodes | None = None,
    *,
    keep: float = 0.0,
) -> float:
    """Variance of the Fréchet distance by the jackknife, less what the jackknife adds to quadratic terms.

    The jackknife finds σ₁² + 2σ₂² with all images and 2σ₁² + 8σ₂² with half of them, so that
    σ₁² + (1 + k)σ₂² = (3 − k)/2 · V(n) − (1 − k)/4 · V(n/2), at least V(n)/2.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        parts: Their transport.
        rng: Splits the sets.
        own: Patients of both sets, where one has several images.
        keep: k, the share of the surplus to keep: 0 for the distance itself; ¼ for FD∞, for what extrapolating
            adds, as simulated.
    """
    whole = influence_variance(parts.influence_reference, parts.influence_generated, patients=own)
    if min(len(x), len(y)) < 4:
        return whole
    sides = (None, None) if own is None else own
    halves = [_halves(shuffled(len(one), codes, rng), codes) for one, codes in zip((x, y), sides, strict=True)]
    half = np.mean([_half_variance(x, y, i, j, own) for i, j in zip(*halves, strict=True)])
    return max((3 - keep) / 2 * whole - (1 - keep) / 4 * float(half), whole / 2)


def _half_variance(x: Features, y: Features, first: Rows, second: Rows, own: PatientCodes | None) -> float:
    found = transport(x[first], y[second])
    patients = None if own is None else (dense(own[0][first]), dense(own[1][second]))
    return influence_variance(found.influence_reference, found.influence_generated, patients=patients)


def _halves(order: Rows, own: Codes | None) -> list[Rows]:
    """Two halves by patients, or by images where patients leave too few in one of them."""
    halves = cut(order, own, 2)
    return halves if min(map(len, halves)) >= LEAST // 2 else np.array_split(order, 2)


def _to_zero(
    x: Features,
    y: Features,
    parts: Transport,
    whole: float | None,
    rng: np.random.Generator,
    own: PatientCodes | None,
) -> float:
    """The nuclear norm at 1/n = 0, from one random part of the larger set and one split of both."""
    size = min(len(x), len(y))
    sides = (None, None) if own is None else own
    first, second = (shuffled(len(one), codes, rng)[:size] for one, codes in zip((x, y), sides, strict=True))
    all_ = nuclear_norm(x[first], y[second]) if whole is None else whole
    halves = [_halves(rows, codes) for rows, codes in zip((first, second), sides, strict=True)]
    half = np.mean([nuclear_norm(x[i], y[j]) for i, j in zip(*halves, strict=True)])
    sizes = np.array([len(rows) for both in halves for rows in both])
    images = 1.0 if own is None else float(np.mean([design_effect(x, own[0]), design_effect(y, own[1])]))
    images = min(images, sizes.min() / 2)  # that one independent image stands for
    ratio = float(np.mean((size - images) / (sizes - images)))
    drawn = (parts.pull_reference[first].mean() - parts.pull_reference.mean()) / 2
    drawn += (parts.pull_generated[second].mean() - parts.pull_generated.mean()) / 2
    return float((ratio * all_ - half) / (ratio - 1) - drawn)
