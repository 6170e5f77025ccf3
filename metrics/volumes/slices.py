"""CTs as sets of slices in three planes, for extractors that see pictures.

Slices of all CTs have one pixel size and one field of view in millimetres, so that sets of other voxels compare; CTs
are read one at a time, whenever a slice of theirs is asked for, and a few are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from scipy import ndimage

from synth.core.errors import InputError
from synth.metrics.images.files import Decoded
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.sources import Entry, list_images
from synth.metrics.images.subgroups import PATIENT_COLUMNS, column_named

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synth.core.volume import Volume
    from synth.metrics.images.sources import Source

__all__ = ["PLANES", "Plane", "SliceView", "picture", "slice_set"]

Plane: TypeAlias = Literal["axial", "coronal", "sagittal"]

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
"""Across z, y and x."""

_KEPT = 2  # CTs in memory


@dataclass(frozen=True)
class SliceView:
    """How slices are cut.

    Attributes:
        number: Of every CT in each plane, evenly over its length.
        pixel_mm: Size of their pixels.
        side: Pixels along each side; what lies beyond is cut off, what is missing is air.
        window: HU that become 0 and 255.
    """

    number: int = 16
    pixel_mm: float = 2.0
    side: int = 192
    window: tuple[float, float] = (-1000.0, 1000.0)

    def __post_init__(self) -> None:
        if not 1 <= self.number <= 1024:
            raise InputError(f"slices: give 1 to 1024 of each CT, got {self.number}")
        if not (0 < self.pixel_mm <= 100 and 8 <= self.side <= 4096):
            raise InputError(f"slices of {self.side} pixels of {self.pixel_mm:g} mm: give 8 to 4096 of up to 100 mm")
        if not self.window[0] < self.window[1]:
            raise InputError(f"window {self.window}: the first number must be the smaller")


def slice_set(volumes: str | Path | ImageSet, plane: Plane, view: SliceView = SliceView()) -> ImageSet:
    """The slices of a set of CTs in one plane, each with its CT's row and, where no column names patients, its name.

    Args:
        volumes: A folder, a table, a dataset or one CT; or a set.
        plane: One of `PLANES`.
        view: How they are cut.

    Raises:
        InputError: Nothing there, pictures among the CTs, or a plane that is none.
    """
    if plane not in PLANES:
        raise InputError(f"plane {plane!r}: use {', '.join(PLANES)}")
    if isinstance(volumes, ImageSet):
        name, listed = volumes.name, volumes.entries
    else:
        listing = list_images(volumes)
        name, listed = listing.name, listing.entries
    shelf = _Shelf()
    entries = [
        Entry(f"{entry.name} {plane} {number}", _Slice(entry, plane, number, view, shelf), _row(entry))
        for entry in listed
        for number in range(view.number)
    ]
    return ImageSet(f"{name} {plane}", tuple(entries))


def picture(volume: Volume, plane: Plane, share: float, view: SliceView = SliceView()) -> NDArray[np.uint8]:
    """(side, side) one slice, its middle that of the CT; head, or front, above, the patient's right on the left.

    Args:
        volume: The CT; its axes along the world's, in either direction.
        plane: One of `PLANES`.
        share: 0 to 1 from the first to the last layer.
        view: How it is cut; linear between voxels in the slice, which itself is the nearest layer.
    """
    axis = PLANES.index(plane)
    spacing = volume.spacing[::-1]
    array = volume.hu
    for k in range(3):  # z down, y back, x to the left
        if (volume.affine[2 - k, 2 - k] < 0) != (k == 0):
            array = np.flip(array, k)
    layer = array.take(min(int(share * array.shape[axis]), array.shape[axis] - 1), axis).astype(np.float32)
    within = [spacing[k] for k in range(3) if k != axis]
    step = [view.pixel_mm / mm for mm in within]
    start = [(n - 1) / 2 - (view.side - 1) / 2 * s for n, s in zip(layer.shape, step, strict=True)]
    low, high = view.window
    smooth = [max(0.0, 0.5 * np.sqrt(max(s * s - 1, 0.0))) for s in step]  # pixels larger than voxels see their mean
    seen = ndimage.affine_transform(
        ndimage.gaussian_filter(layer, smooth), np.array(step), start, (view.side,) * 2, order=1, cval=low
    )
    grey: NDArray[np.uint8] = np.rint((np.clip(seen, low, high) - low) * (255 / (high - low))).astype(np.uint8)
    return grey


@dataclass(frozen=True)
class _Slice:
    entry: Entry
    plane: Plane
    number: int
    view: SliceView
    shelf: _Shelf

    def read(self) -> Decoded:
        """The slice; see `metrics.images.sources.Source`."""
        volume = self.shelf.volume(self.entry.name, self.entry.source)
        return Decoded(picture(volume, self.plane, (self.number + 0.5) / self.view.number, self.view))


class _Shelf:
    """The last CTs that were read; of threads that want the same one, one reads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Volume] = OrderedDict()
        self._lock = threading.Lock()

    def volume(self, name: str, source: Source) -> Volume:
        """The CT of that name."""
        with self._lock:
            if name not in self._kept:
                found = source.read().volume
                if found is None:
                    raise InputError(f"{name}: slices are cut from NIfTI, MHA or NRRD volumes")
                self._kept[name] = _upright(found, name)
            self._kept.move_to_end(name)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[name]


def _upright(volume: Volume, name: str) -> Volume:
    """The CT with its axes along x, y and z of the world, reordered where they are not.

    Raises:
        InputError: It is tilted by more than half-way between two axes.
    """
    along = np.abs(volume.affine[:3, :3]).argmax(0)  # world axis of each index axis x, y, z
    if sorted(along) != [0, 1, 2]:
        raise InputError(f"{name}: its axes lie half-way between those of the body; resample it")
    order = np.argsort(along)
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, order]
    array: Any = np.ascontiguousarray(volume.hu.transpose([2 - int(order[2 - k]) for k in range(3)]))
    return replace(volume, hu=array, affine=affine)


def _row(entry: Entry) -> dict[str, str]:
    row = dict(entry.row)
    if not any(column_named(list(row), name) for name in PATIENT_COLUMNS):
        row["patient"] = entry.name
    return row
