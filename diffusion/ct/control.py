"""Masks as the condition: a branch beside the first layers of the base's denoiser, after ControlNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.ct.blocks import fold
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.trunk import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.diffusion.ct.transformer import CtTransformer

__all__ = ["CtControl"]


class CtControl(ModelMixin, ConfigMixin):
    """Adds to the patches of the denoiser's layers what masks ask for (Zhang et al. 2023, arXiv:2302.05543).

    Its outputs start at zero: an untrained branch changes nothing.

    Args:
        names: Structures that masks may show, a channel each.
        width: Of the denoiser's tokens.
        depth: Layers of the branch; each feeds one of the denoiser's.
        heads: Of attention.
        voxels: Along each axis to a token, an even number: the autoencoder's factor times the denoiser's patch.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        names: Sequence[str] = MASKS,
        width: int = 256,
        depth: int = 3,
        heads: int = 4,
        voxels: int = 8,
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv3d(len(names) * (voxels // 2) ** 3, width // 2, 1),
            nn.SiLU(),
            nn.Conv3d(width // 2, width, 3, padding=1, stride=2),
        )
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.outputs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        for layer in self.outputs:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @classmethod
    def beside(
        cls, denoiser: CtTransformer, names: Sequence[str] = MASKS, *, voxels: int = 8, depth: int = 3
    ) -> CtControl:
        """A branch whose layers start as copies of the denoiser's."""
        width, heads = denoiser.config.width, denoiser.config.heads
        branch: CtControl = cls(names=tuple(names), width=width, depth=depth, heads=heads, voxels=voxels)
        for own, theirs in zip(branch.blocks, denoiser.blocks, strict=False):
            own.load_state_dict(theirs.state_dict())
        return branch

    def forward(
        self,
        denoiser: CtTransformer,
        latents: Tensor,
        times: Tensor,
        text: Tensor,
        attributes: Tensor,
        geometry: Tensor,
        masks: Tensor,
    ) -> list[Tensor]:
        """What to give the denoiser as `control`.

        Args:
            denoiser: Whose embeddings of patches, words, attributes, geometry and time the branch takes.
            latents: As for the denoiser.
            times: As for the denoiser.
            text: As for the denoiser.
            attributes: As for the denoiser.
            geometry: As for the denoiser.
            masks: (n, structures, D, H, W) of the volume's size, 0 to 1.
        """
        x, angles, lead = denoiser.embed(latents, text, attributes, geometry)
        signal = denoiser.modulation(denoiser.time(times))
        shown = self.embed(fold(masks.to(x.dtype), self.config.voxels // 2)).flatten(2).mT
        x = x + nn.functional.pad(shown, (0, 0, lead, 0))
        added = []
        for block, output in zip(self.blocks, self.outputs, strict=True):
            x = block(x, signal, angles)
            added.append(output(x[:, lead:]))
        return added
