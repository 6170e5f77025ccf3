"""Smooth random fields in world millimetres: the same seed gives the same field on any grid.

Values at the nodes of an endless lattice are hashes of the node's integers and the seed, so that neither the box nor
the voxel size changes what is drawn. The hash ends in the finaliser of MurmurHash3 (A. Appleby, public domain).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cells", "draw_seed", "noise"]

_SLICES = 4
_U32 = np.uint32


def draw_seed(generator: np.random.Generator) -> int:
    """A seed for one field."""
    return int(generator.integers(1 << 32))


def noise(
    affine: NDArray[np.float64], where: NDArray[np.bool_], seed: int, length_mm: float, octaves: int = 2
) -> NDArray[np.float32]:
    """Value noise: random values on a lattice, joined by quintic curves; each octave half as long and half as strong.

    Args:
        affine: (4, 4), voxel index (x, y, z, 1) → world mm, of the array `where`.
        where: (z, y, x): voxels to compute, the others stay 0.
        seed: From draw_seed.
        length_mm: Distance of the lattice's nodes: bumps are about as large.
        octaves: How many to sum.

    Returns:
        (z, y, x) within [-1, 1], mean 0 over the world.
    """
    out = np.zeros(where.shape, np.float32)

    def work(start: int, stop: int) -> None:
        _noise(affine, where, _U32(seed), 1.0 / length_mm, octaves, out, start, stop)

    run_parallel(work, len(where), _SLICES)
    return out


def cells(
    affine: NDArray[np.float64], where: NDArray[np.bool_], seed: int, length_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances to the nearest of points strewn through the world, and to the wall between the two nearest ones.

    One point lies in every cube of edge `length_mm`, anywhere in it (S. Worley, SIGGRAPH 1996): the walls divide space
    into polyhedra of about that size, as septa divide lung into secondary lobules.

    Args:
        affine: (4, 4), voxel index (x, y, z, 1) → world mm, of the array `where`.
        where: (z, y, x): voxels to compute, the others stay 0.
        seed: From draw_seed.
        length_mm: Edge of the cubes.

    Returns:
        Distance to the nearest point and to the nearest wall, each (z, y, x), mm.
    """
    near, wall = np.zeros(where.shape, np.float32), np.zeros(where.shape, np.float32)

    def work(start: int, stop: int) -> None:
        _cells(affine, where, _U32(seed), length_mm, near, wall, start, stop)

    run_parallel(work, len(where), _SLICES)
    return near, wall


@njit(nogil=True, cache=True, inline="always")
def _hash(x, y, z, seed):  # type: ignore[no-untyped-def]
    h = _U32(seed)
    for n in (x, y, z):
        h = _U32((h ^ _U32(n & 0xFFFFFFFF)) * _U32(0x9E3779B1))
        h = _U32(h ^ (h >> _U32(15)))
    h = _U32(h * _U32(0x85EBCA6B))
    h = _U32(h ^ (h >> _U32(13)))
    h = _U32(h * _U32(0xC2B2AE35))
    return _U32(h ^ (h >> _U32(16)))


@njit(nogil=True, cache=True, inline="always")
def _node(x, y, z, seed):  # type: ignore[no-untyped-def]
    return np.float32(_hash(x, y, z, seed)) * np.float32(2.0 / 4294967296.0) - np.float32(1.0)


@njit(nogil=True, cache=True, inline="always")
def _ease(t):  # type: ignore[no-untyped-def]
    return t * t * t * (t * (6.0 * t - 15.0) + 10.0)


@njit(nogil=True, cache=True)
def _value(x, y, z, seed):  # type: ignore[no-untyped-def]
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = _ease(x - i), _ease(y - j), _ease(z - k)
    total = 0.0
    for c in range(2):
        for b in range(2):
            low, high = _node(i, j + b, k + c, seed), _node(i + 1, j + b, k + c, seed)
            row = low + u * (high - low)
            total += row * (v if b else 1.0 - v) * (w if c else 1.0 - w)
    return total


@njit(nogil=True, cache=True)
def _noise(affine, where, seed, rate, octaves, out, start, stop):  # type: ignore[no-untyped-def]
    norm = 2.0 - 0.5 ** (octaves - 1)
    for k in range(start, stop):
        for j in range(where.shape[1]):
            for i in range(where.shape[2]):
                if not where[k, j, i]:
                    continue
                x = (affine[0, 0] * i + affine[0, 1] * j + affine[0, 2] * k + affine[0, 3]) * rate
                y = (affine[1, 0] * i + affine[1, 1] * j + affine[1, 2] * k + affine[1, 3]) * rate
                z = (affine[2, 0] * i + affine[2, 1] * j + affine[2, 2] * k + affine[2, 3]) * rate
                total, strength, scale = 0.0, 1.0, 1.0
                for octave in range(octaves):
                    total += strength * _value(x * scale, y * scale, z * scale, _U32(seed + _U32(octave)))
                    strength *= 0.5
                    scale *= 2.0
                out[k, j, i] = total / norm


@njit(nogil=True, cache=True)
def _cells(affine, where, seed, length, near, wall, start, stop):  # type: ignore[no-untyped-def]
    for k in range(start, stop):
        for j in range(where.shape[1]):
            for i in range(where.shape[2]):
                if not where[k, j, i]:
                    continue
                x = (affine[0, 0] * i + affine[0, 1] * j + affine[0, 2] * k + affine[0, 3]) / length
                y = (affine[1, 0] * i + affine[1, 1] * j + affine[1, 2] * k + affine[1, 3]) / length
                z = (affine[2, 0] * i + affine[2, 1] * j + affine[2, 2] * k + affine[2, 3]) / length
                first, second, gap = _two_nearest(x, y, z, seed)
                near[k, j, i] = length * np.sqrt(first)
                # The wall is the bisecting plane of the two points, (d2² − d1²) / (2 |p2 − p1|) away.
                wall[k, j, i] = length * (second - first) / (2.0 * gap)


@njit(nogil=True, cache=True)
def _two_nearest(x, y, z, seed):  # type: ignore[no-untyped-def]
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    first = second = 1e9
    ax = ay = az = bx = by = bz = 0.0
    for c in range(k - 1, k + 2):
        for b in range(j - 1, j + 2):
            for a in range(i - 1, i + 2):
                h = _hash(a, b, c, seed)
                px = a + (h & _U32(1023)) / 1024.0
                py = b + ((h >> _U32(10)) & _U32(1023)) / 1024.0
                pz = c + ((h >> _U32(20)) & _U32(1023)) / 1024.0
                d = (x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2
                if d < first:
                    second, bx, by, bz = first, ax, ay, az
                    first, ax, ay, az = d, px, py, pz
                elif d < second:
                    second, bx, by, bz = d, px, py, pz
    gap = np.sqrt((ax - bx) ** 2 + (ay - by) ** 2 + (az - bz) ** 2)
    return first, second, max(gap, 1e-6)
