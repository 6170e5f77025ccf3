"""The denoiser of finer grids: one network for every doubling, which sees a tile at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.ct.blocks import GeometryFeatures, ResidualBlock, fold, unfold
from synth.diffusion.layers import TimeEmbedding

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CtRefiner"]


class CtRefiner(ModelMixin, ConfigMixin):
    """The velocity of a tile of fine latents, given the latents of the coarse volume enlarged to the same grid.

    A small U-Net: convolutions only, so that a tile may have any sides and what it makes depends on its surroundings
    alone. Noise in the coarse latents, with its level told (cascaded diffusion: Ho et al. 2021, arXiv:2106.15282),
    keeps it from trusting details that the base gets wrong; the spacing tells the grids apart.

    Args:
        channels: Of latents.
        width: Channels on the grid of the latents.
        inner: Channels on the grid half as fine.
        blocks: Residual blocks before, on and after the half grid.
        signal: Width of the embedding of time, noise level and geometry.
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = True

    @register_to_config
    def __init__(
        self,
        channels: int = 8,
        width: int = 64,
        inner: int = 144,
        blocks: Sequence[int] = (1, 1, 2),
        signal: int = 128,
    ) -> None:
        super().__init__()
        before, inside, after = blocks
        self.time, self.noise = TimeEmbedding(signal), TimeEmbedding(signal)
        self.geometry = GeometryFeatures(signal)
        self.first = nn.Conv3d(2 * channels, width, 3, padding=1)
        self.fine_before = nn.ModuleList(ResidualBlock(width, signal) for _ in range(before))
        self.down = nn.Conv3d(8 * width, inner, 1)
        self.coarser = nn.ModuleList(ResidualBlock(inner, signal) for _ in range(inside))
        self.up = nn.Conv3d(inner, 8 * width, 1)
        self.fine_after = nn.ModuleList(ResidualBlock(width, signal) for _ in range(after))
        self.last = nn.Conv3d(width, channels, 3, padding=1)
        self.gradient_checkpointing = False
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, latents: Tensor, times: Tensor, coarse: Tensor, coarse_noise: Tensor, geometry: Tensor) -> Tensor:
        """The velocity.

        Args:
            latents: (n, c, d, h, w), noisy, of any sides.
            times: (n,), 0 is data, 1 is noise.
            coarse: (n, c, d, h, w): latents of the coarse volume on the same grid, with noise.
            coarse_noise: (n,), 0 to 1: the share of noise in them, see `synth.diffusion.flow.interpolate`.
            geometry: (n, 6): spacing along z, y, x of the fine grid, then extent of the whole field of view, mm.

        Returns:
            (n, c, d, h, w).
        """
        d, h, w = latents.shape[2:]
        signal = nn.functional.silu(self.time(times) + self.noise(coarse_noise) + self.geometry(geometry))
        x = nn.functional.pad(torch.cat([latents, coarse], dim=1), (0, w % 2, 0, h % 2, 0, d % 2), mode="replicate")
        fine = self._through(self.fine_before, self.first(x), signal)
        inner = self._through(self.coarser, self.down(fold(fine, 2)), signal)
        fine = self._through(self.fine_after, fine + unfold(self.up(inner), 2), signal)
        moved: Tensor = self.last(nn.functional.silu(fine))
        return moved[:, :, :d, :h, :w]

    def _through(self, blocks: nn.ModuleList, x: Tensor, signal: Tensor) -> Tensor:
        for block in blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = self._gradient_checkpointing_func(block, x, signal)
            else:
                x = block(x, signal)
        return x
