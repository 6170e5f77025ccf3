"""Features of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.core.errors import InputError
from synth.metrics.radiomics.filters import filtered
from synth.metrics.radiomics.first_order import first_order
from synth.metrics.radiomics.levels import discretised
from synth.metrics.radiomics.preparation import (
    Region,
    bounding_box,
    check_region,
    normalised,
    resampled,
    resegmented,
)
from synth.metrics.radiomics.settings import DIAGNOSTICS, FEATURES, Settings, column_names
from synth.metrics.radiomics.shape import shape_2d, shape_3d
from synth.metrics.radiomics.texture import texture_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["extract"]

_DEFAULT = Settings()


def extract(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    settings: Settings = _DEFAULT,
    spacing: Sequence[float] | None = None,
) -> dict[str, float]:
    """Radiomic features of a picture or volume.

    Args:
        image: (y, x) or (z, y, x), any real type.
        mask: An array like image, above 0 (or True) where the image counts; None: everywhere.
        settings: What to extract and how.
        spacing: Voxel size along (x, y) or (x, y, z), mm; 1 where not given.

    Returns:
        The features in the order of `column_names`. NaN where a feature is undefined: those of pairs and runs where
        no two voxels of the region are neighbours.

    Raises:
        InputError: An image that is not 2D or 3D, is not finite, or is constant where it is to be normalised; a mask of
            another shape, without two dimensions or empty; a spacing that is not above 0.
    """
    whole = _region(image, mask, settings, spacing)
    check_region(whole.mask)
    region = whole
    if settings.normalise:
        region = Region(
            normalised(whole.image, settings.scale, settings.clip), whole.mask, whole.spacing, whole.dimension
        )
    if settings.spacing is not None:
        region = resampled(region, settings)
        check_region(region.mask)
    names = column_names(settings, region.dimension)
    found: dict[str, float] = {}
    if settings.diagnostics:
        found |= dict(zip(DIAGNOSTICS, (*_noted(whole), *_noted(region), *_noted_inside(region)), strict=True))
    if any(name.startswith(("shape_", "shape2D_")) for name in names):
        found |= _shape(region)
    if settings.resegment is not None or settings.outliers is not None:
        region = resegmented(region, settings)
        check_region(region.mask)
    for name, values in filtered(region, settings):
        prefix = "" if name == "original" else f"{name}_"
        found |= {f"{prefix}{feature}": value for feature, value in _texture(values, region, settings).items()}
    return {name: found[name] for name in names}


def _region(image: ArrayLike, mask: ArrayLike | None, settings: Settings, spacing: Sequence[float] | None) -> Region:
    """Checks what was given and lifts pictures to volumes of one slice."""
    array = np.asarray(image)
    if array.ndim not in (2, 3) or not array.size:
        raise InputError(f"image: expected a picture (y, x) or a volume (z, y, x) with voxels, got shape {array.shape}")
    if array.dtype.kind not in "buif":
        raise InputError(f"image: expected real numbers, got {array.dtype}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("image: it holds NaN or infinite values; replace them or leave the image out")
    if mask is None:
        inside = np.ones(array.shape, bool)
        inside.flat[0] = not settings.open_corner
    else:
        inside = np.asarray(mask) > 0
        if inside.shape != array.shape:
            raise InputError(f"mask: its shape {inside.shape} is not the image's, {array.shape}")
    size = tuple(map(float, spacing)) if spacing is not None else (1.0,) * array.ndim
    if len(size) != array.ndim or not all(0 < length < np.inf for length in size):
        raise InputError(f"spacing: expected {array.ndim} numbers above 0, millimetres, got {spacing}")
    if array.ndim == 2:
        return Region(values[None], inside[None], (1.0, size[1], size[0]), 2)
    return Region(values, inside, (size[2], size[1], size[0]), 3)


def _shape(region: Region) -> dict[str, float]:
    if region.dimension == 2:
        found = shape_2d(region.mask[0], region.spacing[1:])
        return {f"shape2D_{name}": value for name, value in found.items()}
    return {f"shape_{name}": value for name, value in shape_3d(region.mask, region.spacing).items()}


def _texture(image: NDArray[np.float64], region: Region, settings: Settings) -> dict[str, float]:
    """Features of one filtered image by class_Feature."""
    wanted = settings.features or [f"{kind}_{name}" for kind, names in FEATURES.items() for name in names]
    box = bounding_box(region.mask)
    inside = region.mask[box]
    values = image[box][inside]
    ranks, grey = discretised(values, settings)
    found: dict[str, float] = {}
    if any(name.startswith("firstorder_") for name in wanted):
        volume = float(np.prod(region.spacing))
        features = first_order(values, np.bincount(ranks)[1:], settings.voxel_shift, volume)
        found |= {f"firstorder_{name}": value for name, value in features.items()}
    levels = np.zeros(inside.shape, np.uint16)
    levels[inside] = ranks
    return found | texture_features(levels, grey, wanted, in_plane=settings.in_plane, merge=settings.merge)


def _noted(region: Region) -> tuple[float, ...]:
    """Mean, minimum and maximum of the image; voxels and connected parts of the mask."""
    image, mask = region.image, region.mask
    parts = ndimage.label(mask, np.ones((3, 3, 3)))[1]
    return float(image.mean()), float(image.min()), float(image.max()), float(mask.sum()), float(parts)


def _noted_inside(region: Region) -> tuple[float, ...]:
    values = region.image[region.mask]
    return float(values.mean()), float(values.min()), float(values.max())
