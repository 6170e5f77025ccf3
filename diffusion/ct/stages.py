"""From one grid to the next finer: decode, enlarge, encode again, and refine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from synth.diffusion.ct.channels import to_network
from synth.diffusion.ct.sampling import FineTask, geometry_of
from synth.diffusion.ct.tiles import decoded_volume, encode_boxes
from synth.diffusion.flow import interpolate, noise_of, noise_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.ct.autoencoder import CtAutoencoder
    from synth.diffusion.ct.grid import CtGrid
    from synth.diffusion.ct.sampling import Refinement

    Volume = tuple[NDArray[np.int16], NDArray[np.bool_]]
    """HU (z, y, x) and masks (m, z, y, x)."""

__all__ = ["Stages", "enlarged"]


def enlarged(x: Tensor) -> Tensor:
    """(n, 1 + m, d, h, w) in the network's range → twice as many voxels along each axis, the same field of view.

    CT and masks are interpolated linearly; masks become −1 or 1 again. What the refiner is trained on is made so, too.
    """
    fine = torch.nn.functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)
    masks = torch.where(fine[:, 1:] > 0, 1.0, -1.0).to(fine)
    return torch.cat([fine[:, :1], masks], dim=1)


@dataclass(frozen=True, eq=False)
class Stages:
    """What turns the latents of the base into a finished volume, one volume at a time.

    Attributes:
        vae: CT with masks ↔ latents.
        refinement: Of finer grids; None where there is only the base.
        steps: Of each finer grid.
        noise: Share of noise in the coarse latents that the refiner is given.
        tile: Latent voxels along each side of what is decoded and encoded at once.
    """

    vae: CtAutoencoder
    refinement: Refinement | None
    steps: int
    noise: float
    tile: int

    def finished(self, latents: Tensor, seed: int, grid: CtGrid, told: Callable[[], None] = lambda: None) -> Volume:
        """The volume on its finest grid.

        Args:
            latents: (1, c, d, h, w) of the base, float32.
            seed: Of the volume, from which the noise of each grid is drawn.
            grid: The finest.
            told: Called after each step.
        """
        volume = self.decoded(latents)
        for finer in range(1, grid.finer + 1):
            volume = self.decoded(self._refined(volume, seed, grid.at(finer), told))
        return volume

    def decoded(self, latents: Tensor) -> Volume:
        """HU and masks of latents (1, c, d, h, w)."""
        hu, masks = decoded_volume(self.vae, latents, tile=self.tile)
        return hu[0], masks[0]

    def coarse(self, volume: Volume) -> Tensor:
        """(1, c, …) float32 latents of a volume that is enlarged to the next finer grid, a tile at a time."""
        shape = [2 * side for side in volume[0].shape]
        return encode_boxes(self.vae, 1, shape, lambda box: _enlarged_part(volume, box), tile=self.tile)

    def _refined(self, volume: Volume, seed: int, grid: CtGrid, told: Callable[[], None]) -> Tensor:
        """The latents of a finer grid."""
        assert self.refinement is not None
        coarse = self.coarse(volume)
        added, noise = (
            noise_of([noise_seed(seed, grid.finer, purpose)], coarse.shape[1:]).to(coarse.device)
            for purpose in ("coarse", "fine")
        )
        level = torch.tensor([self.noise], device=coarse.device)
        geometry = geometry_of(grid.size, grid.spacing).to(coarse.device)
        task = FineTask(noise, interpolate(coarse, added, level), self.noise, geometry)
        return self.refinement.run(task, self.steps, told)


def _enlarged_part(volume: Volume, box: Sequence[slice]) -> Tensor:
    """What lies in a box, whose bounds are even, of the `enlarged` volume: a voxel around it is enough to know it."""
    hu, masks = volume
    around = [
        slice(max(one.start // 2 - 1, 0), min(one.stop // 2 + 1, side)) for one, side in zip(box, hu.shape, strict=True)
    ]
    x = enlarged(to_network(hu[None, *around], masks[None, :, *around]))
    inner = [
        slice(one.start - 2 * wide.start, one.stop - 2 * wide.start) for one, wide in zip(box, around, strict=True)
    ]
    return x[(..., *inner)]
