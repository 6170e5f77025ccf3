"""MetaImage files (.mha, .mhd).

Read here because ITK's reader hangs or corrupts its memory on some damaged files.
Specification: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.stored_image import StoredImage, check_affine, check_payload, grid_of
from synth.core.voxel_stream import Inflated, read_voxels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_metaimage"]

_HEADER_BYTES = 1 << 16
_REQUIRED = ("ndims", "dimsize", "elementtype", "elementdatafile")
_DTYPES = {"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
           "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
           "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}  # fmt: skip


def read_metaimage(path: Path) -> StoredImage:
    """Reads .mha, or .mhd with one data file, raw or deflated.

    Returns:
        The stored numbers (z, y, x) and the affine into LPS mm.

    Raises:
        InputError: Not MetaImage, cut short, corrupted, not one 3D volume of real numbers, or without a usable grid.
    """
    header, end = _header(path)
    sizes = [int(size) for size in _numbers(path, header, "dimsize")]
    if len(sizes) != _numbers(path, header, "ndims")[0]:
        raise InputError(f"{path}: DimSize does not fit NDims; the file is corrupted")
    shape = grid_of(path, sizes)
    if header["elementtype"] not in _DTYPES or header.get("elementnumberofchannels", "1") != "1":
        raise InputError(f"{path}: a voxel is not one real number ({header['elementtype']}); pass a scalar volume")
    big = _flag(header, "binarydatabyteordermsb") or _flag(header, "elementbyteordermsb")
    dtype = np.dtype((">" if big else "<") + _DTYPES[header["elementtype"]])
    affine = _affine(path, header, len(sizes))
    data, start = _data_file(path, header, end, math.prod(shape) * dtype.itemsize)
    compressed = _flag(header, "compresseddata")
    check_payload(data, math.prod(shape) * dtype.itemsize, data.stat().st_size - start, compressed=compressed)
    with data.open("rb") as file:
        file.seek(start)
        array = read_voxels(data, Inflated(data, file) if compressed else file, shape, dtype)
    return StoredImage(array, affine)


def _header(path: Path) -> tuple[dict[str, str], int]:
    """Lower-case fields of the text header, and the byte after it."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    while "elementdatafile" not in fields and end < len(head):
        line, _, _ = head[end:].partition(b"\n")
        end += len(line) + 1
        key, _, value = line.decode("latin-1").partition("=")
        fields[key.strip().lower()] = value.strip()
    missing = [name for name in _REQUIRED if not fields.get(name)]
    if missing:
        raise InputError(f"{path}: not a MetaImage file, or cut short (no {', '.join(missing)})")
    if not _flag(fields, "binarydata", default=True):
        raise InputError(f"{path}: voxels written as text; convert it to binary data")
    return fields, end


def _data_file(path: Path, header: dict[str, str], end: int, needed: int) -> tuple[Path, int]:
    """The file of the voxels and the byte at which they begin."""
    name = header["elementdatafile"]
    if name.upper() in ("LOCAL", "LIST") or "%" in name:
        if name.upper() != "LOCAL":
            raise InputError(f"{path}: voxels spread over several files; convert it to one .mha file")
        return path, end
    data = path.parent / name
    if not data.is_file():
        raise InputError(f"{path}: its data file {name} is missing; keep both files in one folder")
    skipped = int(_numbers(path, header, "headersize")[0]) if "headersize" in header else 0
    return data, max(0, data.stat().st_size - needed) if skipped == -1 else max(0, skipped)


def _affine(path: Path, header: dict[str, str], dims: int) -> NDArray[np.float64]:
    spacing = _first(path, header, ("elementspacing", "elementsize"), np.ones(dims))
    origin = _first(path, header, ("offset", "position", "origin"), np.zeros(dims))
    axes = _first(path, header, ("transformmatrix", "rotation", "orientation"), np.eye(dims).ravel())
    if len(spacing) != dims or len(origin) != dims or len(axes) != dims * dims or spacing.min() <= 0:
        raise InputError(f"{path}: the header gives the spacing {spacing.tolist()} mm or no whole grid; repair it")
    affine = np.eye(4)
    affine[:3, :3] = axes.reshape(dims, dims)[:3, :3].T * spacing[:3]  # a row of the file is an axis
    affine[:3, 3] = origin[:3]
    check_affine(path, affine)
    return affine


def _first(
    path: Path, header: dict[str, str], keys: tuple[str, ...], default: NDArray[np.float64]
) -> NDArray[np.float64]:
    return next((_numbers(path, header, key) for key in keys if key in header), default)


def _numbers(path: Path, header: dict[str, str], key: str) -> NDArray[np.float64]:
    try:
        numbers = np.array([float(word) for word in header[key].split()])
    except ValueError:
        numbers = np.array([np.nan])
    if not len(numbers) or not np.isfinite(numbers).all():
        raise InputError(f"{path}: the header gives {key} = {header[key][:80]!r}; repair the header")
    return numbers


def _flag(header: dict[str, str], key: str, *, default: bool = False) -> bool:
    return header.get(key, str(default)).lower() in ("true", "t", "1")
