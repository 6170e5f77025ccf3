"""Sums over texture matrices that their features are made of.

Logarithms are to base 2. A probability p enters its logarithm as p + ε, ε = 2⁻⁵², as in pyradiomics: for counts c of
a total T that is log₂ c − log₂ T + ε · T / (c · ln 2), so that small counts take their logarithm from a table.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["EPSILON", "PAIR_SUMS", "SIZE_SUMS", "pair_sums", "size_sums"]

EPSILON = 2.0**-52
"""Added to probabilities under a logarithm."""

PAIR_SUMS = ("energy", "largest", "entropy", "correction")
"""Σ p², max p, −Σ p log₂(p + ε) and Σ p / (pₓ pᵧ), over the pairs that occur."""

SIZE_SUMS = (
    "number", "voxels", "short", "long", "low", "high", "short_low", "short_high", "long_low", "long_high", "levels",
    "sizes", "level_variance", "size_variance", "entropy",
)  # fmt: skip
"""Of the entries c(i, s) of level i and size s: Σ c, Σ c·s, Σ c·f over Σ c for f = 1/s², s², 1/i², i² and their
products, the sums of squares of the totals of each level and of each size over Σ c, the variances of i and s, and
−Σ p log₂(p + ε)."""

_LOGARITHMS = np.log2(np.maximum(np.arange(4096.0), 1))
_PER_NAT = EPSILON / math.log(2)


@njit(nogil=True, cache=True, inline="always")
def _log2(count):  # type: ignore[no-untyped-def]
    return _LOGARITHMS[count] if count < 4096 else math.log2(count)


@njit(nogil=True, cache=True)
def pair_sums(pairs, values):  # type: ignore[no-untyped-def]
    """Sums over counts of pairs, taken both ways round.

    Args:
        pairs: (D, L, L) counts, one way; directions without any give 0.
        values: (L,) the grey levels, ascending.

    Returns:
        (D,) the pairs counted, both ways; (D, L) the shares of each level, (D, 2·V + 1) of each sum of two levels and
        (D, V) of each difference, V the highest level; and (D, 4) `PAIR_SUMS`.
    """
    n_steps, n = pairs.shape[:2]
    top = values[-1]
    totals = np.zeros(n_steps)
    shares, added = np.zeros((n_steps, n)), np.zeros((n_steps, 2 * top + 1))
    apart, sums = np.zeros((n_steps, top)), np.zeros((n_steps, 4))
    for d in range(n_steps):
        counts = pairs[d]
        for i in range(n):
            for j in range(n):
                c = counts[i, j]
                if c:
                    shares[d, i] += c
                    shares[d, j] += c
        total = shares[d].sum()
        if total == 0:
            continue
        totals[d] = total
        log_total = math.log2(total)
        squares, largest, entropy, correction = 0.0, np.int64(0), 0.0, 0.0
        for i in range(n):
            for j in range(i, n):
                c = np.int64(counts[i, j]) + np.int64(counts[j, i])
                if c == 0:
                    continue
                both = 1 if i == j else 2
                added[d, values[i] + values[j]] += both * c
                apart[d, values[j] - values[i]] += both * c
                squares += both * float(c) * float(c)
                largest = max(largest, c)
                entropy += both * (c * (log_total - _log2(c)) - _PER_NAT * total)
                correction += both * c / (shares[d, i] * shares[d, j])
        shares[d] /= total
        added[d] /= total
        apart[d] /= total
        sums[d, 0] = squares / (total * total)
        sums[d, 1] = largest / total
        sums[d, 2] = entropy / total
        sums[d, 3] = correction * total
    return totals, shares, added, apart, sums


@njit(nogil=True, cache=True)
def size_sums(matrix, sizes, values):  # type: ignore[no-untyped-def]
    """Sums over the counts of runs, zones or dependences.

    Args:
        matrix: (L, K) counts.
        sizes: (K,) above 0.
        values: (L,) the grey levels.

    Returns:
        (15,) `SIZE_SUMS`; zeros where nothing was counted.
    """
    n, k = matrix.shape
    by_size = np.zeros(k)
    out = np.zeros(15)
    number, voxels, level_total = 0.0, 0.0, 0.0
    for i in range(n):
        in_level = 0.0
        for j in range(k):
            c = matrix[i, j]
            if c:
                in_level += c
                by_size[j] += c
        out[10] += in_level * in_level
        number += in_level
        level_total += in_level * values[i]
    if number == 0:
        return out
    for j in range(k):
        voxels += by_size[j] * sizes[j]
        out[11] += by_size[j] * by_size[j]
    mean_level, mean_size, log_number = level_total / number, voxels / number, math.log2(number)
    for i in range(n):
        level = float(values[i])
        high, low, level_off = level * level, 1 / (level * level), (level - mean_level) ** 2
        for j in range(k):
            c = matrix[i, j]
            if c == 0:
                continue
            size = float(sizes[j])
            long, short = size * size, 1 / (size * size)
            out[2] += c * short
            out[3] += c * long
            out[4] += c * low
            out[5] += c * high
            out[6] += c * (short * low)
            out[7] += c * (short * high)
            out[8] += c * (long * low)
            out[9] += c * (long * high)
            out[12] += c * level_off
            out[13] += c * (size - mean_size) ** 2
            out[14] += c * (log_number - _log2(c)) - _PER_NAT * number
    out /= number
    out[0] = number
    out[1] = voxels
    return out
