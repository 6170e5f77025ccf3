"""CT volumes and label maps: an array on a grid in the patient's world.

Arrays are (z, y, x); the affine maps homogeneous voxel indices (x, y, z, 1) to millimetres in LPS, the world of DICOM
and ITK: x grows to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["AIR_HU", "Labels", "Volume", "same_grid"]

AIR_HU = -1000
"""Hounsfield value of air, by definition of the scale."""

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Volume:
    """A CT volume.

    Attributes:
        hu: Hounsfield units, (z, y, x), int16 or float32, C-contiguous.
        affine: (4, 4) float64, voxel index (x, y, z, 1) → world LPS in mm.
        name: What to call it in messages and tables (usually the file's stem).
        warnings: What the reader mended or doubts, one line each.
    """

    hu: NDArray[np.int16] | NDArray[np.float32]
    affine: NDArray[np.float64]
    name: str = "volume"
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.hu.dtype not in (np.int16, np.float32):
            raise InputError(f"{self.name}: HU must be int16 or float32, not {self.hu.dtype}")
        _check_grid(self.hu, self.affine, self.name)

    @property
    def shape(self) -> Grid:
        """Voxels along (z, y, x)."""
        return self.hu.shape

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Voxel edge lengths along the index axes (x, y, z), mm."""
        return _spacing(self.affine)

    @property
    def centre(self) -> NDArray[np.float64]:
        """World position of the middle of the grid, mm."""
        return _centre(self.shape, self.affine)


@dataclass(frozen=True)
class Labels:
    """A label map: every voxel carries one label.

    Attributes:
        array: (z, y, x), uint8 or uint16, C-contiguous; 0 is background.
        affine: (4, 4) float64, voxel index (x, y, z, 1) → world LPS in mm.
        names: Label value → name, without the background; TotalSegmentator's names where one exists.
        name: What to call the map in messages.
    """

    array: NDArray[np.uint8] | NDArray[np.uint16]
    affine: NDArray[np.float64]
    names: Mapping[int, str]
    name: str = "labels"

    def __post_init__(self) -> None:
        if self.array.dtype not in (np.uint8, np.uint16):
            raise InputError(f"{self.name}: labels must be uint8 or uint16, not {self.array.dtype}")
        _check_grid(self.array, self.affine, self.name)

    @property
    def shape(self) -> Grid:
        """Voxels along (z, y, x)."""
        return self.array.shape


def same_grid(a: Volume | Labels, b: Volume | Labels, *, tolerance_mm: float = 1e-2) -> bool:
    """Whether two grids coincide: equal shapes, and corners within `tolerance_mm`."""
    if a.shape != b.shape:
        return False
    corners = np.array([[x, y, z, 1] for x in (0, a.shape[2]) for y in (0, a.shape[1]) for z in (0, a.shape[0])])
    return bool(np.abs(corners @ (a.affine - b.affine).T).max() <= tolerance_mm)


def _check_grid(array: NDArray[np.generic], affine: NDArray[np.float64], name: str) -> None:
    if array.ndim != 3 or min(array.shape) < 1:
        raise InputError(f"{name}: expected a 3D array (z, y, x), got shape {array.shape}")
    if not array.flags.c_contiguous:
        raise InputError(f"{name}: the array must be C-contiguous; pass numpy.ascontiguousarray(array)")
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise InputError(f"{name}: the affine must be a finite 4×4 matrix")
    if min(_spacing(affine)) <= 0 or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * np.prod(_spacing(affine)):
        raise InputError(f"{name}: the affine is singular (voxel axes {affine[:3, :3].tolist()})")


def _spacing(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(affine[:3, :3], axis=0)
    return lengths


def _centre(shape: Grid, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    nz, ny, nx = shape
    middle: NDArray[np.float64] = affine[:3, :3] @ [(nx - 1) / 2, (ny - 1) / 2, (nz - 1) / 2] + affine[:3, 3]
    return middle
