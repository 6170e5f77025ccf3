"""Joseph's line integrals on the CPU, slice by slice: no gathers, no rays.

Joseph (1982, IEEE TMI 1(3):192–196) samples the volume bilinearly where a ray crosses each slice. For all rays from one
source through one plane parallel to the slices, a slice contributes a scaled and shifted copy of itself: with source s,
plane coordinate a₀ and slice j, the point (r, c) of the plane meets the slice at

    r_j = s_r + (r − s_r)·t_j,   c_j = s_c + (c − s_c)·t_j,   t_j = (j − s_a) / (a₀ − s_a),

the same t_j for every point. Bilinear interpolation then separates: each row of the slice is resampled once along r
(row pass), and rows of the plane accumulate two of those each (column pass), four slices at a time, in tiles that stay
in the cache. One homography carries the plane to the detector; a detector whose rows and columns are parallel to the
slice's needs none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from synth.kernels.lerp import LANES, MAX_STEP, lerp16
from synth.kernels.threads import run_parallel, thread_count
from synth.kernels.traversal import pixel_ray, ray_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.kernels.padded import PaddedVolume, Stack

__all__ = ["joseph"]

PLANE_STEP = 0.5
"""Step of an oblique view's intermediate plane, voxels at the middle slice: finer is more exact and slower."""
_TILE = 32  # plane rows a task accumulates; they stay in the second-level cache over all slices
_BLOCK = 512  # columns taken at once: with the slice rows resampled for them they fit the second-level cache
_SLICES = 4  # slices that share one read and write of the accumulator


class _Plane(NamedTuple):
    """A regular grid on a plane parallel to the slices: r = r0 + dr·m, c = c0 + dc·n, at slice coordinate a0."""

    a0: float
    r0: float
    dr: float
    width: int
    c0: float
    dc: float
    height: int


def joseph(
    volume: PaddedVolume,
    axes: NDArray[np.int32],
    cameras: NDArray[np.float64],
    metric: NDArray[np.float64],
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    """Line integrals of every channel along every view.

    Args:
        volume: (C, z, y, x), the field to integrate; 0 outside.
        axes: (V,), the slicing axis of each view: 0 x, 1 y, 2 z.
        cameras: (V, 4, 3), voxel index coordinates (x, y, z): source, centre of pixel (0, 0), step along u, along v.
        metric: (3, 3), linear part of index → world, mm.
        shape: (h, w) of the detector, pixels.

    Returns:
        (V, C, h, w), value·mm.
    """
    out = np.empty((len(cameras), volume.channels, *shape), np.float32)
    for axis, camera, images in zip(axes, cameras, out, strict=True):
        _project_view(volume, int(axis), camera, metric, images)
    return out


def _project_view(
    volume: PaddedVolume,
    axis: int,
    camera: NDArray[np.float64],
    metric: NDArray[np.float64],
    images: NDArray[np.float32],
) -> None:
    """One view into `images`, (C, h, w)."""
    frame = _slice_frame(axis)
    stack = volume.stack(axis)
    camera, metric = np.ascontiguousarray(camera[:, frame]), np.ascontiguousarray(metric[:, frame])
    plane, homography = _plane(camera, stack.counts, images.shape[1:])
    weights = _row_weights(stack.counts, camera[0], plane)
    for start, image in zip(stack.starts, images, strict=True):
        sums = _accumulate(stack, start, camera[0], plane, weights)

        def to_detector(v0: int, v1: int, sums: NDArray[np.float32] = sums, image: NDArray[np.float32] = image) -> None:
            if homography is None:
                _take(sums, camera, metric, image, v0, v1)
            else:
                _resample(sums, homography, camera, metric, image, v0, v1)

        run_parallel(to_detector, len(image), _TILE)


def _slice_frame(axis: int) -> list[int]:
    """Index axes in the order (across slices a, along rows r, along columns c); rows are contiguous in memory."""
    return {0: [0, 1, 2], 1: [1, 0, 2], 2: [2, 0, 1]}[axis]


def _plane(
    camera: NDArray[np.float64], counts: tuple[int, int, int], shape: tuple[int, int]
) -> tuple[_Plane, NDArray[np.float64] | None]:
    """The intermediate plane of a view, and the homography from pixels (u, v, 1) to its grid (None where they agree).

    `camera` is (4, 3) in (a, r, c) coordinates.
    """
    source, origin, du, dv = camera
    h, w = shape
    scale = max(np.abs(du).max(), np.abs(dv).max())
    parallel = max(abs(du[0]), abs(dv[0]), abs(du[2]), abs(dv[1])) <= 1e-9 * scale
    if parallel and _row_advance(source[0], origin[0], du[1], counts[0]) <= MAX_STEP:
        # Memory is read forwards, whichever way u runs: backwards, the prefetcher costs a third of the speed.
        r0, dr = (origin[1], du[1]) if du[1] > 0 else (origin[1] + (w - 1) * du[1], -du[1])
        return _Plane(origin[0], r0, dr, w, origin[2], dv[2], h), None

    a0 = (counts[0] - 1) / 2
    # A pixel p = M·(u, v, 1) meets the plane at s + (p − s)·(a0 − s_a)/(p_a − s_a): linear in p once multiplied by the
    # denominator, which is the third row of the homography.
    M = np.stack([du, dv, origin - source], axis=1)
    depth = a0 - source[0]
    to_plane = np.stack([depth * M[1] + source[1] * M[0], depth * M[2] + source[2] * M[0], M[0]])
    corners = to_plane @ np.array([[0, w - 1, 0, w - 1], [0, 0, h - 1, h - 1], [1, 1, 1, 1]], float)
    corners = corners[:2] / corners[2]
    # Only where the volume's shadow falls: its corners projected onto the plane from the source.
    box = np.array([[a, r, c] for a in (0, counts[0] - 1) for r in (-1, counts[1]) for c in (-1, counts[2])], float)
    shadow = source[1:] + (box[:, 1:] - source[1:]) * (depth / (box[:, :1] - source[0]))
    low = np.maximum(corners.min(1), shadow.min(0))
    high = np.minimum(corners.max(1), shadow.max(0))
    size = [max(1, math.ceil(extent / PLANE_STEP) + 6) for extent in np.maximum(high - low, 0)]
    r0, c0 = low - 2.5 * PLANE_STEP
    plane = _Plane(a0, r0, PLANE_STEP, size[0], c0, PLANE_STEP, size[1])
    to_grid = np.array([[1 / PLANE_STEP, 0, -r0 / PLANE_STEP], [0, 1 / PLANE_STEP, -c0 / PLANE_STEP], [0, 0, 1]])
    return plane, to_grid @ to_plane


def _row_advance(source_a: float, plane_a: float, dr: float, slices: int) -> float:
    """Largest step along a slice row between neighbouring columns of the plane, voxels."""
    return float(np.abs([dr * (j - source_a) / (plane_a - source_a) for j in (0, slices - 1)]).max())


class _RowWeights(NamedTuple):
    """How every slice's rows are resampled, by slice j; outputs are taken in runs of LANES."""

    inside: NDArray[np.int64]  # (n, 2): the runs [low, high) that meet the volume
    first_voxel: NDArray[np.int64]  # (n, runs): where a run starts to read
    pairs: NDArray[np.int32]  # (n · width,): neighbours relative to it, as `lerp16` takes them
    fraction: NDArray[np.float32]  # (n · width,): weight of the right neighbour


def _row_weights(counts: tuple[int, int, int], source: NDArray[np.float64], plane: _Plane) -> _RowWeights:
    n, runs = counts[0], -(-plane.width // LANES)
    weights = _RowWeights(
        np.empty((n, 2), np.int64),
        np.empty((n, runs), np.int64),
        np.empty(n * runs * LANES, np.int32),
        np.empty(n * runs * LANES, np.float32),
    )

    def weigh(j0: int, j1: int) -> None:
        _weigh_rows(counts[1], source[0], source[1], plane.a0, plane.r0, plane.dr, *weights, j0, j1)

    run_parallel(weigh, n, -(-n // thread_count()))
    return weights


def _accumulate(
    stack: Stack, start: int, source: NDArray[np.float64], plane: _Plane, weights: _RowWeights
) -> NDArray[np.float32]:
    """Sums of one channel over all slices on the plane's grid: (height, width padded to whole runs)."""
    image = np.zeros((plane.height, weights.first_voxel.shape[1] * LANES), np.float32)
    n, _, columns = stack.counts
    widest = max(abs((j - source[0]) / (plane.a0 - source[0])) for j in (0, n - 1))
    tile_rows = min(columns + 2, int(_TILE * abs(plane.dc) * widest) + 3)
    layout = (start, *stack.strides, n, columns)
    across = (source[0], source[2], plane.a0, plane.c0, plane.dc)

    def tile(v0: int, v1: int) -> None:
        _accumulate_rows(stack.flat, *layout, *across, *weights, image, v0, v1, tile_rows)

    run_parallel(tile, plane.height, _TILE)
    return image


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _accumulate_rows(  # type: ignore[no-untyped-def]
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
    width = image.shape[1]
    runs = width // LANES
    rows = np.zeros(_SLICES * tile_rows * _BLOCK, np.float32)
    ahead = _SLICES * stride_a
    first_row = np.empty(_SLICES, np.int64)
    n_rows = np.empty(_SLICES, np.int64)
    meets = np.empty(v1 - v0, np.bool_)
    k = np.empty((v1 - v0, _SLICES), np.int64)
    w0, w1 = np.empty((v1 - v0, _SLICES), np.float32), np.empty((v1 - v0, _SLICES), np.float32)

    for j0 in range(0, n_a, _SLICES):
        # Where one of the slices has nothing, the others may: there its weights find the margin of zeros.
        low_run, high_run = runs, 0
        for j in range(j0, min(j0 + _SLICES, n_a)):
            low_run, high_run = min(low_run, inside[j, 0]), max(high_run, inside[j, 1])
        if low_run >= high_run:
            continue
        _weigh_columns(j0, n_a, n_c, s_a, s_c, a0, c0, dc, v0, tile_rows, first_row, n_rows, meets, k, w0, w1)
        for run0 in range(low_run, high_run, _BLOCK // LANES):
            run1 = min(run0 + _BLOCK // LANES, high_run)
            for g in range(_SLICES):
                j = j0 + g
                for row in range(n_rows[g]):
                    source = start + j * stride_a + (first_row[g] + row) * stride_c
                    target = (g * tile_rows + row) * _BLOCK
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
    for g in range(_SLICES):
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
            k[v, g] = (g * tile_rows + row) * _BLOCK
            w1[v, g] = np.float32(c - first_row[g] - row) if here else np.float32(0)
            w0[v, g] = np.float32(1) - w1[v, g] if here else np.float32(0)
            meets[v] |= here


@njit(nogil=True, cache=True)
def _weigh_rows(n_r, s_a, s_r, a0, r0, dr, inside, first_voxel, pairs, fraction, j_begin, j_end):  # type: ignore[no-untyped-def]
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
    e, f, g, h = rows[k[0] + _BLOCK :], rows[k[1] + _BLOCK :], rows[k[2] + _BLOCK :], rows[k[3] + _BLOCK :]
    a0, b0, c0, d0 = w0[0], w0[1], w0[2], w0[3]
    a1, b1, c1, d1 = w1[0], w1[1], w1[2], w1[3]
    for i in range(target.size):
        target[i] += a0 * a[i] + a1 * e[i] + (b0 * b[i] + b1 * f[i]) + (c0 * c[i] + c1 * g[i]) + (d0 * d[i] + d1 * h[i])


@njit(nogil=True, cache=True)
def _take(sums, camera, metric, image, v0, v1):  # type: ignore[no-untyped-def]
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
def _resample(sums, homography, camera, metric, image, v0, v1):  # type: ignore[no-untyped-def]
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
