"""NRRD files, read by SimpleITK behind checks that it does not make."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.core.stored_image import StoredImage, check_affine, check_payload, grid_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["quiet_itk", "read_nrrd"]

_HEADER_BYTES = 1 << 16
_GEOMETRY = ("spacings", "space directions", "space origin")
_REQUIRED = ("dimension", "sizes", "type", "encoding")


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """SimpleITK with ITK's own warnings off for the length of the block."""
    import SimpleITK as sitk  # noqa: N813 - its own abbreviation; slow to import: only where it is used

    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield sitk
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def read_nrrd(path: Path) -> StoredImage:
    """Reads .nrrd or .nhdr.

    Returns:
        The stored numbers (z, y, x) and the affine into LPS mm.

    Raises:
        InputError: Not of that format, cut short, corrupted, or not one 3D volume of real numbers.
    """
    header, header_bytes = _text_header(path)
    _check_numbers(path, header)
    with quiet_itk() as sitk:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("NrrdImageIO")
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
            shape = grid_of(path, reader.GetSize())
            affine = _affine(reader)
            check_affine(path, affine)
            dtype = _dtype(sitk, reader, path)
            _check_data(path, header, header_bytes, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
            array = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise InputError(f"{path}: cannot be read ({_reason(error)}); is it cut short or corrupted?") from error
    return StoredImage(np.ascontiguousarray(array).reshape(shape), affine)


def _text_header(path: Path) -> tuple[dict[str, str], int]:
    """Fields of the text header, and the byte at which it ends."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    for line in head.splitlines(keepends=True):
        end += len(line)
        if not line.strip():
            break
        key, _, value = line.decode("latin-1").partition(":")
        fields[key.strip().lower()] = value.strip()
    missing = [name for name in _REQUIRED if not fields.get(name)]
    if missing or not head.startswith(b"NRRD"):
        raise InputError(f"{path}: not an NRRD file, or cut short (no {', '.join(missing or ['NRRD'])})")
    return fields, end


def _check_numbers(path: Path, header: dict[str, str]) -> None:
    """ITK mends or ignores some of these in silence."""
    for key in (key for key in _GEOMETRY if key in header):
        words = [word for word in re.split(r"[\s,()]+", header[key]) if word and word.lower() != "none"]
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.array([np.nan])
        if not np.isfinite(numbers).all() or (key == "spacings" and (numbers <= 0).any()):
            raise InputError(f"{path}: the header gives {key} = {header[key][:80]!r}; repair the header")


def _affine(reader: Any) -> NDArray[np.float64]:
    dims = reader.GetDimension()
    direction = np.reshape(reader.GetDirection(), (dims, dims))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    return affine


def _dtype(sitk: Any, reader: Any, path: Path) -> np.dtype[Any]:
    names = {"UInt8": "u1", "Int8": "i1", "UInt16": "u2", "Int16": "i2", "UInt32": "u4", "Int32": "i4", "UInt64": "u8",
             "Int64": "i8", "Float32": "f4", "Float64": "f8"}  # fmt: skip
    types = {getattr(sitk, f"sitk{name}"): code for name, code in names.items()}
    if reader.GetPixelIDValue() not in types or reader.GetNumberOfComponents() != 1:
        raise InputError(f"{path}: a voxel is not one real number; pass a scalar volume")
    return np.dtype(types[reader.GetPixelIDValue()])


def _check_data(path: Path, header: dict[str, str], header_bytes: int, needed: int) -> None:
    encoding = header["encoding"].lower()
    if encoding not in ("raw", "gz", "gzip"):
        return
    name = header.get("data file") or header.get("datafile")
    if name is None:
        check_payload(path, needed, path.stat().st_size - header_bytes, compressed=encoding != "raw")
    elif name.split()[0].upper() != "LIST" and "%" not in name:
        data = path.parent / name
        if not data.is_file():
            raise InputError(f"{path}: its data file {name} is missing; keep both files in one folder")
        check_payload(data, needed, data.stat().st_size, compressed=encoding != "raw")


def _reason(error: RuntimeError) -> str:
    """The last telling line of an ITK exception, without its source location."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Exception thrown" not in line]
    reason = re.sub(r"^.*?: ?(?=[A-Z])", "", lines[-1])[:160] if lines else ""
    return "no reason given" if reason in ("", "Success") else reason
