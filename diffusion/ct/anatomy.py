"""Label maps of any grid as the masks of a model: which labels make up a mask, and where a grid's voxels meet them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage

from synth.core.errors import InputError
from synth.core.volume import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "THIN",
    "anatomy_on_grid",
    "centred_affine",
    "doublings",
    "halved_masks",
    "keep_within_lungs",
    "masks_of",
    "masks_on_grid",
    "on_grid",
]

THIN = ("lung_airways", "lung_vessels")
"""Masks of what is often narrower than a voxel."""

_LEAST, _LEAST_THIN = 4, 2
"""Of the eight voxels that become one, how many a mask has to have; thin ones hang together with fewer."""
_Number = TypeVar("_Number", bound=np.generic)
_MOST_DOUBLINGS = 4
_TIE = 1e-6  # voxels
_HILUM_MM = 12.0  # vessels farther from the lungs, their hollows filled, are the mediastinum's

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
    slabs = _nearest(labels.array[None], np.linalg.inv(labels.affine) @ affine, size, 1)
    return Labels(np.concatenate([slab[0] for slab in slabs]), affine, labels.names, labels.name)


def anatomy_on_grid(
    labels: Labels, names: Sequence[str], size: Sequence[int], affine: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(m, z, y, x): the masks of a map on another grid, made as those that networks are trained with.

    Args:
        labels: The map.
        names: Of masks.
        size: (z, y, x) voxels of the grid.
        affine: (4, 4) of the grid.

    Raises:
        InputError: The map has labels of none of them.
    """
    masks = masks_of(labels, names)
    keep_within_lungs(masks, names, labels.affine)
    return masks_on_grid(masks, names, labels.affine, size, affine)


def masks_on_grid(
    masks: NDArray[np.bool_],
    names: Sequence[str],
    source: NDArray[np.float64],
    size: Sequence[int],
    affine: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(m, z, y, x) on another grid: the nearest voxels on one as fine as the masks', halved until it is that grid.

    So the masks of a coarse grid are the same whether they come straight from a file or from finer grids by
    `halved_masks`.

    Args:
        masks: (m, z, y, x), outside of which there is nothing.
        names: Theirs.
        source: (4, 4), their voxel (x, y, z, 1) → LPS, mm.
        size: (z, y, x) voxels of the grid.
        affine: (4, 4) of the grid.
    """
    times = doublings(source, affine)
    factor = 2**times
    within = np.diag([1 / factor, 1 / factor, 1 / factor, 1.0])
    within[:3, 3] = (1 / factor - 1) / 2
    made = np.empty((len(masks), *size), np.bool_)
    fine = [factor * side for side in size]
    for z, slab in enumerate(_nearest(masks, np.linalg.inv(source) @ affine @ within, fine, factor)):
        for _ in range(times):
            slab = halved_masks(slab, names)
        made[:, z] = slab[:, 0]
    return made


def doublings(source: NDArray[np.float64], affine: NDArray[np.float64]) -> int:
    """How often a grid is to be doubled to be about as fine as another, its source."""
    steps = np.linalg.norm((np.linalg.inv(source) @ affine)[:3, :3], axis=1)
    return min(max(round(math.log2(steps.max())), 0), _MOST_DOUBLINGS)


def halved_masks(masks: NDArray[np.bool_], names: Sequence[str]) -> NDArray[np.bool_]:
    """(m, z / 2, y / 2, x / 2): what has enough of the eight voxels that become one; fewer are enough for THIN ones.

    Args:
        masks: (m, z, y, x), even sides.
        names: Theirs.
    """
    m, z, y, x = masks.shape
    counts = masks.reshape(m, z // 2, 2, y // 2, 2, x // 2, 2).sum((2, 4, 6), dtype=np.uint8)
    least = np.array([_LEAST_THIN if name in THIN else _LEAST for name in names], np.uint8)
    enough: NDArray[np.bool_] = counts >= least[:, None, None, None]
    return enough


def keep_within_lungs(masks: NDArray[np.bool_], names: Sequence[str], affine: NDArray[np.float64]) -> None:
    """Takes the mediastinum's part from the lungs' vessels, in place; without lobes nothing is known of it.

    Args:
        masks: (m, z, y, x).
        names: Theirs.
        affine: (4, 4) of their grid.
    """
    lobes = np.logical_or.reduce(masks[["lobe" in name for name in names]])
    if "lung_vessels" not in names or not lobes.any():
        return
    mm = np.linalg.norm(affine[:3, 2::-1], axis=0)  # along z, y, x
    margin = np.ceil(_HILUM_MM / mm).astype(int) + 1
    box = tuple(
        slice(max(found.start - edge, 0), found.stop + edge)
        for found, edge in zip(ndimage.find_objects(lobes.astype(np.uint8))[0], margin, strict=True)
    )
    grown = ndimage.distance_transform_edt(~lobes[box], sampling=mm) <= _HILUM_MM
    closed = ndimage.distance_transform_edt(np.pad(grown, 1), sampling=mm)[1:-1, 1:-1, 1:-1] > _HILUM_MM
    inside = np.zeros_like(lobes)
    inside[box] = closed | lobes[box]
    masks[names.index("lung_vessels")] &= inside


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


def _nearest(
    arrays: NDArray[_Number], to_index: NDArray[np.float64], size: Sequence[int], thick: int
) -> Iterator[NDArray[_Number]]:
    """Slabs (k, thick, y, x) of a grid, whose voxels (x, y, z, 1) are brought to those of arrays (k, z, y, x)."""
    nz, ny, nx = size
    y, x = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    in_plane = to_index[:3, 0, None, None] * x + to_index[:3, 1, None, None] * y + to_index[:3, 3, None, None]
    most = np.array(arrays.shape[:0:-1])[:, None, None]
    for first in range(0, nz, thick):
        slab = np.zeros((len(arrays), thick, ny, nx), arrays.dtype)
        for z in range(first, first + thick):
            # A point between two voxels belongs to the farther one, whatever the rounding of its place.
            at = np.floor(in_plane + to_index[:3, 2, None, None] * z + (0.5 + _TIE)).astype(np.int64)
            inside = ((at >= 0) & (at < most)).all(axis=0)
            i, j, k = at[:, inside]
            slab[:, z - first, inside] = arrays[:, k, j, i]
        yield slab


def _middle(affine: NDArray[np.float64], size: Sequence[int]) -> NDArray[np.float64]:
    z, y, x = ((side - 1) / 2 for side in size)
    middle: NDArray[np.float64] = (affine @ [x, y, z, 1.0])[:3]
    return middle


def _belongs(label: str, mask: str) -> bool:
    return label == mask or label in _MEMBERS.get(mask, ()) or label.startswith(_BEGINNINGS.get(mask, ("\0",)))
