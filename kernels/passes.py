"""The passes of `joseph` over a plane, compiled: along rows, along columns, and from the plane to the detector.

Coordinates are those of joseph.py: across slices a, along rows r, along columns c; padded, where voxel 0 lies at 1.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from synth.kernels.lerp import LANES, lerp16
from synth.kernels.traversal import pixel_ray, ray_length

__all__ = ["BLOCK", "SLICES", "accumulate_rows", "resample", "take", "weigh_rows"]

BLOCK = 512
"""Columns taken at once: with the slice rows resampled for them they fit the second-level cache."""
SLICES = 4
"""Slices that share one read and write of the accumulator."""


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def accumulate_rows(  # type: ignore[no-untyped-def]
    flat,
    start,
    stride_a,
    stride_c,
    n_a,
    n_c,
    s_a,
    s_c,
    a0,
    c0,
    dc,
    inside,
    first_voxel,
    pairs,
    fraction,
    image,
    v0,
    v1,
    tile_rows,
):
    """Rows v0 … v1 of the plane, `image`: the sum of what all slices send them; both passes, SLICES at a time."""
    width = image.shape[1]
    runs = width // LANES
    rows = np.zeros(SLICES * tile_rows * BLOCK, np.float32)
    ahead = SLICES * stride_a
    first_row = np.empty(SLICES, np.int64)
    n_rows = np.empty(SLICES, np.int64)
    meets = np.empty(v1 - v0, np.bool_)
    k = np.empty((v1 - v0, SLICES), np.int64)
    w0, w1 = np.empty((v1 - v0, SLICES), np.float32), np.empty((v1 - v0, SLICES), np.float32)

    image[v0:v1] = 0
    for j0 in range(0, n_a, SLICES):
        # Where one of the slices has nothing, the others may: there its weights find the margin of zeros.
        low_run, high_run = runs, 0
        for j in range(j0, min(j0 + SLICES, n_a)):
            low_run, high_run = min(low_run, inside[j, 0]), max(high_run, inside[j, 1])
        if low_run >= high_run:
            continue
        _weigh_columns(j0, n_a, n_c, s_a, s_c, a0, c0, dc, v0, tile_rows, first_row, n_rows, meets, k, w0, w1)
        for run0 in range(low_run, high_run, BLOCK // LANES):
            run1 = min(run0 + BLOCK // LANES, high_run)
            for g in range(SLICES):
                j = j0 + g
                for row in range(n_rows[g]):
                    source = start + j * stride_a + (first_row[g] + row) * stride_c
                    target = (g * tile_rows + row) * BLOCK
                    for run in range(run0, run1):
                        lane = j * width + run * LANES
                        at = target + (run - run0) * LANES
                        lerp16(flat, source + first_voxel[j, run], ahead, pairs, fraction, lane, rows, at)
            for v in range(v1 - v0):
                if meets[v]:
                    _blend(rows, k[v], w0[v], w1[v], image[v0 + v, run0 * LANES : run1 * LANES])


@njit(nogil=True, cache=True)
def _weigh_columns(j0, n_a, n_c, s_a, s_c, a0, c0, dc, v0, tile_rows, first_row, n_rows, meets, k, w0, w1):  # type: ignore[no-untyped-def]
    """Column pass of the slices j0 …: which rows they need, and for every row of the plane which two it blends."""
    meets[:] = False
    for g in range(SLICES):
        t = (j0 + g - s_a) / (a0 - s_a)
        # In padded coordinates, where voxel 0 lies at 1.
        c_first = s_c + (c0 + dc * v0 - s_c) * t + 1
        c_last = c_first + dc * (len(meets) - 1) * t
        low, high = min(c_first, c_last), max(c_first, c_last)
        first_row[g] = math.floor(min(max(low, 0.0), n_c))
        outside = j0 + g >= n_a or high <= 0 or low >= n_c + 1
        n_rows[g] = 0 if outside else math.floor(min(max(high, 0.0), n_c)) + 2 - first_row[g]
        for v in range(len(meets)):
            c = c_first + dc * v * t
            here = not outside and 0 < c < n_c + 1
            row = min(max(int(c) - first_row[g], 0), n_rows[g] - 2) if here else 0
            k[v, g] = (g * tile_rows + row) * BLOCK
            w1[v, g] = np.float32(c - first_row[g] - row) if here else np.float32(0)
            w0[v, g] = np.float32(1) - w1[v, g] if here else np.float32(0)
            meets[v] |= here


@njit(nogil=True, cache=True)
def weigh_rows(n_r, s_a, s_r, a0, r0, dr, inside, first_voxel, pairs, fraction, j_begin, j_end):  # type: ignore[no-untyped-def]
    """Row pass of the slices j: the runs that meet the volume, where each starts to read, neighbours and weights."""
    runs = first_voxel.shape[1]
    end = n_r + 1.0  # rows span (0, end) in padded coordinates, where voxel 0 lies at 1
    for j in range(j_begin, j_end):
        t = (j - s_a) / (a0 - s_a)
        step = dr * t
        r_first = s_r + (r0 - s_r) * t + 1
        low, high = runs, 0
        for run in range(runs):
            m = run * LANES
            r_a, r_b = r_first + step * m, r_first + step * (m + LANES - 1)
            if max(r_a, r_b) > 0 and min(r_a, r_b) < end:
                low, high = min(low, run), run + 1
            first = int(min(max(min(r_a, r_b), 0.0), end))
            first_voxel[j, run] = first
            for lane in range(m, m + LANES):
                r = min(max(r_first + step * lane, 0.0), end)
                left = int(r)
                fraction[j * runs * LANES + lane] = r - left
                pairs[j * runs * LANES + lane] = (left - first) | (left - first + 1) << 16
        inside[j] = low, high


@njit(nogil=True, cache=True, inline="always", fastmath={"contract", "reassoc", "nsz"})
def _blend(rows, k, w0, w1, target):  # type: ignore[no-untyped-def]
    """Column pass: one row of the plane gains two resampled rows of each of four slices."""
    a, b, c, d = rows[k[0] :], rows[k[1] :], rows[k[2] :], rows[k[3] :]
    e, f, g, h = rows[k[0] + BLOCK :], rows[k[1] + BLOCK :], rows[k[2] + BLOCK :], rows[k[3] + BLOCK :]
    a0, b0, c0, d0 = w0[0], w0[1], w0[2], w0[3]
    a1, b1, c1, d1 = w1[0], w1[1], w1[2], w1[3]
    for i in range(target.size):
        target[i] += a0 * a[i] + a1 * e[i] + (b0 * b[i] + b1 * f[i]) + (c0 * c[i] + c1 * g[i]) + (d0 * d[i] + d1 * h[i])


@njit(nogil=True, cache=True)
def take(sums, camera, metric, image, v0, v1):  # type: ignore[no-untyped-def]
    """Plane → detector where their pixels are the same: times the path length per slice."""
    width = image.shape[1]
    step = metric @ camera[2]
    first, forwards = (width - 1, -1) if camera[2, 1] < 0 else (0, 1)  # the plane's columns always ascend
    for v in range(v0, v1):
        x, y, z = metric @ (camera[1] + v * camera[3] - camera[0])
        per_slice = 1 / abs(camera[1, 0] - camera[0, 0])
        for u in range(width):
            square = (x + u * step[0]) ** 2 + (y + u * step[1]) ** 2 + (z + u * step[2]) ** 2
            image[v, u] = sums[v, first + forwards * u] * np.float32(math.sqrt(square) * per_slice)


@njit(nogil=True, cache=True)
def resample(sums, homography, camera, metric, image, v0, v1):  # type: ignore[no-untyped-def]
    """Plane → detector: cubic interpolation (Keys 1981, a = −1/2), times the path length per slice."""
    a, b, c = homography
    for v in range(v0, v1):
        for u in range(image.shape[1]):
            p_a, p_r, p_c = pixel_ray(camera, u, v)
            q = c[0] * u + c[1] * v + c[2]
            m, n = (a[0] * u + a[1] * v + a[2]) / q, (b[0] * u + b[1] * v + b[2]) / q
            image[v, u] = _cubic(sums, n, m) * ray_length(metric, p_a, p_r, p_c) / abs(p_a)


@njit(nogil=True, cache=True, inline="always")
def _keys(x):  # type: ignore[no-untyped-def]
    """Weights of the four neighbours at distances 1 + x, x, 1 − x, 2 − x."""
    return (
        ((-0.5 * x + 1.0) * x - 0.5) * x,
        (1.5 * x - 2.5) * x * x + 1.0,
        ((-1.5 * x + 2.0) * x + 0.5) * x,
        (0.5 * x - 0.5) * x * x,
    )


@njit(nogil=True, cache=True, inline="always")
def _cubic(image, y, x):  # type: ignore[no-untyped-def]
    height, width = image.shape
    i, j = int(math.floor(y)), int(math.floor(x))
    if i < 1 or j < 1 or i >= height - 2 or j >= width - 2:
        return 0.0
    wy, wx = _keys(y - i), _keys(x - j)
    value = 0.0
    for a in range(4):
        row = image[i - 1 + a]
        value += wy[a] * (wx[0] * row[j - 1] + wx[1] * row[j] + wx[2] * row[j + 1] + wx[3] * row[j + 2])
    return value
