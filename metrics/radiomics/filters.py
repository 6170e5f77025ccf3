"""Filtered images: one stage of the stationary coif1 wavelet transform, and the Laplacian of Gaussian."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.kernels.recursive_gaussian import laplacian_of_gaussian
from synth.metrics.radiomics.settings import image_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from synth.metrics.radiomics.preparation import Region
    from synth.metrics.radiomics.settings import Settings

__all__ = ["filtered", "stationary_wavelet"]

# Coiflet with two vanishing moments: I. Daubechies, "Orthonormal bases of compactly supported wavelets II. Variations
# on a theme", SIAM J. Math. Anal. 24(2), 1993, 499–519; normalised to a sum of √2.
_ROOT = math.sqrt(7)
_LOW = np.array([-3 + _ROOT, 1 - _ROOT, 14 - 2 * _ROOT, 14 + 2 * _ROOT, 5 + _ROOT, 1 - _ROOT]) / (16 * math.sqrt(2))
_HIGH = _LOW[::-1] * (-1, 1, -1, 1, -1, 1)


def filtered(region: Region, settings: Settings) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each filtered image with its name, in the order of the columns: (z, y, x) like the region's.

    Raises:
        InputError: The image is too small for a Laplacian of Gaussian.
    """
    flat = region.dimension == 2
    image = region.image[0] if flat else region.image
    spacing = region.spacing[1:] if flat else region.spacing
    names = iter(image_names(settings, region.dimension))
    for kind in settings.filters:
        if kind == "original":
            yield next(names), region.image
        elif kind == "wavelet":
            bands = stationary_wavelet(image)
            for name in islice(names, len(bands)):
                band = bands[name.removeprefix("wavelet-")]
                yield name, band[None] if flat else band
        else:
            for sigma in settings.sigmas:
                _check_size(image.shape, spacing, sigma)
                out = laplacian_of_gaussian(image, sigma, spacing).astype(np.float64)
                yield next(names), out[None] if flat else out


def stationary_wavelet(image: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """One stage of the undecimated coif1 transform, all bands, as PyWavelets' swtn gives them to pyradiomics.

    Odd sizes are first made even by repeating the first voxel at the end; beyond the border the image goes on as if it
    were periodic.

    Args:
        image: (y, x) or (z, y, x).

    Returns:
        Arrays like image by the name of their band: a letter for each axis, x first, L low-pass, H high-pass.
    """
    even = np.pad(image, [(0, size % 2) for size in image.shape], "wrap")
    bands = {"": even}
    for axis in range(image.ndim)[::-1]:
        bands = {
            name + letter: _convolved(band, taps, axis)
            for name, band in bands.items()
            for letter, taps in (("L", _LOW), ("H", _HIGH))
        }
    original = tuple(slice(size) for size in image.shape)
    return {name: band[original] for name, band in bands.items()}


def _convolved(image: NDArray[np.float64], taps: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """out[i] = Σ taps[j] · image[i + 3 − j] along an axis, periodic."""
    size, half = image.shape[axis], len(taps) // 2
    around = image.take(np.arange(-half + 1, size + half) % size, axis)
    total = np.zeros_like(image)
    for j, tap in enumerate(taps):
        start = len(taps) - 1 - j
        cut = tuple(slice(start, start + size) if k == axis else slice(None) for k in range(image.ndim))
        total += tap * around[cut]
    return total


def _check_size(shape: tuple[int, ...], spacing: tuple[float, ...], sigma: float) -> None:
    needed = [max(4, math.ceil(sigma / size) + 1) for size in spacing]
    if any(size < least for size, least in zip(shape, needed, strict=True)):
        raise InputError(
            f"image: a Laplacian of Gaussian of {sigma} mm needs {tuple(needed[::-1])} voxels or more, "
            f"this one has {shape[::-1]}; enlarge the padding or leave the filter out"
        )
