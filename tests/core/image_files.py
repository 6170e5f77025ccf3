"""Small image files for tests, each with one marker voxel at a known place in the world."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MARKER = (3, 2, 5)
"""Index (z, y, x) of the marker voxel."""
SHAPE = (6, 7, 8)
MARKER_HU = 1234


def ct_array(shape: tuple[int, int, int] = SHAPE, dtype: str = "i2") -> NDArray[Any]:
    """Air with a smooth body and the marker."""
    z, y, x = np.indices(shape)
    array = (-1000 + 20 * x + 30 * y + 10 * z).astype(dtype)
    array[MARKER] = MARKER_HU
    return array


def world(affine: NDArray[np.float64], index: tuple[int, int, int] = MARKER) -> NDArray[np.float64]:
    """World position of the voxel index (z, y, x)."""
    return affine[:3, :3] @ np.array(index[::-1], float) + affine[:3, 3]


def oblique_affine(spacing: tuple[float, float, float] = (0.7, 0.8, 2.5)) -> NDArray[np.float64]:
    """A turned grid, LPS."""
    a, b = 0.3, -0.2
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_x @ np.diag(spacing)
    affine[:3, 3] = [-12.5, 30.25, -340.125]
    return affine


def ras(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diag([-1.0, -1, 1, 1]) @ affine


CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024}


def nifti_bytes(
    array: NDArray[Any],
    *,
    order: str = "<",
    dims: tuple[int, ...] | None = None,
    pixdim: tuple[float, ...] = (1, 0.7, 0.8, 2.5, 1, 1, 1, 1),
    sform: NDArray[np.float64] | None = None,
    quatern: tuple[float, float, float] | None = None,
    qoffset: tuple[float, float, float] = (0, 0, 0),
    slope: float = 1,
    inter: float = 0,
    units: int = 2,
    extension: bytes = b"",
    version: int = 1,
) -> bytes:
    """A NIfTI file; sform is RAS."""
    dims = dims or (3, *array.shape[::-1])
    dims = (*dims, *[1] * (8 - len(dims)))
    code, bits = CODES[array.dtype.str[1:]], array.dtype.itemsize * 8
    rows = np.zeros((3, 4)) if sform is None else sform[:3]
    size = 348 if version == 1 else 540
    offset = size + 4 + len(extension)
    header = bytearray(size)

    def put(at: int, format_: str, *values: Any) -> None:
        struct.pack_into(order + format_, header, at, *values)

    put(0, "i", size)
    q = (*(quatern or (0, 0, 0)), *qoffset)
    codes = (int(quatern is not None), int(sform is not None))
    if version == 1:
        put(40, "8h", *dims)
        put(70, "2h", code, bits)
        put(76, "8f", *pixdim)
        put(108, "3f", offset, slope, inter)
        put(123, "B", units)
        put(252, "2h", *codes)
        put(256, "6f", *q)
        put(280, "12f", *rows.ravel())
        header[344:348] = b"n+1\0"
    else:
        header[4:12] = b"n+2\0\r\n\x1a\n"
        put(12, "2h", code, bits)
        put(16, "8q", *dims)
        put(104, "8d", *pixdim)
        put(168, "q2d", offset, slope, inter)
        put(344, "2i", *codes)
        put(352, "6d", *q)
        put(400, "12d", *rows.ravel())
        put(500, "i", units)
    flag = b"\1\0\0\0" if extension else b"\0\0\0\0"
    return bytes(header) + flag + extension + array.astype(array.dtype.newbyteorder(order)).tobytes()


def write_nifti(path: Path, array: NDArray[Any], **options: Any) -> Path:
    data = nifti_bytes(array, **options)
    path.write_bytes(gzip.compress(data, 1) if path.name.endswith(".gz") else data)
    return path


def ct_dataset(plane: NDArray[Any], affine: NDArray[np.float64], k: float, uid: str, **tags: Any) -> Dataset:
    """One CT slice at index k along the third axis of the affine (LPS)."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SeriesInstanceUID, data.Modality, data.SeriesDescription = uid, "CT", "Lung"
    data.PatientName = "SECRET^NAME"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    spacing = np.linalg.norm(affine[:3, :2], axis=0)
    data.PixelSpacing = [_ds(spacing[1]), _ds(spacing[0])]
    data.ImageOrientationPatient = [_ds(v) for v in (affine[:3, :2] / spacing).T.ravel()]
    data.ImagePositionPatient = [_ds(v) for v in affine[:3, :3] @ [0, 0, k] + affine[:3, 3]]
    data.Rows, data.Columns = plane.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = plane.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(plane.dtype.kind == "i")
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = plane.tobytes()
    data["PixelData"].VR = "OW"
    for name, value in tags.items():
        setattr(data, name, value)
    return data


def write_series(
    folder: Path,
    array: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    at: list[float] | None = None,
    uid: str | None = None,
    **tags: Any,
) -> Path:
    """A folder of CT slices, in shuffled file order."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = uid or generate_uid()
    for index, plane in enumerate(array):
        k = index if at is None else at[index]
        save(folder / f"{(index * 5) % 7:02d}_{index:03d}.dcm", ct_dataset(plane, affine, k, uid, **tags))
    return folder


def save(path: Path, data: Dataset) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


def enhanced_dataset(array: NDArray[Any], affine: NDArray[np.float64], intercepts: list[float]) -> Dataset:
    """A multi-frame CT with a rescaling of each frame's own."""
    data = ct_dataset(array, affine, 0, generate_uid())
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = data.PixelSpacing
    orientation.ImageOrientationPatient = data.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k, intercept in enumerate(intercepts):
        group, plane, value = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [_ds(v) for v in affine[:3, :3] @ [0, 0, k] + affine[:3, 3]]
        value.RescaleSlope, value.RescaleIntercept = 1, intercept
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [plane], [value]
        frames.append(group)
    data.PerFrameFunctionalGroupsSequence = frames
    data.NumberOfFrames = len(frames)
    for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept"):
        delattr(data, name)
    return data


def _ds(value: float) -> pydicom.valuerep.DSfloat:
    return pydicom.valuerep.DSfloat(float(value), auto_format=True)
