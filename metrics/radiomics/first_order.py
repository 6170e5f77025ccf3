"""First-order statistics of a region's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.kernels.texture_sums import EPSILON

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["first_order"]


def first_order(
    values: NDArray[np.float64], counts: NDArray[np.int64], shift: float, voxel_volume: float
) -> dict[str, float]:
    """All first-order features; entropy and uniformity are of the grey levels, the rest of the values.

    Args:
        values: (n,) of the region.
        counts: (L,) voxels of each grey level.
        shift: added to values for energies and the root mean square.
        voxel_volume: mm³, or mm² of a picture.

    Returns:
        Features by pyradiomics' names.
    """
    n = len(values)
    share = counts / n
    p10, p25, median, p75, p90 = _percentiles(values, (10, 25, 50, 75, 90))
    mean = values.mean()
    off = values - mean
    square = off * off
    variance = square.mean()
    energy = float(np.square(values + shift).sum())
    robust = values[(values >= p10) & (values <= p90)]
    low, high = values.min(), values.max()
    found = {
        "10Percentile": p10,
        "90Percentile": p90,
        "Energy": energy,
        "Entropy": -(share * np.log2(share + EPSILON)).sum(),
        "InterquartileRange": p75 - p25,
        "Kurtosis": (square * square).mean() / variance**2 if variance else 0.0,
        "Maximum": high,
        "MeanAbsoluteDeviation": np.abs(off).mean(),
        "Mean": mean,
        "Median": median,
        "Minimum": low,
        "Range": high - low,
        "RobustMeanAbsoluteDeviation": np.abs(robust - robust.mean()).mean(),
        "RootMeanSquared": np.sqrt(energy / n),
        "Skewness": (square * off).mean() / variance**1.5 if variance else 0.0,
        "TotalEnergy": energy * voxel_volume,
        "Uniformity": (share * share).sum(),
        "Variance": variance,
    }
    return {name: float(value) for name, value in found.items()}


def _percentiles(values: NDArray[np.float64], wanted: tuple[float, ...]) -> list[float]:
    """numpy.percentile's, to the bit, in a fifth of its time: linear between the two values at either side."""
    last = len(values) - 1
    places = [percent / 100 * last for percent in wanted]
    lower = [int(place) for place in places]
    upper = [min(k + 1, last) for k in lower]
    ordered = np.partition(values, sorted({*lower, *upper}))
    found = []
    for place, low, high in zip(places, lower, upper, strict=True):
        a, b, t = float(ordered[low]), float(ordered[high]), place - low
        found.append(a + (b - a) * t if t < 0.5 else b - (b - a) * (1 - t))
    return found
