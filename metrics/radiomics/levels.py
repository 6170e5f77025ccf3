"""Values cut into grey levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.radiomics.settings import Settings

__all__ = ["discretised"]

_EDGE = 1e-9
"""Of a bin's width: a value this close below an edge counts as on it, so that rounding noise picks no bin. Flat parts
of a picture have wavelet coefficients of ±1e-14, and 0 is an edge."""

_MOST_LEVELS = (1 << 16) - 1  # ranks are uint16


def discretised(values: NDArray[np.float64], settings: Settings) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Grey levels of a region: bins of one width with an edge at 0 (or at the origin), or a number of equal bins.

    Args:
        values: (n,) of the region.
        settings: `bin_width` and `bin_origin`, or `bin_count` where given, from minimum to maximum.

    Returns:
        (n,) the rank 1 … L of each value's level, and (L,) the levels that occur, from 1.

    Raises:
        InputError: More than 65535 levels, or a value below the origin.
    """
    low, high = float(values.min()), float(values.max())
    first, origin, width = 0, low, settings.bin_width
    if settings.bin_count is not None:
        width = (high - low or 1.0) / settings.bin_count
        origin = low if low < high else low - 0.5  # the middle bin, as numpy.histogram has it
    elif settings.bin_origin is not None:
        origin = settings.bin_origin
        if low < origin - _EDGE * width:
            raise InputError(f"bin_origin: {origin:g} is above the region's minimum, {low:g}; lower it or resegment")
    else:
        first, origin = int(np.floor(low / width + _EDGE)), 0.0
    if (high - origin) / width - first >= _MOST_LEVELS:
        raise InputError(f"bin_width: {width:g} cuts {low:g} … {high:g} into over {_MOST_LEVELS} levels; widen it")
    level = np.floor((values - origin) / width + _EDGE).astype(np.int64) - first
    if settings.bin_count is not None:
        np.minimum(level, settings.bin_count - 1, out=level)
    occurring = np.bincount(level) > 0
    rank = np.cumsum(occurring).astype(np.uint16)
    return rank[level], np.flatnonzero(occurring) + 1
