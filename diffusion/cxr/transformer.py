"""The denoiser: a transformer over latent patches, words and attributes in one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from torch import Tensor, nn

from synth.diffusion.layers import Attention, FeedForward, TimeEmbedding, modulate, rotary_angles, sinusoids
from synth.diffusion.text.conditions import ATTRIBUTES, RACES, SEXES, UNKNOWN, VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Block", "CxrTransformer"]


class CxrTransformer(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """The velocity of noisy latents, given what the picture should show.

    Attributes, words and patches are one sequence of tokens that all attend to each other, as in Stable Diffusion 3
    (Esser et al. 2024, arXiv:2403.03206) but with the same weights for all of them; time shifts and scales each layer
    through one table a layer (adaLN-single: Chen et al. 2023, arXiv:2310.00426).

    Args:
        channels: Of latents.
        patch: Latent pixels along each axis to a token.
        width: Of tokens.
        depth: Layers.
        heads: Of attention.
        text_width: Of the report encoder's embeddings.
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = True

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
        self.patches = nn.Linear(channels * patch**2, width)
        self.words = nn.Linear(text_width, width)
        self.attributes = _AttributeTokens(width)
        self.time = TimeEmbedding(width)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.last = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, channels * patch**2)
        self.gradient_checkpointing = False
        for layer in (self.modulation[1], self.last, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

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
        return self._unpatched(self.out(modulate(self.norm(x[:, lead:]), shift, scale)), latents.shape)

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


class _AttributeTokens(nn.Module):
    """A token for each of sex, age, race and view; nothing asked for has an embedding of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sex, self.race, self.view = (nn.Embedding(len(codes) + 1, width) for codes in (SEXES, RACES, VIEWS))
        self.age, self.no_age = nn.Linear(width, width), nn.Parameter(torch.zeros(width))
        self.kinds = nn.Parameter(0.02 * torch.randn(len(ATTRIBUTES), width))
        for table in (self.sex, self.race, self.view):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, attributes: Tensor) -> Tensor:
        """(n, 4) codes and years → (n, 4, d)."""
        sex, age, race, view = attributes.unbind(1)
        width = self.no_age.shape[0]
        years = self.age(sinusoids(age.float().clamp(min=0), width, longest=1000.0).to(self.no_age.dtype))
        years = torch.where((age == UNKNOWN)[:, None], self.no_age, years)
        tokens = [table(codes.long() + 1) for table, codes in ((self.sex, sex), (self.race, race), (self.view, view))]
        return torch.stack([tokens[0], years, *tokens[1:]], dim=1) + self.kinds
