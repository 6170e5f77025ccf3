"""Masks from latents: what the image decoder sees, read as structures and findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.cxr.blocks import ResidualBlock, shuffle_up

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MaskDecoder"]


class MaskDecoder(ModelMixin, ConfigMixin):
    """Scaled latents (n, c, h, w) → logits (n, structures, h · factor, w · factor); structures may overlap.

    Args:
        names: Of the structures.
        latent_channels: c.
        width: Channels at the latent's resolution; half of them at each finer one.
        blocks: Residual blocks at each resolution.
        factor: Image pixels along each axis to a latent pixel, a power of two of at least 4; the last 2 are one
            convolution.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        names: Sequence[str] = (),
        latent_channels: int = 8,
        width: int = 128,
        blocks: int = 2,
        factor: int = 8,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, width, 3, padding=1)]
        finer = factor
        while finer > 2:
            layers += [*(ResidualBlock(width) for _ in range(blocks)), shuffle_up(width, width // 2, 2)]
            width, finer = width // 2, finer // 2
        layers += [ResidualBlock(width), nn.SiLU(), shuffle_up(width, len(names), 2)]
        self.net = nn.Sequential(*layers)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the structures, in the order of the logits."""
        return tuple(self.config.names)

    def forward(self, latents: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.net(latents)
        return logits

    @torch.no_grad()
    def masks(self, latents: Tensor) -> Tensor:
        """(n, structures, h · factor, w · factor), bool."""
        found: Tensor = self(latents) > 0
        return found
