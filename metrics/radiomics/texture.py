"""Features of all texture matrices of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.kernels.texture_matrices import IN_PLANE, IN_SPACE, texture_matrices
from synth.metrics.radiomics.glcm import glcm
from synth.metrics.radiomics.ngtdm import ngtdm
from synth.metrics.radiomics.sizes import gldm, glrlm, glszm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["texture_features"]


def texture_features(
    levels: NDArray[np.uint16],
    grey: NDArray[np.int64],
    wanted: Iterable[str],
    *,
    in_plane: bool = False,
    merge: bool = False,
    highest: int | None = None,
) -> dict[str, float]:
    """Features of the co-occurrence, run-length, size-zone, dependence and neighbourhood matrices.

    Args:
        levels: (z, y, x): 0 outside, else the rank 1 … L of the voxel's grey level.
        grey: (L,) grey levels, ascending.
        wanted: names, class_Feature; those of other classes are passed over.
        in_plane: look for neighbours in the slice alone.
        merge: add up the matrices of all directions, rather than average their features.
        highest: level that normalises differences of levels; None: the highest of `grey`.

    Returns:
        Features of each class that is wanted, by class_Feature.

    Raises:
        InputError: There are too many grey levels for memory.
    """
    features: dict[str, list[str]] = {}
    for name in wanted:
        kind, _, feature = name.partition("_")
        features.setdefault(kind, []).append(feature)
    kinds = features.keys() & {"glcm", "glrlm", "glszm", "gldm", "ngtdm"}
    if not kinds:
        return {}
    steps = IN_PLANE if in_plane or len(levels) == 1 else IN_SPACE
    try:
        counted = texture_matrices(levels, grey, steps)
    except ValueError as error:
        raise InputError(f"bin_width: {error}") from error
    found: dict[str, dict[str, float]] = {}
    if "glcm" in kinds:
        found["glcm"] = glcm(_merged(counted.pairs, merge=merge), grey, features["glcm"], highest)
    if "glrlm" in kinds:
        lined = [bool(counted.pairs[d].any()) or _has_line(levels, step) for d, step in enumerate(steps)]
        found["glrlm"] = glrlm(_merged(counted.runs[lined], merge=merge), grey)
    if "glszm" in kinds:
        found["glszm"] = glszm(counted.zones, counted.zone_sizes, grey)
    if "gldm" in kinds:
        found["gldm"] = gldm(counted.dependences, grey)
    if "ngtdm" in kinds:
        found["ngtdm"] = ngtdm(counted.neighbours, counted.differences, grey)
    return {f"{kind}_{name}": value for kind, values in found.items() for name, value in values.items()}


def _merged(counts: NDArray[np.int32], *, merge: bool) -> NDArray[np.int32]:
    return counts.sum(0, keepdims=True, dtype=np.int32) if merge and len(counts) else counts


def _has_line(levels: NDArray[np.uint16], step: tuple[int, int, int]) -> bool:
    """Whether two voxels of the region, neighbours or not, lie in one line along a step."""
    places = np.argwhere(levels)
    along = next(axis for axis in range(3) if step[axis])
    feet = places - np.outer(places[:, along] * step[along], step)
    return len(np.unique(feet, axis=0)) < len(feet)
