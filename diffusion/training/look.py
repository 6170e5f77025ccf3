"""Pictures to look at, side by side; and how alike two are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["chosen", "psnr", "rows_of", "ssim", "tinted"]

_TINTS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (240, 228, 66))


def rows_of(*rows: Tensor) -> NDArray[np.uint8]:
    """Rows of radiographs (n, 1, h, w) in [-1, 1] as one picture (rows · h, n · w)."""
    lines = [torch.cat(list(row[:, 0].float().cpu()), dim=1) for row in rows]
    picture: NDArray[np.uint8] = np.round((torch.cat(lines).clamp(-1, 1).numpy() + 1) * 127.5).astype(np.uint8)
    return picture


def tinted(images: Tensor, *masks: Tensor) -> NDArray[np.uint8]:
    """Rows of the same radiographs (n, 1, h, w) with other masks (n, s, h, w), as (rows · h, n · w, 3)."""
    gray = (images[:, 0].float().cpu().clamp(-1, 1) + 1) / 2
    lines = []
    for one in masks:
        colour = gray[..., None].expand(-1, -1, -1, 3).clone()
        for place in range(one.shape[1]):
            seen = (one[:, place] > 0.5).cpu()[..., None]
            tint = torch.tensor(_TINTS[place % len(_TINTS)]) / 255
            colour = torch.where(seen, 0.7 * colour + 0.3 * tint, colour)
        lines.append(torch.cat(list(colour), dim=1))
    picture: NDArray[np.uint8] = np.round(torch.cat(lines).numpy() * 255).astype(np.uint8)
    return picture


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, of images in [-1, 1], in the mean over images (n, 1, h, w)."""
    errors = (first.float() - second.float()).square().mean((1, 2, 3)).clamp(min=1e-12)
    return float((10 * torch.log10(4 / errors)).mean())


def ssim(first: Tensor, second: Tensor) -> float:
    """Structural similarity (Wang et al. 2004, eq. 13) of images (n, 1, h, w) in [-1, 1], Gaussian window σ 1.5."""
    reach = torch.arange(-5, 6, dtype=torch.float32, device=first.device)
    line = torch.exp(-(reach**2) / (2 * 1.5**2))
    line = line / line.sum()

    def mean(x: Tensor) -> Tensor:
        along = torch.nn.functional.conv2d(x, line.view(1, 1, 1, -1))
        return torch.nn.functional.conv2d(along, line.view(1, 1, -1, 1))

    a, b = first.float(), second.float()
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    alike = (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(alike.mean())


def chosen(n: int, most: int) -> Sequence[int]:
    """At most `most` of n places, evenly."""
    count = min(n, most)
    return [math.floor(k * n / count) for k in range(count)]
