"""Images and masks, decoded once: memory-mapped arrays that training reads at random."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap

from synth.core.errors import InputError
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.training.examples import Examples

__all__ = ["PixelCache", "key_of"]

_TELL = 2000  # images between two words on progress


@dataclass(frozen=True, eq=False)
class PixelCache:
    """The radiographs of a set at one size, and their masks.

    Attributes:
        pixels: (n, size, size) uint16.
        bits: (n, structures, size²/8) uint8, a bit a pixel; None until masks are wanted.
    """

    pixels: NDArray[np.uint16]
    bits: NDArray[np.uint8] | None = None

    @classmethod
    def open(
        cls, folder: Path, examples: Examples, size: int, structures: Sequence[str], tell: Callable[[str], None]
    ) -> PixelCache:
        """Makes the arrays, or finds them.

        Args:
            folder: Of caches; names derive from the data's digest, so that data of another kind gets arrays of its own.
            examples: The set.
            size: Pixels, a multiple of 8.
            structures: Whose masks; none: no masks.
            tell: Takes a line on progress.

        Raises:
            InputError: An image cannot be read, or the folder cannot be written.
        """
        if size % 8 or not 16 <= size <= 2048:
            raise InputError(f"size {size}: give a multiple of 8 from 16 to 2048 pixels")
        n = len(examples)
        path = folder / f"pixels-{key_of(examples.digest, n, size)}.npy"
        if not path.is_file():
            with atomic_path(path) as part:
                _fill_pixels(part, examples, size, tell)
        pixels = np.load(path, mmap_mode="r")
        if not structures:
            return cls(pixels)
        masks = folder / f"masks-{key_of(examples.digest, n, size, list(structures))}.npy"
        if not masks.is_file():
            with atomic_path(masks) as part:
                _fill_masks(part, examples, size, structures, tell)
        return cls(pixels, np.load(masks, mmap_mode="r"))

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return int(self.pixels.shape[1])

    def images(self, indices: NDArray[np.int64]) -> Tensor:
        """(k, 1, size, size) float32 in [-1, 1]."""
        levels = self.pixels[indices].astype(np.float32)
        levels *= 2 / 65535
        levels -= 1
        return torch.from_numpy(levels[:, None])

    def masks(self, indices: NDArray[np.int64]) -> Tensor:
        """(k, structures, size, size) float32, 0 or 1."""
        if self.bits is None:
            raise InputError("masks: the data was opened without structures")
        spread = np.unpackbits(self.bits[indices], axis=2).astype(np.float32)
        return torch.from_numpy(spread.reshape(*spread.shape[:2], self.size, self.size))


def key_of(*parts: object) -> str:
    """A short name for what depends on these."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _fill_pixels(path: Path, examples: Examples, size: int, tell: Callable[[str], None]) -> None:
    n = len(examples)
    array = open_memmap(path, "w+", np.uint16, (n, size, size))
    for index in range(n):
        array[index] = examples.image(index, size)
        if index % _TELL == _TELL - 1:
            tell(f"{index + 1} of {n} images read")
    array.flush()


def _fill_masks(
    path: Path, examples: Examples, size: int, structures: Sequence[str], tell: Callable[[str], None]
) -> None:
    n = len(examples)
    array = open_memmap(path, "w+", np.uint8, (n, len(structures), size * size // 8))
    for index in range(n):
        found = examples.masks(index, size)
        for place, name in enumerate(structures):
            if name in found:
                array[index, place] = np.packbits(found[name])
        if index % _TELL == _TELL - 1:
            tell(f"masks of {index + 1} of {n} images read")
    array.flush()
