"""Features of the run-length, size-zone and dependence matrices, which share their formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from synth.kernels.texture_sums import SIZE_SUMS, size_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["gldm", "glrlm", "glszm"]

_COMMON = {
    "GrayLevelNonUniformity": "levels", "GrayLevelVariance": "level_variance",
}  # fmt: skip
_RUNS = {
    **_COMMON, "HighGrayLevelRunEmphasis": "high", "LongRunEmphasis": "long", "LongRunHighGrayLevelEmphasis":
    "long_high", "LongRunLowGrayLevelEmphasis": "long_low", "LowGrayLevelRunEmphasis": "low", "RunEntropy": "entropy",
    "RunLengthNonUniformity": "sizes", "RunVariance": "size_variance", "ShortRunEmphasis": "short",
    "ShortRunHighGrayLevelEmphasis": "short_high", "ShortRunLowGrayLevelEmphasis": "short_low",
}  # fmt: skip
_ZONES = {
    **_COMMON, "HighGrayLevelZoneEmphasis": "high", "LargeAreaEmphasis": "long", "LargeAreaHighGrayLevelEmphasis":
    "long_high", "LargeAreaLowGrayLevelEmphasis": "long_low", "LowGrayLevelZoneEmphasis": "low", "ZoneEntropy":
    "entropy", "SizeZoneNonUniformity": "sizes", "ZoneVariance": "size_variance", "SmallAreaEmphasis": "short",
    "SmallAreaHighGrayLevelEmphasis": "short_high", "SmallAreaLowGrayLevelEmphasis": "short_low",
}  # fmt: skip
_DEPENDENCES = {
    **_COMMON, "HighGrayLevelEmphasis": "high", "LargeDependenceEmphasis": "long",
    "LargeDependenceHighGrayLevelEmphasis": "long_high", "LargeDependenceLowGrayLevelEmphasis": "long_low",
    "LowGrayLevelEmphasis": "low", "DependenceEntropy": "entropy", "DependenceNonUniformity": "sizes",
    "DependenceVariance": "size_variance", "SmallDependenceEmphasis": "short", "SmallDependenceHighGrayLevelEmphasis":
    "short_high", "SmallDependenceLowGrayLevelEmphasis": "short_low",
}  # fmt: skip


def glrlm(runs: NDArray[np.int32], values: NDArray[np.int64]) -> dict[str, float]:
    """Run-length features, averaged over directions.

    Args:
        runs: (D, L, R) runs along each direction, those without a line of two voxels left out.
        values: (L,) grey levels.

    Returns:
        Features by pyradiomics' names; NaN without a direction.
    """
    sizes = np.arange(1, runs.shape[2] + 1)
    sums = np.array([size_sums(matrix, sizes, values) for matrix in runs]).reshape(-1, len(SIZE_SUMS))
    return _features(sums, _RUNS, "RunLengthNonUniformity", "RunPercentage")


def glszm(zones: NDArray[np.int32], sizes: NDArray[np.int64], values: NDArray[np.int64]) -> dict[str, float]:
    """Size-zone features.

    Args:
        zones: (L, K) zones of each level and size.
        sizes: (K,) voxels.
        values: (L,) grey levels.

    Returns:
        Features by pyradiomics' names.
    """
    return _features(size_sums(zones, sizes, values)[None], _ZONES, "SizeZoneNonUniformity", "ZonePercentage")


def gldm(dependences: NDArray[np.int32], values: NDArray[np.int64]) -> dict[str, float]:
    """Dependence features: a voxel's size is 1 and its neighbours of the same level.

    Args:
        dependences: (L, 2·D + 1) voxels of which 0 … 2·D neighbours have their level.
        values: (L,) grey levels.

    Returns:
        Features by pyradiomics' names.
    """
    sums = size_sums(dependences, np.arange(1, dependences.shape[1] + 1), values)
    return _features(sums[None], _DEPENDENCES, "DependenceNonUniformity", None)


def _features(sums: NDArray[np.float64], names: dict[str, str], sizes: str, percentage: str | None) -> dict[str, float]:
    """Means over the rows of `SIZE_SUMS`."""
    if not len(sums):
        every = [*names, "GrayLevelNonUniformityNormalized", f"{sizes}Normalized", percentage]
        return dict.fromkeys(filter(None, every), math.nan)
    column = dict(zip(SIZE_SUMS, sums.T, strict=True))
    found = {name: column[key] for name, key in names.items()}
    found["GrayLevelNonUniformityNormalized"] = column["levels"] / column["number"]
    found[f"{sizes}Normalized"] = column["sizes"] / column["number"]
    if percentage:
        found[percentage] = column["number"] / column["voxels"]
    return {name: float(value.mean()) for name, value in found.items()}
