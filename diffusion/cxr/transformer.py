"""The denoiser: a transformer over latent patches, words and attributes in one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.layers import rotary_angles
from synth.diffusion.trunk import Trunk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CxrTransformer"]


class CxrTransformer(Trunk, ModelMixin):  # by name: pipelines look in this module for what tells how to load it
    """The velocity of noisy latents, given what the picture should show; see Trunk.

    Args:
        channels: Of latents.
        patch: Latent pixels along each axis to a token.
        width: Of tokens.
        depth: Layers.
        heads: Of attention.
        text_width: Of the report encoder's embeddings.
    """

    @register_to_config
    def __init__(
        self,
        channels: int = 8,
        patch: int = 2,
        width: int = 256,
        depth: int = 8,
        heads: int = 4,
        text_width: int = 256,
    ) -> None:
        super().__init__()
        self.build(channels * patch**2, width=width, depth=depth, heads=heads, text_width=text_width, view=True)

    def forward(
        self,
        latents: Tensor,
        times: Tensor,
        text: Tensor,
        attributes: Tensor,
        control: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The velocity.

        Args:
            latents: (n, c, h, w), h and w multiples of `patch`.
            times: (n,), 0 is data, 1 is noise.
            text: (n, l, text_width).
            attributes: (n, 4), see `synth.diffusion.text.conditions.encode`.
            control: What a ControlBranch adds to the patches before each of the first layers, (n, patches, width) each.

        Returns:
            (n, c, h, w).
        """
        x, angles, lead = self.embed(latents, text, attributes)
        return self._unpatched(self.run(x, angles, lead, times, control), latents.shape)

    def embed(self, latents: Tensor, text: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor, int]:
        """The tokens (n, l, width), the angles of their places, and how many tokens come before the patches."""
        size = self.config.patch
        folded = nn.functional.pixel_unshuffle(latents, size)
        lead = torch.cat([self.attributes(attributes).to(text.dtype), self.words(text)], dim=1)
        half = self.config.width // self.config.heads // 2
        angles = rotary_angles(tuple(folded.shape[2:]), half, before=lead.shape[1]).to(latents.device)
        return torch.cat([lead, self.patches(folded.flatten(2).mT)], dim=1), angles, lead.shape[1]

    def _unpatched(self, tokens: Tensor, shape: Sequence[int]) -> Tensor:
        n, _, h, w = shape
        size = self.config.patch
        return nn.functional.pixel_shuffle(tokens.mT.reshape(n, -1, h // size, w // size), size)
