"""The slices of one DICOM series as a volume: geometry, pixels, rescaling."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from synth.core.dicom_series import quiet_pydicom
from synth.core.errors import InputError
from synth.core.nrrd import quiet_itk
from synth.core.stored_image import StoredImage, check_affine, check_payload, grid_of
from synth.core.volume import AIR_HU

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.dicom_series import Slice

__all__ = ["read_stack"]

_SAME_MM = 0.01
_OFF_LINE_MM = 0.1
_UNEVEN = 0.02  # of the nominal step
_WIDEST_GAP = 3.05  # nominal steps
_TILT_DEG = 0.05
_GDCM_SYNTAXES = {f"1.2.840.10008.1.2.{end}" for end in
                  ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "5")}  # fmt: skip


class _Stack(NamedTuple):
    """Slices from the first to the last, and where they lie: `at` (n,) along the axis, in steps of the grid."""

    slices: list[Slice]
    affine: NDArray[np.float64]
    at: NDArray[np.float64]
    warnings: tuple[str, ...]


def read_stack(path: Path, slices: list[Slice]) -> StoredImage:
    """Reads the slices of a series into one volume.

    A tilted gantry stays in the affine, which is then sheared. Uneven or missing slices are interpolated linearly onto
    a regular grid.

    Args:
        path: What to name in messages that concern the whole series.
        slices: At least two slices, in any order.

    Returns:
        HU (z, y, x), int16 or float32, padding set to air; slope 1 and intercept 0.

    Raises:
        InputError: Slices that do not form one volume, or files that cannot be read.
    """
    stack = _arrange(path, slices)
    rows, columns = stack.slices[0].shape
    count = round(float(stack.at[-1])) + 1
    grid_of(path, (columns, rows, count))
    hu, notes = _read_pixels(stack.slices)
    if not np.array_equal(stack.at, np.arange(len(hu))):
        hu = _interpolate(hu, stack.at, count)
    return StoredImage(hu, stack.affine, warnings=(*stack.warnings, *notes))


def _arrange(path: Path, slices: list[Slice]) -> _Stack:
    slices, notes = _without_copies(slices)
    if len(slices) < 2:
        raise InputError(f"{path}: only copies of one slice; pass the folder of a whole series")
    _check_alike(slices)
    normal = np.cross(*slices[0].orientation)
    slices = sorted(slices, key=lambda one: float(one.position @ normal))
    positions = np.array([one.position for one in slices])
    heights = positions @ normal
    steps = np.diff(heights)
    _check_distinct(slices, steps)
    axis = _axis(slices, positions, heights)
    tilt = np.degrees(np.arctan(np.linalg.norm(axis - normal)))
    if tilt > _TILT_DEG:
        notes.append(f"gantry tilt of {tilt:.2f}°: kept, in a sheared affine")
    nominal = float(np.median(steps))
    _check_gaps(slices, steps, nominal)
    count = round(float(heights[-1] - heights[0]) / nominal) + 1
    step = (heights[-1] - heights[0]) / (count - 1)
    at = (heights - heights[0]) / step
    if count == len(slices) and np.abs(at - np.arange(count)).max() <= _UNEVEN:
        at = np.arange(count, dtype=np.float64)
    else:
        multiples = steps / nominal
        missing = count - len(slices) if np.abs(multiples - np.rint(multiples)).max() <= _UNEVEN else 0
        what = f"{missing} slices are missing" if missing else f"slices {steps.min():.4g} to {steps.max():.4g} mm apart"
        notes.append(f"{what}: interpolated to {count} slices {step:.4g} mm apart")
    affine = np.eye(4)
    affine[:3, :2] = (slices[0].orientation * np.reshape(slices[0].spacing, (2, 1))).T
    affine[:3, 2] = axis * step
    affine[:3, 3] = slices[0].position
    check_affine(path, affine)
    return _Stack(slices, affine, at, tuple(notes))


def _without_copies(slices: list[Slice]) -> tuple[list[Slice], list[str]]:
    """Files copied twice into the folder count once."""
    unique = {(one.uid, one.frame, *one.position): one for one in reversed(slices)}
    copies = len(slices) - len(unique)
    return list(unique.values()), [f"{copies} files are copies of others: left out"] if copies else []


def _check_alike(slices: list[Slice]) -> None:
    first = slices[0]
    for one in slices[1:]:
        if one.shape != first.shape:
            what = f"{one.shape[1]}×{one.shape[0]} pixels, not {first.shape[1]}×{first.shape[0]}"
        elif np.abs(one.orientation - first.orientation).max() > 1e-3:
            what = "another orientation"
        elif not np.allclose(one.spacing, first.spacing, rtol=1e-3):
            what = f"pixel spacing {one.spacing}, not {first.spacing} mm"
        else:
            continue
        raise InputError(f"{one.path}: {what} as in {first.path.name}; put only the slices of one volume in the folder")


def _check_distinct(slices: list[Slice], steps: NDArray[np.float64]) -> None:
    same = np.flatnonzero(steps < _SAME_MM)
    if len(same):
        a, b = slices[same[0]], slices[same[0] + 1]
        raise InputError(
            f"{a.path.parent}: {len(same)} positions occur twice ({_where(a)} and {_where(b)}): several phases or "
            "reconstructions in one series? Put those of one volume in a folder of their own"
        )


def _axis(slices: list[Slice], positions: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement (3,) of the slices for each mm along their normal."""
    axis: NDArray[np.float64] = (positions[-1] - positions[0]) / (heights[-1] - heights[0])
    off = np.linalg.norm(positions - positions[0] - np.outer(heights - heights[0], axis), axis=1)
    if off.max() > _OFF_LINE_MM:
        worst = slices[int(off.argmax())]
        raise InputError(
            f"{worst.path}: {_where(worst)} lies {off.max():.3g} mm off the line of the other slices; "
            "put only the slices of one volume in the folder"
        )
    return axis


def _check_gaps(slices: list[Slice], steps: NDArray[np.float64], nominal: float) -> None:
    widest = int(steps.argmax())
    if steps[widest] > _WIDEST_GAP * nominal:
        raise InputError(
            f"{slices[0].path.parent}: a gap of {steps[widest]:.4g} mm between {_where(slices[widest])} and "
            f"{_where(slices[widest + 1])}, where slices are {nominal:.4g} mm apart: too much to interpolate; "
            "add the missing slices, or pass one side alone"
        )


def _where(one: Slice) -> str:
    return one.path.name + (f" frame {one.frame + 1}" if one.frame else "")


def _read_pixels(slices: list[Slice]) -> tuple[NDArray[Any], list[str]]:
    """HU of all slices (n, rows, columns), int16 for as long as they fit, else float32."""
    hu: NDArray[Any] = np.empty((len(slices), *slices[0].shape), np.int16)
    doubtful = set()
    order = sorted(range(len(slices)), key=lambda index: (str(slices[index].path), slices[index].frame))
    for path, members in groupby(order, key=lambda index: slices[index].path):
        indices = list(members)
        planes = _planes(path, [slices[index] for index in indices])
        for index, plane in zip(indices, planes, strict=True):
            fits = plane.dtype.kind == "i" and plane.min() >= -32768 and plane.max() <= 32767
            if hu.dtype == np.int16 and not fits:
                hu = hu.astype(np.float32)
            hu[index] = plane
            doubtful.update(_doubtful_padding(slices[index]))
    return hu, [f"pixel padding of {value:g} HU: taken as air, as the header says" for value in sorted(doubtful)]


def _doubtful_padding(one: Slice) -> list[float]:
    if one.padding is None:
        return []
    return [hu for hu in (value * one.slope + one.intercept for value in one.padding) if -500 < hu < 3000]


def _planes(path: Path, slices: list[Slice]) -> Iterator[NDArray[Any]]:
    """HU planes (rows, columns), int64 or float32, of frames of one file."""
    with quiet_pydicom(path) as pydicom:
        data = pydicom.dcmread(path, force=True)
        syntax = data.file_meta.get("TransferSyntaxUID")
        compressed = syntax is not None and syntax.is_encapsulated
        frames = None if compressed else _native(path, data, little=syntax is None or syntax.is_little_endian)
    if frames is None:
        frames = _decompress(path, syntax, slices)
        for one in slices:
            plane = frames[one.frame]
            whole = plane.dtype.kind in "iu"
            ends = None if one.padding is None else tuple(v * one.slope + one.intercept for v in one.padding)
            yield _padded(plane.astype(np.int64 if whole else np.float32), plane, ends)
        return
    for one in slices:
        stored = frames[one.frame]
        if one.slope.is_integer() and one.intercept.is_integer():
            plane = stored.astype(np.int64) * int(one.slope) + int(one.intercept)
        else:
            plane = (stored * one.slope + one.intercept).astype(np.float32)
        yield _padded(plane, stored, _as_stored(one.padding, stored.dtype))


def _padded(plane: NDArray[Any], compared: NDArray[Any], ends: tuple[float, ...] | None) -> NDArray[Any]:
    if ends is not None:
        plane[(compared >= min(ends)) & (compared <= max(ends))] = AIR_HU
    return plane


def _as_stored(ends: tuple[int, int] | None, dtype: np.dtype[Any]) -> tuple[int, ...] | None:
    """Padding written as an unsigned number where pixels are signed, or the reverse."""
    return None if ends is None else tuple(int(np.array(end).astype(dtype)) for end in ends)


def _native(path: Path, data: Any, *, little: bool) -> NDArray[Any]:
    """Stored values (frames, rows, columns) of an uncompressed file."""
    if "PixelData" not in data:
        raise InputError(f"{path}: no pixels; is the file cut short?")
    bits, bits_stored = int(data.BitsAllocated), int(data.get("BitsStored") or data.BitsAllocated)
    if bits not in (8, 16, 32) or int(data.get("SamplesPerPixel") or 1) != 1:
        raise InputError(f"{path}: {bits} bits and {data.get('SamplesPerPixel')} samples a pixel: not a CT image")
    dtype = np.dtype(f"{'<' if little else '>'}{'i' if data.get('PixelRepresentation') else 'u'}{bits // 8}")
    shape = (int(data.get("NumberOfFrames") or 1), int(data.Rows), int(data.Columns))
    needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    check_payload(path, needed, len(data.PixelData), compressed=False)
    pixels = np.frombuffer(data.PixelData, dtype, needed // dtype.itemsize).reshape(shape)
    pixels = pixels.astype(dtype.newbyteorder("="), copy=False)
    if bits_stored >= bits:
        return pixels
    high = int(data.get("HighBit") or bits_stored - 1)  # the bits above it may hold overlays
    return (pixels << (bits - 1 - high)) >> (bits - bits_stored)


def _decompress(path: Path, syntax: Any, slices: list[Slice]) -> NDArray[Any]:
    """HU (frames, rows, columns) of a compressed file; GDCM applies the rescaling."""
    advice = "decompress it first, for instance with gdcmconv --raw"
    if str(syntax) not in _GDCM_SYNTAXES:
        raise InputError(f"{path}: no decoder for {syntax.name}; {advice}")
    if len({(one.slope, one.intercept) for one in slices}) > 1:
        raise InputError(f"{path}: compressed frames with different rescaling; {advice}")
    with quiet_itk() as sitk:
        try:
            reader = sitk.ImageFileReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileName(str(path))
            frames: NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise InputError(f"{path}: cannot decode {syntax.name}: cut short or corrupted? {advice}") from error
    if frames.ndim != 3 or frames.shape[1:] != slices[0].shape or len(frames) <= max(one.frame for one in slices):
        raise InputError(f"{path}: decoded to the shape {frames.shape}, not that of the header; the file is corrupted")
    return frames


def _interpolate(hu: NDArray[Any], at: NDArray[np.float64], count: int) -> NDArray[Any]:
    """Linear interpolation of planes at positions `at` (n,) onto 0, 1, …, count − 1."""
    regular = np.empty((count, *hu.shape[1:]), hu.dtype)
    for index, plane in enumerate(regular):
        after = int(np.clip(np.searchsorted(at, index), 1, len(at) - 1))
        weight = np.clip((index - at[after - 1]) / (at[after] - at[after - 1]), 0, 1)
        mixed = hu[after - 1] * np.float32(1 - weight) + hu[after] * np.float32(weight)
        plane[...] = np.rint(mixed) if hu.dtype == np.int16 else mixed
    return regular
