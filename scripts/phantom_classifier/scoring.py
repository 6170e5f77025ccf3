"""Areas under ROC curves, with intervals, and films in which a region is as in health."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDENED_MM = 8.0
_LEAST_BLOB_PX = 3.0


class Area(NamedTuple):
    """Area under the ROC curve, and the ends of its 95 % interval; NaN where there is nothing to tell apart."""

    value: float
    low: float
    high: float


def area_under_curve(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> float:
    """Share of pairs of a positive and a negative in which the positive scores higher; equal ones count half."""
    weights = np.ones(len(scores)) if weights is None else weights
    _, rank = np.unique(scores, return_inverse=True)
    there, not_there = (np.bincount(rank, weights * one, rank.max() + 1) for one in (positive, ~positive))
    pairs = there.sum() * not_there.sum()
    below = np.cumsum(not_there) - 0.5 * not_there
    return float(there @ below / pairs) if pairs else math.nan


def area_with_interval(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], body: NDArray[np.int64], bootstraps: int
) -> Area:
    """The area, and its interval over draws of bodies with all their films."""
    if positive.all() or not positive.any():
        return Area(math.nan, math.nan, math.nan)
    generator = np.random.default_rng(0)
    _, number = np.unique(body, return_inverse=True)
    n = number.max() + 1
    draws = [
        area_under_curve(
            scores, positive, np.bincount(generator.integers(n, size=n), minlength=n)[number].astype(float)
        )
        for _ in range(bootstraps)
    ]
    low, high = np.nanpercentile(draws, [2.5, 97.5]) if bootstraps else (math.nan, math.nan)
    return Area(area_under_curve(scores, positive), float(low), float(high))


def widened(mask: NDArray[np.bool_], pitch_mm: float) -> NDArray[np.bool_]:
    """What is within 8 mm, at the detector, of a mask."""
    if not mask.any():
        return mask
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) * pitch_mm <= _WIDENED_MM
    return near


def elsewhere(region: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.bool_]:
    """A blotch as large as a region, and of its coarseness, outside it; all that is outside where that is less."""
    size = min(int(region.sum()), int((~region).sum()))
    spread = max(_LEAST_BLOB_PX, math.sqrt(size) / 4)
    rough = ndimage.gaussian_filter(generator.standard_normal(region.shape), spread)
    rough[region] = -np.inf
    out = np.zeros(region.shape, np.bool_)
    out.flat[np.argsort(rough, axis=None)[rough.size - size :]] = True
    return out


def restored(film: NDArray[np.uint8], twin: NDArray[np.uint8], region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A film with the twin's pixels in a region, brought to the film's grey scale by a line fitted outside it."""
    fit = ~region if (~region).sum() > 1 else np.ones_like(region)
    slope, offset = np.polyfit(twin[fit].astype(np.float64), film[fit].astype(np.float64), 1)
    fitted = np.clip(np.rint(slope * twin + offset), 0, 255).astype(np.uint8)
    return np.where(region, fitted, film)
