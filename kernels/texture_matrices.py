"""Texture matrices of an image cut into grey levels: pairs, runs, zones, dependences and neighbourhood differences.

The counts behind the GLCM, GLRLM, GLSZM, GLDM and NGTDM of radiomics (A. Zwanenburg et al., "The Image Biomarker
Standardisation Initiative", Radiology 295(2), 2020, 328–338, and its reference manual, arXiv:1612.07003), all of them
in one pass over the voxels. Every count is an integer, the neighbourhood differences too, which are kept apart by the
number of neighbours they are to be divided by: no sum depends on an order, and CPU and GPU give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Step = tuple[int, int, int]

__all__ = ["IN_PLANE", "IN_SPACE", "TextureMatrices", "check_levels", "texture_matrices"]

IN_PLANE: tuple[Step, ...] = ((0, 0, 1), (0, 1, -1), (0, 1, 0), (0, 1, 1))
"""Half of the 8 neighbours of a pixel, (z, y, x); the other half lies opposite."""

IN_SPACE: tuple[Step, ...] = (*IN_PLANE, *((1, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)))
"""Half of the 26 neighbours of a voxel, (z, y, x)."""

_MOST_PAIRS = 1 << 28  # entries of the pair counts, 1 GiB


@dataclass(frozen=True)
class TextureMatrices:
    """What was counted; D directions, L grey levels.

    Attributes:
        pairs: (D, L, L) int32: voxels of level i whose neighbour one step along d has level j; one way only.
        runs: (D, L, R) int32: runs along d of voxels of level i, 1 … R long.
        zones: (L, K) int32: zones (connected through any of the 2·D neighbours) of level i and size `zone_sizes[k]`.
        zone_sizes: (K,) the sizes that occur, voxels, ascending.
        dependences: (L, 2·D + 1) int32: voxels of level i of which 0 … 2·D neighbours have the same level.
        neighbours: (L, 2·D + 1) int32: voxels of level i with 0 … 2·D neighbours that have a level.
        differences: (L, 2·D + 1) int64: over those with n neighbours, the sum of |n · value − the neighbours' values|.
    """

    pairs: Any
    runs: Any
    zones: Any
    zone_sizes: Any
    dependences: Any
    neighbours: Any
    differences: Any


def texture_matrices(levels: Any, values: ArrayLike, steps: Sequence[Step] = IN_SPACE) -> TextureMatrices:
    """Counts all matrices of a volume; a picture is a volume of one slice.

    Args:
        levels: (z, y, x) uint16, C-contiguous: 0 outside, else the rank 1 … L of the voxel's grey level. numpy, or
            CuPy to count on its GPU.
        values: (L,) the grey levels, ascending integers from 1 to 2¹⁶.
        steps: directions to neighbours (z, y, x), each the first of its pair with z ≥ 0, as `IN_PLANE` and `IN_SPACE`.

    Returns:
        The counts, on the device of `levels`.

    Raises:
        ValueError: Arrays of another shape, type or order, or more levels than memory holds pairs of.
    """
    if not isinstance(levels, np.ndarray):
        from synth.kernels import _cuda

        return _cuda.texture_matrices(levels, values, steps)
    grey, at = check_levels(levels, values, steps)
    depth, height, width = levels.shape
    padded = np.zeros((depth + 1, height + 2, width + 2), np.uint16)
    padded[:-1, 1:-1, 1:-1] = levels
    n, ways = len(grey), 2 * len(at) + 1
    pairs = np.zeros((len(at), n, n), np.int32)
    runs = np.zeros((len(at), n, max(levels.shape)), np.int32)
    dependences, neighbours = np.zeros((n, ways), np.int32), np.zeros((n, ways), np.int32)
    differences = np.zeros((n, ways), np.int64)
    zone_of = np.arange(padded.size, dtype=np.int32 if padded.size < 1 << 31 else np.int64)
    _scan(padded, grey, at, zone_of, pairs, runs, dependences, neighbours, differences)
    zones, sizes = _zones(padded.reshape(-1), zone_of, n)
    return TextureMatrices(pairs, runs, zones, sizes, dependences, neighbours, differences)


def check_levels(levels: Any, values: ArrayLike, steps: Sequence[Step]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The grey levels (L,) and the steps (D, 3), where all is as it should be.

    Raises:
        ValueError: Arrays of another shape, type or order, or more levels than memory holds pairs of.
    """
    if levels.ndim != 3 or levels.dtype != np.uint16 or not levels.flags.c_contiguous:
        raise ValueError(
            f"levels: expected a C-contiguous (z, y, x) array of uint16, got {levels.dtype} {levels.shape}"
        )
    grey, at = np.asarray(values, np.int64), np.asarray(steps, np.int64)
    if grey.ndim != 1 or not len(grey) or grey[0] < 1 or grey[-1] > 1 << 16 or (np.diff(grey) < 1).any():
        raise ValueError("values: expected ascending integers from 1 to 65536")
    if at.ndim != 2 or at.shape[1] != 3 or any(tuple(step) not in IN_SPACE for step in at.tolist()):
        raise ValueError(f"steps: expected some of {IN_SPACE}, got {steps!r}")
    if len(at) * len(grey) ** 2 > _MOST_PAIRS:
        raise ValueError(f"values: {len(grey)} grey levels are too many to count pairs of; widen the bins")
    return grey, at


@njit(nogil=True, cache=True, inline="always")
def _root(zone_of, voxel):  # type: ignore[no-untyped-def]
    """The first voxel of a zone; halves the way there for the next time."""
    while zone_of[voxel] != voxel:
        zone_of[voxel] = zone_of[zone_of[voxel]]
        voxel = zone_of[voxel]
    return voxel


@njit(nogil=True, cache=True)
def _scan(padded, values, steps, zone_of, pairs, runs, dependences, neighbours, differences):  # type: ignore[no-untyped-def]
    """One pass: a voxel looks ahead along every direction, and is looked at from behind.

    `lengths` holds, of this slice and the next, the run along each direction that has come as far as a voxel.
    """
    depth, height, width = padded.shape
    plane = height * width
    flat = padded.reshape(-1)
    n_steps = len(steps)
    lengths = np.zeros((2, plane, n_steps), np.int32)
    same, count = np.zeros(flat.size, np.uint8), np.zeros(flat.size, np.uint8)
    total = np.zeros(flat.size, np.int32)
    ahead = np.empty(n_steps, np.int64)
    for d in range(n_steps):
        ahead[d] = (steps[d, 0] * height + steps[d, 1]) * width + steps[d, 2]
    for z in range(depth - 1):
        here, there = lengths[z & 1], lengths[(z + 1) & 1]
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                at = y * width + x
                voxel = z * plane + at
                level = flat[voxel]
                if level == 0:
                    continue
                own = values[level - 1]
                equal, near, around = np.int64(same[voxel]), np.int64(count[voxel]), np.int64(total[voxel])
                for d in range(n_steps):
                    length = here[at, d] + 1
                    here[at, d] = 0
                    other = voxel + ahead[d]
                    found = flat[other]
                    if found != level:
                        runs[d, level - 1, length - 1] += 1
                        if found == 0:
                            continue
                    else:
                        equal += 1
                        same[other] += np.uint8(1)
                        if steps[d, 0]:
                            there[at + ahead[d] - plane, d] = length
                        else:
                            here[at + ahead[d], d] = length
                        a, b = _root(zone_of, voxel), _root(zone_of, other)
                        if a < b:
                            zone_of[b] = a
                        elif b < a:
                            zone_of[a] = b
                    pairs[d, level - 1, found - 1] += 1
                    near += 1
                    around += values[found - 1]
                    count[other] += np.uint8(1)
                    total[other] += own
                dependences[level - 1, equal] += 1
                neighbours[level - 1, near] += 1
                differences[level - 1, near] += abs(near * own - around)


@njit(nogil=True, cache=True)
def _zones(flat, zone_of, n_levels):  # type: ignore[no-untyped-def]
    """Zones of each level by size, and the sizes."""
    size = np.zeros(flat.size, np.int32)
    largest = 0
    for voxel in range(flat.size):
        if flat[voxel]:
            first = zone_of[zone_of[voxel]]  # what lies before is already at its root
            zone_of[voxel] = first
            size[first] += 1
            largest = max(largest, size[first])
    index = np.zeros(largest + 1, np.int32)
    for voxel in range(flat.size):
        index[size[voxel]] = 1
    index[0] = 0
    sizes = np.flatnonzero(index)
    for k in range(len(sizes)):
        index[sizes[k]] = k
    zones = np.zeros((n_levels, len(sizes)), np.int32)
    for voxel in range(flat.size):
        if size[voxel]:
            zones[flat[voxel] - 1, index[size[voxel]]] += 1
    return zones, sizes
