"""Line integrals without error other than rounding: float64, one ray at a time, cell by cell.

A box voxel is constant in its cell (Siddon's model). A trilinear field is a cubic polynomial along a ray within a cell
of eight voxel centres, which two Gauss points integrate exactly.
"""

from __future__ import annotations

from math import floor, inf, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

GAUSS = 0.5 / sqrt(3.0)
Array = npt.NDArray[Any]


def line_integrals(volume: Array, affine: Array, camera: Array, shape: tuple[int, int], model: str) -> Array:
    """(h, w) float64, in value·mm.

    Args:
        volume: (z, y, x), zero in its outermost shell.
        affine: (4, 4), voxel index (x, y, z, 1) to world mm.
        camera: (4, 3) world mm: source, centre of pixel (0, 0), step along u, step along v.
        shape: Rows and columns.
        model: "box" or "trilinear".
    """
    trilinear = model == "trilinear"
    to_grid = np.linalg.inv(affine[:3, :3]).T
    rays = camera @ to_grid
    rays[:2] += (0.0 if trilinear else 0.5) - affine[:3, 3] @ to_grid
    _, corner, u, v = camera
    rows, columns = np.arange(shape[0])[:, None, None], np.arange(shape[1])[:, None]
    length = np.linalg.norm(corner - camera[0] + rows * v + columns * u, axis=-1)
    return length * _fractions(volume, rays, shape[0], shape[1], trilinear)


@njit(parallel=True, cache=True)
def _fractions(volume, rays, height, width, trilinear):  # type: ignore[no-untyped-def]
    """Integrals along the rays, whose lengths count as one; grid cells are [k, k + 1)."""
    image = np.zeros((height, width))
    for row in prange(height):
        for column in range(width):
            target = rays[1] + column * rays[2] + row * rays[3]
            image[row, column] = _ray(volume, rays[0], target - rays[0], trilinear)
    return image


@njit(cache=True)
def _ray(volume, source, direction, trilinear):  # type: ignore[no-untyped-def]
    nz, ny, nx = volume.shape
    if trilinear:
        nz, ny, nx = nz - 1, ny - 1, nx - 1
    sx, sy, sz = source[0], source[1], source[2]
    dx, dy, dz = direction[0], direction[1], direction[2]
    x0, x1 = _slab(sx, dx, nx)
    y0, y1 = _slab(sy, dy, ny)
    z0, z1 = _slab(sz, dz, nz)
    t, end = max(0.0, x0, y0, z0), min(1.0, x1, y1, z1)
    i, j, k = _cell(sx, dx, nx, t), _cell(sy, dy, ny, t), _cell(sz, dz, nz, t)
    tx, ty, tz = _exit(sx, dx, i), _exit(sy, dy, j), _exit(sz, dz, k)
    total = 0.0
    while t < end:
        stop = min(tx, ty, tz, end)
        if stop > t:
            if trilinear:
                total += (stop - t) * _mean(volume, source, direction, i, j, k, t, stop)
            else:
                total += (stop - t) * volume[k, j, i]
        t = stop
        if tx <= ty and tx <= tz:
            i += 1 if dx > 0 else -1
            tx = _exit(sx, dx, i)
        elif ty <= tz:
            j += 1 if dy > 0 else -1
            ty = _exit(sy, dy, j)
        else:
            k += 1 if dz > 0 else -1
            tz = _exit(sz, dz, k)
    return total


@njit(cache=True, inline="always")
def _slab(s, d, n):  # type: ignore[no-untyped-def]
    """Where a ray enters and leaves [0, n] of one axis."""
    if d == 0.0:
        return (-inf, inf) if 0.0 < s < n else (inf, -inf)
    inverse = 1.0 / d
    return min((0 - s) * inverse, (n - s) * inverse), max((0 - s) * inverse, (n - s) * inverse)


@njit(cache=True, inline="always")
def _cell(s, d, n, t):  # type: ignore[no-untyped-def]
    if not -inf < t < inf:
        return 0
    return min(max(floor(s + t * d), 0), n - 1)


@njit(cache=True, inline="always")
def _exit(s, d, cell):  # type: ignore[no-untyped-def]
    """Where a ray leaves a cell of one axis."""
    if d == 0.0:
        return inf
    return ((cell + 1 if d > 0.0 else cell) - s) * (1.0 / d)


@njit(cache=True)
def _mean(volume, source, direction, i, j, k, start, stop):  # type: ignore[no-untyped-def]
    """Mean of the trilinear field between two points of a ray in one cell."""
    total = 0.0
    for sign in (-GAUSS, GAUSS):
        t = 0.5 * (start + stop) + sign * (stop - start)
        x, y, z = source[0] + t * direction[0] - i, source[1] + t * direction[1] - j, source[2] + t * direction[2] - k
        for c in range(2):
            for b in range(2):
                left, right = np.float64(volume[k + c, j + b, i]), np.float64(volume[k + c, j + b, i + 1])
                total += (z if c else 1 - z) * (y if b else 1 - y) * (left + x * (right - left))
    return 0.5 * total
