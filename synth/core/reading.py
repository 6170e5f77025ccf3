"""Reading CT volumes and label maps: DICOM, NIfTI, MetaImage, NRRD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.dicom_series import choose_series, find_series, is_dicom
from synth.core.dicom_stack import read_stack
from synth.core.errors import InputError
from synth.core.hounsfield import check_hounsfield, fill_outside, to_values
from synth.core.label_names import label_names
from synth.core.metaimage import read_metaimage
from synth.core.nifti import read_nifti
from synth.core.nrrd import read_nrrd
from synth.core.resampling import reorient
from synth.core.volume import Labels, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.core.stored_image import StoredImage

__all__ = ["file_stem", "read_labels", "read_volume"]

_READERS = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".mha": read_metaimage,
    ".mhd": read_metaimage,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
}
_FORMATS = "a DICOM folder, .nii, .nii.gz, .mha, .mhd, .nrrd or .nhdr"
_LEAST_MM, _MOST_MM = 0.5, 4000.0


def read_volume(path: Path, *, series_uid: str | None = None, check_hu: bool = True) -> Volume:
    """Reads a CT.

    Any orientation, obliquity or gantry tilt is kept in the affine; the voxels stay in the order they are stored in.

    Args:
        path: A folder with a DICOM series (searched recursively), a multi-frame DICOM file, or a .nii, .nii.gz, .mha,
            .mhd, .nrrd, .nhdr file.
        series_uid: Which series of a DICOM folder to read; the end of its UID is enough.
        check_hu: Refuse values that do not look like Hounsfield units, and warn about unusual ones.

    Returns:
        HU (z, y, x): int16 where all values are integers in its range, else float32. What lies outside the scan circle
        (padding, values below −1024) is air, −1000. What was mended or is doubtful stands in `warnings`.

    Raises:
        InputError: The file is missing, broken, no single 3D CT, has no usable grid, or holds NaN or infinite voxels.
    """
    path = Path(path)
    image = _load(path, dicom=True, series_uid=series_uid)
    hu = to_values(image, path)
    notes = (*fill_outside(hu), *check_hounsfield(hu, path, strict=check_hu), *_extent_notes(image))
    return Volume(hu, image.affine, file_stem(path), (*image.warnings, *notes))


def read_labels(path: Path, volume: Volume | None = None, names: Path | None = None) -> Labels:
    """Reads a label map.

    Args:
        path: A .nii, .nii.gz, .mha, .mhd, .nrrd or .nhdr file of integers 0..65535.
        volume: The CT that the map belongs to. A map of the same voxels in another axis order or direction is
            reordered to the CT's, without loss.
        names: A table of names: CSV with the columns label and name, or JSON ({"1": "spleen"} or {"spleen": 1}).
            Without it: a table beside the map, else one inside the NIfTI file, else TotalSegmentator's classes if
            they hold all labels, else "label_7".

    Returns:
        The map, uint8 or uint16, and the names of the labels that occur in it.

    Raises:
        InputError: The file is missing or broken, values are no labels, or the map lies on another grid than `volume`.
    """
    path = Path(path)
    image = _load(path, dicom=False)
    array = _label_array(image, path)
    occurring = _occurring(array)
    labels = Labels(array, image.affine, label_names(path, occurring, names, image.extension), file_stem(path))
    if volume is None:
        return labels
    aligned = reorient(labels, volume)
    if aligned is None:
        raise InputError(
            f"{path}: the map's grid ({_grid_text(labels)}) is not that of the CT {volume.name} "
            f"({_grid_text(volume)}); pass the map made from this CT, or resample it "
            "(nearest neighbour: synth.core.resampling.resample_labels)"
        )
    return aligned


def _load(path: Path, *, dicom: bool, series_uid: str | None = None) -> StoredImage:
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if not path.is_dir() and not path.is_file():
            raise InputError(f"{path}: not a regular file; pass {_FORMATS}")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy it again")
        return _read(path, dicom=dicom, series_uid=series_uid)
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory; crop or down-sample it first") from error


def _read(path: Path, *, dicom: bool, series_uid: str | None) -> StoredImage:
    reader = next((read for suffix, read in _READERS.items() if path.name.lower().endswith(suffix)), None)
    if reader is not None and path.is_file():
        if series_uid is not None:
            raise InputError(f"{path}: series_uid={series_uid!r} is for DICOM folders; leave it out")
        return reader(path)
    if path.is_file() and not is_dicom(path):
        raise InputError(f"{path}: not a format read here; pass {_FORMATS}")
    if not dicom:
        raise InputError(f"{path}: label maps are read from NIfTI, MetaImage and NRRD; convert DICOM SEG first")
    return read_stack(path, choose_series(path, find_series(path), series_uid).slices)


def _label_array(image: StoredImage, path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    stored = image.array
    low, high = (float(value) * image.slope + image.intercept for value in (stored.min(), stored.max()))
    if not 0 <= min(low, high) <= max(low, high) <= 65535:  # NaN fails, too
        raise InputError(f"{path}: values {low:g}..{high:g} are not labels; they must lie in 0..65535")
    dtype = np.uint8 if max(low, high) <= 255 else np.uint16
    if stored.dtype == dtype and (image.slope, image.intercept) == (1, 0):
        return stored
    array = np.empty(stored.shape, dtype)
    for target, source in zip(array, stored, strict=True):
        exact = source * np.float64(image.slope) + image.intercept
        whole: NDArray[Any] = np.rint(exact)
        if np.abs(whole - exact).max() > 1e-3:
            raise InputError(f"{path}: values that are no integers: not a label map (a probability map or a CT?)")
        target[...] = whole
    return array


def _occurring(array: NDArray[np.integer]) -> list[int]:
    seen = np.zeros(65536, bool)
    for plane in array:
        seen[plane] = True
    seen[0] = False
    return [int(value) for value in np.flatnonzero(seen)]


def _extent_notes(image: StoredImage) -> tuple[str, ...]:
    extent = np.linalg.norm(image.affine[:3, :3], axis=0) * image.array.shape[::-1]
    if extent.min() >= _LEAST_MM and extent.max() <= _MOST_MM:
        return ()
    text = "×".join(f"{length:.4g}" for length in extent)
    return (f"the volume measures {text} mm: is its spacing in millimetres?",)


def file_stem(path: Path) -> str:
    """What to call a volume: its folder's name, or its file's without the format's suffix."""
    name = path.resolve().name
    if path.is_dir():
        return name
    return name[:-7] if name.lower().endswith(".nii.gz") else path.stem


def _grid_text(image: Labels | Volume) -> str:
    shape = "×".join(str(size) for size in image.shape[::-1])
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    origin = ", ".join(f"{value:.4g}" for value in image.affine[:3, 3])
    return f"{shape} voxels of {'×'.join(f'{value:.4g}' for value in spacing)} mm from ({origin})"
