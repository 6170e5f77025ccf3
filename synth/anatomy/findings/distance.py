"""Euclidean distance to a set of voxels, exact, on all threads: shapes in lungs are drawn from distances.

Lower envelopes of parabolas, one axis after another (Felzenszwalb & Huttenlocher 2012, Theory of Computing 8:415).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["distance_to"]

_FAR = np.float32(1e12)


def distance_to(there: NDArray[np.bool_], spacing: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Distance of every voxel to the nearest one that is True; 1e6 where there is none.

    Args:
        there: (z, y, x) bool.
        spacing: Edges along (z, y, x), mm.
    """
    square = np.where(there, np.float32(0.0), _FAR)
    for axis in (2, 1, 0):
        lines = np.moveaxis(square, axis, -1)
        edge = float(spacing[axis])

        def work(start: int, stop: int, lines: NDArray[np.float32] = lines, edge: float = edge) -> None:
            _envelopes(lines, edge, start, stop)

        run_parallel(work, len(lines), 4)
    return np.sqrt(square)


@njit(nogil=True, cache=True)
def _envelopes(lines, edge, start, stop):  # type: ignore[no-untyped-def]
    """Along each line f → min over q of f(q) + (edge · (p − q))², in place."""
    n = lines.shape[2]
    value = np.empty(n, np.float64)
    apex = np.empty(n, np.int64)  # of the parabolas that make up the envelope
    border = np.empty(n + 1, np.float64)  # where each of them takes over
    weight = edge * edge
    for a in range(start, stop):
        for b in range(lines.shape[1]):
            count = 0
            for q in range(n):
                value[q] = lines[a, b, q]
                if value[q] >= _FAR:
                    continue
                crossing = -np.inf
                while count > 0:
                    v = apex[count - 1]
                    crossing = ((value[q] - value[v]) / weight + q * q - v * v) / (2.0 * (q - v))
                    if crossing > border[count - 1]:
                        break
                    count -= 1
                    crossing = -np.inf
                apex[count] = q
                border[count] = crossing
                count += 1
            if count == 0:
                continue
            border[count] = np.inf
            k = 0
            for p in range(n):
                while border[k + 1] < p:
                    k += 1
                lines[a, b, p] = value[apex[k]] + weight * (p - apex[k]) ** 2
