"""Features of the neighbouring grey-tone difference matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ngtdm"]

_NO_DIFFERENCE = 1e6
"""Coarseness of a region without differences, by pyradiomics' and IBSI's convention."""


def ngtdm(neighbours: NDArray[np.int32], differences: NDArray[np.int64], values: NDArray[np.int64]) -> dict[str, float]:
    """Neighbourhood features; a voxel without neighbours counts with a difference of 0.

    Args:
        neighbours: (L, 2·D + 1) voxels of each level with 0 … 2·D neighbours in the region.
        differences: (L, 2·D + 1) sums over those with n neighbours of n times their difference from the mean around.
        values: (L,) grey levels.

    Returns:
        Features by pyradiomics' names.
    """
    ways = np.maximum(np.arange(neighbours.shape[1]), 1)
    s = (differences / ways).sum(1)
    number = neighbours.sum()
    p, i = neighbours.sum(1) / number, values.astype(np.float64)
    levels, total, weighed = len(values), s.sum(), p @ s
    spread = p @ (i - p @ i) ** 2  # ΣΣ pᵢ pⱼ (i − j)² is twice that
    distance, product = np.abs(i[:, None] - i), i * p
    busy = np.abs(product[:, None] - product).sum()
    strength = ((p[:, None] + p) * distance * distance).sum()
    complexity = (distance * ((p * s)[:, None] + p * s) / (p[:, None] + p)).sum()
    found = {
        "Busyness": weighed / busy if busy else 0.0,
        "Coarseness": 1 / weighed if weighed else _NO_DIFFERENCE,
        "Complexity": complexity / number,
        "Contrast": 2 * spread * total / number / (levels * (levels - 1)) if levels > 1 else 0.0,
        "Strength": strength / total if total else 0.0,
    }
    return {name: float(value) for name, value in found.items()}
