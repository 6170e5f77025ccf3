"""The convolutional blocks of the autoencoder and of the mask decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ResidualBlock", "shuffle_down", "shuffle_up"]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a skip: (n, c, h, w) → (n, c, h, w).

    The norm is RMS over channels at each pixel: unlike group norm it does not mix places, so that an image decoded in
    tiles is the image decoded whole, but for the rim that convolutions see.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _ChannelNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) → (n, c, h, w)."""
        hidden = self.first(nn.functional.silu(self.norm(x)))
        return x + self.second(nn.functional.silu(hidden))


class _ChannelNorm(nn.Module):
    """Root mean square over channels to one, times a learned scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        size = x.float().square().mean(1, keepdim=True).add(1e-6).rsqrt()
        return x * size.to(x.dtype) * self.scale[:, None, None]


def shuffle_down(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    """Fewer pixels with more channels, then a convolution: (n, inputs, h, w) → (n, outputs, h / factor, w / factor)."""
    return nn.Sequential(nn.PixelUnshuffle(factor), nn.Conv2d(inputs * factor**2, outputs, 3, padding=1))


def shuffle_up(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    """A convolution, then more pixels with fewer channels: (n, inputs, h, w) → (n, outputs, h · factor, w · factor)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs * factor**2, 3, padding=1), nn.PixelShuffle(factor))
