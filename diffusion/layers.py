"""Layers that the transformers of 2D, of 3D and of text have in common."""

from __future__ import annotations

import math

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import Tensor, nn

__all__ = ["Attention", "FeedForward", "TimeEmbedding", "modulate", "rotary_angles", "sinusoids"]


class Attention(nn.Module, AttentionModuleMixin):
    """Self-attention (n, l, d) → (n, l, d), with queries and keys brought to unit mean square.

    That norm keeps attention from growing without bound in half precision (Dehghani et al. 2023, arXiv:2302.05442). The
    backend is diffusers' (`model.set_attention_backend("xformers")`), by default torch's own.

    Args:
        width: d.
        heads: Which divide it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.to_out = nn.Linear(width, width)
        self.norm_q, self.norm_k = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.set_processor(_Processor())

    def forward(self, x: Tensor, angles: Tensor | None = None) -> Tensor:
        """What tokens take from each other; `angles` (l, d / heads / 2) turn queries and keys by their places."""
        attended: Tensor = self.processor(self, x, angles)
        return attended


class _Processor:
    """How attention is computed; diffusers sets the backend."""

    _attention_backend = None
    _parallel_config = None

    def __call__(self, layer: Attention, x: Tensor, angles: Tensor | None) -> Tensor:
        shape = (*x.shape[:2], layer.heads, -1)
        query, key = layer.norm_q(layer.to_q(x).view(shape)), layer.norm_k(layer.to_k(x).view(shape))
        if angles is not None:
            query, key = _turned(query, angles), _turned(key, angles)
        value = layer.to_v(x).view(shape)
        mixed = dispatch_attention_fn(
            query, key, value, backend=self._attention_backend, parallel_config=self._parallel_config
        )
        out: Tensor = layer.to_out(mixed.flatten(2).to(x.dtype))
        return out


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv:2002.05202) with the weights of a plain layer of four times the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 8 * round(width / 3)
        self.gate, self.up, self.down = nn.Linear(width, inner), nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(…, d) → (…, d)."""
        out: Tensor = self.down(nn.functional.silu(self.gate(x)) * self.up(x))
        return out


class TimeEmbedding(nn.Module):
    """(n,) times in 0 … 1 → (n, d)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.width = width

    def forward(self, times: Tensor) -> Tensor:
        """The embeddings of times."""
        weight = self.net[0].weight
        embedded: Tensor = self.net(sinusoids(1000 * times.float(), self.width).to(weight.dtype))
        return embedded


def sinusoids(values: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """(n,) → (n, width): cosines and sines of geometrically spaced wavelengths (Vaswani et al. 2017)."""
    half = width // 2
    rates = torch.exp(-math.log(longest) * torch.arange(half, device=values.device) / half)
    angles = values[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def rotary_angles(shape: tuple[int, ...], half: int, *, before: int = 0, longest: float = 100.0) -> Tensor:
    """Angles of rotary position embedding over a grid (Su et al. 2021, arXiv:2104.09864), its axes sharing the half.

    Args:
        shape: Of the grid of tokens: (h, w) or (d, h, w).
        half: Pairs of a head, its width / 2.
        before: Tokens before the grid's, which are not turned.
        longest: Wavelength / 2π of the slowest pair, tokens.

    Returns:
        (before + number of grid points, half), float32.
    """
    each = half // len(shape)
    rates = longest ** (-torch.arange(each) / each)
    places = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float32) for n in shape)).reshape(-1, len(shape))
    turned = (places[:, :, None] * rates).flatten(1)
    still = torch.zeros(len(turned), half - turned.shape[1])
    return torch.cat([torch.zeros(before, half), torch.cat([turned, still], dim=1)])


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """(n, l, d) shifted and scaled by (n, d), as adaptive layer norm does (Peebles and Xie 2022, arXiv:2212.09748)."""
    return x * (1 + scale[:, None]) + shift[:, None]


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    """(n, l, heads, e), pairs (k, k + e / 2) turned by (l, e / 2)."""
    cos, sin = angles.cos()[:, None].to(x), angles.sin()[:, None].to(x)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
