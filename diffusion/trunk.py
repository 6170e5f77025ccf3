"""The trunk of the denoisers of 2D and of 3D: a transformer over patches, words and attributes in one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.loaders import PeftAdapterMixin
from torch import Tensor, nn

from synth.diffusion.layers import Attention, FeedForward, TimeEmbedding, modulate
from synth.diffusion.text.attributes import AttributeTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Block", "Trunk"]


class Trunk(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """What a denoiser is but for how its latents are cut into patches.

    Attributes, words and patches are one sequence of tokens that all attend to each other, as in Stable Diffusion 3
    (Esser et al. 2024, arXiv:2403.03206) but with the same weights for all of them; time shifts and scales each layer
    through one table a layer (adaLN-single: Chen et al. 2023, arXiv:2310.00426).
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = True

    def build(self, numbers: int, *, width: int, depth: int, heads: int, text_width: int, view: bool) -> None:
        """Makes the layers; a new denoiser predicts zero.

        Args:
            numbers: Of a patch: channels times its latent pixels.
            width: Of tokens.
            depth: Layers.
            heads: Of attention.
            text_width: Of the report encoder's embeddings.
            view: Whether there is a token for the view.
        """
        self.patches = nn.Linear(numbers, width)
        self.words = nn.Linear(text_width, width)
        self.attributes = AttributeTokens(width, view=view)
        self.time = TimeEmbedding(width)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.last = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, numbers)
        self.gradient_checkpointing = False
        for layer in (self.modulation[1], self.last, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def run(self, x: Tensor, angles: Tensor, lead: int, times: Tensor, control: Sequence[Tensor] | None) -> Tensor:
        """The patches of the velocity, (n, patches, numbers).

        Args:
            x: Tokens (n, lead + patches, width).
            angles: Of their places.
            lead: Tokens before the patches.
            times: (n,), 0 is data, 1 is noise.
            control: What a control branch adds to the patches before each of the first layers, (n, patches, width)
                each.
        """
        embedded = self.time(times)
        signal = self.modulation(embedded)
        for number, block in enumerate(self.blocks):
            if control is not None and number < len(control):
                x = torch.cat([x[:, :lead], x[:, lead:] + control[number]], dim=1)
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = self._gradient_checkpointing_func(block, x, signal, angles)
            else:
                x = block(x, signal, angles)
        shift, scale = self.last(nn.functional.silu(embedded)).chunk(2, dim=1)
        moved: Tensor = self.out(modulate(self.norm(x[:, lead:]), shift, scale))
        return moved


class Block(nn.Module):
    """One layer: attention, then a feed-forward net, each shifted, scaled and gated by time."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.feed_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention, self.feed = Attention(width, heads), FeedForward(width)
        self.table = nn.Parameter(torch.zeros(6, width))

    def forward(self, x: Tensor, signal: Tensor, angles: Tensor) -> Tensor:
        """(n, l, d) → (n, l, d).

        Args:
            x: Tokens.
            signal: (n, 6 d), of time, the same for all layers.
            angles: (l, d / heads / 2).
        """
        parts = signal.view(len(x), 6, -1) + self.table
        shift, scale, gate, feed_shift, feed_scale, feed_gate = parts.unbind(1)
        x = x + (1 + gate)[:, None] * self.attention(modulate(self.attention_norm(x), shift, scale), angles)
        out: Tensor = x + (1 + feed_gate)[:, None] * self.feed(modulate(self.feed_norm(x), feed_shift, feed_scale))
        return out
