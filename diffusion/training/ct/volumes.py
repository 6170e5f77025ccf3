"""CTs and masks at the spacings of training, read once: memory-mapped arrays that training takes crops of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap

from synth.core.files import atomic_path
from synth.diffusion.ct.anatomy import halved_masks
from synth.diffusion.ct.channels import MASKS, to_network
from synth.diffusion.ct.sampling import geometry_of
from synth.diffusion.training.ct.reading import Grid, read_example
from synth.diffusion.training.data import split
from synth.diffusion.training.pixels import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.text.conditions import Conditions
    from synth.diffusion.training.ct.files import CtExamples

__all__ = ["CtData", "Level", "halved"]

_TELL = 20  # CTs between two words on progress


@dataclass(frozen=True, eq=False)
class Level:
    """All CTs at one spacing.

    Attributes:
        grid: Theirs.
        hu: (n, z, y, x) int16, memory-mapped.
        bits: (n, masks, z · y · x / 8) uint8, a bit a voxel, memory-mapped.
    """

    grid: Grid
    hu: NDArray[np.int16]
    bits: NDArray[np.uint8]

    @property
    def geometry(self) -> Tensor:
        """(1, 6), see `geometry_of`."""
        return geometry_of(self.grid.size, self.grid.spacing)

    def masks(self, index: int, first: int = 0, last: int | None = None) -> NDArray[np.bool_]:
        """(m, last - first, y, x) of one CT: its slices from `first` to before `last`."""
        _, y, x = self.grid.size
        end = None if last is None else last * y * x // 8
        found = np.unpackbits(self.bits[index, :, first * y * x // 8 : end], axis=1).astype(np.bool_)
        return found.reshape(len(found), -1, y, x)

    def volumes(self, indices: NDArray[np.int64]) -> Tensor:
        """(k, 1 + m, z, y, x) float32, see `to_network`."""
        masks = np.stack([self.masks(int(index)) for index in indices])
        return to_network(np.asarray(self.hu[indices]), masks)

    def crop(self, index: int, first: Sequence[int], side: int) -> Tensor:
        """(1, 1 + m, side, side, side) of one CT from voxel `first` on."""
        z, y, x = (slice(start, start + side) for start in first)
        masks = self.masks(index, z.start, z.stop)[:, :, y, x]
        return to_network(np.asarray(self.hu[index, z, y, x])[None], masks[None])


@dataclass(frozen=True, eq=False)
class CtData:
    """A set, opened for training.

    Attributes:
        examples: The set.
        levels: Its volumes on the grid of the base, and on grids twice as fine each.
        known: (n, m) which masks are annotated.
        train: (n,) indices of what is trained on.
        validation: (m,) indices of what is not; of patients who are in one part only.
        folder: Of caches.
        tell: Takes a line on progress.
    """

    examples: CtExamples
    levels: tuple[Level, ...]
    known: NDArray[np.bool_]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    folder: Path
    tell: Callable[[str], None]

    @classmethod
    def open(
        cls,
        examples: CtExamples,
        folder: Path,
        *,
        size: int,
        spacing: float,
        finer: int,
        validation: float = 0.05,
        seed: int = 0,
        tell: Callable[[str], None] = lambda line: None,
    ) -> CtData:
        """Splits a set and reads what is not read yet.

        Args:
            examples: The set.
            folder: Of caches; names derive from the data's digest.
            size: Voxels of a side of the base, a multiple of 8.
            spacing: Of its voxels, mm.
            finer: How many grids there are above it, each twice as fine.
            validation: Share of patients.
            seed: Of the split.
            tell: Takes a line on progress.

        Raises:
            InputError: A file cannot be read, the folder cannot be written, or there is one patient only.
        """
        train, held_out = split(examples.patients, validation, seed)
        grids = [Grid((size << k,) * 3, (spacing / 2**k,) * 3) for k in range(finer + 1)]
        key = key_of(examples.digest, size, spacing, finer, list(MASKS))
        known = folder / f"ct-known-{key}.npy"
        if not known.is_file():
            _read_all(folder, key, examples, grids, tell)
        levels = [
            Level(grid, np.load(_path(folder, "hu", k, key), "r"), np.load(_path(folder, "masks", k, key), "r"))
            for k, grid in enumerate(grids)
        ]
        return cls(examples, tuple(levels), np.load(known), train, held_out, folder, tell)

    @property
    def conditions(self) -> tuple[tuple[Conditions, ...], ...]:
        """Every CT's, all phrasings."""
        return self.examples.conditions

    @cached_property
    def annotated(self) -> Tensor:
        """(n, m) float32: 1 where a mask is annotated."""
        return torch.from_numpy(self.known.astype(np.float32))


def halved(hu: NDArray[np.int16], masks: NDArray[np.bool_]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """The same field with voxels twice as large: means of eight, and `halved_masks`.

    Args:
        hu: (z, y, x), even sides.
        masks: (m, z, y, x), see MASKS.
    """
    z, y, x = (side // 2 for side in hu.shape)
    mean = hu.reshape(z, 2, y, 2, x, 2).sum((1, 3, 5), dtype=np.int32) / 8
    return np.rint(mean).astype(np.int16), halved_masks(masks, MASKS)


def _path(folder: Path, what: str, level: int, key: str) -> Path:
    return folder / f"ct-{what}{level}-{key}.npy"


def _read_all(folder: Path, key: str, examples: CtExamples, grids: Sequence[Grid], tell: Callable[[str], None]) -> None:
    """Fills the arrays of all levels; that of `known` comes last and tells that the others are whole."""
    n, arrays = len(examples), []
    folder.mkdir(parents=True, exist_ok=True)
    for level, grid in enumerate(grids):
        bits = int(np.prod(grid.size)) // 8
        arrays.append(
            (
                open_memmap(_path(folder, "hu", level, key), "w+", np.int16, (n, *grid.size)),
                open_memmap(_path(folder, "masks", level, key), "w+", np.uint8, (n, len(MASKS), bits)),
            )
        )
    known = np.zeros((n, len(MASKS)), np.bool_)
    for index in range(n):
        hu, masks, known[index] = read_example(examples.volumes[index], examples.maps[index], grids[-1])
        for stored, packed in reversed(arrays):
            stored[index], packed[index] = hu, np.packbits(masks.reshape(len(masks), -1), axis=1)
            hu, masks = halved(hu, masks) if stored is not arrays[0][0] else (hu, masks)
        if index % _TELL == _TELL - 1:
            tell(f"{index + 1} of {n} CTs read")
    for array in chain.from_iterable(arrays):
        array.flush()
    with atomic_path(folder / f"ct-known-{key}.npy") as part, part.open("wb") as stream:
        np.save(stream, known)
