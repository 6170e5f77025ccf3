"""The convolutional blocks of autoencoder and refiner.

Norms are RMS over channels at each voxel: they do not mix places, so that a volume decoded in tiles is the volume
decoded whole.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GeometryFeatures", "ResidualBlock", "fold", "unfold"]

_WAVES = 32  # cosines and sines of each length


class ResidualBlock(nn.Module):
    """Two 3×3×3 convolutions around a skip: (n, c, d, h, w) → (n, c, d, h, w).

    Args:
        channels: c.
        signal: Width of what scales and shifts the normed channels; 0 where nothing does.
    """

    reach = 2
    """Voxels along each axis that an output sees beyond its own."""

    def __init__(self, channels: int, signal: int = 0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.modulation = nn.Linear(signal, 2 * channels) if signal else None
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        for layer in (self.second, self.modulation):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, signal: Tensor | None = None) -> Tensor:
        """(n, c, d, h, w) → (n, c, d, h, w); `signal` is (n, width)."""
        size = x.float().square().mean(1, keepdim=True).add(1e-6).rsqrt().to(x.dtype)
        hidden = x * size * _along(self.scale[None])
        if self.modulation is not None:
            scale, shift = self.modulation(signal).chunk(2, dim=1)
            hidden = hidden * (1 + _along(scale)) + _along(shift)
        hidden = self.first(nn.functional.silu(hidden))
        return x + self.second(nn.functional.silu(hidden))


class GeometryFeatures(nn.Module):
    """(n, 6) lengths, spacing and extent along z, y, x in mm, → (n, d).

    Cosines and sines of logarithms, as lengths matter by their ratio.

    Args:
        width: d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6 * 2 * _WAVES, width), nn.SiLU(), nn.Linear(width, width))
        rates = 64.0 * 0.9 ** torch.arange(_WAVES)  # periods from a tenth of an e-fold to nearly three
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, geometry: Tensor) -> Tensor:
        """The embeddings."""
        angles = geometry.float().clamp(1e-3, 1e5).log()[:, :, None] * self.rates.float()
        waves = torch.cat([angles.cos(), angles.sin()], dim=2).flatten(1)
        embedded: Tensor = self.net(waves.to(self.net[0].weight.dtype))
        return embedded


def fold(x: Tensor, factor: int) -> Tensor:
    """Fewer voxels with more channels: (n, c, d, h, w) → (n, c · factor³, d / factor, h / factor, w / factor)."""
    n, c, *sides = x.shape
    d, h, w = (side // factor for side in sides)
    parts = x.reshape(n, c, d, factor, h, factor, w, factor)
    return parts.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, c * factor**3, d, h, w)


def unfold(x: Tensor, factor: int) -> Tensor:
    """The inverse of `fold`."""
    n, c, d, h, w = x.shape
    parts = x.reshape(n, c // factor**3, factor, factor, factor, d, h, w)
    return parts.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, -1, d * factor, h * factor, w * factor)


def _along(values: Tensor) -> Tensor:
    """(n, c) as (n, c, 1, 1, 1)."""
    return values[:, :, None, None, None]
