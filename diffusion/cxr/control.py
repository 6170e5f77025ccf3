"""Masks as the condition: a branch beside the denoiser's first layers, after ControlNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.trunk import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.diffusion.cxr.transformer import CxrTransformer

__all__ = ["ControlBranch"]


class ControlBranch(ModelMixin, ConfigMixin):
    """Adds to the patches of the denoiser's layers what masks ask for (Zhang et al. 2023, arXiv:2302.05543).

    Its outputs start at zero: an untrained branch changes nothing.

    Args:
        names: Structures that masks may show, a channel each.
        width: Of the denoiser's tokens.
        depth: Layers of the branch; each feeds one of the denoiser's.
        heads: Of attention.
        pixels: Image pixels along each axis to a token: the autoencoder's factor times the denoiser's patch.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        names: Sequence[str] = (),
        width: int = 256,
        depth: int = 3,
        heads: int = 4,
        pixels: int = 16,
    ) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(pixels // 4)
        channels = len(names) * (pixels // 4) ** 2
        self.embed = nn.Sequential(
            nn.Conv2d(channels, width // 2, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width // 2, width // 2, 3, padding=1, stride=2),
            nn.SiLU(),
            nn.Conv2d(width // 2, width, 3, padding=1, stride=2),
        )
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.outputs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        for layer in self.outputs:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @classmethod
    def beside(cls, denoiser: CxrTransformer, names: Sequence[str], *, pixels: int, depth: int = 3) -> ControlBranch:
        """A branch whose layers start as copies of the denoiser's."""
        width, heads = denoiser.config.width, denoiser.config.heads
        branch: ControlBranch = cls(names=tuple(names), width=width, depth=depth, heads=heads, pixels=pixels)
        for own, theirs in zip(branch.blocks, denoiser.blocks, strict=False):
            own.load_state_dict(theirs.state_dict())
        return branch

    def forward(
        self, denoiser: CxrTransformer, latents: Tensor, times: Tensor, text: Tensor, attributes: Tensor, masks: Tensor
    ) -> list[Tensor]:
        """What to give the denoiser as `control`.

        Args:
            denoiser: Whose embeddings of patches, words, attributes and time the branch takes.
            latents: As for the denoiser.
            times: As for the denoiser.
            text: As for the denoiser.
            attributes: As for the denoiser.
            masks: (n, structures, H, W) of the image's size, 0 to 1.
        """
        x, angles, lead = denoiser.embed(latents, text, attributes)
        signal = denoiser.modulation(denoiser.time(times))
        shown = self.embed(self.fold(masks.to(x.dtype))).flatten(2).mT
        x = x + nn.functional.pad(shown, (0, 0, lead, 0))
        added = []
        for block, output in zip(self.blocks, self.outputs, strict=True):
            x = block(x, signal, angles)
            added.append(output(x[:, lead:]))
        return added
