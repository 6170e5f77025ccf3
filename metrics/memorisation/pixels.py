"""Distances of images by their pixels, whatever their brightness, contrast, and a few pixels of shift.

Pixels are float32 throughout: differences of unsigned 8-bit numbers wrap around, and then black equals white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.images.windowing import resize_grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.images.sets import ImageSet
    from synth.metrics.images.survey import Survey

__all__ = ["aligned_distances", "thumbnails"]

_ROWS = 2048  # images of one product: keeps its crops below 30 MB at 60 × 60


def thumbnails(
    images: ImageSet, size: int = 64, survey: Survey | None = None, *, workers: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Small images of a set of 2D images.

    Args:
        images: The set.
        size: Pixels along each side; the aspect is not kept.
        survey: Collects what is seen.
        workers: Threads that decode.

    Returns:
        Positions (n,) in the set of the images that could be read, and (n, size, size) float32, means over pixels.

    Raises:
        InputError: Volumes, or images that cannot be read.
    """
    positions, small = [], []
    for image in images.stream(survey, workers=workers):
        if image.pixels.ndim != 2:
            raise InputError(f"{image.name}: a volume; pixels are compared in 2D images, use features")
        positions.append(image.index)
        small.append(resize_grey(image.pixels, (size, size), "box"))
    return np.array(positions, np.intp), np.stack(small)


def aligned_distances(x: NDArray[Any], y: NDArray[Any], shift: int = 4) -> NDArray[np.float32]:
    """Distances √(2 − 2ρ), ρ the largest correlation of x's middle with y over all whole-pixel shifts.

    Crops are brought to mean 0 and variance 1 and compared where both images have pixels: nothing wraps around the
    border. Exact to about 0.001, the float32 product's rounding near ρ = 1.

    Args:
        x: (n, h, w), any numbers.
        y: (m, h, w).
        shift: Largest shift along each axis, pixels; x gives up as many along each border.

    Returns:
        (n, m); √2 for images without relation, and for constant ones.

    Raises:
        InputError: Images of another shape, or too small for the shift.
    """
    if x.ndim != 3 or y.ndim != 3 or x.shape[1:] != y.shape[1:]:
        raise InputError(f"images of shape {x.shape} and {y.shape}: give (n, h, w) of one size")
    h, w = x.shape[1:]
    if shift < 0 or min(h, w) < 2 * shift + 2:
        raise InputError(f"shift {shift}: images of {h}×{w} pixels allow at most {min(h, w) // 2 - 1}")
    middle = _standard(x[:, shift : h - shift, shift : w - shift])
    best = np.full((len(x), len(y)), -1, np.float32)
    for start in range(0, len(y), _ROWS):
        part = y[start : start + _ROWS]
        for down in range(2 * shift + 1):
            for right in range(2 * shift + 1):
                crop = part[:, down : h - 2 * shift + down, right : w - 2 * shift + right]
                block = best[:, start : start + _ROWS]
                np.maximum(block, middle @ _standard(crop).T, out=block)
    return np.sqrt(np.maximum(2 - 2 * best, 0))


def _standard(images: NDArray[Any]) -> NDArray[np.float32]:
    """(n, pixels) of mean 0 and length 1; zeros for constant images."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    length = np.sqrt(np.square(flat).sum(1, keepdims=True))
    constant = length <= 1e-6
    flat /= np.where(constant, np.float32(1), length)
    flat[constant[:, 0]] = 0
    return flat
