"""The report encoder: a small transformer from tokens to a few vectors that sum them up."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from synth.diffusion.layers import Attention, FeedForward

__all__ = ["ReportEncoder"]


class ReportEncoder(ModelMixin, ConfigMixin):
    """Tokens (n, l) → embeddings (n, summary, d).

    Learned queries read the tokens and alone are passed on, as in a perceiver (Jaegle et al. 2021, arXiv:2103.03206):
    a denoiser that attends to 8 vectors instead of 48 words, most of them padding, trains half again as fast. Padding
    is a token like others: it takes part in attention, which needs no mask, so that every attention backend can serve.

    Args:
        vocabulary: Tokens that there are.
        width: d.
        depth: Layers.
        heads: Of attention.
        length: Longest prompt, tokens.
        summary: Vectors that are passed on.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        vocabulary: int = 1024,
        width: int = 256,
        depth: int = 2,
        heads: int = 4,
        length: int = 48,
        summary: int = 8,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.queries = nn.Parameter(0.02 * torch.randn(summary, width))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """The summaries of prompts."""
        words = self.tokens(ids) + self.places[: ids.shape[1]]
        x = torch.cat([words, self.queries.expand(len(ids), -1, -1)], dim=1)
        for layer in self.layers:
            x = layer(x)
        embedded: Tensor = self.norm(x[:, -len(self.queries) :])
        return embedded


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.feed_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention, self.feed = Attention(width, heads), FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        fed: Tensor = x + self.feed(self.feed_norm(x))
        return fed
