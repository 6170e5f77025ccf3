"""The autoencoder of Stable Diffusion, called as our own is, so that latents are made and kept in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

__all__ = ["StableAutoencoder"]


class StableAutoencoder(nn.Module):
    """Grey radiographs → scaled latents, whether the autoencoder takes one channel or three.

    Args:
        pipe: Whose.

    Attributes:
        factor: Pixels a latent covers, along a side.
    """

    def __init__(self, pipe: StableDiffusionPipeline) -> None:
        super().__init__()
        self.vae = pipe.vae
        self.factor = int(pipe.vae_scale_factor)

    @property
    def config(self) -> Any:
        """The autoencoder's."""
        return self.vae.config

    def latents(self, images: Tensor) -> Tensor:
        """The means of the posterior, scaled, (n, c, h / f, w / f), of images (n, 1, h, w) in [-1, 1]."""
        config = self.vae.config
        mean = self.vae.encode(images.expand(-1, config.in_channels, -1, -1)).latent_dist.mean
        scaled: Tensor = (mean - (config.shift_factor or 0.0)) * config.scaling_factor
        return scaled
