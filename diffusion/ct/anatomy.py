"""Label maps of any grid as the masks of a model: which labels make up a mask, and where a grid's voxels meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import Labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["centred_affine", "masks_of", "on_grid"]

# Names by which a mask is known besides its own: TotalSegmentator's, and those of the phantoms' maps of parts.
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "lung_airways": ("trachea", "lung_trachea_bronchia", "airway_lumen", "airway_wall"),
    "lung_vessels": ("lung_artery", "lung_vein"),
    "finding": ("lung_nodules", "lung_tumor"),
}
# And beginnings of names.
_BEGINNINGS: Mapping[str, tuple[str, ...]] = {
    "heart": ("heart_",),
    "bones": (
        "rib_",
        "vertebrae_",
        "clavicula_",
        "scapula_",
        "humerus_",
        "femur_",
        "hip_",
        "sternum",
        "sacrum",
        "skull",
    ),
    "finding": ("finding",),
}


def masks_of(labels: Labels, names: Sequence[str]) -> NDArray[np.bool_]:
    """(m, z, y, x): the masks of those names, on the map's grid; what the map does not show is empty.

    Args:
        labels: The map.
        names: Of masks, see `synth.diffusion.ct.channels.MASKS`.

    Raises:
        InputError: The map has labels of none of them.
    """
    masks = np.zeros((len(names), *labels.shape), np.bool_)
    found = False
    for mask, name in zip(masks, names, strict=True):
        values = [value for value, label in labels.names.items() if _belongs(label, name)]
        if values:
            table = np.zeros(np.iinfo(labels.array.dtype).max + 1, np.bool_)
            table[values] = True
            mask[:] = table[labels.array]
            found = True
    if not found:
        raise InputError(f"{labels.name}: no label belongs to {', '.join(names)}; use TotalSegmentator's names")
    return masks


def on_grid(labels: Labels, size: Sequence[int], affine: NDArray[np.float64]) -> Labels:
    """The map on another grid, also one of other axes: every voxel takes the nearest label, outside is background.

    Args:
        labels: The map.
        size: (z, y, x) voxels.
        affine: (4, 4), voxel (x, y, z, 1) → LPS, mm.
    """
    nz, ny, nx = size
    to_index = np.linalg.inv(labels.affine) @ affine
    y, x = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    in_plane = to_index[:3, 0, None, None] * x + to_index[:3, 1, None, None] * y + to_index[:3, 3, None, None]
    array = np.zeros((nz, ny, nx), labels.array.dtype)
    most = np.array(labels.shape[::-1])[:, None, None]
    for z in range(nz):
        at = np.floor(in_plane + to_index[:3, 2, None, None] * z + 0.5).astype(np.int64)
        inside = ((at >= 0) & (at < most)).all(axis=0)
        i, j, k = at[:, inside]
        array[z][inside] = labels.array[k, j, i]
    return Labels(array, affine, labels.names, labels.name)


def centred_affine(affine: NDArray[np.float64], size: Sequence[int], labels: Labels) -> NDArray[np.float64]:
    """The affine of a grid moved so that its middle is that of a label map.

    Args:
        affine: (4, 4) of the grid.
        size: (z, y, x) voxels of the grid.
        labels: The map.
    """
    moved = affine.copy()
    moved[:3, 3] += _middle(labels.affine, labels.shape) - _middle(affine, size)
    return moved


def _middle(affine: NDArray[np.float64], size: Sequence[int]) -> NDArray[np.float64]:
    z, y, x = ((side - 1) / 2 for side in size)
    middle: NDArray[np.float64] = (affine @ [x, y, z, 1.0])[:3]
    return middle


def _belongs(label: str, mask: str) -> bool:
    return label == mask or label in _MEMBERS.get(mask, ()) or label.startswith(_BEGINNINGS.get(mask, ("\0",)))
