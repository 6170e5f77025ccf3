"""An image as a file holds it, and the checks that every format shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["StoredImage", "check_affine", "check_payload", "grid_of"]

MAX_VOXELS = 4_000_000_000
DEFLATE_LIMIT = 1032
"""No deflate stream grows by more than this factor (zlib's technical notes)."""


class StoredImage(NamedTuple):
    """Stored numbers on a grid; value = slope · number + intercept.

    Attributes:
        array: (z, y, x), any real number type, C-contiguous and writable.
        affine: (4, 4) float64, voxel index (x, y, z, 1) → world LPS in mm.
        slope: Factor of the stored numbers.
        intercept: What is added to them.
        warnings: What was mended or is doubtful, one line each.
        extension: Bytes of the NIfTI header extensions, where the file has them.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    slope: float = 1.0
    intercept: float = 0.0
    warnings: tuple[str, ...] = ()
    extension: bytes = b""


def grid_of(path: Path, sizes: Sequence[int]) -> tuple[int, int, int]:
    """The (z, y, x) shape for the sizes (x, y, z, …) of a header; trailing axes of one frame are dropped.

    Raises:
        InputError: Not 3D, an axis shorter than two voxels, several frames, or more than 4e9 voxels.
    """
    text = "×".join(str(size) for size in sizes)
    if any(size < 1 for size in sizes):
        raise InputError(f"{path}: the header gives the size {text}; the file is corrupted")
    if any(size > 1 for size in sizes[3:]):
        raise InputError(f"{path}: {text} is a series of volumes or a vector image; pass one 3D volume")
    if len(sizes) < 3 or sizes[2] == 1:
        raise InputError(f"{path}: a 2D image of {text}; pass a 3D volume")
    if min(sizes[:3]) < 2:
        raise InputError(f"{path}: {text} voxels; at least 2 are needed along each axis")
    nx, ny, nz = (int(size) for size in sizes[:3])
    if nx * ny * nz > MAX_VOXELS:
        raise InputError(f"{path}: {text} is more than {MAX_VOXELS:.0e} voxels; crop or down-sample it first")
    return nz, ny, nx


def check_payload(path: Path, needed: int, available: int, *, compressed: bool) -> None:
    """Refuses a file that is too small for the voxels of its header, before anything is allocated.

    Args:
        path: What to name in the message.
        needed: Bytes of the voxels.
        available: Bytes of the file, header included where it is part of it.
        compressed: Whether `available` counts deflated bytes.

    Raises:
        InputError: The voxels cannot be in there.
    """
    if needed > available * (DEFLATE_LIMIT if compressed else 1):
        raise InputError(
            f"{path}: cut short or corrupted: {needed} bytes of voxels announced, "
            f"{available} {'compressed ' if compressed else ''}bytes found; copy it again"
        )


def check_affine(path: Path, affine: NDArray[np.float64]) -> None:
    """Refuses an affine (4, 4) that is not finite, has a zero spacing or is singular.

    Raises:
        InputError: With the path and the voxel axes.
    """
    axes = affine[:3, :3]
    with np.errstate(all="ignore"):
        spacing = np.linalg.norm(axes, axis=0)
        usable = np.isfinite(affine).all() and spacing.min() > 0
        usable = usable and abs(np.linalg.det(axes / spacing)) > 1e-6
    if not usable:
        raise InputError(f"{path}: no usable voxel grid (voxel axes {axes.T.tolist()} mm); repair the header")
