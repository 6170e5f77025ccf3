"""16-bit grayscale PNG files that say of themselves that they are synthetic."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, PngImagePlugin

from synth.core.errors import InputError
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["PNG_MARK", "read_png", "write_png"]

PNG_MARK: Mapping[str, str] = MappingProxyType(
    {"Software": "radsynth", "Synthetic": "YES", "Comment": "Synthetic image, not acquired from a patient"}
)
"""The text chunks that every image carries."""

# Level 4 saves 3–10 % of a radiograph's bytes and takes 1.7 times as long (512², 9–20 ms at level 1).
_COMPRESS_LEVEL = 1


def write_png(path: Path, image: NDArray[np.uint16], text: Mapping[str, str] = MappingProxyType({})) -> None:
    """Writes an image as a 16-bit grayscale PNG, atomically; equal input gives equal bytes.

    Args:
        path: Where to; its folder is made where missing.
        image: (h, w), uint16.
        text: Text chunks (tEXt, or iTXt beyond Latin-1) to write after the mark; keywords of 1 to 79 characters.

    Raises:
        InputError: The image is not 2D uint16, or the file cannot be written.
    """
    if image.dtype != np.uint16 or image.ndim != 2 or 0 in image.shape:
        raise InputError(f"{path.name}: expected a uint16 image (h, w), got {image.dtype} {image.shape}")
    chunks = PngImagePlugin.PngInfo()
    for key, value in {**PNG_MARK, **text}.items():
        chunks.add_text(key, value)
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, "PNG", compress_level=_COMPRESS_LEVEL, pnginfo=chunks)


def read_png(path: Path) -> tuple[NDArray[np.uint16], dict[str, str]]:
    """Reads a 16-bit grayscale PNG.

    Returns:
        The image (h, w), uint16, and its text chunks.

    Raises:
        InputError: The file cannot be read, or is no 16-bit grayscale PNG.
    """
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if not picture.mode.startswith("I;16"):
                raise InputError(f"{path}: not a 16-bit grayscale PNG (mode {picture.mode})")
            image = np.array(picture, dtype=np.uint16)
            return image, {str(key): value for key, value in picture.info.items() if isinstance(value, str)}
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot read the PNG ({error})") from error
