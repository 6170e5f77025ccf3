"""The autoencoder of volumes: a CT and its masks ↔ one latent.

Voxels are folded into channels first, as in deep-compression autoencoders (Chen et al. 2024, arXiv:2410.10733), so that
nearly all work is done on the coarse grid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor, nn

from synth.diffusion.ct.blocks import ResidualBlock, fold, unfold
from synth.diffusion.ct.channels import MASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CtAutoencoder"]


class CtAutoencoder(ModelMixin, ConfigMixin):
    """Volumes (n, 1 + m, d, h, w), CT in [−1, 1] and masks −1 or 1, ↔ latents of unit variance.

    The interface is that of diffusers' AutoencoderKL: `encode(x).latent_dist`, `decode(z).sample`,
    `config.scaling_factor` and `config.shift_factor`, by which a pipeline scales latents: z = (raw − shift) · scaling.

    Args:
        names: Of the masks, in the order of their channels.
        latent_channels: c of the latent (n, c, d / f, h / f, w / f), where f = stem × 2 for each further width.
        stem: Voxels along each axis that are folded into channels first.
        widths: Channels at each resolution, the finest first.
        blocks: Residual blocks at each, in the encoder and in the decoder.
        scaling_factor: Over the standard deviation of raw latents.
        shift_factor: Their mean.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        names: Sequence[str] = MASKS,
        latent_channels: int = 8,
        stem: int = 4,
        widths: Sequence[int] = (96,),
        blocks: Sequence[int] = (2,),
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = _encoder(1 + len(names), latent_channels, stem, widths, blocks)
        self.decoder = _decoder(1 + len(names), latent_channels, stem, widths, blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the masks, in the order of their channels."""
        return tuple(self.config.names)

    @property
    def factor(self) -> int:
        """Voxels along each axis to a latent voxel."""
        return int(self.config.stem * 2 ** (len(self.config.widths) - 1))

    @property
    def halo(self) -> int:
        """Latent voxels along each axis that encoder and decoder see beyond those they are asked for."""
        finest_first = enumerate(self.config.blocks)
        coarsest = len(self.config.blocks) - 1
        reach: float = sum(ResidualBlock.reach * n / 2 ** (coarsest - level) for level, n in finest_first)
        return math.ceil(reach)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[DiagonalGaussianDistribution]:
        """Volumes, sides multiples of `factor` → the distribution of raw latents."""
        posterior = DiagonalGaussianDistribution(self.encoder(x))
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Raw latents (n, c, d, h, w) → (n, 1 + m, d · factor, h · factor, w · factor): CT, then logits of masks."""
        sample = self.decoder(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, DiagonalGaussianDistribution]:
        """What training needs: what a drawn latent decodes to, and the latent's distribution."""
        posterior = DiagonalGaussianDistribution(self.encoder(x))
        return self.decoder(posterior.sample(generator)), posterior

    def latents(self, x: Tensor) -> Tensor:
        """Scaled latents of volumes, without drawing: the means."""
        mean = self.encoder(x).chunk(2, dim=1)[0]
        scaled: Tensor = (mean - self.config.shift_factor) * self.config.scaling_factor
        return scaled

    def decoded(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The CT (n, 1, …) in [−1, 1] and logits of masks (n, m, …) of scaled latents."""
        made = self.decoder(latents / self.config.scaling_factor + self.config.shift_factor)
        return made[:, :1].clamp(-1, 1), made[:, 1:]


class _Fold(nn.Module):
    """See `fold`."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return fold(x, self.factor)


class _Unfold(_Fold):
    """See `unfold`."""

    def forward(self, x: Tensor) -> Tensor:
        return unfold(x, self.factor)


def _encoder(inputs: int, latents: int, stem: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels, factor = inputs, stem
    for width, depth in zip(widths, blocks, strict=True):
        layers += [_Fold(factor), nn.Conv3d(channels * factor**3, width, 1)]
        layers += [ResidualBlock(width) for _ in range(depth)]
        channels, factor = width, 2
    return nn.Sequential(*layers, nn.Conv3d(channels, 2 * latents, 1))


def _decoder(outputs: int, latents: int, stem: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Sequential:
    coarse_first = list(zip(widths, blocks, strict=True))[::-1]
    layers: list[nn.Module] = [nn.Conv3d(latents, widths[-1], 1)]
    for place, (width, depth) in enumerate(coarse_first):
        last = place + 1 == len(widths)
        finer, factor = (outputs, stem) if last else (widths[-2 - place], 2)
        layers += [ResidualBlock(width) for _ in range(depth)]
        layers += [nn.Conv3d(width, finer * factor**3, 1), _Unfold(factor)]
    return nn.Sequential(*layers)
