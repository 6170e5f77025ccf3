"""The straight path between data and noise, and where on it a network is trained.

Rectified flow (Liu et al. 2023, arXiv:2209.03003) in the convention of Stable Diffusion 3 and diffusers: at time t the
sample is (1 − t)·data + t·noise, so that t = 1 is noise and t equals diffusers' sigma; the network predicts the
velocity noise − data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["draw_times", "interpolate", "velocity"]


def interpolate(data: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """The points of the path.

    Args:
        data: (n, …).
        noise: The same shape.
        times: (n,), 0 is data, 1 is noise.
    """
    t = _along(times, data)
    return (1 - t) * data + t * noise


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """What the network predicts: the path's direction, the same at all its points."""
    return noise - data


def draw_times(n: int, generator: torch.Generator, *, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """(n,) times for training, logit-normal (Esser et al. 2024, arXiv:2403.03206, eq. 19), stratified.

    The quantiles are spread evenly over the batch, which lowers the variance of the loss and not its mean (Kingma et
    al. 2021, arXiv:2107.00630, app. I.1).

    Args:
        n: Batch size.
        generator: Of what is drawn.
        mean: Above 0 trains more on noisy samples.
        deviation: Of the logit.
    """
    offset = torch.rand(1, generator=generator, dtype=torch.float64)
    quantiles = (torch.arange(n, dtype=torch.float64) + offset) / n
    quantiles = quantiles.clamp(1e-6, 1 - 1e-6)
    order = torch.randperm(n, generator=generator)
    return torch.sigmoid(mean + deviation * torch.special.ndtri(quantiles))[order].float()


def _along(times: Tensor, like: Tensor) -> Tensor:
    return times.to(like).reshape(-1, *[1] * (like.ndim - 1))
