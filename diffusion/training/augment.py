"""Small changes of radiographs, drawn from (seed, place) alone. No mirror images: sides have a meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from synth.core.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Augmentation"]


class Augmentation(Strict):
    """How much images are changed; the default is not at all.

    Attributes:
        shift: Largest move along each axis, as a share of the side.
        scale: Largest change of size, as a share.
        contrast: Largest change of contrast about the mean, as a share.
    """

    shift: float = Field(default=0.0, ge=0, le=0.25)
    scale: float = Field(default=0.0, ge=0, le=0.25)
    contrast: float = Field(default=0.0, ge=0, le=0.5)

    @property
    def off(self) -> bool:
        """Whether nothing is changed."""
        return not (self.shift or self.scale or self.contrast)

    def images(self, images: Tensor, draws: Tensor) -> Tensor:
        """Changed images; rims are repeated outwards.

        Args:
            images: (n, 1, h, w) in [-1, 1].
            draws: (n, 4), 0 to 1: moves along u and v, size, contrast.
        """
        moved = self._moved(images, draws, "border")
        if not self.contrast:
            return moved
        gain = 1 + self.contrast * (2 * draws[:, 3].reshape(-1, 1, 1, 1) - 1)
        mean = moved.mean((1, 2, 3), keepdim=True)
        return (mean + gain * (moved - mean)).clamp(-1, 1)

    def masks(self, masks: Tensor, draws: Tensor) -> Tensor:
        """The masks (n, s, h, w) of images that `images` changed by the same draws."""
        return (self._moved(masks, draws, "zeros") > 0.5).to(masks.dtype)

    def _moved(self, x: Tensor, draws: Tensor, padding: str) -> Tensor:
        if not (self.shift or self.scale):
            return x
        signed = 2 * draws.to(x) - 1
        # Whole pixels where the size stays: between pixels, noise would be smoothed.
        side = x.shape[-1]
        move = torch.round(self.shift * signed[:, :2] * side) / side * 2
        size = 1 + self.scale * signed[:, 2]
        zero = torch.zeros_like(size)
        rows = [torch.stack([size, zero, move[:, 0]], 1), torch.stack([zero, size, move[:, 1]], 1)]
        grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
        mode = "bilinear" if self.scale else "nearest"
        return torch.nn.functional.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=False)
