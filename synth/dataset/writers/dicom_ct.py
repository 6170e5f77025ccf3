"""CTs as DICOM: a series of CT Image Storage objects (PS3.3 A.3, modules of C.7 and C.8.2.1), one a slice."""

from __future__ import annotations

import glob
import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
from pydicom.uid import CTImageStorage

import synth
from synth.core.errors import InputError
from synth.dataset.writers.dicom_common import decimal, new_object, save, uid_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from synth.core.record import ScanSample
    from synth.core.volume import Volume

__all__ = ["ct_headers", "slice_order", "write_ct_series"]

_SKEW = 1e-4  # cosine between rows and columns that rounding in a header explains
_SOFT_TISSUE = ("40", "400")  # HU, what a viewer shows at first


def write_ct_series(folder: Path, sample: ScanSample, *, uid_seed: str) -> None:
    """Writes a CT as a folder of slices, 0001.dcm …, which appears whole or not at all; equal input, equal bytes.

    Stored values are HU (intercept 0, slope 1); float HU are rounded, as scanners do. Slices follow the direction
    (row × column) in which DICOM readers stack them: a volume whose third axis runs the other way is read back
    reversed, voxels at their places in the world.

    Args:
        folder: Where to; what lies there is replaced.
        sample: The CT. Third axes may be oblique to the slices (a tilted gantry).
        uid_seed: What tells this dataset from others.

    Raises:
        InputError: Rows and columns are not at right angles, HU do not fit 16 bits, or the folder cannot be written.
    """
    headers = ct_headers(sample, uid_seed=uid_seed)
    hu = sample.volume.hu
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.slices")
    try:
        for stale in folder.parent.glob(f".{glob.escape(folder.name)}.*.slices"):  # of a run that was killed
            shutil.rmtree(stale)
        for number, (ds, z) in enumerate(zip(headers, slice_order(sample.volume), strict=True), start=1):
            ds.add_new("PixelData", "OW", _stored(hu[z], sample).astype("<i2").tobytes())
            save(temporary / f"{number:04d}.dcm", ds)
            del ds.PixelData
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot write ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def slice_order(volume: Volume) -> Sequence[int]:
    """Indices of the slices along the direction row × column, in which a series counts them."""
    upwards = np.linalg.det(volume.affine[:3, :3]) > 0
    return range(volume.shape[0]) if upwards else range(volume.shape[0] - 1, -1, -1)


def ct_headers(sample: ScanSample, *, uid_seed: str) -> list[Dataset]:
    """The objects of a CT's slices without their pixels, in the order of `slice_order`.

    Raises:
        InputError: Rows and columns are not at right angles.
    """
    axes = _slice_axes(sample.volume)
    return [_header(sample, axes, number, z, uid_seed) for number, z in enumerate(slice_order(sample.volume), start=1)]


def _slice_axes(volume: Volume) -> NDArray[np.float64]:
    """(2, 3), unit vectors along a row and along a column, exactly at right angles."""
    right, down = (volume.affine[:3, :2] / volume.spacing[:2]).T
    cosine = float(right @ down)
    if abs(cosine) > _SKEW:
        raise InputError(
            f"{volume.name}: rows and columns are {abs(np.degrees(np.arcsin(cosine))):.2g}° off right angles, which "
            "DICOM cannot tell; resample the CT to a straight grid first"
        )
    down = down - cosine * right
    return np.stack([right, down / np.linalg.norm(down)])


def _header(sample: ScanSample, axes: NDArray[np.float64], number: int, z: int, uid_seed: str) -> Dataset:
    index = str(sample.index)
    instance = ("slice", index, str(number))
    ds = new_object(CTImageStorage, instance, sample.record, sample.index, uid_seed=uid_seed)
    ds.StudyDescription = ds.SeriesDescription = "Synthetic CT"
    ds.SeriesInstanceUID = uid_of(uid_seed, "ct series", index)
    ds.FrameOfReferenceUID = uid_of(uid_seed, "frame of reference", index)
    ds.SeriesNumber = sample.index + 1
    ds.InstanceNumber = number
    ds.Modality = "CT"
    # Mandatory, and may be empty where unknown.
    ds.PositionReferenceIndicator = ds.PatientPosition = ds.KVP = ds.AcquisitionNumber = ds.Laterality = ""
    ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    ds.DerivationDescription = f"Synthetic CT computed by radsynth {synth.__version__}"
    _place(ds, sample.volume, axes, z)
    _describe_pixels(ds, sample.volume)
    return ds


def _place(ds: Dataset, volume: Volume, axes: NDArray[np.float64], z: int) -> None:
    between_columns, between_rows = volume.spacing[:2]
    thickness = decimal(abs(float(np.cross(*axes) @ volume.affine[:3, 2])))
    ds.PixelSpacing = [decimal(between_rows), decimal(between_columns)]
    ds.SliceThickness = ds.SpacingBetweenSlices = thickness
    ds.ImageOrientationPatient = [decimal(cosine) for cosine in axes.ravel()]
    ds.ImagePositionPatient = [decimal(mm) for mm in volume.affine[:3, 2] * z + volume.affine[:3, 3]]


def _describe_pixels(ds: Dataset, volume: Volume) -> None:
    _, ds.Rows, ds.Columns = volume.shape
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = _SOFT_TISSUE


def _stored(plane: NDArray[np.int16] | NDArray[np.float32], sample: ScanSample) -> NDArray[np.int16]:
    if plane.dtype == np.int16:
        return plane.astype(np.int16, copy=False)
    low, high = float(plane.min()), float(plane.max())
    if not -32768 <= low <= high <= 32767:  # NaN fails, too
        raise InputError(f"sample {sample.index}: HU {low:g} to {high:g} do not fit DICOM's 16 bits")
    return np.rint(plane).astype(np.int16)
