"""Small pictures of a dataset's images, CTs and shards, and their outlines."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from synth.core.reading import read_labels, read_volume
from synth.metrics.images.files import read_file
from synth.metrics.images.windowing import to_8_bits
from synth.report.overlays import Outline, outlines_of_labels, outlines_of_masks, trace_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume
    from synth.report.annotations import Masks

__all__ = ["LARGEST", "Picture", "encoded", "picture_of_image", "picture_of_volume"]

LARGEST = 512
"""Pixels along the longer side of a picture at most."""

_HU = (-1000.0, 400.0)  # air to dense bone's beginning: lungs and soft tissue both show
_LADDER = ((512, 82), (384, 80), (320, 78), (256, 76), (192, 74), (160, 70), (112, 60))


@dataclass(frozen=True)
class Picture:
    """What the page shows of a sample.

    Attributes:
        pixels: (h, w), uint8.
        outlines: Of its masks.
        grid: (h, w) of the grid that the outlines lie on.
    """

    pixels: NDArray[np.uint8]
    outlines: Sequence[Outline] = ()
    grid: tuple[int, int] = (1, 1)


def picture_of_image(path: Path, masks: Masks) -> Picture:
    """A picture of an image file, over the full range of its values.

    Raises:
        InputError: The file cannot be read.
    """
    pixels = to_8_bits(read_file(path).pixels)
    return Picture(_resized(pixels, LARGEST), outlines_of_masks(masks), trace_shape(pixels.shape))


def picture_of_volume(path: Path, maps: Iterable[Path]) -> Picture:
    """A picture of a CT's middle coronal slice, patient's right on the left, from −1000 to 400 HU.

    Args:
        path: A volume file, or the folder of a DICOM series.
        maps: Label maps on its grid; that of findings is known by its name.

    Raises:
        InputError: A file cannot be read.
    """
    volume = read_volume(path, check_hu=False)
    shape = _coronal(volume, volume.hu).shape
    high, wide = _coronal_mm(volume, shape)
    scale = LARGEST / max(high, wide)
    size = max(round(wide * scale), 1), max(round(high * scale), 1)
    grey = np.clip((_coronal(volume, volume.hu) - _HU[0]) * (255 / (_HU[1] - _HU[0])), 0, 255).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))
    slices = [_slice(one, volume, size) for one in maps]
    return Picture(pixels, outlines_of_labels(slices), trace_shape(pixels.shape))


def encoded(pictures: Sequence[Picture], most: int) -> list[str]:
    """The pictures as JPEG in base64, together at most `most` characters, as large as this allows.

    Where even the smallest do not fit, they are given all the same: 112 pixels take about 2,000 characters.
    """
    found: list[str] = []
    for side, quality in _LADDER:
        found, size = [], 0
        for picture in pictures:
            found.append(_jpeg(_resized(picture.pixels, side), quality))
            size += len(found[-1])
            if size > most and side != _LADDER[-1][0]:
                break
        else:
            break
    return found


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(pixels.shape)
    if scale >= 1:
        return pixels
    size = max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def _slice(path: Path, volume: Volume, size: tuple[int, int]) -> tuple[NDArray[Any], Mapping[int, str]]:
    """The middle coronal slice of a label map at size (w, h), and its names, as masks of radiographs have them."""
    labels = read_labels(path, volume)
    kind = "finding:" if "findings" in path.name else ""
    return _stretched(_coronal(labels, labels.array), size), {
        value: kind + name for value, name in labels.names.items()
    }


def _stretched(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Labels (h, w) at size (w, h), by nearest neighbour."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(np.intp), m - 1)
        for n, m in zip(size[::-1], labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def _coronal(grid: Volume | Labels, array: NDArray[Any]) -> NDArray[Any]:
    """The middle coronal slice, (h, w): head up, patient's right on the left, whichever way the grid points."""
    order, signs = _axes(grid)
    # Array axes are (z, y, x), the affine's columns (x, y, z): column c runs along array axis 2 − c.
    turned = array.transpose([2 - order[world] for world in (2, 1, 0)])
    middle = turned[:, turned.shape[1] // 2]
    return middle[:: -1 if signs[2] > 0 else 1, :: 1 if signs[0] > 0 else -1]


def _coronal_mm(volume: Volume, shape: tuple[int, ...]) -> tuple[float, float]:
    order, _ = _axes(volume)
    spacing = volume.spacing
    return float(shape[0] * spacing[order[2]]), float(shape[1] * spacing[order[0]])


def _axes(grid: Volume | Labels) -> tuple[list[int], list[float]]:
    """For each world axis x, y, z the index axis nearest to it, and whether that runs along or against it."""
    left = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    order, signs = [0, 0, 0], [1.0, 1.0, 1.0]
    free = np.abs(left)
    for _ in range(3):
        world, index = (int(one) for one in np.unravel_index(int(free.argmax()), (3, 3)))
        order[world], signs[world] = index, float(np.sign(left[world, index]))
        free[world], free[:, index] = -1.0, -1.0
    return order, signs
