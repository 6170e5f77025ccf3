"""The denoiser of the base: a transformer over latent patches of the whole field of view, words and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from synth.diffusion.ct.blocks import GeometryFeatures, fold, unfold
from synth.diffusion.layers import rotary_angles
from synth.diffusion.trunk import Trunk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CtTransformer"]


class CtTransformer(Trunk, ModelMixin):  # by name: pipelines look in this module for what tells how to load it
    """The velocity of noisy latents, given what the CT should show and how large its voxels are; see Trunk.

    Spacing and field of view are one more token.

    Args:
        channels: Of latents.
        patch: Latent voxels along each axis to a token.
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
        depth: int = 10,
        heads: int = 4,
        text_width: int = 256,
    ) -> None:
        super().__init__()
        self.build(channels * patch**3, width=width, depth=depth, heads=heads, text_width=text_width, view=False)
        self.geometry = GeometryFeatures(width)

    def forward(
        self,
        latents: Tensor,
        times: Tensor,
        text: Tensor,
        attributes: Tensor,
        geometry: Tensor,
        control: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The velocity.

        Args:
            latents: (n, c, d, h, w), sides multiples of `patch`.
            times: (n,), 0 is data, 1 is noise.
            text: (n, l, text_width).
            attributes: (n, 4), see `synth.diffusion.text.conditions.encode`; the view says nothing of a CT.
            geometry: (n, 6): spacing along z, y, x, then extent of the field of view along z, y, x, mm.
            control: What a CtControl adds to the patches before each of the first layers, (n, patches, width) each.

        Returns:
            (n, c, d, h, w).
        """
        x, angles, lead = self.embed(latents, text, attributes, geometry)
        tokens = self.run(x, angles, lead, times, control)
        patch = int(self.config.patch)
        grid = [side // patch for side in latents.shape[2:]]
        return unfold(tokens.mT.reshape(len(tokens), -1, *grid), patch)

    def embed(self, latents: Tensor, text: Tensor, attributes: Tensor, geometry: Tensor) -> tuple[Tensor, Tensor, int]:
        """The tokens (n, l, width), the angles of their places, and how many tokens come before the patches."""
        folded = fold(latents, int(self.config.patch))
        place = self.geometry(geometry)[:, None].to(text.dtype)
        lead = torch.cat([self.attributes(attributes).to(text.dtype), place, self.words(text)], dim=1)
        half = self.config.width // self.config.heads // 2
        angles = rotary_angles(tuple(folded.shape[2:]), half, before=lead.shape[1]).to(latents.device)
        return torch.cat([lead, self.patches(folded.flatten(2).mT)], dim=1), angles, lead.shape[1]
