"""Walking a ray through the cells of a regular grid (Siddon 1985, Med Phys 12(2):252–255), one cell boundary at a time.

Cell coordinates: cell i spans [i, i + 1] along its axis. The point at parameter t is s + t·d; every crossing is
computed afresh from the index of its boundary, so that no error builds up along the ray.
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["clip", "enter", "first_crossing", "reciprocal"]

_FAR = 1e300


@njit(nogil=True, cache=True, inline="always")
def reciprocal(d):  # type: ignore[no-untyped-def]
    """1/d, or 0 for a ray parallel to the boundaries of the axis."""
    return 1.0 / d if d != 0.0 else 0.0


@njit(nogil=True, cache=True, inline="always")
def clip(sx, sy, sz, ix, iy, iz, nx, ny, nz):  # type: ignore[no-untyped-def]
    """The part [t0, t1] of the segment t ∈ [0, 1] inside the grid of nx × ny × nz cells; empty where t1 ≤ t0.

    Its ends are computed by the very expressions of the crossings, so that no walk up to t1 steps out of the grid.
    """
    t0, t1 = 0.0, 1.0
    for s, inverse, n in ((sx, ix, nx), (sy, iy, ny), (sz, iz, nz)):
        if inverse == 0.0:
            if s <= 0.0 or s >= n:
                return 0.0, 0.0
        else:
            a, b = (0 - s) * inverse, (n - s) * inverse
            t0 = max(t0, min(a, b))
            t1 = min(t1, max(a, b))
    return t0, t1


@njit(nogil=True, cache=True, inline="always")
def enter(s, d, t0, n):  # type: ignore[no-untyped-def]
    """The cell along one axis that the ray enters at t0."""
    x = s + t0 * d
    cell = int(math.floor(x))
    if d < 0 and x == cell:
        cell -= 1
    return min(max(cell, 0), n - 1)


@njit(nogil=True, cache=True, inline="always")
def first_crossing(cell, s, inverse):  # type: ignore[no-untyped-def]
    """Along one axis: the parameter at which the ray leaves `cell`, its step to the next, and the boundary it leaves by.

    The boundary is 1 for the upper and 0 for the lower face, so that t = (cell + boundary − s)·inverse; a ray parallel
    to the faces never leaves.
    """
    if inverse > 0:
        return (cell + 1 - s) * inverse, 1, 1
    if inverse < 0:
        return (cell - s) * inverse, -1, 0
    return _FAR, 0, 0
