"""Moving tissue: a scan bent by a smooth displacement, values, labels and masks together."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from synth.core.errors import InputError
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.scan import Scan

__all__ = ["lattice_points", "warp"]

_ROWS = 4  # slices a thread takes at a time


def lattice_points(scan: Scan, box: Box, step_mm: float = 8.0) -> NDArray[np.float64]:
    """World positions of a lattice over a box, its outermost nodes on the box's outermost voxel centres.

    Args:
        scan: Whose grid the box is of.
        box: Part of the grid, (z, y, x).
        step_mm: Largest distance of nodes.

    Returns:
        (n_z, n_y, n_x, 3) world mm; at least two nodes along each axis.
    """
    axes = []
    for part, edge in zip(box, scan.volume.spacing[::-1], strict=True):
        length = part.stop - part.start - 1
        nodes = max(2, int(np.ceil(length * edge / step_mm)) + 1)
        axes.append(np.linspace(part.start, part.stop - 1, nodes))
    z, y, x = np.meshgrid(*axes, indexing="ij")
    affine = scan.volume.affine
    points: NDArray[np.float64] = np.stack([x, y, z], axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    return points


def warp(
    scan: Scan, displacement: NDArray[np.floating[Any]], box: Box, within: NDArray[np.bool_] | None = None
) -> Scan:
    """Moves what is inside a box: the voxel at p shows afterwards what lay at p + displacement(p).

    Values are interpolated linearly; labels, parts and the masks of findings take the nearest voxel. A voxel whose
    displacement is 0 keeps its bits, so a field that falls to 0 at the faces of the box leaves no seam. What lies
    beyond the grid is its nearest voxel. Placed objects do not move: they are added last.

    Args:
        scan: The scan before; its arrays are left as they are.
        displacement: (n_z, n_y, n_x, 3) mm, (x, y, z) in the world, on the nodes of `lattice_points`: evenly spread,
            the outermost on the box's outermost voxel centres; linear in between.
        box: Part of the grid, (z, y, x), slices with start and stop.
        within: (z, y, x) bool of the box's shape: only these voxels move, and what they show comes from among them;
            a displacement that leads out is shortened until it does not. So a lung slides along its wall.

    Returns:
        The moved scan.

    Raises:
        InputError: The box is not inside the grid, or the field has not two nodes along each axis.
    """
    field = np.asarray(displacement)
    if field.ndim != 4 or field.shape[3] != 3 or min(field.shape[:3]) < 2 or not np.isfinite(field).all():
        raise InputError(f"displacement must be finite, (n_z, n_y, n_x, 3) with n ≥ 2, got shape {field.shape}")
    if not all(0 <= part.start < part.stop <= size for part, size in zip(box, scan.volume.shape, strict=True)):
        raise InputError(f"{scan.volume.name}: the box {box} is not inside the grid {scan.volume.shape}")
    # World millimetres → voxels along (z, y, x).
    to_voxels = np.linalg.inv(scan.volume.affine[:3, :3])[::-1]
    nodes = np.ascontiguousarray(field @ to_voxels.T, np.float32)
    near = _table(field.shape, box)
    shape = tuple(part.stop - part.start for part in box)
    if within is not None and within.shape != shape:
        raise InputError(f"within must have the shape of the box, {shape}, got {within.shape}")
    bound = np.zeros((1, 1, 1), np.bool_) if within is None else np.ascontiguousarray(within)

    def moved(array: NDArray[Any], kernel: Any) -> NDArray[Any]:
        out = array.copy()
        lower = np.array([part.start for part in box])

        def work(start: int, stop: int) -> None:
            kernel(array, nodes, *near, lower, within is not None, bound, array.dtype.kind != "f", out, start, stop)

        run_parallel(work, box[0].stop - box[0].start, _ROWS)
        return out

    return replace(
        scan,
        volume=replace(scan.volume, hu=moved(scan.volume.hu, _linear)),
        labels=replace(scan.labels, array=moved(scan.labels.array, _nearest)),
        parts=None if scan.parts is None else replace(scan.parts, array=moved(scan.parts.array, _nearest)),
        seen=tuple(replace(seen, mask=moved(seen.mask, _nearest)) for seen in scan.seen),
    )


def _table(shape: tuple[int, ...], box: Box) -> tuple[NDArray[Any], ...]:
    """For each axis: the node before every voxel of the box, and how far behind it the voxel is, in nodes."""
    tables = []
    for nodes, part in zip(shape, box, strict=False):
        at = np.linspace(0, nodes - 1, part.stop - part.start)
        low = np.minimum(at.astype(np.int64), nodes - 2)
        tables += [low, (at - low).astype(np.float32)]
    return tuple(tables)


@njit(nogil=True, cache=True, inline="always")
def _shift(row, low, fraction, i, c):  # type: ignore[no-untyped-def]
    return row[low[i], c] + fraction[i] * (row[low[i] + 1, c] - row[low[i], c])


@njit(nogil=True, cache=True, inline="always")
def _row(nodes, zl, zf, yl, yf, k, j, row):  # type: ignore[no-untyped-def]
    """The field along one row of voxels, still on the nodes of x; whether any of it moves."""
    moves = False
    for i in range(nodes.shape[2]):
        for c in range(3):
            a = nodes[zl[k], yl[j], i, c] + yf[j] * (nodes[zl[k], yl[j] + 1, i, c] - nodes[zl[k], yl[j], i, c])
            b = nodes[zl[k] + 1, yl[j], i, c]
            b += yf[j] * (nodes[zl[k] + 1, yl[j] + 1, i, c] - nodes[zl[k] + 1, yl[j], i, c])
            row[i, c] = a + zf[k] * (b - a)
            moves = moves or row[i, c] != 0.0
    return moves


@njit(nogil=True, cache=True)
def _reach(bound, k, j, i, dz, dy, dx):  # type: ignore[no-untyped-def]
    """The largest of 1, 7/8, … 0 by which a displacement stays within bounds; 0 where its voxel is out of them."""
    if not bound[k, j, i]:
        return np.float32(0.0)
    for eighth in range(8, 0, -1):
        share = np.float32(eighth / 8.0)
        z, y, x = int(k + share * dz + 0.5), int(j + share * dy + 0.5), int(i + share * dx + 0.5)
        if 0 <= z < bound.shape[0] and 0 <= y < bound.shape[1] and 0 <= x < bound.shape[2] and bound[z, y, x]:
            return share
    return np.float32(0.0)


@njit(nogil=True, cache=True)
def _linear(array, nodes, zl, zf, yl, yf, xl, xf, lower, bounded, bound, rounded, out, start, stop):  # type: ignore[no-untyped-def]
    row = np.empty((nodes.shape[2], 3), np.float32)
    nz, ny, nx = array.shape
    for k in range(start, stop):
        for j in range(len(yl)):
            if not _row(nodes, zl, zf, yl, yf, k, j, row):
                continue
            for i in range(len(xl)):
                dz, dy, dx = _shift(row, xl, xf, i, 0), _shift(row, xl, xf, i, 1), _shift(row, xl, xf, i, 2)
                if bounded:
                    reach = _reach(bound, k, j, i, dz, dy, dx)
                    dz, dy, dx = reach * dz, reach * dy, reach * dx
                if dz == 0.0 and dy == 0.0 and dx == 0.0:
                    continue
                z = min(max(lower[0] + k + dz, 0.0), nz - 1.0)
                y = min(max(lower[1] + j + dy, 0.0), ny - 1.0)
                x = min(max(lower[2] + i + dx, 0.0), nx - 1.0)
                z0, y0, x0 = min(int(z), nz - 2), min(int(y), ny - 2), min(int(x), nx - 2)
                z0, y0, x0 = max(z0, 0), max(y0, 0), max(x0, 0)
                z1, y1, x1 = min(z0 + 1, nz - 1), min(y0 + 1, ny - 1), min(x0 + 1, nx - 1)
                fz, fy, fx = np.float32(z - z0), np.float32(y - y0), np.float32(x - x0)
                a = _edge(array, z0, y0, x0, x1, fx) * (1 - fy) + _edge(array, z0, y1, x0, x1, fx) * fy
                b = _edge(array, z1, y0, x0, x1, fx) * (1 - fy) + _edge(array, z1, y1, x0, x1, fx) * fy
                value = a * (1 - fz) + b * fz
                out[lower[0] + k, lower[1] + j, lower[2] + i] = math.floor(value + 0.5) if rounded else value


@njit(nogil=True, cache=True, inline="always")
def _edge(array, z, y, x0, x1, fraction):  # type: ignore[no-untyped-def]
    return np.float32(array[z, y, x0]) * (1 - fraction) + np.float32(array[z, y, x1]) * fraction


@njit(nogil=True, cache=True)
def _nearest(array, nodes, zl, zf, yl, yf, xl, xf, lower, bounded, bound, rounded, out, start, stop):  # type: ignore[no-untyped-def]
    row = np.empty((nodes.shape[2], 3), np.float32)
    nz, ny, nx = array.shape
    for k in range(start, stop):
        for j in range(len(yl)):
            if not _row(nodes, zl, zf, yl, yf, k, j, row):
                continue
            for i in range(len(xl)):
                dz, dy, dx = _shift(row, xl, xf, i, 0), _shift(row, xl, xf, i, 1), _shift(row, xl, xf, i, 2)
                if bounded:
                    reach = _reach(bound, k, j, i, dz, dy, dx)
                    dz, dy, dx = reach * dz, reach * dy, reach * dx
                z = min(max(int(np.floor(lower[0] + k + dz + 0.5)), 0), nz - 1)
                y = min(max(int(np.floor(lower[1] + j + dy + 0.5)), 0), ny - 1)
                x = min(max(int(np.floor(lower[2] + i + dx + 0.5)), 0), nx - 1)
                out[lower[0] + k, lower[1] + j, lower[2] + i] = array[z, y, x]
