"""Latents of all CTs, made once by a trained autoencoder: those of each grid, and those that the refiner is given."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap

from synth.core.files import write_bytes
from synth.diffusion.ct.stages import enlarged
from synth.diffusion.ct.tiles import encode_tiled
from synth.diffusion.training.latents import weights_digest
from synth.diffusion.training.pixels import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.ct.autoencoder import CtAutoencoder
    from synth.diffusion.training.ct.volumes import CtData

__all__ = ["CtLatents"]

_TILE = 32  # latent voxels that are encoded at once
_NOTED = 16  # CTs between two notes on how far it is


@dataclass(frozen=True, eq=False)
class CtLatents:
    """Scaled latents on one grid.

    Attributes:
        array: (n, c, d, h, w) float16, memory-mapped.
    """

    array: NDArray[np.float16]

    @classmethod
    def open(cls, autoencoder: CtAutoencoder, data: CtData, level: int) -> CtLatents:
        """Of the volumes of a level; made, made on, or found in the data's folder."""
        at = data.levels[level]
        return cls._found(autoencoder, data, level, "fine", lambda index: at.volumes(np.array([index])))

    @classmethod
    def enlarged(cls, autoencoder: CtAutoencoder, data: CtData, level: int) -> CtLatents:
        """On the grid of a level, of the volumes of the level below: what the refiner is given."""
        below = data.levels[level - 1]
        return cls._found(autoencoder, data, level, "coarse", lambda index: enlarged(below.volumes(np.array([index]))))

    @classmethod
    def _found(
        cls, autoencoder: CtAutoencoder, data: CtData, level: int, what: str, volume: Callable[[int], Tensor]
    ) -> CtLatents:
        grid = data.levels[level].grid
        said = [weights_digest(autoencoder), data.examples.digest, what, list(grid.size), list(grid.spacing)]
        path = data.folder / f"ct-latents-{key_of(*said)}.npy"
        if not path.is_file():
            sides = (side // autoencoder.factor for side in grid.size)
            shape = (len(data.examples), int(autoencoder.config.latent_channels), *sides)
            _fill(path, shape, autoencoder, volume, data.tell)
        return cls(np.load(path, mmap_mode="r"))

    @property
    def shape(self) -> tuple[int, ...]:
        """(c, d, h, w)."""
        return self.array.shape[1:]

    def latents(self, indices: NDArray[np.int64]) -> Tensor:
        """(k, c, d, h, w) float32."""
        return torch.from_numpy(self.array[indices].astype(np.float32))

    def crops(self, indices: Iterable[int], corners: Iterable[Sequence[int]], side: int) -> Tensor:
        """(k, c, side, side, side) float32, each from a latent voxel of its own on."""
        crops = []
        for index, (z, y, x) in zip(indices, corners, strict=True):
            crops.append(self.array[index, :, z : z + side, y : y + side, x : x + side].astype(np.float32))
        return torch.from_numpy(np.stack(crops))


@torch.no_grad()
def _fill(
    path: Path,
    shape: tuple[int, ...],
    autoencoder: CtAutoencoder,
    volume: Callable[[int], Tensor],
    tell: Callable[[str], None],
) -> None:
    part, note = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.json")
    device, done = next(autoencoder.parameters()).device, 0
    with suppress(OSError, ValueError, KeyError):
        done = int(json.loads(note.read_bytes())["done"]) if part.is_file() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    array = open_memmap(part, "r+" if done else "w+", np.float16, shape)
    for index in range(done, len(array)):
        array[index] = encode_tiled(autoencoder, volume(index).to(device), tile=_TILE)[0].half().cpu().numpy()
        if index % _NOTED == _NOTED - 1:
            array.flush()
            write_bytes(note, json.dumps({"done": index + 1}).encode())
            tell(f"latents of {index + 1} of {len(array)} CTs made")
    array.flush()
    part.replace(path)
    note.unlink(missing_ok=True)
