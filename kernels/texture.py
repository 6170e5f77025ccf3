"""Tissue texture: correlated noise that belongs to the place, not to the grid; numpy here, CuPy's by texture.cu.

Random numbers sit at the nodes of a lattice in the world, and points between are blended of the eight around them, by
weights whose squares add up to 1: the spread is the same everywhere (value noise: K. Perlin, "An image synthesizer",
SIGGRAPH 19(3), 1985, 287–296). Two lattices, one twice as fine, share the variance by 0.64 and 0.36. A node's number is
a hash of its indices and the seed, so that a body sampled at another voxel size shows the same texture.

A voxel shows the mean over its extent: both lattices fade by the spread that a mean over a box has, which is
1/⁴√(1 + (ρ/1.465)²) along each axis for voxels of ρ lattice cells, within 2 %. What is left between voxels larger than
cells hardly depends on each other, as it should.

Like paint.py all is + − × ÷ √ in float32, and hashes in 32 bits: CPU and GPU give the same bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["octaves", "texture"]

_SLICES = 4  # a thread takes at once
_CELLS = 1.871  # lattice cells of the coarse octave: where both octaves' autocorrelation is 1/2, for cells of 1
_SHARES = (0.8, 0.6)  # of the standard deviation
_RANGE = 1.465  # integral of the autocorrelation, in cells
_SPREAD = math.sqrt(6) / 65536  # makes the sum of two 16-bit numbers, less 65535, one of variance 1
_ZERO, _HALF, _ONE, _TWO, _THREE = (np.float32(value) for value in (0, 0.5, 1, 2, 3))
_UNIT = np.float32(_SPREAD)
# Least squares on Chebyshev nodes: sin(πt/2)/t by t², for t from 0 to 1.
_SINE = tuple(np.float32(value) for value in (1.5703801, -0.64231896, 0.07201342))
_EVEN = np.float32(65535)


def texture(hu: Any, labels: Any, sd: Any, correlation: Any, seed: int, origin: Any, spacing: Any) -> None:
    """Adds noise of mean 0 to a volume, in place: a function of a voxel's place and label, and of the seed.

    Args:
        hu: (z, y, x) float32, C-contiguous, numpy, or CuPy to compute on its GPU: the same bits.
        labels: (z, y, x) uint8, the same kind of array.
        sd: (256,) standard deviation of each label's noise between voxels much smaller than its correlation, HU.
        correlation: (256,) distance at which each label's autocorrelation has fallen to 1/2, mm, above 0.
        seed: 64 bits.
        origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm.
        spacing: (3,) mm, along x, y, z.

    Raises:
        ValueError: Arrays of another shape, type or order, or a correlation that is not above 0.
    """
    for name, array, dtype in (("hu", hu, np.float32), ("labels", labels, np.uint8)):
        if array.ndim != 3 or array.shape != hu.shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"{name}: expected a C-contiguous (z, y, x) array of {np.dtype(dtype)} and hu's shape, "
                f"got {array.dtype} {array.shape}"
            )
    if not isinstance(hu, np.ndarray):
        from synth.kernels import _cuda

        _cuda.texture(hu, labels, sd, correlation, seed, origin, spacing)
        return
    table = octaves(sd, correlation, spacing)
    start, step = np.asarray(origin, np.float32), np.asarray(spacing, np.float32)
    low, high = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32 & 0xFFFFFFFF)
    run_parallel(lambda i, j: _texture_slices(hu, labels, table, low, high, start, step, i, j), len(hu), _SLICES)


def octaves(sd: ArrayLike, correlation: ArrayLike, spacing: ArrayLike) -> NDArray[np.float32]:
    """(2, 256, 2): lattice cells a mm and the faded amplitude, of each octave and label.

    Raises:
        ValueError: Tables of another length, or a correlation that is not above 0.
    """
    sd, correlation = np.asarray(sd, np.float64), np.asarray(correlation, np.float64)
    if sd.shape != (256,) or correlation.shape != (256,):
        raise ValueError(f"sd, correlation: expected shapes (256,), got {sd.shape}, {correlation.shape}")
    if not ((correlation > 0).all() and np.isfinite(sd).all()):
        raise ValueError("sd must be finite, correlation above 0")
    table = np.empty((2, 256, 2))
    for octave, share in enumerate(_SHARES):
        per_mm = (1 << octave) / (_CELLS * correlation)
        rho = np.asarray(spacing, np.float64)[:, None] * per_mm / _RANGE
        x, y, z = 1 + rho * rho
        table[octave] = np.stack([per_mm, sd * share / np.sqrt(np.sqrt(x * y * z))], -1)
    return table.astype(np.float32)


@njit(nogil=True, cache=True, inline="always")
def _mixed(word):  # type: ignore[no-untyped-def]
    """A bijection of 32 bits, each of which moves all (C. Wellons, "lowbias32", public domain)."""
    word = np.uint32(np.uint32(word ^ (word >> np.uint32(16))) * np.uint32(0x7FEB352D))
    word = np.uint32(np.uint32(word ^ (word >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(word ^ (word >> np.uint32(16)))


@njit(nogil=True, cache=True, inline="always")
def _node(column, x):  # type: ignore[no-untyped-def]
    """The number of a node, of mean 0 and variance 1, triangularly distributed; `column` is the hash of y and z."""
    word = _mixed(np.uint32(column + np.uint32(x)))
    return (np.float32(np.int32((word & np.uint32(0xFFFF)) + (word >> np.uint32(16)))) - _EVEN) * _UNIT


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _sine(t):  # type: ignore[no-untyped-def]
    """sin(πt/2), within 1e-4."""
    square = t * t
    return t * (_SINE[0] + square * (_SINE[1] + square * _SINE[2]))


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _place(position, per_mm, octave):  # type: ignore[no-untyped-def]
    """The cell that holds a position along an axis, and the weights of the nodes at its two ends."""
    at = position * per_mm + _HALF * np.float32(octave)
    cell = math.floor(at)
    f = at - np.float32(cell)
    t = (f * f) * (_THREE - _TWO * f)
    return cell, _sine(_ONE - t), _sine(t)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _side(x, columns, ya, yb, za, zb):  # type: ignore[no-untyped-def]
    """The four nodes at one side of a cell, blended."""
    near = ya * _node(columns[0], x) + yb * _node(columns[1], x)
    far = ya * _node(columns[2], x) + yb * _node(columns[3], x)
    return za * near + zb * far


@njit(nogil=True, cache=True, error_model="numpy")
def _texture_slices(hu, labels, table, low, high, origin, spacing, z0, z1):  # type: ignore[no-untyped-def]
    for k in range(z0, z1):
        pz = origin[2] + np.float32(k) * spacing[2]
        for i in range(hu.shape[1]):
            py = origin[1] + np.float32(i) * spacing[1]
            for octave in range(2):
                key = _mixed(np.uint32(_mixed(np.uint32(low + np.uint32(octave))) ^ high))
                _texture_row(hu[k, i], labels[k, i], table[octave], octave, key, origin[0], spacing[0], py, pz)


@njit(nogil=True, cache=True, error_model="numpy")
def _texture_row(row, names, table, octave, key, start, step, py, pz):  # type: ignore[no-untyped-def]
    """One octave along x; sides of cells are kept while they serve."""
    scale, cell = -_ONE, 0
    columns, ya, yb, za, zb = (key, key, key, key), _ZERO, _ZERO, _ZERO, _ZERO
    left, right = _ZERO, _ZERO
    for j in range(len(row)):
        per_mm, amplitude = table[names[j], 0], table[names[j], 1]
        if amplitude == _ZERO:
            continue
        x, a, b = _place(start + np.float32(j) * step, per_mm, octave)
        if per_mm != scale:
            scale, cell = per_mm, x - 2
            y, ya, yb = _place(py, per_mm, octave)
            z, za, zb = _place(pz, per_mm, octave)
            near, far = _mixed(np.uint32(np.uint32(z) ^ key)), _mixed(np.uint32(np.uint32(z + 1) ^ key))
            columns = (
                _mixed(np.uint32(near + np.uint32(y))),
                _mixed(np.uint32(near + np.uint32(y + 1))),
                _mixed(np.uint32(far + np.uint32(y))),
                _mixed(np.uint32(far + np.uint32(y + 1))),
            )
        if x != cell:
            left = right if x == cell + 1 else _side(x, columns, ya, yb, za, zb)
            right = _side(x + 1, columns, ya, yb, za, zb)
            cell = x
        row[j] += amplitude * (a * left + b * right)
