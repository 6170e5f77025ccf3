"""Rasterising triangles without gaps: on a grid of pixels, every edge that two triangles share is crossed once.

Corners are rounded to 1/16384 of a pixel, so that edge functions (Pineda 1988, SIGGRAPH 22(4):17) are exact integers:
the rounded surface is as closed as the true one. A pixel centre on an edge counts as moved by (+ε, +ε²), the same for
all triangles, which decides edges and corners alike.
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["GUARD", "SUBPIXEL", "make_edges", "row_span", "snap"]

SUBPIXEL = 1 << 14
"""Steps of a corner's coordinates in a pixel."""

GUARD = 1 << 15
"""Pixels from the origin within which corners must lie: edge functions then fit 62 bits."""


@njit(nogil=True, cache=True, inline="always")
def snap(x):  # type: ignore[no-untyped-def]
    """A pixel coordinate in steps."""
    return int(math.floor(x * SUBPIXEL + 0.5))


@njit(nogil=True, cache=True)
def make_edges(x, y, edges):  # type: ignore[no-untyped-def]
    """The edge functions of a triangle: pixel (u, v) is inside where a·u + b·v + c ≥ 0 for all three.

    Args:
        x: Three corners' u, in steps.
        y: Their v.
        edges: (3, 3) int64, filled with (a, b, c).

    Returns:
        1 where the corners turn from +u to +v, −1 where they turn back, 0 without area, with `edges` untouched.
    """
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    if area == 0:
        return 0
    sign = 1 if area > 0 else -1
    for i in range(3):
        j = (i + 1) % 3
        a, b = -sign * (y[j] - y[i]), sign * (x[j] - x[i])
        c = -(a * x[i] + b * y[i])
        if not (a > 0 or (a == 0 and b > 0)):
            c -= 1  # on the edge is outside
        edges[i, 0], edges[i, 1], edges[i, 2] = a * SUBPIXEL, b * SUBPIXEL, c
    return sign


@njit(nogil=True, cache=True, inline="always")
def row_span(edges, v, low, high):  # type: ignore[no-untyped-def]
    """The first and last pixel inside a triangle on row v, within low … high; none where the first is the larger."""
    for i in range(3):
        a, k = edges[i, 0], edges[i, 1] * v + edges[i, 2]
        if a == 0:
            if k < 0:
                return 1, 0
            continue
        # The quotient in floating point is off by one at most; integers decide.
        u = int(min(max(math.floor(-k / a), low - 1.0), high + 1.0))
        if a > 0:
            while u <= high and a * u + k < 0:
                u += 1
            while u > low and a * (u - 1) + k >= 0:
                u -= 1
            low = max(low, u)
        else:
            while u >= low and a * u + k < 0:
                u -= 1
            while u < high and a * (u + 1) + k >= 0:
                u += 1
            high = min(high, u)
    return low, high
