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
from synth.diffusion.ct.anatomy import masks_of
from synth.diffusion.ct.channels import HU_RANGE, MASKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume

__all__ = ["THIN", "Grid", "read_example"]

THIN = ("lung_airways", "lung_vessels")
"""Masks of what is often narrower than a voxel."""

_LEAST, _LEAST_THIN = 0.5, 0.3
"""Share of a voxel that a mask has to cover."""
_HILUM_MM = 12.0  # vessels farther from the lungs, their hollows filled, are the mediastinum's
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

        A voxel of the grid lies on one of the file, so that a file of the same spacing and axes is read as it is.

        Args:
            middle: (3,) LPS, mm.
            source: The file's affine.
        """
        spacing, size = np.array(self.spacing[::-1]), np.array(self.size[::-1])
        start = middle - (size - 1) / 2 * spacing
        index = np.rint((np.linalg.inv(source) @ [*start, 1.0])[:3])
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = (source @ [*index, 1.0])[:3]
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
    lobes = np.logical_or.reduce(masks[["lobe" in name for name in MASKS]])
    _keep_within_lungs(masks, lobes, ct)
    affine = grid.around(_middle(lobes, ct), ct.affine)
    placed = _Placed(ct.affine, affine, grid)
    hu = placed.resampled(np.clip(ct.hu, *HU_RANGE).astype(np.float32) - AIR_HU) + AIR_HU
    made = np.zeros((len(MASKS), *grid.size), np.bool_)
    for place in np.flatnonzero(masks.any((1, 2, 3))):
        share = placed.resampled(masks[place].astype(np.float32))
        made[place] = share >= (_LEAST_THIN if MASKS[place] in THIN else _LEAST)
    return np.clip(np.rint(hu), *HU_RANGE).astype(np.int16), made, known


class _Placed:
    """From one grid to another by MONAI's SpatialResample, without aliasing."""

    def __init__(self, source: NDArray[np.float64], target: NDArray[np.float64], grid: Grid) -> None:
        from monai.transforms.spatial.array import SpatialResample  # slow to import: only where files are read

        self.source, self.size = torch.from_numpy(_TO_RAS @ source), grid.size[::-1]
        self.target = torch.from_numpy(_TO_RAS @ target)
        steps = np.linalg.norm(np.linalg.inv(source)[:3, :3] @ target[:3, :3], axis=1)  # along the file's x, y, z
        self.blur = np.maximum(0, (steps[::-1] - 1) / 2)  # scikit-image's rule for the width of the filter
        self.resample = SpatialResample("bilinear", "zeros", align_corners=True, dtype=torch.float32)

    def resampled(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """(z, y, x) → the grid; 0 outside."""
        from monai.data.meta_tensor import MetaTensor

        smooth = ndimage.gaussian_filter(array, self.blur, mode="nearest", truncate=3) if self.blur.any() else array
        along_x: Any = MetaTensor(torch.from_numpy(np.ascontiguousarray(smooth.T))[None], affine=self.source)
        placed = self.resample(along_x, dst_affine=self.target, spatial_size=self.size)
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


def _keep_within_lungs(masks: NDArray[np.bool_], lobes: NDArray[np.bool_], ct: Volume) -> None:
    """Takes the mediastinum's part from the lungs' vessels, in place."""
    place = MASKS.index("lung_vessels")
    if not lobes.any() or not masks[place].any():
        return
    spacing = ct.spacing[::-1]
    margin = np.ceil(_HILUM_MM / spacing).astype(int) + 1
    box = tuple(
        slice(max(found.start - edge, 0), found.stop + edge)
        for found, edge in zip(ndimage.find_objects(lobes.astype(np.uint8))[0], margin, strict=True)
    )
    grown = ndimage.distance_transform_edt(~lobes[box], sampling=spacing) <= _HILUM_MM
    closed = ndimage.distance_transform_edt(np.pad(grown, 1), sampling=spacing)[1:-1, 1:-1, 1:-1] > _HILUM_MM
    inside = np.zeros_like(lobes)
    inside[box] = closed | lobes[box]
    masks[place] &= inside


def _middle(lobes: NDArray[np.bool_], ct: Volume) -> NDArray[np.float64]:
    """(3,) LPS, mm."""
    if not lobes.any():
        return ct.centre
    box = ndimage.find_objects(lobes.astype(np.uint8))[0]
    z, y, x = ((side.start + side.stop - 1) / 2 for side in box)
    middle: NDArray[np.float64] = (ct.affine @ [x, y, z, 1.0])[:3]
    return middle
