"""Sums over rows and blocks of a kernel matrix of two sets, which is never held as a whole.

Where patients have several images, what is said of images is said of patients: the kernel between two of them is the
sum over pairs of their images, pairs within a patient are left out as those of an image with itself are, and means are
over pairs of images of different patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from synth.metrics.patients import point_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synth.metrics.patients import PatientCodes

    Features = NDArray[np.float64]
    Kernel: TypeAlias = Callable[[Features, Features, Features], Features]
    """(n, m) values from (n, m) inner products, and (n,) and (m,) squared norms."""

__all__ = ["KernelSums", "kernel_sums", "squared_distance", "surplus", "unbiased_distance"]

_CELLS = 1 << 22  # of one block of the kernel matrix: 32 MB


class KernelSums(NamedTuple):
    """Sums of a kernel matrix of N = n + m points (images, or patients), without its diagonal.

    Attributes:
        n: Points in the first set; the rest is the second.
        sizes: (N,) images of a point; 1 unless points are patients.
        rows: (N, 2) sums of a row over the first and over the second set.
        weighted: (N, 2) the same, each entry times the size of its column.
        squares: (N, 2) sums of squares of a row.
        diagonal: (N,) k(x, x).
        within: (B,) sums over pairs within the points that each column of the masks marks.
    """

    n: int
    sizes: Features
    rows: Features
    weighted: Features
    squares: Features
    diagonal: Features
    within: Features

    @property
    def first(self) -> _Side:
        """Within the first set."""
        return _Side(self.sizes[: self.n], self.rows[: self.n, 0])

    @property
    def second(self) -> _Side:
        """Within the second set."""
        return _Side(self.sizes[self.n :], self.rows[self.n :, 1])


class _Side(NamedTuple):
    """One set: sizes of its points, and their sums over it."""

    sizes: Features
    rows: Features

    @property
    def images(self) -> float:
        return float(self.sizes.sum())

    @property
    def pairs(self) -> float:
        """Ordered pairs of images of different points."""
        return self.images**2 - float(np.square(self.sizes).sum())

    @property
    def mean(self) -> float:
        """The kernel's mean over these pairs."""
        return float(self.rows.sum()) / self.pairs


def kernel_sums(
    x: Features, y: Features, kernel: Kernel, masks: Features | None = None, patients: PatientCodes | None = None
) -> KernelSums:
    """Sums of the kernel matrix of both sets, block by block.

    Args:
        x: (n, d) features.
        y: (m, d) features.
        kernel: Of inner products and squared norms.
        masks: (N, B) of 0 and 1: for each column, kᵀKk is wanted; none by default.
        patients: Of both sets; N counts them then, in the order of their codes, and images else.
    """
    points = _Points.of(x, y, patients)
    n, total = points.n, len(points.sizes)
    masks = np.zeros((total, 0)) if masks is None else masks
    side = np.zeros((total, 4))
    side[:n, 0] = side[n:, 1] = 1
    side[:, 2:] = side[:, :2] * points.sizes[:, None]
    first, second, third = np.zeros((3, total, 2))
    sums = KernelSums(n, points.sizes, first, second, third, np.empty(total), np.zeros(masks.shape[1]))
    tiles = _tiles(points.ends, max(1, int(np.sqrt(_CELLS))))
    for at, rows in enumerate(tiles):
        for columns in tiles[at:]:
            block = points.block(kernel, rows, columns)
            if rows == columns:
                sums.diagonal[rows] = block.diagonal()
                np.fill_diagonal(block, 0)
            _add(sums, block, rows, columns, side, masks)
    return sums


def squared_distance(
    first: Features,
    second: Features,
    between: Features,
    sizes: tuple[Features, Features],
    pairs: tuple[Features, Features],
) -> Features:
    """MMD² as a U-statistic from sums over ordered pairs within either set and over pairs between them.

    Args:
        first: Sum within the first set.
        second: Sum within the second.
        between: Sum between them.
        sizes: Images of both sets.
        pairs: Ordered pairs summed over within them.
    """
    return np.asarray(first / pairs[0] + second / pairs[1] - 2 * between / (sizes[0] * sizes[1]))


def unbiased_distance(sums: KernelSums) -> float:
    """MMD² as a U-statistic."""
    one, other = sums.first, sums.second
    return one.mean + other.mean - 2 * float(sums.rows[: sums.n, 1].sum()) / (one.images * other.images)


def surplus(sums: KernelSums) -> tuple[float, float]:
    """What pairs of an image (a patient) with itself add, a set each."""
    parts = ((sums.first, sums.diagonal[: sums.n]), (sums.second, sums.diagonal[sums.n :]))
    return tuple(float(side.rows.sum() + own.sum()) / side.images**2 - side.mean for side, own in parts)  # type: ignore[return-value]


class _Points(NamedTuple):
    """Images of both sets, those of a point one after the other.

    Attributes:
        features: (images, d).
        norms: (images,) squared.
        sizes: (N,) images of a point.
        ends: (N + 1,) where they begin and end.
        n: Points in the first set.
    """

    features: Features
    norms: Features
    sizes: Features
    ends: NDArray[np.intp]
    n: int

    @classmethod
    def of(cls, x: Features, y: Features, patients: PatientCodes | None) -> _Points:
        first, second = point_sizes(len(x), len(y), patients)
        if patients is not None:
            x, y = (one[np.argsort(own, kind="stable")] for one, own in zip((x, y), patients, strict=True))
        z, sizes = np.concatenate([x, y]), np.concatenate([first, second])
        ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        return cls(z, np.square(z).sum(1), sizes, ends, len(first))

    def block(self, kernel: Kernel, rows: slice, columns: slice) -> Features:
        """The kernel between points."""
        i, j = (slice(self.ends[one.start], self.ends[one.stop]) for one in (rows, columns))
        block = kernel(self.features[i] @ self.features[j].T, self.norms[i], self.norms[j])
        if len(self.sizes) < len(self.features):
            block = np.add.reduceat(block, self.ends[rows] - i.start, axis=0)
            block = np.add.reduceat(block, self.ends[columns] - j.start, axis=1)
        return block


def _tiles(ends: NDArray[np.intp], step: int) -> list[slice]:
    """Points in tiles of at most so many images, or of one point; their images begin and end at `ends`."""
    tiles, start = [], 0
    while start < len(ends) - 1:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + step, "right")) - 1)
        tiles.append(slice(start, stop))
        start = stop
    return tiles


def _add(sums: KernelSums, block: Features, rows: slice, columns: slice, side: Features, masks: Features) -> None:
    """Adds a block above the diagonal, or on it, in place; above it, its mirror image, too."""
    square, mirrored = block * block, rows != columns
    _add_rows(sums, block, square, rows, side[columns])
    if mirrored:
        _add_rows(sums, block.T, square.T, columns, side[rows])
    if masks.shape[1]:
        pairs = np.einsum("ib,ib->b", masks[rows], block @ masks[columns])
        np.add(sums.within, pairs * (2 if mirrored else 1), out=sums.within)


def _add_rows(sums: KernelSums, block: Features, square: Features, rows: slice, side: Features) -> None:
    found = block @ side
    sums.rows[rows] += found[:, :2]
    sums.weighted[rows] += found[:, 2:]
    sums.squares[rows] += square @ side[:, :2]
