"""How much of every voxel lies inside a closed surface: numpy arrays here, CuPy's by occupancy.cu.

Lines along z, several a voxel, cross the surface; the length inside is exact along each, by the rule of
`synth.kernels.mesh`: a crossing where the surface ends fills all that lies before it, one where it begins empties it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from synth.kernels.raster import GUARD, SUBPIXEL, make_edges, row_span, snap
from synth.kernels.threads import run_parallel

__all__ = ["mesh_occupancy"]

_ROWS = 8  # of voxels, a task takes


def mesh_occupancy(vertices: Any, faces: Any, shape: tuple[int, int, int], oversample: int = 4) -> Any:
    """Fraction of every voxel inside a closed surface.

    Args:
        vertices: (n, 3), voxel index coordinates (x, y, z), numpy, or CuPy to compute on its GPU; voxel i spans
            [i − ½, i + ½].
        faces: (m, 3), indices of vertices, counter-clockwise seen from outside, in index coordinates; the same kind
            of array.
        shape: Voxels along (z, y, x); the surface may reach beyond.
        oversample: Lines a voxel along x and along y each.

    Returns:
        (z, y, x) float32, as numpy or CuPy; 0 to 1 for a surface that does not meet itself. Of n lines that a body's
        outline crosses, the error of its volume falls as n^-¾; whole and empty voxels are exact.

    Raises:
        ValueError: A surface more than 32,768 lines away from the grid, or faces of vertices that there are not.
    """
    lines = vertices.astype(np.float64, order="C")
    lines[:, :2] = (lines[:, :2] + 0.5) * oversample - 0.5
    if lines.size and not bool((abs(lines[:, :2]) < GUARD).all()):  # NaN fails, too
        raise ValueError(f"vertices must lie within {GUARD // oversample} voxels of the grid")
    if faces.size and not (0 <= int(faces.min()) and int(faces.max()) < len(vertices)):
        raise ValueError(f"faces must hold indices of the {len(vertices)} vertices")
    if not isinstance(vertices, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.mesh_occupancy(vertices, faces, shape, oversample)
    nz, ny, nx = shape
    partial, before = np.zeros((nz + 1, ny, nx), np.float32), np.zeros((nz + 1, ny, nx), np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    run_parallel(lambda y0, y1: _fill(lines, faces, oversample, partial, before, y0, y1), ny, _ROWS)
    filled = partial[:-1] + np.cumsum(before[:0:-1], axis=0)[::-1]
    return filled / np.float32(oversample * oversample)


@njit(nogil=True, cache=True)
def _fill(lines, faces, oversample, partial, before, y0, y1):  # type: ignore[no-untyped-def]
    nz, columns = partial.shape[0] - 1, partial.shape[2] * oversample
    x, y, edges = np.empty(3, np.int64), np.empty(3, np.int64), np.empty((3, 3), np.int64)
    for i in range(len(faces)):
        a, b, c = lines[faces[i, 0]], lines[faces[i, 1]], lines[faces[i, 2]]
        for j, p in enumerate((a, b, c)):
            x[j], y[j] = snap(p[0]), snap(p[1])
        top = max(y0 * oversample, -(-y.min() // SUBPIXEL))
        bottom = min(y1 * oversample - 1, y.max() // SUBPIXEL)
        if top > bottom:
            continue
        sign = make_edges(x, y, edges)
        if sign == 0:
            continue
        low, high = min(a[2], min(b[2], c[2])), max(a[2], max(b[2], c[2]))
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        slope_x = (b[2] - a[2]) * (c[1] - a[1]) - (c[2] - a[2]) * (b[1] - a[1])
        slope_y = (b[0] - a[0]) * (c[2] - a[2]) - (c[0] - a[0]) * (b[2] - a[2])
        left, right = max(0, -(-x.min() // SUBPIXEL)), min(columns - 1, x.max() // SUBPIXEL)
        for v in range(top, bottom + 1):
            first, last = row_span(edges, v, left, right)
            for u in range(first, last + 1):
                rise = slope_x * (u - a[0]) + slope_y * (v - a[1])
                # A triangle seen edge on has no certain height, but none beyond its corners.
                z = min(max(a[2] + rise / area if area != 0.0 else low, low), high) + 0.5
                if z > 0.0:
                    k = min(int(math.floor(z)), nz)
                    partial[k, v // oversample, u // oversample] += sign * (z - k)
                    before[k, v // oversample, u // oversample] += sign
