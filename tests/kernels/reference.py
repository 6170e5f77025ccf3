"""What the kernels ought to give: brute force in float64, ray by ray, written for clarity alone.

Shapes and units are the kernels': volumes (C, z, y, x) of any type; cameras (V, 4, 3) in voxel index
coordinates (x, y, z): source, centre of pixel (0, 0), step along u, step along v; metric (3, 3), index vectors
to mm; shape (h, w). Images (V, C, h, w) in value·mm from source to pixel, float64. For small volumes: a ray
takes about a tenth of a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["joseph", "label_lengths", "siddon", "trilinear"]

Array = NDArray[Any]
Float = NDArray[np.float64]


def siddon(volume: Array, cameras: Array, metric: Array, shape: tuple[int, int]) -> Float:
    """Integrate the field of boxes: voxel i covers [i − ½, i + ½)."""
    image = np.zeros((len(cameras), len(volume), *shape))
    for view, v, u, source, ray in _rays(cameras, shape):
        middles, parts = _pieces(source, ray, volume.shape[1:], offset=0.5)
        values = _boxes(volume, source + middles[:, None] * ray)
        image[view, :, v, u] = values @ parts * _length(metric, ray)
    return image


def trilinear(volume: Array, cameras: Array, metric: Array, shape: tuple[int, int]) -> Float:
    """Integrate the trilinear field, which falls to 0 over one voxel beyond the outermost voxel centres.

    Between crossings the field is a cubic, and so four Gauss points (exact to degree 7) are more than enough.
    """
    image = np.zeros((len(cameras), len(volume), *shape))
    nodes, weights = np.polynomial.legendre.leggauss(4)
    for view, v, u, source, ray in _rays(cameras, shape):
        middles, parts = _pieces(source, ray, volume.shape[1:], offset=0.0)
        at = middles[:, None] + 0.5 * parts[:, None] * nodes
        values = _interpolate(volume, source + at.reshape(-1, 1) * ray).reshape(len(volume), *at.shape)
        image[view, :, v, u] = np.einsum("cpn,p,n->c", values, parts, 0.5 * weights) * _length(metric, ray)
    return image


def joseph(volume: Array, axes: Array, cameras: Array, metric: Array, shape: tuple[int, int]) -> Float:
    """Sum one bilinear sample per slice between source and pixel, both included; 0 for a ray in a slice.

    Args:
        volume, cameras, metric, shape: as above.
        axes: (V,) slicing axis of each view: 0 x, 1 y, 2 z.
    """
    image = np.zeros((len(cameras), len(volume), *shape))
    for view, v, u, source, ray in _rays(cameras, shape):
        axis = int(axes[view])
        if ray[axis] == 0:
            continue
        slices = np.arange(volume.shape[3 - axis])
        at = (slices - source[axis]) / ray[axis]
        points = source + at[:, None] * ray
        points[:, axis] = slices
        values = _interpolate(volume, points[(at >= 0) & (at <= 1)])
        image[view, :, v, u] = values.sum(axis=1) * _length(metric, ray) / abs(ray[axis])
    return image


def label_lengths(labels: Array, cameras: Array, metric: Array, shape: tuple[int, int], n_labels: int) -> Float:
    """Length in mm inside every label of a (z, y, x) map: (V, L, h, w), with row 0 left 0."""
    image = np.zeros((len(cameras), n_labels, *shape))
    for label in range(1, n_labels):
        image[:, label] = siddon((labels == label)[None], cameras, metric, shape)[:, 0]
    return image


def _rays(cameras: Array, shape: tuple[int, int]) -> Iterator[tuple[int, int, int, Float, Float]]:
    """Every pixel as (view, v, u, source, pixel − source)."""
    for view, (source, origin, step_u, step_v) in enumerate(np.asarray(cameras, np.float64)):
        for v, u in np.ndindex(*shape):
            yield view, v, u, source, origin + u * step_u + v * step_v - source


def _length(metric: Array, ray: Float) -> float:
    return float(np.linalg.norm(np.asarray(metric, np.float64) @ ray))


def _pieces(source: Float, ray: Float, counts: tuple[int, ...], offset: float) -> tuple[Float, Float]:
    """Cut [0, 1] wherever the ray crosses a plane at an integer + offset: middles and lengths of the pieces."""
    cuts = [np.array([0.0, 1.0])]
    for axis, count in enumerate(reversed(counts)):
        if ray[axis] != 0:
            planes = np.arange(-1, count + 1) + offset
            cuts.append((planes - source[axis]) / ray[axis])
    edges = np.unique(np.clip(np.concatenate(cuts), 0, 1))
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def _boxes(volume: Array, points: Float) -> Float:
    """Values (C, n) of the voxels that hold points (n, 3) in (x, y, z)."""
    return _voxels(volume, np.floor(points + 0.5).astype(int))


def _interpolate(volume: Array, points: Float) -> Float:
    """Trilinear values (C, n) at points (n, 3) in (x, y, z)."""
    below = np.floor(points).astype(int)
    upper = points - below
    total = np.zeros((len(volume), len(points)))
    for corner in np.ndindex(2, 2, 2):
        total += np.where(corner, upper, 1 - upper).prod(axis=1) * _voxels(volume, below + corner)
    return total


def _voxels(volume: Array, indices: NDArray[np.intp]) -> Float:
    """Values (C, n) at indices (n, 3) in (x, y, z); 0 outside."""
    inside = np.all((indices >= 0) & (indices < volume.shape[:0:-1]), axis=1)[:, None]
    x, y, z = np.where(inside, indices, 0).T
    return np.where(inside[:, 0], volume[:, z, y, x], 0).astype(np.float64)
