"""A CT and its masks on the grid of training, through MONAI's transforms: one interpolation, whatever the file's axes.

The grid's axes are those of every volume here: x to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage

from synth.core.errors import InputError
from synth.core.reading import file_stem, read_labels, read_volume
from synth.core.volume import AIR_HU
from synth.diffusion.ct.anatomy import doublings, keep_within_lungs, masks_of, masks_on_grid
from synth.diffusion.ct.channels import HU_RANGE, MASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume

__all__ = ["Grid", "read_example"]

_FINDINGS = re.compile(r".*_findings\d*$")
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Grid:
    """Where CTs are brought to, around the middle of their lungs, or of the file where no lobe is annotated.

    Attributes:
        size: (z, y, x) voxels.
        spacing: (z, y, x) mm.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]

    def around(self, middle: NDArray[np.float64], source: NDArray[np.float64]) -> NDArray[np.float64]:
        """The affine: voxel (x, y, z, 1) → LPS, mm.

        The grid, doubled until it is as fine as the file, has its voxels on the file's, so that a file of the same
        spacing and axes is read as it is.

        Args:
            middle: (3,) LPS, mm.
            source: The file's affine.
        """
        spacing, size = np.array(self.spacing[::-1]), np.array(self.size[::-1])
        affine = np.diag([*spacing, 1.0])
        into = (1 - 0.5 ** doublings(source, affine)) / 2 * spacing  # from the first fine voxel to the first one
        start = middle - (size - 1) / 2 * spacing - into
        index = np.rint((np.linalg.inv(source) @ [*start, 1.0])[:3])
        affine[:3, 3] = (source @ [*index, 1.0])[:3] + into
        return affine


def read_example(
    volume: Path, maps: Sequence[Path], grid: Grid
) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
    """One CT.

    Args:
        volume: Its file.
        maps: Its label maps.
        grid: Where it is brought to.

    Returns:
        HU (z, y, x), within HU_RANGE, air outside the file; masks (m, z, y, x), see MASKS; and which of them are
        annotated (m,).

    Raises:
        InputError: A file cannot be read, or a map lies on another grid than its CT.
    """
    ct = read_volume(volume)
    masks = np.zeros((len(MASKS), *ct.shape), np.bool_)
    known = np.zeros(len(MASKS), np.bool_)
    for path in maps:
        _mark(masks, known, _labels(path, ct))
    keep_within_lungs(masks, MASKS, ct.affine)
    affine = grid.around(_middle(masks, ct), ct.affine)
    placed = _resampled(np.clip(ct.hu, *HU_RANGE).astype(np.float32) - AIR_HU, ct.affine, affine, grid) + AIR_HU
    hu = np.clip(np.rint(placed), *HU_RANGE).astype(np.int16)
    return hu, masks_on_grid(masks, MASKS, ct.affine, grid.size, affine), known


def _resampled(
    array: NDArray[np.float32], source: NDArray[np.float64], target: NDArray[np.float64], grid: Grid
) -> NDArray[np.float32]:
    """(z, y, x) from one grid to another by MONAI's SpatialResample, without aliasing; 0 outside."""
    from monai.data.meta_tensor import MetaTensor  # slow to import: only where files are read
    from monai.transforms.spatial.array import SpatialResample

    steps = np.linalg.norm(np.linalg.inv(source)[:3, :3] @ target[:3, :3], axis=1)  # along the file's x, y, z
    blur = np.maximum(0, (steps[::-1] - 1) / 2)  # scikit-image's rule for the width of the filter
    smooth = ndimage.gaussian_filter(array, blur, mode="nearest", truncate=3) if blur.any() else array
    along_x: Any = MetaTensor(
        torch.from_numpy(np.ascontiguousarray(smooth.T))[None], affine=torch.from_numpy(_TO_RAS @ source)
    )
    resample = SpatialResample("bilinear", "zeros", align_corners=True, dtype=torch.float32)
    placed = resample(along_x, dst_affine=torch.from_numpy(_TO_RAS @ target), spatial_size=grid.size[::-1])
    return np.ascontiguousarray(placed.numpy()[0].T)


def _labels(path: Path, ct: Volume) -> Labels:
    labels = read_labels(path, ct)
    if not _FINDINGS.fullmatch(file_stem(path)):
        return labels
    return replace(labels, names={value: f"finding:{name}" for value, name in labels.names.items()})


def _mark(masks: NDArray[np.bool_], known: NDArray[np.bool_], labels: Labels) -> None:
    """Adds what a map shows; a map without any of the masks adds nothing."""
    try:
        shown = masks_of(labels, MASKS)
    except InputError:
        return
    masks |= shown
    known |= shown.any((1, 2, 3))


def _middle(masks: NDArray[np.bool_], ct: Volume) -> NDArray[np.float64]:
    """(3,) LPS, mm."""
    lobes = np.logical_or.reduce(masks[["lobe" in name for name in MASKS]])
    if not lobes.any():
        return ct.centre
    box = ndimage.find_objects(lobes.astype(np.uint8))[0]
    z, y, x = ((side.start + side.stop - 1) / 2 for side in box)
    middle: NDArray[np.float64] = (ct.affine @ [x, y, z, 1.0])[:3]
    return middle
