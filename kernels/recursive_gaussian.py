"""Gaussian smoothing and its second derivative by recursion along lines, with the borders and rounding of ITK.

A Gaussian is the sum of two damped cosines within 1e-3 of its height, so that eight multiplications a voxel do for any
width (R. Deriche, "Recursively implementing the Gaussian and its derivatives", INRIA RR-1893, 1993, table of fourth
order; normalisation of G. Farnebäck and C.-F. Westin, "Improving Deriche-style recursive Gaussian filters", J. Math.
Imaging Vis. 26, 2006, 293–299). Lines are computed in double and stored in float32, as ITK's
LaplacianRecursiveGaussianImageFilter does; beyond a line its end value goes on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["laplacian_of_gaussian"]

# exp(−x²/2) ≈ Σ (a cos(ω x) + b sin(ω x)) exp(λ x), x ≥ 0; Deriche's fourth order, and the second derivative's a, b.
_OMEGA, _LAMBDA = (0.6681, 2.0787), (-1.3932, -1.3732)
_SMOOTH = ((1.3530, 1.8151), (-0.3531, 0.0902))
_SECOND = ((-1.3563, 5.2318), (0.3446, -2.2355))


class _Filter(NamedTuple):
    """Taps of the pass up (n) and down (m), feedback (d), and what stands for the feedback before the first voxel."""

    n: NDArray[np.float64]
    m: NDArray[np.float64]
    d: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def laplacian_of_gaussian(image: NDArray[np.floating], sigma: float, spacing: Sequence[float]) -> NDArray[np.float32]:
    """The Laplacian of an image smoothed by a Gaussian, times σ².

    Args:
        image: 2D or 3D, at least 4 voxels along each axis.
        sigma: standard deviation of the Gaussian, mm.
        spacing: voxel size along each axis of the array, mm.

    Returns:
        An array like image; its unit is the image's.

    Raises:
        ValueError: The image has fewer voxels along an axis.
    """
    if min(image.shape) < 4:
        raise ValueError(f"image: expected at least 4 voxels along each axis, got shape {image.shape}")
    total = np.zeros(image.shape, np.float32)
    axes = range(image.ndim)[::-1]  # x first
    for along in axes:
        part = _along(image, along, _second(sigma, spacing[along]))
        for axis in axes:
            if axis != along:
                part = _along(part, axis, _smooth(sigma, spacing[axis]))
        total = (total + part.astype(np.float64) / (spacing[along] * spacing[along])).astype(np.float32)
    return total


def _along(image: NDArray[np.floating], axis: int, taps: _Filter) -> NDArray[np.float32]:
    """Filters every line along an axis."""
    lines = np.moveaxis(image, axis, -1)
    out = _lines(np.ascontiguousarray(lines, np.float64).reshape(-1, lines.shape[-1]), *taps)
    return np.moveaxis(out.reshape(lines.shape), -1, axis)


def _smooth(sigma: float, spacing: float) -> _Filter:
    """The Gaussian, of sum 1."""
    s = sigma / spacing
    d, (sum_d, _, _) = _feedback(s)
    n, (sum_n, _, _) = _taps(s, *_SMOOTH)
    return _filter(n * (1 / (2 * sum_n / sum_d - n[0])), d)


def _second(sigma: float, spacing: float) -> _Filter:
    """The second derivative times σ²: its sum is 0 and its second moment 2 σ²/spacing²."""
    s = sigma / spacing
    d, (sum_d, first_d, second_d) = _feedback(s)
    n0, m0 = _taps(s, *_SMOOTH)
    n2, m2 = _taps(s, *_SECOND)
    beta = -(2 * m2[0] - sum_d * n2[0]) / (2 * m0[0] - sum_d * n0[0])
    n = n2 + beta * n0
    sum_n, first_n, second_n = (b + beta * a for a, b in zip(m0, m2, strict=True))
    alpha = second_n * sum_d * sum_d - second_d * sum_n * sum_d
    alpha += -2 * first_n * first_d * sum_d + 2 * first_d * first_d * sum_n
    alpha /= sum_d * sum_d * sum_d
    return _filter(n * (sigma * sigma / alpha), d)


def _taps(
    s: float, first: tuple[float, float], second: tuple[float, float]
) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    """Numerator of the filter upwards, and its moments of orders 0, 1 and 2."""
    (a1, b1), (a2, b2) = first, second
    sin1, sin2, cos1, cos2, exp1, exp2 = _waves(s)
    n0 = a1 + a2
    n1 = exp2 * (b2 * sin2 - (a2 + 2 * a1) * cos2) + exp1 * (b1 * sin1 - (a1 + 2 * a2) * cos1)
    n2 = 2 * exp1 * exp2 * ((a1 + a2) * cos2 * cos1 - b1 * cos2 * sin1 - b2 * cos1 * sin2)
    n2 += a2 * exp1 * exp1 + a1 * exp2 * exp2
    n3 = exp2 * exp1 * exp1 * (b2 * sin2 - a2 * cos2) + exp1 * exp2 * exp2 * (b1 * sin1 - a1 * cos1)
    return np.array([n0, n1, n2, n3]), (n0 + n1 + n2 + n3, n1 + 2 * n2 + 3 * n3, n1 + 4 * n2 + 9 * n3)


def _feedback(s: float) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    """Denominator without its leading 1, and the moments of the whole."""
    _, _, cos1, cos2, exp1, exp2 = _waves(s)
    d4 = exp1 * exp1 * exp2 * exp2
    d3 = -2 * cos1 * exp1 * exp2 * exp2 - 2 * cos2 * exp2 * exp1 * exp1
    d2 = 4 * cos2 * cos1 * exp1 * exp2 + exp1 * exp1 + exp2 * exp2
    d1 = -2 * (exp2 * cos2 + exp1 * cos1)
    first, second = d1 + 2 * d2 + 3 * d3 + 4 * d4, d1 + 4 * d2 + 9 * d3 + 16 * d4
    return np.array([d1, d2, d3, d4]), (1 + d1 + d2 + d3 + d4, first, second)


def _waves(s: float) -> tuple[float, ...]:
    (w1, w2), (l1, l2) = _OMEGA, _LAMBDA
    return math.sin(w1 / s), math.sin(w2 / s), math.cos(w1 / s), math.cos(w2 / s), math.exp(l1 / s), math.exp(l2 / s)


def _filter(n: NDArray[np.float64], d: NDArray[np.float64]) -> _Filter:
    """A filter that is the same up and down; constant lines stay as if they had no ends."""
    m = np.array([n[1] - d[0] * n[0], n[2] - d[1] * n[0], n[3] - d[2] * n[0], -d[3] * n[0]])
    total = 1 + d[0] + d[1] + d[2] + d[3]
    sum_n, sum_m = n[0] + n[1] + n[2] + n[3], m[0] + m[1] + m[2] + m[3]
    return _Filter(n, m, d, d * sum_n / total, d * sum_m / total)


@njit(nogil=True, cache=True, error_model="numpy")
def _lines(lines, n, m, d, before, after):  # type: ignore[no-untyped-def]
    out = np.empty(lines.shape, np.float32)
    length = lines.shape[1]
    up, down = np.empty(length), np.empty(length)
    for k in range(len(lines)):
        x = lines[k]
        first, last = x[0], x[length - 1]
        for i in range(length):
            x1, x2, x3 = x[max(i - 1, 0)], x[max(i - 2, 0)], x[max(i - 3, 0)]
            value = x[i] * n[0] + x1 * n[1] + x2 * n[2] + x3 * n[3]
            if i >= 4:
                value -= up[i - 1] * d[0] + up[i - 2] * d[1] + up[i - 3] * d[2] + up[i - 4] * d[3]
            else:
                y1, c1 = (up[i - 1], d[0]) if i >= 1 else (first, before[0])
                y2, c2 = (up[i - 2], d[1]) if i >= 2 else (first, before[1])
                y3, c3 = (up[i - 3], d[2]) if i >= 3 else (first, before[2])
                value -= y1 * c1 + y2 * c2 + y3 * c3 + first * before[3]
            up[i] = value
        for i in range(length - 1, -1, -1):
            end = length - 1
            x1, x2, x3, x4 = x[min(i + 1, end)], x[min(i + 2, end)], x[min(i + 3, end)], x[min(i + 4, end)]
            value = x1 * m[0] + x2 * m[1] + x3 * m[2] + x4 * m[3]
            if i < length - 4:
                value -= down[i + 1] * d[0] + down[i + 2] * d[1] + down[i + 3] * d[2] + down[i + 4] * d[3]
            else:
                y1, c1 = (down[i + 1], d[0]) if i < length - 1 else (last, after[0])
                y2, c2 = (down[i + 2], d[1]) if i < length - 2 else (last, after[1])
                y3, c3 = (down[i + 3], d[2]) if i < length - 3 else (last, after[2])
                value -= y1 * c1 + y2 * c2 + y3 * c3 + last * after[3]
            down[i] = value
        for i in range(length):
            out[k, i] = up[i] + down[i]
    return out
