"""Size and shape of a mask, 2D and 3D."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from synth.metrics.radiomics.marching import surface, vertices
from synth.metrics.radiomics.preparation import bounding_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["shape_2d", "shape_3d"]


def shape_2d(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> dict[str, float]:
    """Shape of a picture's mask, its outline by marching squares.

    Opposite corners of a square are cut off each for itself, and the square half-way between counts for nothing.

    Args:
        mask: (y, x), not empty.
        spacing: pixel size along (y, x), mm.

    Returns:
        Features by pyradiomics' names; mm, mm².
    """
    padded = np.pad(mask, 1)
    case = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, 1:].astype(np.uint8) + 8 * padded[1:, :-1]
    count = np.bincount(case.ravel(), minlength=16)
    sy, sx = spacing
    one, three, opposite = (int(count[list(cases)].sum()) for cases in ((1, 2, 4, 8), (7, 11, 13, 14), (5, 10)))
    across, down = int(count[3] + count[12]), int(count[6] + count[9])  # halves above or below, left or right
    perimeter = math.hypot(sy, sx) / 2 * (one + three + 2 * opposite) + across * sx + down * sy
    area = sy * sx * (one / 8 + (across + down) / 2 + three * 7 / 8 + opposite / 4 + int(count[15]))
    rows, columns = 2 * np.argwhere(np.diff(padded, axis=0)), 2 * np.argwhere(np.diff(padded, axis=1))
    rows[:, 0] += 1
    columns[:, 1] += 1
    minor, major = _axes(mask, spacing)
    return {
        "Elongation": math.sqrt(minor / major) if major else math.nan,
        "MajorAxisLength": 4 * math.sqrt(major),
        "MaximumDiameter": _diameter(np.concatenate([rows, columns]) * np.asarray(spacing) / 2),
        "MeshSurface": area,
        "MinorAxisLength": 4 * math.sqrt(minor),
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / area,
        "PixelSurface": float(mask.sum()) * sy * sx,
        "Sphericity": 2 * math.sqrt(math.pi * area) / perimeter,
    }


def shape_3d(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> dict[str, float]:
    """Shape of a volume's mask, its surface by marching cubes.

    Args:
        mask: (z, y, x), not empty.
        spacing: voxel size along (z, y, x), mm.

    Returns:
        Features by pyradiomics' names; mm, mm², mm³.
    """
    cropped = mask[bounding_box(mask)]
    area, volume = surface(cropped, spacing)
    least, minor, major = _axes(cropped, spacing)
    corners = vertices(cropped)
    in_slice, in_column, in_row = (_widest(corners, axis, spacing) for axis in range(3))
    return {
        "Elongation": math.sqrt(minor / major),
        "Flatness": math.sqrt(least / major),
        "LeastAxisLength": 4 * math.sqrt(least),
        "MajorAxisLength": 4 * math.sqrt(major),
        "Maximum2DDiameterColumn": in_column,
        "Maximum2DDiameterRow": in_row,
        "Maximum2DDiameterSlice": in_slice,
        "Maximum3DDiameter": _diameter(_ends(corners) * np.asarray(spacing) / 2),
        "MeshVolume": volume,
        "MinorAxisLength": 4 * math.sqrt(minor),
        "Sphericity": (36 * math.pi * volume * volume) ** (1 / 3) / area,
        "SurfaceArea": area,
        "SurfaceVolumeRatio": area / volume,
        "VoxelVolume": float(mask.sum()) * math.prod(spacing),
    }


def _axes(mask: NDArray[np.bool_], spacing: tuple[float, ...]) -> list[float]:
    """Variances of the voxels' places along their principal axes, ascending, mm²."""
    places = np.argwhere(mask) * np.asarray(spacing)
    places -= places.mean(0)
    return [max(float(value), 0.0) for value in np.linalg.eigvalsh(places.T @ places / len(places))]


def _widest(corners: NDArray[np.int64], axis: int, spacing: tuple[float, ...]) -> float:
    """The largest diameter within a plane across an axis, mm."""
    rest = [k for k in range(3) if k != axis]
    planes = corners[np.argsort(corners[:, axis], kind="stable")]
    starts = np.flatnonzero(np.diff(planes[:, axis])) + 1
    size = np.asarray(spacing)[rest] / 2
    return max(_diameter(_ends(plane[:, rest]) * size) for plane in np.split(planes, starts))


def _ends(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the points in each line along the last axis the first and last: no others can lie farthest apart."""
    order = np.lexsort(points.T[::-1])
    points = points[order]
    new = (np.diff(points[:, :-1], axis=0) != 0).any(1)
    return np.unique(points[np.concatenate([[True], new]) | np.concatenate([new, [True]])], axis=0)


def _diameter(points: Floats) -> float:
    """The largest distance between points, which lie on their convex hull."""
    if len(points) > 64:
        with contextlib.suppress(QhullError):  # all in a line or plane
            points = points[ConvexHull(points).vertices]
    largest = 0.0
    for start in range(0, len(points), 512):
        apart = points[start : start + 512, None] - points[None]
        largest = max(largest, float(np.einsum("ijk,ijk->ij", apart, apart).max()))
    return math.sqrt(largest)
