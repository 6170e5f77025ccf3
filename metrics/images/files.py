"""One image file, decoded to grey values as they are stored.

Nothing is stretched: a 12-bit radiograph in a 16-bit file comes out as values 0..4095. Orientation tags and display
windows are ignored, as scores compare stored values.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from synth.core.dicom_series import is_dicom, quiet_pydicom
from synth.core.errors import InputError
from synth.core.reading import read_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.volume import Volume

__all__ = ["Decoded", "is_picture", "is_volume", "narrow", "read_file", "to_grey"]

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DICOM = (".dcm", ".dicom")
VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")

LUMINANCE = "colour, brought to grey by luminance"
ALPHA = "transparency, dropped"
DEEP_COLOUR = "16-bit colour, read at 8 bits"

_PYDICOM = threading.Lock()  # its warnings are silenced by a filter that all threads share


class Decoded(NamedTuple):
    """What a file holds.

    Attributes:
        pixels: (h, w), uint8 or uint16, or a volume (z, y, x), int16 or float32.
        notes: What was changed on the way, in words that are equal for equal changes.
        spacing_mm: Of a volume, along (z, y, x).
        volume: The volume with its grid, for label maps.
    """

    pixels: NDArray[Any]
    notes: tuple[str, ...] = ()
    spacing_mm: tuple[float, ...] | None = None
    volume: Volume | None = None


def is_picture(path: Path) -> bool:
    """Whether a file is taken for a 2D image: by its ending, or as DICOM by its first bytes where it has none."""
    suffix = path.suffix.lower()
    return suffix in PICTURES or suffix in DICOM or (not suffix and is_dicom(path))


def is_volume(path: Path) -> bool:
    """Whether a file is taken for a volume, by its ending."""
    return path.name.lower().endswith(VOLUMES)


def read_file(path: Path) -> Decoded:
    """Reads a 2D image or a volume.

    Args:
        path: PNG, JPEG, TIFF, BMP or single-frame DICOM; or a volume, read by `synth.core.reading.read_volume`.

    Returns:
        Grey values. Colour whose channels are equal loses nothing; other colour becomes luminance, with a note.
        MONOCHROME1 is inverted to MONOCHROME2.

    Raises:
        InputError: Missing, corrupted, cut short, of several frames, or with values that are no integers 0..65535.
    """
    if is_volume(path):
        volume = read_volume(path, check_hu=False)
        spacing = tuple(float(mm) for mm in volume.spacing[::-1])
        return Decoded(volume.hu, volume.warnings, spacing, volume)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return _read_dicom(path) if path.suffix.lower() not in PICTURES and is_dicom(path) else _read_picture(path)


def to_grey(colour: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Grey values (h, w) of colour (h, w, 3), uint8 or uint16, and notes.

    Luminance is that of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B) in 16-bit fixed point, as Pillow's.
    """
    red, green, blue = (colour[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red), ()
    wide = colour.astype(np.uint32)
    grey = (wide[..., 0] * 19595 + wide[..., 1] * 38470 + wide[..., 2] * 7471 + 0x8000) >> 16
    return grey.astype(colour.dtype), (LUMINANCE,)


def narrow(array: NDArray[Any], what: str, *, keep_8_bits: bool = True) -> NDArray[Any]:
    """The same values as uint8 or uint16, of whatever numbers they are.

    Args:
        array: Any shape; booleans become 0 and 255.
        what: What to name in the message.
        keep_8_bits: Whether values 0..255 become uint8; else uint16.

    Raises:
        InputError: Values that are not whole numbers 0..65535.
    """
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise InputError(f"{what}: expected grey values, got {array.dtype} of shape {array.shape}")
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 65535:  # NaN fails, too
        raise InputError(f"{what}: values {low:g}..{high:g} are not within 0..65535; convert to uint8 or uint16 first")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise InputError(
            f"{what}: values {low:g}..{high:g} are not whole numbers; scale all images alike to uint8 or uint16 first, "
            "for [0, 1] by (images * 65535).round().astype('uint16')"
        )
    return array.astype(np.uint8 if keep_8_bits and high <= 255 else np.uint16)


def _read_picture(path: Path) -> Decoded:
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                raise InputError(f"{path}: holds {frames} images; split it into files of one")
            deep = (DEEP_COLOUR,) if _is_deep_colour(picture, path) else ()
            pixels, notes = _grey_values(picture, path)
            return Decoded(pixels, (*deep, *notes))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not a PNG, JPEG, TIFF, BMP or DICOM image, or its head is corrupted") from error
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise InputError(f"{path}: cut short or corrupted ({error}); copy it again") from error


def _grey_values(picture: Image.Image, path: Path) -> tuple[NDArray[Any], tuple[str, ...]]:
    if picture.mode in ("1", "L") or picture.mode.startswith("I;16"):
        return narrow(np.array(picture), str(path)), ()
    if picture.mode in ("I", "F"):
        return narrow(np.array(picture), str(path), keep_8_bits=False), ()
    if not picture.has_transparency_data:
        return to_grey(np.asarray(picture.convert("RGB")))
    colour = np.asarray(picture.convert("RGBA"))
    grey, notes = to_grey(colour[..., :3])
    return grey, notes if colour[..., 3].min() == 255 else (ALPHA, *notes)


def _is_deep_colour(picture: Image.Image, path: Path) -> bool:
    """PNG with 16 bits a channel and more than one channel, which Pillow reads at 8 bits."""
    if picture.format != "PNG" or picture.mode.startswith("I"):
        return False
    with path.open("rb") as file:
        return file.read(25)[24:] == b"\x10"  # bit depth, in IHDR


def _read_dicom(path: Path) -> Decoded:
    with _PYDICOM, quiet_pydicom(path) as pydicom:
        data = pydicom.dcmread(path)
        if int(data.get("NumberOfFrames") or 1) > 1:
            raise InputError(f"{path}: a DICOM file of several frames; pass single images, or the volume as NIfTI")
        if "PixelData" not in data:
            raise InputError(f"{path}: a DICOM file without an image")
        kind, bits = str(data.PhotometricInterpretation), int(data.BitsStored)
        pixels = np.array(data.pixel_array)
    if pixels.ndim == 3:
        return Decoded(*to_grey(narrow(pixels, str(path))))
    if not kind.startswith("MONOCHROME"):
        raise InputError(f"{path}: colours of kind {kind} are not read here; convert the file to MONOCHROME2")
    if pixels.min() < 0:
        raise InputError(f"{path}: negative values, as in a CT slice; pass the volume as NIfTI")
    highest = (1 << bits) - 1
    grey = (pixels & highest).astype(np.uint8 if bits <= 8 else np.uint16)
    return Decoded(highest - grey if kind == "MONOCHROME1" else grey)
