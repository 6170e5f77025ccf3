"""Before features: normalisation, resampling, and the region of interest, as pyradiomics has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.kernels.spline import spline_coefficients

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synth.metrics.radiomics.settings import Settings

    Floats = NDArray[np.float64]

__all__ = ["Region", "bounding_box", "check_region", "normalised", "resampled", "resegmented"]


_HALF = 0.5 - 1e-9  # of a voxel inside, so that rounding does not decide about a half


@dataclass(frozen=True)
class Region:
    """An image and what of it counts; pictures are volumes of one slice.

    Attributes:
        image: (z, y, x) float64, finite.
        mask: (z, y, x) bool.
        spacing: voxel size along (z, y, x), mm; of a picture 1 along z.
        dimension: 2 or 3.
    """

    image: NDArray[np.float64]
    mask: NDArray[np.bool_]
    spacing: tuple[float, float, float]
    dimension: int


def normalised(image: NDArray[np.float64], scale: float, clip: float | None) -> NDArray[np.float64]:
    """The whole image in standard deviations (n − 1) from its mean, cut off at ±clip, times scale.

    Raises:
        InputError: The image is constant.
    """
    mean, deviation = image.mean(), image.std(ddof=1) if image.size > 1 else 0.0
    if not deviation > 1e-12 * abs(mean):
        raise InputError("image: it is constant and has no standard deviation to divide by; leave it out")
    out = (image - mean) / deviation
    if clip is not None:
        np.clip(out, -clip, clip, out=out)
    return np.asarray(out * scale, np.float64)


def resampled(region: Region, settings: Settings) -> Region:
    """A region on voxels of another size, with `padding` voxels around its mask.

    The image is interpolated by cubic B-splines (mirrored at the border), linearly or by the nearest voxel; beyond the
    border by half a voxel it is 0. An axis along which the mask is one voxel wide keeps its size. Where nothing
    changes, the region is cropped to its mask and the padding.
    """
    new = _new_spacing(region, settings)
    box = bounding_box(region.mask)
    if np.allclose(region.spacing, new):
        cut = tuple(slice(max(s.start - settings.padding, 0), s.stop + settings.padding) for s in box)
        return Region(np.ascontiguousarray(region.image[cut]), region.mask[cut], region.spacing, region.dimension)
    image = region.image
    covered = region.mask.astype(np.float64)
    for axis, (size, to, extent) in enumerate(zip(region.spacing, new, box, strict=True)):
        length = image.shape[axis]
        if settings.alignment == "centre":
            at = _centred(size, to, length)
        else:
            at = _positions(size, to, extent, length, settings.padding, fastest=axis == 2)
        inside = ((at >= -0.5) & (at < length - 0.5)).reshape(tuple(-1 if k == axis else 1 for k in range(3)))
        if length > 1:
            image = _INTERPOLATE[settings.interpolation](image, at, axis) * inside
        else:
            image = image.take(np.zeros(len(at), np.int64), axis) * inside
        covered = _INTERPOLATE[settings.mask_interpolation](covered, at, axis) * inside
    mask = covered >= _HALF
    if settings.whole_values:
        image = np.rint(image)
    return Region(np.ascontiguousarray(image), np.ascontiguousarray(mask), new, region.dimension)


def resegmented(region: Region, settings: Settings) -> Region:
    """A region without the voxels whose values are out of range.

    Raises:
        InputError: None is left.
    """
    mask = region.mask
    if settings.resegment is not None:
        low, high = settings.resegment
        mask = mask & (region.image >= low) & (region.image <= high)
        if not mask.any():
            raise InputError(f"resegment: no voxel of the mask lies in {settings.resegment}; widen the range")
    if settings.outliers is not None:
        values = region.image[mask]
        mask = mask & (np.abs(region.image - values.mean()) <= settings.outliers * values.std())
    return Region(region.image, mask, region.spacing, region.dimension)


def check_region(mask: NDArray[np.bool_]) -> None:
    """Refuses what pyradiomics refuses.

    Raises:
        InputError: The mask is empty, one voxel, or no wider than a voxel along all axes but one.
    """
    if not mask.any():
        raise InputError("mask: it holds no voxel; give a mask with a foreground, or leave the image out")
    wide = sum(extent.stop - extent.start > 1 for extent in bounding_box(mask))
    if wide < 2:
        what = "a single voxel" if wide == 0 else "a line of voxels"
        raise InputError(f"mask: it is {what}, and texture needs two dimensions; leave the image out")


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The extent of a mask that is not empty, along (z, y, x)."""
    box = []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return box[0], box[1], box[2]


def _new_spacing(region: Region, settings: Settings) -> tuple[float, float, float]:
    """Voxel size to resample to, along (z, y, x)."""
    wanted = settings.spacing or ()
    if len(wanted) != region.dimension:
        raise InputError(f"spacing: expected {region.dimension} numbers for a {region.dimension}D image, got {wanted}")
    z, y, x = ((0.0,) if region.dimension == 2 else ()) + tuple(wanted[::-1])
    return tuple(  # type: ignore[return-value]
        old if new == 0 or extent.stop - extent.start == 1 else float(new)
        for old, new, extent in zip(region.spacing, (z, y, x), bounding_box(region.mask), strict=True)
    )


def _positions(size: float, to: float, extent: slice, length: int, padding: int, *, fastest: bool) -> Floats:
    """Where new voxels lie along an axis, in old voxels.

    The roundings are ITK's, since they decide which voxel the mask takes half-way between two: along the fastest axis
    it walks in equal parts between the ends, along the others each voxel is computed for itself.
    """
    ratio = size / to
    lower = max(np.floor((extent.start - 0.5) * ratio - padding), 0.0)
    upper = min(np.ceil((extent.stop - 0.5) * ratio + padding), np.ceil(length * ratio) - 1)
    count = int(upper - lower + 1)
    origin = size * (0.5 * (to - size) / size + lower / ratio)
    per_voxel = 1.0 / size
    if not fastest:
        return np.asarray(per_voxel * (to * np.arange(count, dtype=np.float64) + origin))
    first, end = per_voxel * origin, per_voxel * (to * float(count) + origin)
    return np.asarray(first + (np.arange(count) / float(count)) * (end - first))


def _centred(size: float, to: float, length: int) -> Floats:
    """Where as many new voxels as cover an axis lie, around the same centre, in old voxels."""
    count = int(np.ceil(length * size / to))
    return np.asarray((length - 1) / 2 + (np.arange(count) - (count - 1) / 2) * (to / size), np.float64)


def _bspline(image: Floats, at: Floats, axis: int) -> Floats:
    """Cubic B-spline (M. Unser, "Splines", IEEE Signal Process. Mag. 16(6), 1999, 22–38), mirrored at the border."""
    length = image.shape[axis]
    coefficients = spline_coefficients(image, axis)
    base = np.floor(at)
    t = at - base
    w3 = t * t * t / 6
    w0 = 1 / 6 + t * (t - 1) / 2 - w3
    w2 = t + w0 - 2 * w3
    period = max(2 * length - 2, 1)
    return _weighed(
        coefficients, axis, [(_mirrored(base + k - 1, period), w) for k, w in enumerate((w0, 1 - w0 - w2 - w3, w2, w3))]
    )


def _mirrored(index: Floats, period: int) -> NDArray[np.int64]:
    folded = np.abs(index.astype(np.int64)) % period
    return np.minimum(folded, period - folded) if period > 1 else np.zeros_like(folded)


def _linear(image: Floats, at: Floats, axis: int) -> Floats:
    last = image.shape[axis] - 1
    base = np.floor(at)
    lower, upper = (np.clip(base + k, 0, last).astype(np.int64) for k in (0, 1))
    return _weighed(image, axis, [(lower, 1 - (at - base)), (upper, at - base)])


def _nearest(image: Floats, at: Floats, axis: int) -> Floats:
    return image.take(np.clip(np.floor(at + 0.5).astype(np.int64), 0, image.shape[axis] - 1), axis)


def _weighed(image: Floats, axis: int, terms: list[tuple[NDArray[np.int64], Floats]]) -> Floats:
    """The sum of slices taken along an axis, each by its weight."""
    along = tuple(-1 if k == axis else 1 for k in range(image.ndim))
    total = np.zeros(())
    for index, weight in terms:
        total = total + image.take(index, axis) * weight.reshape(along)
    return total


_INTERPOLATE: dict[str, Callable[[Floats, Floats, int], Floats]] = {
    "bspline": _bspline,
    "linear": _linear,
    "nearest": _nearest,
}
