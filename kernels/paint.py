"""Painting solids into a grid of voxels, one stroke over another: numpy arrays here, CuPy's by paint.cu.

A stroke is the union of some solids. A voxel that may be painted over is covered by the largest of their coverages,
which does not depend on their order; then

    hu ← hu + c·(value − hu),    label, part ← the stroke's where c ≥ 1/2

Voxels do not know of each other, so threads take the grid slice by slice, each with all strokes in their order, and no
bit depends on how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from synth.kernels.solids import LOFT, SLAB, loft, section, sector, segment, slab
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Program", "paint"]

_SLICES = 4  # a thread takes at once: its part of the arrays stays in the second-level cache
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


class Program(NamedTuple):
    """Strokes, and the solids they consist of, as arrays.

    Attributes:
        solids: (m, 10) int32: kind (LOFT, SLAB, SEGMENT of synth.kernels.solids), where its numbers begin in `data`,
            rows and columns of its table, and the box of voxels that it may touch, x0, x1, y0, y1, z0, z1, within the
            grid, ends exclusive.
        data: float32, laid out as synth.kernels.solids says.
        strokes: (n, 10) int32: first solid, last + 1, label, part (either −1 to leave it), and the box of all.
        values: (n, 2) float32: HU (NaN to leave it), inset in mm.
        over: (n, 2, 256) uint8: whether a label, a part may be painted over.
    """

    solids: NDArray[np.int32]
    data: NDArray[np.float32]
    strokes: NDArray[np.int32]
    values: NDArray[np.float32]
    over: NDArray[np.uint8]


def paint(hu: Any, labels: Any, parts: Any, origin: Any, spacing: Any, program: Program) -> None:
    """Paints strokes in their order, in place.

    Args:
        hu: (z, y, x) float32, C-contiguous, numpy, or CuPy to compute on its GPU: the same bits.
        labels: (z, y, x) uint8, the same kind of array.
        parts: (z, y, x) uint8, the same kind of array.
        origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm.
        spacing: (3,) mm, along x, y, z.
        program: What to paint; numpy arrays.

    Raises:
        ValueError: Arrays of another shape, type or order.
    """
    _check(hu, labels, parts)
    origin, spacing = np.asarray(origin, np.float32), np.asarray(spacing, np.float32)
    if not isinstance(hu, np.ndarray):
        from synth.kernels import _cuda

        _cuda.paint(hu, labels, parts, origin, spacing, program)
        return
    if not len(program.strokes):
        return
    z0, z1 = int(program.strokes[:, 8].min()), int(program.strokes[:, 9].max())
    run_parallel(
        lambda i, j: _paint_slices(hu, labels, parts, origin, spacing, *program, z0 + i, z0 + j), z1 - z0, _SLICES
    )


def _check(hu: Any, labels: Any, parts: Any) -> None:
    for name, array, dtype in (("hu", hu, np.float32), ("labels", labels, np.uint8), ("parts", parts, np.uint8)):
        if array.ndim != 3 or array.shape != hu.shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"{name}: expected a C-contiguous (z, y, x) array of {np.dtype(dtype)} and hu's shape, "
                f"got {array.dtype} {array.shape}"
            )


@njit(nogil=True, cache=True, error_model="numpy")
def _paint_slices(hu, labels, parts, origin, spacing, solids, data, strokes, values, over, z0, z1):  # type: ignore[no-untyped-def]
    """All strokes in slices z0 … z1."""
    _, ny, nx = hu.shape
    cover = np.zeros((z1 - z0, ny, nx), np.float32)
    touched = np.empty((z1 - z0, ny, 2), np.int32)  # first and last + 1 column, of a row
    touched[:, :, 0], touched[:, :, 1] = nx, 0
    for s in range(len(strokes)):
        stroke = strokes[s]
        low, high = max(z0, stroke[8]), min(z1, stroke[9])
        if low >= high:
            continue
        slices = cover, touched, labels, parts, over[s], z0
        for k in range(stroke[0], stroke[1]):
            solid = solids[k]
            bottom, top = max(low, solid[8]), min(high, solid[9])
            if bottom >= top:
                continue
            if solid[0] == LOFT:
                _cover_loft(solid, data, values[s, 1], origin, spacing, *slices, bottom, top)
            elif solid[0] == SLAB:
                _cover_slab(solid, data, values[s, 1], origin, spacing, *slices, bottom, top)
            else:
                _cover_segment(solid, data, values[s, 1], origin, spacing, *slices, bottom, top)
        _apply(hu, labels, parts, stroke, values[s, 0], cover, touched, z0, low, high)


@njit(nogil=True, cache=True, error_model="numpy")
def _cover_loft(solid, data, inset, origin, spacing, cover, touched, labels, parts, over, z0, low, high):  # type: ignore[no-untyped-def]
    at, n, m, first, last = solid[1], solid[2], solid[3], solid[4], solid[5]
    axes, base = data[at : at + 9], origin[0] - data[at + 9]
    level = axes[6] == _ZERO  # a row lies within one section
    for k in range(low, high):
        z = (origin[2] + np.float32(k) * spacing[2]) - data[at + 11]
        for i in range(solid[6], solid[7]):
            y = (origin[1] + np.float32(i) * spacing[1]) - data[at + 10]
            u0, v0, w = axes[1] * y + axes[2] * z, axes[4] * y + axes[5] * z, axes[7] * y + axes[8] * z
            w0 = w
            before, t, cu, cv, bounds, deep = section(data, at, n, w)
            row, names, insides = cover[k - z0, i], labels[k, i], parts[k, i]
            left, right = last, first
            for j in range(first, last):
                if not (over[0, names[j]] and over[1, insides[j]]):
                    continue
                x = base + np.float32(j) * spacing[0]
                if not level:
                    w = w0 + axes[6] * x
                    before, t, cu, cv, bounds, deep = section(data, at, n, w)
                p, r = (u0 + axes[0] * x) - cu, (v0 + axes[3] * x) - cv
                square = p * p + r * r
                bound = bounds + 2 * sector(p, r)
                if square >= data[bound + 1]:
                    continue
                left, right = min(left, j), j + 1
                if deep and square <= data[bound]:
                    row[j] = _ONE
                else:
                    row[j] = max(row[j], loft(data, at, n, m, before, t, p, r, w, inset, spacing))
            _widen(touched[k - z0, i], left, right)


@njit(nogil=True, cache=True, error_model="numpy")
def _cover_slab(solid, data, inset, origin, spacing, cover, touched, labels, parts, over, z0, low, high):  # type: ignore[no-untyped-def]
    at, n, m, first, last = solid[1], solid[2], solid[3], solid[4], solid[5]
    axes, base = data[at : at + 9], origin[0] - data[at + 9]
    for k in range(low, high):
        z = (origin[2] + np.float32(k) * spacing[2]) - data[at + 11]
        for i in range(solid[6], solid[7]):
            y = (origin[1] + np.float32(i) * spacing[1]) - data[at + 10]
            u0, v0, w0 = axes[1] * y + axes[2] * z, axes[4] * y + axes[5] * z, axes[7] * y + axes[8] * z
            row, names, insides = cover[k - z0, i], labels[k, i], parts[k, i]
            left, right = last, first
            for j in range(first, last):
                if not (over[0, names[j]] and over[1, insides[j]]):
                    continue
                x = base + np.float32(j) * spacing[0]
                u, v, w = u0 + axes[0] * x, v0 + axes[3] * x, w0 + axes[6] * x
                c = slab(data, at, n, m, u, v, w, inset, spacing)
                if c > _ZERO:
                    row[j] = max(row[j], c)
                    left, right = min(left, j), j + 1
            _widen(touched[k - z0, i], left, right)


@njit(nogil=True, cache=True)
def _widen(span, left, right):  # type: ignore[no-untyped-def]
    span[0], span[1] = min(span[0], left), max(span[1], right)


@njit(nogil=True, cache=True, error_model="numpy")
def _cover_segment(solid, data, inset, origin, spacing, cover, touched, labels, parts, over, z0, low, high):  # type: ignore[no-untyped-def]
    at, first, last = solid[1], solid[4], solid[5]
    base = origin[0] - data[at]
    for k in range(low, high):
        z = (origin[2] + np.float32(k) * spacing[2]) - data[at + 2]
        for i in range(solid[6], solid[7]):
            y = (origin[1] + np.float32(i) * spacing[1]) - data[at + 1]
            row, names, insides = cover[k - z0, i], labels[k, i], parts[k, i]
            left, right = last, first
            for j in range(first, last):
                if not (over[0, names[j]] and over[1, insides[j]]):
                    continue
                c = segment(data, at, base + np.float32(j) * spacing[0], y, z, inset, spacing)
                if c > _ZERO:
                    row[j] = max(row[j], c)
                    left, right = min(left, j), j + 1
            _widen(touched[k - z0, i], left, right)


@njit(nogil=True, cache=True, error_model="numpy")
def _apply(hu, labels, parts, stroke, value, cover, touched, z0, low, high):  # type: ignore[no-untyped-def]
    """Paints what is covered, and forgets it."""
    label, part, nx = stroke[2], stroke[3], hu.shape[2]
    has_value = value == value
    for k in range(low, high):
        for i in range(stroke[6], stroke[7]):
            span = touched[k - z0, i]
            row, tones, names, insides = cover[k - z0, i], hu[k, i], labels[k, i], parts[k, i]
            for j in range(span[0], span[1]):
                c = row[j]
                row[j] = _ZERO
                if c == _ZERO:
                    continue
                if has_value:
                    tones[j] = value if c == _ONE else tones[j] + c * (value - tones[j])
                if c >= _HALF:
                    if label >= 0:
                        names[j] = np.uint8(label)
                    if part >= 0:
                        insides[j] = np.uint8(part)
            span[0], span[1] = nx, 0
