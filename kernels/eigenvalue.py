"""The eigenvalue of a symmetric matrix that lies farthest from 0, without a library that starts threads of its own."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["largest_eigenvalue"]


@njit(nogil=True, cache=True, error_model="numpy")
def largest_eigenvalue(matrix):  # type: ignore[no-untyped-def]
    """The largest |λ| of a symmetric matrix, to rounding: Householder's tridiagonal form, then bisection.

    G. H. Golub and C. F. Van Loan, "Matrix Computations", 4th edition, 2013, algorithm 8.3.1 and section 8.4.1.

    Args:
        matrix: (n, n) float64, symmetric.

    Returns:
        |λ|.
    """
    a = matrix.copy()
    n = len(a)
    off = np.zeros(n)
    v, w = np.zeros(n), np.zeros(n)
    for k in range(n - 2):
        rest = 0.0
        for i in range(k + 2, n):
            rest += a[i, k] * a[i, k]
        first = a[k + 1, k]
        if rest == 0.0:
            off[k + 1] = first
            continue
        norm = math.sqrt(first * first + rest)
        off[k + 1] = -math.copysign(norm, first)
        v[k + 1] = first + math.copysign(norm, first)
        for i in range(k + 2, n):
            v[i] = a[i, k]
        factor = 2 / (rest + v[k + 1] * v[k + 1])
        along = 0.0
        for i in range(k + 1, n):
            total = 0.0
            for j in range(k + 1, n):
                total += a[i, j] * v[j]
            w[i] = factor * total
            along += w[i] * v[i]
        for i in range(k + 1, n):
            w[i] -= 0.5 * factor * along * v[i]
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                a[i, j] -= v[i] * w[j] + w[i] * v[j]
    if n > 1:
        off[n - 1] = a[n - 1, n - 2]
    bound = 0.0
    for i in range(n):
        beyond = abs(off[i + 1]) if i + 1 < n else 0.0
        bound = max(bound, abs(a[i, i]) + abs(off[i]) + beyond)
    return max(_end(a, off, bound, 1.0), _end(a, off, bound, -1.0))


@njit(nogil=True, cache=True, error_model="numpy")
def _end(a, off, bound, sign):  # type: ignore[no-untyped-def]
    """The largest eigenvalue of sign · (the tridiagonal matrix of a's diagonal and off), by bisection."""
    low, high = -bound, bound
    for _ in range(60):
        x = 0.5 * (low + high)
        pivot, above = 1.0, False
        for i in range(len(off)):
            pivot = sign * a[i, i] - x - off[i] * off[i] / pivot
            if pivot == 0.0:
                pivot = 1e-300
            if pivot > 0.0:
                above = True
                break
        if above:
            low = x
        else:
            high = x
    return 0.5 * (low + high)
