"""Volumes of any size through the autoencoder, a tile at a time.

A tile is computed with the halo that its convolutions see, which is then cut off: the result is that of the whole
volume at once, but for rounding.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.errors import InputError
from synth.diffusion.ct.channels import from_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.ct.autoencoder import CtAutoencoder

    Box: TypeAlias = tuple[slice, ...]

__all__ = ["decode_tiled", "decoded_tiles", "decoded_volume", "encode_boxes", "encode_tiled"]

_TILE = 16


@torch.no_grad()
def encode_tiled(vae: CtAutoencoder, x: Tensor, *, tile: int = _TILE) -> Tensor:
    """Scaled latents (n, c, d / f, h / f, w / f) of volumes, float32, on the autoencoder's device.

    Args:
        vae: The autoencoder.
        x: (n, 1 + m, d, h, w), sides multiples of its factor f, on any device.
        tile: Latent voxels along each side of what is encoded at once, without halo.

    Raises:
        InputError: Sides that are no multiples of f, or no tile.
    """
    return encode_boxes(vae, len(x), tuple(x.shape[2:]), lambda box: x[(..., *box)], tile=tile)


@torch.no_grad()
def encode_boxes(
    vae: CtAutoencoder, n: int, shape: Sequence[int], part: Callable[[Box], Tensor], *, tile: int = _TILE
) -> Tensor:
    """As `encode_tiled`, of volumes that need never be there as a whole.

    Args:
        vae: The autoencoder.
        n: Volumes.
        shape: (d, h, w) of a volume.
        part: What lies in a box: (n, 1 + m, …).
        tile: See `encode_tiled`.
    """
    f, like = vae.factor, next(vae.parameters())
    if any(side % f for side in shape):
        raise InputError(f"volume {tuple(shape)}: sides must be multiples of {f}")
    grid = tuple(side // f for side in shape)
    latents = torch.empty(n, vae.config.latent_channels, *grid, device=like.device)
    for box in _boxes(grid, tile):
        wide, inner = _with_halo(box, grid, vae.halo)
        given = part(tuple(slice(f * one.start, f * one.stop) for one in wide)).to(like)
        latents[(..., *box)] = vae.latents(given)[(..., *inner)].float()
    return latents


def decode_tiled(vae: CtAutoencoder, latents: Tensor, *, tile: int = _TILE) -> tuple[Tensor, Tensor]:
    """The CT (n, 1, d · f, h · f, w · f) in [−1, 1] and logits of masks (n, m, …), float32, on the CPU.

    Args:
        vae: The autoencoder.
        latents: (n, c, d, h, w), scaled.
        tile: Latent voxels along each side of what is decoded at once, without halo.
    """
    sides = [side * vae.factor for side in latents.shape[2:]]
    ct, logits = (torch.empty(len(latents), channels, *sides) for channels in (1, len(vae.names)))
    for box, *made in decoded_tiles(vae, latents, tile=tile):
        for whole, part in zip((ct, logits), made, strict=True):
            whole[(..., *box)] = part.float().to(whole.device)
    return ct, logits


def decoded_volume(
    vae: CtAutoencoder, latents: Tensor, *, tile: int = _TILE
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """HU (n, z, y, x) and masks (n, m, z, y, x): `from_network` of `decode_tiled` in a quarter of its memory."""
    sides = [side * vae.factor for side in latents.shape[2:]]
    hu = np.empty((len(latents), *sides), np.int16)
    masks = np.empty((len(latents), len(vae.names), *sides), np.bool_)
    for box, ct, logits in decoded_tiles(vae, latents, tile=tile):
        hu[(..., *box)], masks[(..., *box)] = from_network(ct, logits)
    return hu, masks


@torch.no_grad()
def decoded_tiles(vae: CtAutoencoder, latents: Tensor, *, tile: int = _TILE) -> Iterator[tuple[Box, Tensor, Tensor]]:
    """Boxes of the volume, with the CT and the logits that are decoded in each, on the autoencoder's device."""
    f, like, grid = vae.factor, next(vae.parameters()), tuple(latents.shape[2:])
    for box in _boxes(grid, tile):
        wide, inner = _with_halo(box, grid, vae.halo)
        ct, logits = vae.decoded(latents[(..., *wide)].to(like))
        kept = (..., *(slice(f * one.start, f * one.stop) for one in inner))
        yield tuple(slice(f * one.start, f * one.stop) for one in box), ct[kept], logits[kept]


def _boxes(grid: Sequence[int], tile: int) -> Iterator[Box]:
    """The tiles of a grid, which do not overlap; the last along an axis may be smaller."""
    if tile < 1:
        raise InputError(f"tile {tile}: give 1 latent voxel or more")
    along = [[slice(start, min(start + tile, side)) for start in range(0, side, tile)] for side in grid]
    return product(*along)


def _with_halo(box: Box, grid: Sequence[int], halo: int) -> tuple[Box, Box]:
    """A box with its halo, as far as the grid goes, and where in that the box lies."""
    wide = tuple(
        slice(max(one.start - halo, 0), min(one.stop + halo, side)) for one, side in zip(box, grid, strict=True)
    )
    inner = tuple(slice(one.start - w.start, one.stop - w.start) for one, w in zip(box, wide, strict=True))
    return wide, inner
