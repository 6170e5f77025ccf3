"""Exact line integrals ray by ray on the CPU, in float64: of voxels as boxes, and of the trilinear field.

Between two crossings of the planes through the voxel centres a trilinear field is a cubic polynomial along a straight
line, which two Gauss–Legendre points integrate exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from numba import njit

from synth.kernels.threads import run_parallel
from synth.kernels.traversal import clip, enter, first_crossing, pixel_ray, ray_length, reciprocal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.kernels.padded import PaddedVolume

__all__ = ["ROWS", "exact"]

ROWS = 8  # detector rows a task takes
_GAUSS = 0.5 / math.sqrt(3.0)


def exact(
    volume: PaddedVolume,
    cameras: NDArray[np.float64],
    metric: NDArray[np.float64],
    shape: tuple[int, int],
    model: Literal["box", "trilinear"],
) -> NDArray[np.float32]:
    """Line integrals of every channel along every view, from source to pixel.

    Args:
        volume: (C, z, y, x), the field to integrate; 0 outside.
        cameras: (V, 4, 3), voxel index coordinates (x, y, z): source, centre of pixel (0, 0), step along u, along v.
        metric: (3, 3), linear part of index → world, mm.
        shape: (h, w) of the detector, pixels.
        model: "box", constant within a voxel; or "trilinear" between voxel centres, falling to 0 one voxel outside.

    Returns:
        (V, C, h, w), value·mm.
    """
    out = np.empty((len(cameras), volume.channels, *shape), np.float32)
    kernel = {"box": _box_rows, "trilinear": _trilinear_rows}[model]
    for camera, image in zip(cameras, out, strict=True):
        run_parallel(
            lambda v0, v1, camera=camera, image=image: kernel(volume.array, camera, metric, image, v0, v1),  # type: ignore[misc]
            shape[0],
            ROWS,
        )
    return out


@njit(nogil=True, cache=True)
def _box_rows(padded, camera, metric, out, v0, v1):  # type: ignore[no-untyped-def]
    channels = padded.shape[0]
    nz, ny, nx = padded.shape[1] - 2, padded.shape[2] - 2, padded.shape[3] - 2
    row, plane = nx + 2, (nx + 2) * (ny + 2)
    voxels = padded.reshape(channels, -1)
    sx, sy, sz = camera[0] + 0.5  # voxel i spans [i − ½, i + ½]
    total = np.empty(channels)
    for v in range(v0, v1):
        for u in range(out.shape[2]):
            dx, dy, dz = pixel_ray(camera, u, v)
            total[:] = 0
            ix, iy, iz = reciprocal(dx), reciprocal(dy), reciprocal(dz)
            t, t1 = clip(sx, sy, sz, ix, iy, iz, nx, ny, nz)
            if t < t1:
                x, y, z = enter(sx, dx, t, nx), enter(sy, dy, t, ny), enter(sz, dz, t, nz)
                tx, step_x, face_x = first_crossing(x, sx, ix)
                ty, step_y, face_y = first_crossing(y, sy, iy)
                tz, step_z, face_z = first_crossing(z, sz, iz)
                voxel = (z + 1) * plane + (y + 1) * row + x + 1
                step_row, step_plane = step_y * row, step_z * plane
                while t < t1:
                    here = voxel
                    if tx <= ty and tx <= tz:
                        leave = min(tx, t1)
                        x += step_x
                        voxel += step_x
                        tx = (x + face_x - sx) * ix
                    elif ty <= tz:
                        leave = min(ty, t1)
                        y += step_y
                        voxel += step_row
                        ty = (y + face_y - sy) * iy
                    else:
                        leave = min(tz, t1)
                        z += step_z
                        voxel += step_plane
                        tz = (z + face_z - sz) * iz
                    for c in range(channels):
                        total[c] += (leave - t) * voxels[c, here]
                    t = leave
            length = ray_length(metric, dx, dy, dz)
            for c in range(channels):
                out[c, v, u] = total[c] * length


@njit(nogil=True, cache=True)
def _trilinear_rows(padded, camera, metric, out, v0, v1):  # type: ignore[no-untyped-def]
    channels = padded.shape[0]
    nz, ny, nx = padded.shape[1] - 1, padded.shape[2] - 1, padded.shape[3] - 1
    sx, sy, sz = camera[0] + 1  # cells between voxel centres, the first between the margin and voxel 0
    total = np.empty(channels)
    for v in range(v0, v1):
        for u in range(out.shape[2]):
            dx, dy, dz = pixel_ray(camera, u, v)
            total[:] = 0
            ix, iy, iz = reciprocal(dx), reciprocal(dy), reciprocal(dz)
            t, t1 = clip(sx, sy, sz, ix, iy, iz, nx, ny, nz)
            if t < t1:
                x, y, z = enter(sx, dx, t, nx), enter(sy, dy, t, ny), enter(sz, dz, t, nz)
                tx, step_x, face_x = first_crossing(x, sx, ix)
                ty, step_y, face_y = first_crossing(y, sy, iy)
                tz, step_z, face_z = first_crossing(z, sz, iz)
                while t < t1:
                    leave = min(min(tx, ty), min(tz, t1))
                    half = 0.5 * (leave - t)
                    for sign in (-2.0 * _GAUSS, 2.0 * _GAUSS):
                        at = t + half + sign * half
                        fx, fy, fz = sx + at * dx - x, sy + at * dy - y, sz + at * dz - z
                        for c in range(channels):
                            total[c] += half * _trilinear(padded, c, z, y, x, fz, fy, fx)
                    t = leave
                    if tx <= ty and tx <= tz:
                        x += step_x
                        tx = (x + face_x - sx) * ix
                    elif ty <= tz:
                        y += step_y
                        ty = (y + face_y - sy) * iy
                    else:
                        z += step_z
                        tz = (z + face_z - sz) * iz
            length = ray_length(metric, dx, dy, dz)
            for c in range(channels):
                out[c, v, u] = total[c] * length


@njit(nogil=True, cache=True, inline="always")
def _trilinear(padded, c, z, y, x, fz, fy, fx):  # type: ignore[no-untyped-def]
    near = _bilinear(padded, c, z, y, x, fy, fx)
    return near + fz * (_bilinear(padded, c, z + 1, y, x, fy, fx) - near)


@njit(nogil=True, cache=True, inline="always")
def _bilinear(padded, c, z, y, x, fy, fx):  # type: ignore[no-untyped-def]
    a0, a1 = float(padded[c, z, y, x]), float(padded[c, z, y, x + 1])
    b0, b1 = float(padded[c, z, y + 1, x]), float(padded[c, z, y + 1, x + 1])
    a, b = a0 + fx * (a1 - a0), b0 + fx * (b1 - b0)
    return a + fy * (b - a)
