"""Writing CT volumes and label maps: NIfTI and MetaImage."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.core.files import atomic_path, write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume

__all__ = ["VOLUME_SUFFIXES", "check_writable", "volume_suffix", "write_labels", "write_volume"]

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".mha")
"""Formats that `write_volume` knows; the first is compressed."""
_SKEW = 1e-4  # cosine between voxel axes that rounding in a header explains


def volume_suffix(path: Path) -> str:
    """The format of a path.

    Raises:
        InputError: None that is written here.
    """
    suffix = next((suffix for suffix in VOLUME_SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise InputError(f"{path}: volumes are written as {', '.join(VOLUME_SUFFIXES)}; end the name with one of them")
    return suffix


def check_writable(path: Path, volume: Volume) -> None:
    """Refuses what `write_volume` would, before any work is done.

    Raises:
        InputError: An unknown format, or a sheared grid.
    """
    volume_suffix(path)
    _direction(volume.affine, volume.name)


def write_volume(path: Path, volume: Volume) -> None:
    """Writes a volume, whole or not at all; its folder is made where missing.

    Args:
        path: .nii.gz, .nii or .mha.
        volume: HU keep their dtype; the affine is stored as origin, spacing and direction, LPS in MetaImage and, by
            its convention, RAS in NIfTI.

    Raises:
        InputError: An unknown format, a grid whose axes are not at right angles (gantry tilt), or a path that cannot
            be written.
    """
    _write(path, volume.hu, volume.affine, volume.name)


def write_labels(path: Path, labels: Labels) -> None:
    """Writes a label map, and beside it the table of the names that occur, X_labels.csv, which `read_labels` finds.

    Args:
        path: As for `write_volume`.
        labels: The map keeps its dtype.

    Raises:
        InputError: As `write_volume`.
    """
    counts = np.bincount(labels.array.ravel(), minlength=max(labels.names, default=0) + 1)
    rows = [f"{value},{name},{counts[value]}\n" for value, name in sorted(labels.names.items()) if counts[value]]
    stem = path.name.removesuffix(volume_suffix(path))
    write_bytes(path.with_name(f"{stem}_labels.csv"), "".join(["label,name,voxels\n", *rows]).encode())
    _write(path, labels.array, labels.affine, labels.name)


def _write(path: Path, array: NDArray[Any], affine: NDArray[np.float64], name: str) -> None:
    import SimpleITK

    suffix, direction = volume_suffix(path), _direction(affine, name)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection(direction.ravel().tolist())
    with atomic_path(path) as temporary:
        named = temporary.with_name(temporary.name + suffix)  # the format is told by the name
        try:
            SimpleITK.WriteImage(image, str(named), useCompression=suffix == ".nii.gz")
            named.replace(temporary)
        except RuntimeError as error:
            raise InputError(f"{path}: cannot write (is the disk full, or the folder closed to you?)") from error
        finally:
            with suppress(OSError):
                named.unlink()


def _direction(affine: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """(3, 3), the unit vectors of the voxel axes as columns, exactly orthonormal."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    skew = np.abs(axes.T @ axes - np.eye(3)).max()
    if skew > _SKEW:
        angle = np.rad2deg(np.arcsin(min(skew, 1.0)))
        raise InputError(
            f"{name}: the voxel axes are {angle:.2g}° off right angles (a tilted gantry?), which cannot be "
            "written; resample the CT to a straight grid first"
        )
    left, _, right = np.linalg.svd(axes)
    nearest: NDArray[np.float64] = left @ right
    return nearest
