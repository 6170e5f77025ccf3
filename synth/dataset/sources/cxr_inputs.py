"""What is given to a generator of radiographs besides words: an image, where to paint it anew, masks to follow."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from synth.core.errors import InputError
from synth.core.label_names import label_names
from synth.dataset.writers.coco import read_masks
from synth.metrics.images.files import read_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Masks = Mapping[str, NDArray[np.bool_]]

__all__ = ["CxrInputs", "read_control", "read_image"]

_DEPTHS = (255, 1023, 4095, 16383, 65535)
_ANNOTATIONS = "masks/annotations.json"


@dataclass(frozen=True)
class CxrInputs:
    """Files that pictures start from or follow; all cases start from the same image, and take turns at masks.

    Attributes:
        image: A radiograph to change.
        free: Where it is painted anew: all but 0 of a picture.
        control: Masks of what the pictures should show, see `read_control`.
    """

    image: Path | None = None
    free: Path | None = None
    control: Path | None = None

    def __post_init__(self) -> None:
        if self.free is not None and self.image is None:
            raise InputError("inpaint: says where an image is painted anew; give the image, too")

    def recipe(self) -> dict[str, Any]:
        """SHA-256 of each file, or None.

        Raises:
            InputError: One cannot be read.
        """
        given = {"image": self.image, "inpaint": self.free, "control": self.control}
        return {name: None if path is None else _digest(path) for name, path in given.items()}

    def image_of(self, side: int) -> NDArray[np.float32] | None:
        """The image (side, side), 0 to 1."""
        return None if self.image is None else read_image(self.image, side)

    def free_of(self, side: int) -> NDArray[np.bool_] | None:
        """Where it is painted anew, (side, side)."""
        return None if self.free is None else _squared(_pixels(self.free) > 0, side, Image.Resampling.BOX) > 0

    def control_of(self, number: int) -> Masks | None:
        """The masks of a case."""
        if self.control is None:
            return None
        every = _read_control(self.control)
        return every[number % len(every)]


def read_image(path: Path, side: int) -> NDArray[np.float32]:
    """A radiograph (side, side), 0 to 1, brighter = more attenuation: its centre square.

    Args:
        path: PNG, JPEG, TIFF, BMP or DICOM. Of 16 bits as many count as its greatest value needs: 10, 12, 14 or all.
        side: Pixels.

    Raises:
        InputError: It cannot be read.
    """
    pixels = _pixels(path)
    top = next(depth for depth in _DEPTHS if pixels.max() <= depth)
    return np.clip(_squared(pixels / top, side, Image.Resampling.LANCZOS), 0, 1)


def read_control(path: Path) -> Sequence[Masks]:
    """Masks of one picture or of several, by structure.

    Args:
        path: A dataset folder (of `synth drr`, say), a COCO annotations.json with run lengths, an .npz with an array
            (h, w) a structure, a folder of pictures called after their structures (heart.png), or a picture of labels
            with a table of names beside it (X_labels.csv or X.json).

    Raises:
        InputError: It is none of these, or has no mask.
    """
    if path.is_dir():
        annotations = path / _ANNOTATIONS
        found = list(read_masks(annotations).values()) if annotations.is_file() else [_pictures(path)]
    elif path.suffix == ".json":
        found = list(read_masks(path).values())
    else:
        found = [_arrays(path) if path.suffix == ".npz" else _labels(path)]
    if not found or not all(found):
        raise InputError(f"{path}: {'some picture has' if any(found) else 'there are'} no masks")
    return found


_read_control = lru_cache(maxsize=2)(read_control)


def _pictures(folder: Path) -> Masks:
    return {path.stem: _pixels(path) > 0 for path in sorted(folder.glob("*.png"))}


def _arrays(path: Path) -> Masks:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            masks = {name: arrays[name] != 0 for name in sorted(arrays)}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot read the arrays ({error})") from error
    for name, mask in masks.items():
        if mask.ndim != 2 or not mask.size:
            raise InputError(f"{path}: mask {name} must be (height, width), got {mask.shape}")
    return masks


def _labels(path: Path) -> Masks:
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P", "I;16"):
                raise InputError(f"{path}: a picture of labels is grey or has a palette; this is {picture.mode}")
            array = np.array(picture)
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot read the masks ({error})") from error
    names = label_names(path, [int(value) for value in np.unique(array) if value])
    return {name: array == value for value, name in names.items()}


def _pixels(path: Path) -> NDArray[Any]:
    pixels = read_file(path).pixels
    if pixels.ndim != 2:
        raise InputError(f"{path}: is a volume; give a picture")
    return pixels


def _squared(pixels: NDArray[Any], side: int, resample: Image.Resampling) -> NDArray[np.float32]:
    """The centre square, resized."""
    h, w = pixels.shape
    edge = min(h, w)
    top, left = (h - edge) // 2, (w - edge) // 2
    square = np.ascontiguousarray(pixels[top : top + edge, left : left + edge], np.float32)
    return np.asarray(Image.fromarray(square).resize((side, side), resample=resample))


def _digest(path: Path) -> str:
    """Of a file, of a dataset's annotations, or of the pictures in a folder with their names."""
    try:
        if not path.is_dir():
            return hashlib.sha256(path.read_bytes()).hexdigest()
        if (path / _ANNOTATIONS).is_file():
            return hashlib.sha256((path / _ANNOTATIONS).read_bytes()).hexdigest()
        files = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(path.glob("*.png"))}
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
