"""Walking a ray through the cells of a regular grid (Siddon 1985, Med Phys 12(2):252–255), one cell boundary at a time.

Cell coordinates: cell i spans [i, i + 1] along its axis. The point at parameter t is s + t·d; every crossing is
computed afresh from the index of its boundary, so that no error builds up along the ray.
"""

from __future__ import annotations

import math

from numba import njit

__all__ = ["clip", "enter", "first_crossing", "pixel_ray", "ray_length", "reciprocal"]

_FAR = 1e300


@njit(nogil=True, cache=True, inline="always")
def pixel_ray(camera, u, v):  # type: ignore[no-untyped-def]
    """The vector from the source to the centre of pixel (u, v); `camera` is (4, 3): source, origin, du, dv."""
    return (
        camera[1, 0] + u * camera[2, 0] + v * camera[3, 0] - camera[0, 0],
        camera[1, 1] + u * camera[2, 1] + v * camera[3, 1] - camera[0, 1],
        camera[1, 2] + u * camera[2, 2] + v * camera[3, 2] - camera[0, 2],
    )


@njit(nogil=True, cache=True, inline="always")
def ray_length(metric, dx, dy, dz):  # type: ignore[no-untyped-def]
    """World length of an index-space vector, mm; `metric` is the linear part of index → world."""
    square = 0.0
    for i in range(3):
        square += (metric[i, 0] * dx + metric[i, 1] * dy + metric[i, 2] * dz) ** 2
    return math.sqrt(square)


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
    """Along one axis: where the ray leaves `cell`, the step to the next cell, and the face it leaves by.

    The face is 1 for the upper and 0 for the lower one, so that t = (cell + face − s)·inverse; a ray parallel to the
    faces never leaves.
    """
    if inverse > 0:
        return (cell + 1 - s) * inverse, 1, 1
    if inverse < 0:
        return (cell - s) * inverse, -1, 0
    return _FAR, 0, 0
