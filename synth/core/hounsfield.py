"""From stored numbers to Hounsfield units, and whether they look like Hounsfield units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import AIR_HU

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.stored_image import StoredImage

__all__ = ["check_hounsfield", "fill_outside", "to_values"]

LOWEST_HU = -1024
"""Below it nothing was measured: padding outside the scan circle, or ringing of a resampling."""
_SIZEABLE = 0.01
_MAX_ABS = 1e6


def to_values(image: StoredImage, path: Path) -> NDArray[np.int16] | NDArray[np.float32]:
    """Scaled values (z, y, x): int16 where all of them are integers in its range, else float32.

    Raises:
        InputError: NaN, infinite or absurdly large values.
    """
    stored = image.array
    if stored.dtype.kind in "iu" and image.slope.is_integer() and image.intercept.is_integer():
        slope, intercept = int(image.slope), int(image.intercept)
        bounds = [slope * int(stored.min()) + intercept, slope * int(stored.max()) + intercept]
        if min(bounds) >= -32768 and max(bounds) <= 32767:
            return _to_int16(stored, slope, intercept)
    return _to_float(stored, image.slope, image.intercept, path)


def _to_int16(stored: NDArray[np.integer], slope: int, intercept: int) -> NDArray[np.int16]:
    if stored.dtype == np.int16 and (slope, intercept) == (1, 0):
        return stored.astype(np.int16, copy=False)
    values = np.empty(stored.shape, np.int16)
    for target, source in zip(values, stored, strict=True):
        target[...] = source.astype(np.int64) * slope + intercept
    return values


def _to_float(
    stored: NDArray[np.generic], slope: float, intercept: float, path: Path
) -> NDArray[np.int16] | NDArray[np.float32]:
    values = np.empty(stored.shape, np.float32)
    whole = True
    for target, source in zip(values, stored, strict=True):
        with np.errstate(all="ignore"):
            exact = source.astype(np.float64) * slope + intercept
        if not np.isfinite(exact).all():
            raise InputError(f"{path}: holds NaN or infinite voxels; replace them by a number (air is {AIR_HU})")
        if np.abs(exact).max() > _MAX_ABS:
            raise InputError(f"{path}: holds values up to {np.abs(exact).max():.3g}; the file is corrupted or not a CT")
        target[...] = exact
        whole = whole and bool((exact == np.rint(exact)).all())
    if whole and values.min() >= -32768 and values.max() <= 32767:
        return values.astype(np.int16)
    return values


def check_hounsfield(
    hu: NDArray[np.int16] | NDArray[np.float32], path: Path, *, strict: bool = True
) -> tuple[str, ...]:
    """Warnings about values (z, y, x) that are unusual for a CT.

    Args:
        hu: The values.
        path: What to name in the message.
        strict: Refuse what is surely not HU; otherwise the caller knows better and nothing is said.

    Raises:
        InputError: 8-bit or normalised values (all within 0..255 or within −1..1).
    """
    if not strict:
        return ()
    low, high = float(hu.min()), float(hu.max())
    if (low >= 0 and high <= 255) or (low >= -1 and high <= 1):
        raise InputError(
            f"{path}: values {low:g}..{high:g} do not look like HU (8-bit or normalised data?); "
            "pass the CT in HU, or --assume-hu (check_hu=False) if they are"
        )
    if high < -500:
        return (f"the densest voxel has {high:g} HU: there is no tissue in it",)
    if low > -200:
        return (f"the thinnest voxel has {low:g} HU: there is no air in it; was the rescale intercept lost?",)
    return ()


def fill_outside(hu: NDArray[np.int16] | NDArray[np.float32]) -> tuple[str, ...]:
    """Sets everything below −1024 HU to air, in place; says so where it was 1 % of the voxels or more.

    Values in −1024..−1000 are the noise of air and stay.
    """
    changed = 0
    for plane in hu:
        outside = plane < LOWEST_HU
        changed += int(np.count_nonzero(outside))
        np.putmask(plane, outside, AIR_HU)
    share = changed / hu.size
    if share < _SIZEABLE:
        return ()
    return (f"{share:.0%} of the voxels were below {LOWEST_HU} HU (outside the scan circle): set to {AIR_HU}",)
