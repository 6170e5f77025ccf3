"""NIfTI-1 and NIfTI-2 single files, read with the exact affine, shears included.

ITK drops the shear of an sform, turns a zero spacing into 1 and costs its import; the format itself is small.
Specification: https://nifti.nimh.nih.gov/nifti-1 (field offsets), /nifti-2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from synth.core.errors import InputError
from synth.core.stored_image import StoredImage, check_affine, check_payload, grid_of
from synth.core.voxel_stream import Inflated, read_voxels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_nifti"]

_FIELDS = ("magic", "dim", "datatype", "pixdim", "vox_offset", "scl_slope", "scl_inter", "xyzt_units",
           "qform_code", "sform_code", "quatern", "qoffset", "srow")  # fmt: skip
_NIFTI1 = (
    ("S4", "8i2", "i2", "8f4", "f4", "f4", "f4", "u1", "i2", "i2", "3f4", "3f4", "(3,4)f4"),
    (344, 40, 70, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280),
    348,
)
_NIFTI2 = (
    ("S8", "8i8", "i2", "8f8", "i8", "f8", "f8", "i4", "i4", "i4", "3f8", "3f8", "(3,4)f8"),
    (4, 16, 12, 104, 168, 176, 184, 500, 344, 348, 352, 376, 400),
    540,
)
_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # units metre and micrometre; the rest is millimetre or unknown
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MAX_OFFSET = 1 << 26


def read_nifti(path: Path) -> StoredImage:
    """Reads a .nii or .nii.gz file of either endianness.

    Returns:
        The stored numbers (z, y, x), unscaled, with slope, intercept and the affine of the sform, else of the qform.

    Raises:
        InputError: Not NIfTI, cut short, corrupted, not one 3D volume of real numbers, or without a usable grid.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = Inflated(path, file) if compressed else file
        return _read(path, stream, size, compressed=compressed)


def _read(path: Path, stream: BinaryIO | Inflated, size: int, *, compressed: bool) -> StoredImage:
    header, head, order = _header(path, stream)
    ndim = int(header["dim"][0])
    if not 1 <= ndim <= 7:
        raise InputError(f"{path}: the header gives {ndim} dimensions; the file is corrupted")
    shape = grid_of(path, header["dim"][1 : ndim + 1].tolist())
    code = int(header["datatype"])
    if code not in _DTYPES:
        raise InputError(f"{path}: voxels of NIfTI data type {code} are not real numbers; convert the file to int16")
    dtype = np.dtype(order + _DTYPES[code])
    start = float(header["vox_offset"]) or float(len(head))
    if not len(head) <= start <= _MAX_OFFSET:
        raise InputError(f"{path}: the header puts the voxels at byte {start:g}; the file is corrupted")
    check_payload(path, math.prod(shape) * dtype.itemsize + int(start), size, compressed=compressed)
    affine, warnings = _affine(path, header)
    slope, intercept = _scaling(path, header)
    extension = stream.read(int(start) - len(head))
    array = read_voxels(path, stream, shape, dtype)
    return StoredImage(array, affine, slope, intercept, warnings, extension)


def _header(path: Path, stream: BinaryIO | Inflated) -> tuple[Any, bytes, str]:
    head = stream.read(348)
    for order in "<>":
        length = int.from_bytes(head[:4], "little" if order == "<" else "big")
        if length in (348, 540):
            break
    else:
        raise InputError(f"{path}: not a NIfTI file (or it is empty or cut short)")
    head += stream.read(length - 348)
    if len(head) < length:
        raise InputError(f"{path}: cut short: the header ends after {len(head)} bytes; copy it again")
    formats, offsets, size = _NIFTI1 if length == 348 else _NIFTI2
    fields = {"names": _FIELDS, "formats": [_ordered(f, order) for f in formats], "offsets": offsets, "itemsize": size}
    header = np.frombuffer(head, np.dtype(fields))[0]  # type: ignore[call-overload]
    if header["magic"][:2] == b"ni":
        raise InputError(f"{path}: the header of a .hdr/.img pair; convert it to one .nii.gz file")
    if header["magic"][:2] != b"n+":
        raise InputError(f"{path}: not a NIfTI file (Analyze 7.5 keeps no orientation); convert it to NIfTI")
    return header, head, order


def _ordered(format_: str, order: str) -> str:
    return format_.replace(")", ")" + order) if ")" in format_ else format_[:-2] + order + format_[-2:]


def _affine(path: Path, header: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The affine into LPS mm; the sform is preferred, as ITK and nibabel do."""
    pixdim = header["pixdim"][1:4].astype(np.float64)
    if not (np.isfinite(pixdim).all() and (pixdim > 0).all()):
        raise InputError(f"{path}: the header gives the spacing {pixdim.tolist()} mm (pixdim); repair the header")
    warnings = []
    affine = np.eye(4)
    if header["sform_code"] > 0:
        affine[:3] = header["srow"]
        check_affine(path, affine)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if not np.allclose(spacing, pixdim, rtol=0.01):
            warnings.append(f"pixdim says {_mm(pixdim)} mm, the sform {_mm(spacing)} mm; the sform is taken")
        if header["qform_code"] > 0 and np.linalg.det(_qform(header)[:3, :3]) * np.linalg.det(affine[:3, :3]) < 0:
            warnings.append("sform and qform disagree about left and right; the sform is taken")
    elif header["qform_code"] > 0:
        affine = _qform(header)
    else:
        affine[:3, :3] = np.diag(pixdim)
        warnings.append("no orientation is stored; the axes are taken as right, anterior, superior")
    affine[:3] *= _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    affine = _RAS_TO_LPS @ affine
    check_affine(path, affine)
    return affine, tuple(warnings)


def _qform(header: Any) -> NDArray[np.float64]:
    """Method 2 of nifti1.h: a unit quaternion, whose scalar part is not stored."""
    b, c, d = header["quatern"].astype(np.float64)
    a = math.sqrt(max(0.0, 1.0 - float(b * b + c * c + d * d)))
    norm = math.sqrt(float(a * a + b * b + c * c + d * d))
    a, b, c, d = (q / norm for q in (a, b, c, d))
    affine = np.eye(4)
    affine[:3, :3] = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
    ]
    handedness = -1.0 if header["pixdim"][0] < 0 else 1.0
    affine[:3, :3] *= header["pixdim"][1:4].astype(np.float64) * [1.0, 1.0, handedness]
    affine[:3, 3] = header["qoffset"]
    return affine


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0
    intercept = 0.0 if math.isnan(intercept) else intercept
    if math.isinf(slope) or math.isinf(intercept):
        raise InputError(f"{path}: the header scales by {slope} and {intercept}; the file is corrupted")
    return slope, intercept


def _mm(values: NDArray[np.float64]) -> str:
    return "×".join(f"{value:.4g}" for value in values)
