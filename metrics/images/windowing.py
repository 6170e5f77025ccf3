"""How grey values come to 8 bits, and how images are resized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from synth.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Window", "check_window", "resize_grey", "resize_mask", "resize_to_type", "to_8_bits"]

Window: TypeAlias = Literal["full", "minmax"] | tuple[float, float]
"""What becomes 0 and 255: "full": the ends of the type (255, or 65535); "minmax": each image's own least and greatest
value; (low, high): these grey values, for all images alike."""

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def check_window(window: Window | list[float]) -> Window:
    """The window, with a list of two numbers as a tuple.

    Raises:
        InputError: Neither "full" nor "minmax" nor two rising numbers.
    """
    if isinstance(window, str):
        if window in ("full", "minmax"):
            return window
    elif isinstance(window, list | tuple) and len(window) == 2 and float(window[0]) < float(window[1]):
        return float(window[0]), float(window[1])
    raise InputError(f"window must be 'full', 'minmax' or (low, high) with low < high, got {window!r}")


def to_8_bits(images: NDArray[Any], window: Window = "full") -> NDArray[np.uint8]:
    """Images at 8 bits.

    Args:
        images: (…, h, w), uint8 or uint16.
        window: See `Window`. "full" leaves uint8 as it is.

    Returns:
        round(255 · (v − low) / (high − low)), clipped; a constant image is 0 under "minmax".
    """
    if images.dtype not in (np.uint8, np.uint16):
        raise InputError(f"expected uint8 or uint16 images, got {images.dtype}")
    if window == "full" and images.dtype == np.uint8:
        return images
    low, high = _ends(images, window)
    scaled: NDArray[np.float64] = (images.astype(np.float64) - low) * (255.0 / np.maximum(high - low, 1e-300))
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)


def resize_grey(image: NDArray[Any], size: tuple[int, int], filter_name: str = "bicubic") -> NDArray[np.float32]:
    """Resizes one image without rounding, widening the filter when shrinking (no aliasing).

    Args:
        image: (h, w), any real numbers.
        size: (h, w) wanted.
        filter_name: "nearest", "bilinear", "bicubic" (a = −0.5), "lanczos" or "box".

    Returns:
        (h, w) float32, not clipped. Bit for bit what Pillow makes of a 32-bit float image, which is what clean-fid
        does channel by channel (Parmar et al. 2022, arXiv:2104.11222).
    """
    if filter_name not in FILTERS:
        raise InputError(f"unknown filter {filter_name!r}: use one of {', '.join(FILTERS)}")
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), resample=FILTERS[filter_name]))


def resize_to_type(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Bicubic resizing of (h, w), uint8 or uint16, rounded and clipped to the same type."""
    if image.shape == size:
        return image
    top = np.iinfo(image.dtype).max
    return np.rint(np.clip(resize_grey(image, size), 0, top)).astype(image.dtype)


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Nearest-neighbour resizing of (h, w), bool."""
    return mask if mask.shape == size else resize_grey(mask, size, "nearest") > 0


def _ends(images: NDArray[Any], window: Window) -> tuple[Any, Any]:
    if window == "full":
        return 0.0, float(np.iinfo(images.dtype).max)
    if window == "minmax":
        axes = (-2, -1)
        low = images.min(axis=axes, keepdims=True).astype(np.float64)
        return low, images.max(axis=axes, keepdims=True).astype(np.float64)
    return float(window[0]), float(window[1])
