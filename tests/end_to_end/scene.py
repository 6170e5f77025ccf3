"""A small chest: lungs, a heart on the patient's left, a spine at the back, and its label map."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK

from tests.core.image_files import ras, write_nifti, write_series

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (24, 30, 40)  # (z, y, x)
SPACING = (8.0, 8.0, 12.0)  # (x, y, z), mm
NAMES = {1: "heart", 2: "vertebrae", 3: "lung_left", 4: "lung_right"}


def affine() -> NDArray[np.float64]:
    """LPS: x to the patient's left, y to the back, z to the head."""
    matrix = np.diag([*SPACING, 1.0])
    matrix[:3, 3] = [-160.0, -120.0, 300.0]
    return matrix


def labels() -> NDArray[np.uint8]:
    z, y, x = ((index + 0.5) / size * 2 - 1 for index, size in zip(np.indices(SHAPE), SHAPE, strict=True))

    def ball(cx: float, cy: float, cz: float, rx: float, ry: float, rz: float) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1
        return inside

    array = np.zeros(SHAPE, np.uint8)
    array[ball(0.42, 0, 0, 0.3, 0.5, 0.7)] = 3
    array[ball(-0.42, 0, 0, 0.3, 0.5, 0.7)] = 4
    array[ball(0.2, -0.2, -0.2, 0.22, 0.3, 0.3)] = 1
    array[(abs(x) < 0.1) & (y > 0.4) & (y < 0.7)] = 2
    return array


def hu(seed: int = 0) -> NDArray[np.int16]:
    _, y, x = ((index + 0.5) / size * 2 - 1 for index, size in zip(np.indices(SHAPE), SHAPE, strict=True))
    array = np.where((x / 0.85) ** 2 + (y / 0.85) ** 2 < 1, 30, -1000)
    for label, value in {1: 40, 2: 500, 3: -800, 4: -800}.items():
        array[labels() == label] = value
    noise = np.random.default_rng(seed).integers(-5, 6, SHAPE)
    return (array + noise).astype(np.int16)


def write_ct(path: Path, seed: int = 0) -> Path:
    """The CT in the format of the path's suffix; a DICOM series where it has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_array(path, hu(seed))


def write_labels(path: Path) -> Path:
    """The label map, with its table of names beside it."""
    path.with_name("names.json").write_text(json.dumps(NAMES))
    return write_array(path, labels())


def write_array(path: Path, array: NDArray[Any], grid: NDArray[np.float64] | None = None) -> Path:
    grid = affine() if grid is None else grid
    if path.name.endswith((".nii", ".nii.gz")):
        spacing = np.linalg.norm(grid[:3, :3], axis=0)
        return write_nifti(path, array, sform=ras(grid), pixdim=(1, *spacing, 1, 1, 1, 1))
    if not path.suffix:
        return write_series(path, array, grid)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(np.linalg.norm(grid[:3, :3], axis=0))
    image.SetOrigin(grid[:3, 3])
    SimpleITK.WriteImage(image, str(path))
    return path
