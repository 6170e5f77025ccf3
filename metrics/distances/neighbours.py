"""Nearest neighbours between feature sets, exact and in blocks, with those of one's own patient left out on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.patients import Codes

    Features = NDArray[np.float64]

__all__ = ["Neighbours", "nearest", "nearest_in_matrix"]

_CELLS = 1 << 21  # of one block of distances: 16 MB
_SPARE = 8  # candidates kept beyond those asked for, for when rounding takes them in the wrong order


class Neighbours(NamedTuple):
    """The nearest of others to each image, nearest first.

    Attributes:
        indices: (n, k) positions among the others.
        distances: (n, k); infinite where there are fewer than k that may be compared.
    """

    indices: NDArray[np.intp]
    distances: NDArray[np.float64]


def nearest(x: Features, y: Features, count: int, own: tuple[Codes, Codes] | None = None) -> Neighbours:
    """The `count` nearest rows of y to each row of x, Euclidean.

    Candidates come from |x|² + |y|² − 2x·y; the distances returned are roots of sums of squared differences, so that
    equal rows are at exactly 0.

    Args:
        x: (n, d).
        y: (m, d).
        count: At most m are found.
        own: Codes (n,) and (m,); pairs of the same code are not compared.
    """
    count = min(count, len(y))
    keep = min(count + _SPARE, len(y))
    centre = y.mean(0)
    x, y = x - centre, y - centre
    norms = np.square(y).sum(1)
    indices, distances = np.empty((len(x), count), np.intp), np.empty((len(x), count))
    step = max(1, _CELLS // max(len(y), keep * y.shape[1]))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        square = norms - 2 * (x[rows] @ y.T)
        if own is not None:
            square[own[0][rows, None] == own[1]] = np.inf
        found = np.argpartition(square, keep - 1, axis=1)[:, :keep]
        exact = np.sqrt(np.square(x[rows, None] - y[found]).sum(2))
        exact[np.isinf(np.take_along_axis(square, found, 1))] = np.inf
        indices[rows], distances[rows] = _sorted(found, exact, count)
    return Neighbours(indices, distances)


def nearest_in_matrix(
    distances: NDArray[np.floating], count: int, own: tuple[Codes, Codes] | None = None
) -> Neighbours:
    """The same from all distances (n, m)."""
    count = min(count, distances.shape[1])
    matrix = np.array(distances, np.float64)
    if own is not None:
        matrix[own[0][:, None] == own[1]] = np.inf
    found = np.argpartition(matrix, count - 1, axis=1)[:, :count]
    return Neighbours(*_sorted(found, np.take_along_axis(matrix, found, 1), count))


def _sorted(found: NDArray[np.intp], exact: Features, count: int) -> tuple[NDArray[np.intp], Features]:
    order = np.argsort(exact, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(found, order, 1), np.take_along_axis(exact, order, 1)
