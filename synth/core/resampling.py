"""Cropping, resampling and reordering of volumes and label maps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume, same_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["crop", "reorient", "resample", "resample_labels"]

Image = TypeVar("Image", Volume, Labels)

_MAX_VOXELS = 4_000_000_000


def crop(image: Image, lower: Sequence[int], upper: Sequence[int]) -> Image:
    """The box lower ≤ index < upper; every voxel keeps its place in the world.

    Args:
        image: A volume or a label map.
        lower: First index along (z, y, x).
        upper: Index after the last along (z, y, x).

    Returns:
        A copy of the box; the names of a label map are kept, of absent labels as well.

    Raises:
        InputError: The box is empty or not inside the grid.
    """
    inside = len(lower) == len(upper) == 3 and all(
        0 <= low < high <= size for low, high, size in zip(lower, upper, image.shape, strict=True)
    )
    if not inside:
        raise InputError(f"{image.name}: the box {tuple(lower)}..{tuple(upper)} is not inside the grid {image.shape}")
    array = _array(image)[tuple(slice(low, high) for low, high in zip(lower, upper, strict=True))]
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.asarray(lower[::-1], np.float64)
    return _replaced(image, array.copy(), affine)


def resample(image: Image, spacing_mm: float | Sequence[float]) -> Image:
    """The same field of view on a grid of another spacing, along the same axes and around the same centre.

    A volume is interpolated linearly, after a Gaussian against aliasing along axes that get coarser; a label map takes
    the nearest voxel. The border is extended outwards by half a voxel at most.

    Args:
        image: A volume or a label map.
        spacing_mm: New voxel edge in mm, one for all axes or one each along (x, y, z).

    Returns:
        An image of the same type (a volume of int16 is rounded).

    Raises:
        InputError: A spacing that is not positive, or a grid of more than 4e9 voxels.
    """
    from scipy import ndimage  # costs 0.2 s: only where it is used

    wanted = np.broadcast_to(np.asarray(spacing_mm, np.float64), 3)
    if not np.isfinite(wanted).all() or wanted.min() <= 0:
        raise InputError(f"{image.name}: spacing_mm must be positive, got {spacing_mm}")
    factor = wanted / np.linalg.norm(image.affine[:3, :3], axis=0)
    sizes = np.array(image.shape[::-1])
    new_sizes = np.maximum(2, np.rint(sizes / factor))
    if np.prod(new_sizes) > _MAX_VOXELS:
        raise InputError(f"{image.name}: spacing_mm={spacing_mm} asks for {np.prod(new_sizes):.2g} voxels; 4e9 at most")
    start = ((sizes - 1) - (new_sizes - 1) * factor) / 2
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    affine[:3, :3] *= factor
    array: NDArray[Any] = _array(image)
    if isinstance(image, Volume):
        # scikit-image's rule for the width of the filter
        array = ndimage.gaussian_filter(
            array, np.maximum(0, (factor[::-1] - 1) / 2), output=np.float32, mode="nearest", truncate=3
        )
    shape = tuple(int(size) for size in new_sizes[::-1])
    order: Any = 1 if isinstance(image, Volume) else 0
    array = ndimage.affine_transform(array, factor[::-1], start[::-1], shape, order=order, mode="nearest")
    return _replaced(image, _as(array, _array(image).dtype), affine)


def resample_labels(labels: Labels, volume: Volume) -> Labels:
    """A label map on the grid of a volume: the nearest label, 0 outside the map."""
    from scipy import ndimage

    to_labels = (np.linalg.inv(labels.affine) @ volume.affine)[:3]
    matrix, offset = to_labels[::-1, 2::-1], to_labels[::-1, 3]
    array: NDArray[Any] = ndimage.affine_transform(
        labels.array, matrix, offset, volume.shape, order=0, mode="constant", cval=0
    )
    return replace(labels, array=np.ascontiguousarray(array), affine=volume.affine)


def reorient(labels: Labels, volume: Volume) -> Labels | None:
    """A label map in the axis order and directions of a volume, without loss.

    Returns:
        The map on the volume's grid, or None where the two do not have the same voxel centres.
    """
    if same_grid(labels, volume):
        return replace(labels, affine=volume.affine)
    turn = (np.linalg.inv(volume.affine) @ labels.affine)[:3, :3]
    signed = np.rint(turn)
    if np.abs(turn - signed).max() > 1e-3 or not np.array_equal(np.abs(signed @ signed.T), np.eye(3)):
        return None
    # signed[v, l] = ±1: axis l of the map runs along axis v of the volume
    axes = np.abs(signed).argmax(axis=1)
    array: NDArray[Any] = labels.array.transpose([2 - int(axes[2 - axis]) for axis in range(3)])
    affine = labels.affine.copy()
    affine[:3, :3] = affine[:3, axes]
    for v in range(3):
        if signed[v, axes[v]] < 0:
            size = array.shape[2 - v]
            array = np.flip(array, 2 - v)
            affine[:3, 3] += affine[:3, v] * (size - 1)
            affine[:3, v] *= -1
    turned = replace(labels, array=np.ascontiguousarray(array), affine=affine)
    return replace(turned, affine=volume.affine) if same_grid(turned, volume) else None


def _array(image: Volume | Labels) -> NDArray[Any]:
    return image.hu if isinstance(image, Volume) else image.array


def _replaced(image: Image, array: NDArray[Any], affine: NDArray[np.float64]) -> Image:
    changes: dict[str, Any] = {"hu" if isinstance(image, Volume) else "array": array}
    return replace(image, affine=affine, **changes)


def _as(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.rint(array) if dtype.kind in "iu" else array, dtype)
