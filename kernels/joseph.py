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

from synth.kernels.lerp import LANES, MAX_STEP
from synth.kernels.passes import accumulate_rows, resample, take, weigh_rows
from synth.kernels.scratch import scratch
from synth.kernels.threads import run_parallel, thread_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.kernels.padded import PaddedVolume, Stack

__all__ = ["joseph"]

PLANE_STEP = 0.5
"""Step of an oblique view's intermediate plane, voxels at the middle slice: finer is more exact and slower."""
_TILE = 32  # plane rows a task accumulates; they stay in the second-level cache over all slices


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
                take(sums, camera, metric, image, v0, v1)
            else:
                resample(sums, homography, camera, metric, image, v0, v1)

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
        scratch("inside", (n, 2), np.int64),
        scratch("first_voxel", (n, runs), np.int64),
        scratch("pairs", (n * runs * LANES,), np.int32),
        scratch("fraction", (n * runs * LANES,), np.float32),
    )

    def weigh(j0: int, j1: int) -> None:
        weigh_rows(counts[1], source[0], source[1], plane.a0, plane.r0, plane.dr, *weights, j0, j1)

    run_parallel(weigh, n, -(-n // thread_count()))
    return weights


def _accumulate(
    stack: Stack, start: int, source: NDArray[np.float64], plane: _Plane, weights: _RowWeights
) -> NDArray[np.float32]:
    """Sums of one channel over all slices on the plane's grid: (height, width padded to whole runs)."""
    image = scratch("plane", (plane.height, weights.first_voxel.shape[1] * LANES), np.float32)
    n, _, columns = stack.counts
    widest = max(abs((j - source[0]) / (plane.a0 - source[0])) for j in (0, n - 1))
    tile_rows = min(columns + 2, int(_TILE * abs(plane.dc) * widest) + 3)
    layout = (start, *stack.strides, n, columns)
    across = (source[0], source[2], plane.a0, plane.c0, plane.dc)

    def tile(v0: int, v1: int) -> None:
        accumulate_rows(stack.flat, *layout, *across, *weights, image, v0, v1, tile_rows)

    run_parallel(tile, plane.height, _TILE)
    return image
