"""The report encoder: a small transformer from tokens to one vector a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.layers import Attention, FeedForward

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ReportEncoder"]


class ReportEncoder(ModelMixin, ConfigMixin):
    """Tokens (n, l) → embeddings (n, l, d).

    Padding is a token like others: it takes part in attention, which needs no mask, so that every attention backend
    can serve.

    Args:
        vocabulary: Tokens that there are.
        width: d.
        depth: Layers.
        heads: Of attention.
        length: Longest prompt, tokens.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self, vocabulary: int = 1024, width: int = 256, depth: int = 2, heads: int = 4, length: int = 48
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """The embeddings of tokens."""
        x = self.tokens(ids) + self.places[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        embedded: Tensor = self.norm(x)
        return embedded

    @property
    def shape(self) -> Sequence[int]:
        """(l, d) of one prompt's embedding."""
        return int(self.config.length), int(self.config.width)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.feed_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention, self.feed = Attention(width, heads), FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        fed: Tensor = x + self.feed(self.feed_norm(x))
        return fed
