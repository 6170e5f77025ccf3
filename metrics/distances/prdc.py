"""Precision, recall, density and coverage, in blocks and exact.

    precision   share of generated images within the ball of some reference image     (Kynkäänniemi et al. 2019)
    recall      share of reference images within the ball of some generated image
    density     balls of reference images around a generated image, over k            (Naeem et al. 2020)
    coverage    share of reference images with a generated image in their ball        (Naeem et al. 2020)

A ball reaches to the k-th nearest neighbour in its own set; a point on the border is outside.

Distances come from float32 matrix products, whose error is bounded; where a comparison is closer than the bound, the
squared distance is taken again from float64 differences, which are the same for a pair whichever way round. So counts
are those of exact arithmetic in float64, ties included. Memory grows with n, not n².
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from synth.core.errors import InputError
from synth.metrics.score_value import check_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]

__all__ = ["Prdc", "check_neighbours", "exact_prdc", "prdc"]

_CELLS = 1 << 23  # of one block of distances: 32 MB
_SPARE = 6  # neighbours kept beyond k, for when float32 takes them in the wrong order
_PAIR_CELLS = 1 << 21  # of differences taken again at a time: 16 MB

UNIT = 2.0**-24
"""Unit roundoff of float32."""

TINY = 1e-36
"""Scaled squares that are small enough for float32 to lose digits of them."""


class Prdc(NamedTuple):
    """Precision, recall and coverage, 0 to 1; density, 0 up, 1 for equal distributions."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(reference: ArrayLike, generated: ArrayLike, *, k: int = 5) -> Prdc:
    """Precision, recall, density and coverage by k nearest neighbours, as the package prdc 0.2 counts them.

    Args:
        reference: (n, d) features, n > k.
        generated: (m, d) features, m > k.
        k: Neighbours: 5 is prdc's default, 3 that of improved precision and recall.

    Raises:
        InputError: Malformed features, k < 1, or no more than k images in a set.
    """
    return exact_prdc(*check_neighbours(reference, generated, k), k)


def check_neighbours(reference: ArrayLike, generated: ArrayLike, k: int) -> tuple[Features, Features]:
    """Both sets as `check_pair` gives them, with more than k images each.

    Raises:
        InputError: Malformed features, k < 1, or no more than k images in a set.
    """
    if k < 1:
        raise InputError(f"k = {k}: give at least one neighbour")
    return check_pair(reference, generated, least=k + 1)


def exact_prdc(x: Features, y: Features, k: int) -> Prdc:
    """`prdc` of checked features."""
    centre = (x.mean(0) + y.mean(0)) / 2
    scale = max(float(np.abs(x - centre).max()), float(np.abs(y - centre).max())) or 1.0
    real, fake = _Points(x, centre, scale), _Points(y, centre, scale)
    return _compare(real, fake, _radii(real, k), _radii(fake, k), k)


class _Points:
    """Features, and their float32 copy about a common centre at a common scale."""

    def __init__(self, features: Features, centre: Features, scale: float) -> None:
        self.exact = features
        self.fast = ((features - centre) / scale).astype(np.float32)
        self.norm = np.square(self.fast, dtype=np.float32).sum(1, dtype=np.float64)
        self.scale = scale

    def __len__(self) -> int:
        return len(self.exact)

    def relative_error(self) -> float:
        """E with |d² − its float32 value| ≤ E (|x|² + |y|²): γ of the product (Higham 2002, section 3.5), roundings."""
        return 1.01 * UNIT * float(self.exact.shape[1] + 16)


def _radii(points: _Points, k: int) -> Features:
    """(n,) squared distance to the k-th nearest other point, exact."""
    n, keep = len(points), min(k + _SPARE, len(points) - 1)
    least, index = np.full((n, keep), np.inf, np.float32), np.zeros((n, keep), np.intp)
    step = max(1, min(n, int(np.sqrt(_CELLS / 4))))
    starts = range(0, n, step)
    for i in starts:
        rows = slice(i, i + step)
        for j in (start for start in starts if start >= i):
            columns = slice(j, j + step)
            bound = _lower_bounds(points, rows, columns)
            if i == j:
                np.fill_diagonal(bound, np.inf)
            else:
                _merge(least[columns], index[columns], np.ascontiguousarray(bound.T), i)
            _merge(least[rows], index[rows], bound, j)
    owner = np.repeat(np.arange(n), keep)
    found = _exact(points, owner, points, index.ravel()).reshape(n, keep)
    radii = np.partition(found, k - 1, axis=1)[:, k - 1]
    unsure = least.max(1) * points.scale**2 < radii if keep < n - 1 else np.zeros(n, bool)
    for row in np.flatnonzero(unsure):
        others = np.delete(np.arange(n), row)
        radii[row] = np.partition(_exact(points, np.full(n - 1, row), points, others), k - 1)[k - 1]
    return radii


def _lower_bounds(points: _Points, rows: slice, columns: slice) -> NDArray[np.float32]:
    """What squared distances are at least, scaled."""
    norm = ((1 - points.relative_error()) * points.norm - TINY).astype(np.float32)
    product = points.fast[rows] @ points.fast[columns].T
    product *= -2
    product += norm[rows, None]
    product += norm[columns]
    return product


def _merge(least: NDArray[np.float32], index: NDArray[np.intp], block: NDArray[np.float32], offset: int) -> None:
    """Puts a block's smallest entries of each row among the smallest so far, in place."""
    keep = least.shape[1]
    if block.shape[1] > keep:
        nearest = np.argpartition(block, keep - 1, axis=1)[:, :keep]
        block = np.take_along_axis(block, nearest, 1)
    else:
        nearest = np.broadcast_to(np.arange(block.shape[1]), block.shape)
    values, names = np.hstack([least, block]), np.hstack([index, nearest + offset])
    best = np.argpartition(values, keep - 1, axis=1)[:, :keep]
    least[:], index[:] = np.take_along_axis(values, best, 1), np.take_along_axis(names, best, 1)


def _exact(points: _Points, rows: NDArray[np.intp], others: _Points, columns: NDArray[np.intp]) -> Features:
    """(p,) squared distances of pairs, from float64 differences."""
    out = np.empty(len(rows))
    step = max(1, _PAIR_CELLS // points.exact.shape[1])
    for i in range(0, len(rows), step):
        part = slice(i, i + step)
        difference = points.exact[rows[part]] - others.exact[columns[part]]
        out[part] = np.square(difference, out=difference).sum(1)
    return out


def _compare(real: _Points, fake: _Points, real_radii: Features, fake_radii: Features, k: int) -> Prdc:
    n, m = len(real), len(fake)
    inside, recalled, covered, balls = np.zeros(m, bool), np.zeros(n, bool), np.zeros(n, bool), 0
    step = max(1, _CELLS // m)
    for i in range(0, n, step):
        rows = np.arange(i, min(i + step, n))
        square = real.fast[rows] @ fake.fast.T
        square *= -2
        square += real.norm[rows, None].astype(np.float32)
        square += fake.norm.astype(np.float32)
        in_real = _inside(square, real, fake, rows, real_radii[rows, None])
        inside |= in_real.any(0)
        covered[rows] = in_real.any(1)
        balls += int(np.count_nonzero(in_real))
        recalled[rows] = _inside(square, real, fake, rows, fake_radii[None]).any(1)
    return Prdc(float(inside.mean()), float(recalled.mean()), balls / (k * m), float(covered.mean()))


def _inside(
    square: NDArray[np.float32], real: _Points, fake: _Points, rows: NDArray[np.intp], radii: Features
) -> NDArray[np.bool_]:
    """Which squared distances are less than the squared radii, a row or a column of them; near ones taken again."""
    error = real.relative_error()
    gap = square - (radii / real.scale**2).astype(np.float32)
    answer: NDArray[np.bool_] = gap < 0
    np.abs(gap, out=gap)
    gap -= (error * real.norm[rows, None]).astype(np.float32)
    near_rows, columns = np.nonzero(gap <= (error * fake.norm + TINY).astype(np.float32))
    exact = _exact(real, rows[near_rows], fake, columns)
    answer[near_rows, columns] = exact < np.broadcast_to(radii, square.shape)[near_rows, columns]
    return answer
