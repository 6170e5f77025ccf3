"""The grayscale autoencoder: radiograph ↔ latent, small enough to train on a CPU.

A stock KL autoencoder spends most of its time at full resolution; here pixels are folded into channels first
(PixelUnshuffle), as in deep-compression autoencoders (Chen et al. 2024, arXiv:2410.10733).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor, nn

from synth.diffusion.cxr.blocks import ResidualBlock, shuffle_down, shuffle_up

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CxrAutoencoder"]


class CxrAutoencoder(ModelMixin, ConfigMixin):
    """Radiographs in [−1, 1] ↔ latents of unit variance.

    The interface is that of diffusers' AutoencoderKL: `encode(x).latent_dist`, `decode(z).sample`,
    `config.scaling_factor` and `config.shift_factor`, by which a pipeline scales latents: z = (raw − shift) · scaling.

    Args:
        in_channels: 1 for radiographs.
        latent_channels: c of the latent (n, c, h / f, w / f), where f = stem × 2 for each further width.
        stem: Pixels along each axis that are folded into channels first.
        widths: Channels at each resolution, the finest first.
        blocks: Residual blocks at each.
        scaling_factor: Over the standard deviation of raw latents.
        shift_factor: Their mean.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        in_channels: int = 1,
        latent_channels: int = 8,
        stem: int = 4,
        widths: Sequence[int] = (96, 192),
        blocks: Sequence[int] = (2, 2),
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = _encoder(in_channels, latent_channels, stem, widths, blocks)
        self.decoder = _decoder(in_channels, latent_channels, stem, widths, blocks)

    @property
    def factor(self) -> int:
        """Pixels along each axis to a latent pixel."""
        return int(self.config.stem * 2 ** (len(self.config.widths) - 1))

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """Radiographs (n, 1, h, w) in [−1, 1], sides multiples of `factor` → the distribution of raw latents."""
        posterior = DiagonalGaussianDistribution(self.encoder(x))
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Raw latents (n, c, h, w) → radiographs (n, 1, h · factor, w · factor)."""
        sample = self.decoder(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, DiagonalGaussianDistribution]:
        """What training needs: the reconstruction from a drawn latent, and the latent's distribution."""
        posterior = DiagonalGaussianDistribution(self.encoder(x))
        return self.decoder(posterior.sample(generator)), posterior

    def latents(self, x: Tensor) -> Tensor:
        """Scaled latents of radiographs, without drawing: the means."""
        mean = DiagonalGaussianDistribution(self.encoder(x)).mean
        scaled: Tensor = (mean - self.config.shift_factor) * self.config.scaling_factor
        return scaled

    def images(self, latents: Tensor) -> Tensor:
        """Radiographs of scaled latents."""
        image: Tensor = self.decoder(latents / self.config.scaling_factor + self.config.shift_factor)
        return image


def _encoder(inputs: int, latents: int, stem: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels, factor = inputs, stem
    for width, depth in zip(widths, blocks, strict=True):
        layers += [shuffle_down(channels, width, factor), *(ResidualBlock(width) for _ in range(depth))]
        channels, factor = width, 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 2 * latents, 1))


def _decoder(outputs: int, latents: int, stem: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Sequential:
    coarse_first = list(zip(widths, blocks, strict=True))[::-1]
    layers: list[nn.Module] = [nn.Conv2d(latents, widths[-1], 3, padding=1)]
    for place, (width, depth) in enumerate(coarse_first):
        finer = widths[-2 - place] if place + 1 < len(widths) else outputs
        factor = 2 if place + 1 < len(widths) else stem
        layers += [*(ResidualBlock(width) for _ in range(depth)), shuffle_up(width, finer, factor)]
    return nn.Sequential(*layers)
