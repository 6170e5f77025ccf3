"""One radiograph's file, as a square of grey values: brighter = more attenuation, 0 black, 65535 white."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.core.dicom_series import is_dicom, quiet_pydicom
from synth.core.errors import InputError
from synth.diffusion.training.folder import squared

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FITS", "SUFFIXES", "read_grey", "square"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom")
"""Endings of files that are taken for radiographs."""

FITS = ("pad", "crop")
"""How a picture becomes square: black beside it, as in RoentGen-v2's training, or its middle."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_12_BITS = 4095
_PYDICOM = threading.Lock()  # its warnings are silenced by a filter that all threads share


def read_grey(file: Path | bytes, name: str) -> NDArray[np.float32]:
    """Reads a radiograph.

    Args:
        file: A PNG, JPEG, TIFF, BMP or single-frame DICOM file, or the bytes of one that is not DICOM.
        name: What to call it in messages.

    Returns:
        (h, w), 0 to 1. Colour becomes luminance. 8 bits are divided by 255 and 16 bits by 65535, or by 4095 where no
        value is above that: 12 bits in a file of 16. DICOM goes through its modality and VOI transforms, as a viewer
        shows it, then from its least to its greatest value; MONOCHROME1 is inverted.

    Raises:
        InputError: Missing, damaged, of several frames, or of a kind that is not read.
    """
    if isinstance(file, Path):
        if not file.is_file():
            raise InputError(f"{name}: no such file")
        if is_dicom(file):
            return _read_dicom(file, name)
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=_FORMATS) as picture:
            if getattr(picture, "n_frames", 1) > 1:
                raise InputError(f"{name}: holds several images; split it into files of one")
            deep = picture.mode.startswith(("I", "F"))
            values = np.asarray(picture if deep else picture.convert("L"), np.float32)
    except InputError:
        raise
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise InputError(
            f"{name}: no PNG, JPEG, TIFF, BMP or DICOM image, or damaged ({error}); copy it again"
        ) from error
    if not 0 <= values.min() <= values.max() <= 65535:
        raise InputError(f"{name}: grey values beyond 0..65535; convert it to 8 or 16 bits")
    return values / np.float32(255 if not deep else 65535 if values.max() > _12_BITS else _12_BITS)


def square(image: NDArray[np.float32], size: int, fit: str = "pad") -> NDArray[np.uint16]:
    """A picture of any shape as a square of one size; its aspect is kept.

    Args:
        image: (h, w), 0 to 1.
        size: Pixels a side.
        fit: One of FITS.

    Returns:
        (size, size).
    """
    if fit == "pad":
        height, width = image.shape
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        image = np.pad(image, ((top, side - height - top), (left, side - width - left)))
    return np.rint(np.clip(squared(image, size), 0, 1) * 65535).astype(np.uint16)


def _read_dicom(path: Path, name: str) -> NDArray[np.float32]:
    with _PYDICOM, quiet_pydicom(Path(name)) as pydicom:
        data = pydicom.dcmread(path)
        kind = str(data.get("PhotometricInterpretation", ""))
        if int(data.get("NumberOfFrames") or 1) > 1 or not kind.startswith("MONOCHROME"):
            raise InputError(f"{name}: a DICOM file of several frames or in colour; give single grey images")
        shown: Any = pydicom.pixels.apply_voi_lut(pydicom.pixels.apply_modality_lut(data.pixel_array, data), data)
    values = np.asarray(shown, np.float32)
    low, high = float(values.min()), float(values.max())
    grey = (values - low) / np.float32(max(high - low, 1e-6))
    return 1 - grey if kind == "MONOCHROME1" else grey
