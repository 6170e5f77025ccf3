"""Label maps of MAISI's classes: their bit planes, masks, body regions, and maps of other names made into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.classes import BODY, CLASSES, MASK_CLASSES, TUMOURS, common_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from synth.core.volume import Labels

__all__ = ["PLANES", "REGIONS", "bit_planes", "maisi_labels", "masks_of", "regions_of", "without_tumours"]

PLANES = 8
"""Binary channels that a label is written into."""

REGIONS = ("head", "chest", "abdomen", "pelvis")
"""Regions of the body from the top, MAISI's four."""

_SHOWS = {
    "head": ("brain", "skull"),
    "chest": ("left lung upper lobe", "left lung lower lobe", "right lung upper lobe", "right lung middle lobe",
              "right lung lower lobe"),
    "abdomen": ("liver", "spleen", "pancreas", "right kidney", "left kidney"),
    "pelvis": ("left femur", "right femur"),
}  # fmt: skip
_AROUND = 16  # voxels around a tumour in which the organ that it sits in is looked for


def bit_planes(labels: Tensor) -> Tensor:
    """(n, 8, …) float32, 0 or 1: the bits of labels (n, …), the lowest first."""
    bits = torch.arange(PLANES, device=labels.device).view(1, -1, *[1] * (labels.ndim - 1))
    return (labels.long()[:, None] >> bits & 1).float()


def masks_of(
    labels: NDArray[np.uint8], classes: Mapping[str, int] = CLASSES
) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Names of masks and the masks (n, m, …) of label maps (n, …), as far as there are classes for them."""
    values = {mask: [classes[name] for name in names if name in classes] for mask, names in MASK_CLASSES.items()}
    names = tuple(mask for mask, found in values.items() if found)
    masks = np.empty((len(labels), len(names), *labels.shape[1:]), np.bool_)
    for number, name in enumerate(names):
        masks[:, number] = _any_of(labels, values[name])
    return names, masks


def regions_of(labels: NDArray[np.uint8], classes: Mapping[str, int] = CLASSES) -> tuple[str, str]:
    """The uppermost and the lowest region of the body that a map shows.

    Raises:
        InputError: It has none of the organs by which regions are known.
    """
    there = set(np.unique(labels).tolist())
    shown = [name for name in REGIONS if there & {classes[organ] for organ in _SHOWS[name] if organ in classes}]
    if not shown:
        raise InputError(
            "masks: no organ in them tells the region of the body (lungs, liver, kidneys, femurs, brain, …); "
            f"name regions in the prompt: {', '.join(REGIONS)}"
        )
    return shown[0], shown[-1]


def without_tumours(labels: NDArray[np.uint8], classes: Mapping[str, int] = CLASSES) -> NDArray[np.uint8]:
    """The map (z, y, x) with tumours turned back into what they grow in: the nearest such label, or else body."""
    found = labels.copy()
    for tumour, organs in TUMOURS.items():
        if tumour not in classes or not (there := labels == classes[tumour]).any():
            continue
        box, values = _box(there), [classes[name] for name in organs if name in classes]
        found[box][there[box]] = _nearest(labels[box], there[box], values)
    return found


def maisi_labels(
    labels: Labels, body: NDArray[np.bool_] | None = None, classes: Mapping[str, int] = CLASSES
) -> NDArray[np.uint8]:
    """A label map of TotalSegmentator's names, such as a phantom's, with MAISI's labels.

    Args:
        labels: The map; what MAISI has no class for becomes body.
        body: (z, y, x): where the patient is. By default all labelled voxels; but MAISI expects a label in every voxel
            of the body, so that a map without skin and fat needs it.
        classes: Name → label.

    Returns:
        (z, y, x), in the same grid.

    Raises:
        InputError: `body` is of another shape, or no name of the map is a class.
    """
    if body is not None and body.shape != labels.shape:
        raise InputError(f"body: expected an array of shape {labels.shape}, got {body.shape}")
    known = {common_name(name): value for name, value in classes.items()}
    if not any(name in known for name in labels.names.values()):
        raise InputError(f"{labels.name}: none of its names is a class of MAISI; use TotalSegmentator's names")
    rest = classes.get("body", BODY)
    table = np.zeros(int(labels.array.max(initial=0)) + 1, np.uint8)
    table[1:] = rest
    for value, name in labels.names.items():
        if 0 < value < len(table):
            table[value] = known.get(name, rest)
    found: NDArray[np.uint8] = table[labels.array]
    return found if body is None else np.where((found == 0) & body, np.uint8(rest), found)


def _any_of(labels: NDArray[np.uint8], values: list[int]) -> NDArray[np.bool_]:
    table = np.zeros(256, np.bool_)
    table[values] = True
    found: NDArray[np.bool_] = table[labels]
    return found


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The part of the array around all that is set."""
    sides = []
    for axis in range(mask.ndim):
        along = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        sides.append(slice(max(int(along[0]) - _AROUND, 0), int(along[-1]) + _AROUND + 1))
    return tuple(sides)


def _nearest(labels: NDArray[np.uint8], where: NDArray[np.bool_], values: list[int]) -> Any:
    """For every voxel of `where`, the nearest label of `values`."""
    from scipy.ndimage import distance_transform_edt

    wanted = _any_of(labels, values)
    if not wanted.any():
        return BODY
    places: Any = distance_transform_edt(~wanted, return_distances=False, return_indices=True)
    return labels[tuple(axis[where] for axis in places)]
