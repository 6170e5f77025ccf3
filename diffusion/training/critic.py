"""A patch discriminator: asks whether texture is real where L1 would blur it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PatchCritic", "adaptive_weight", "hinge"]


class PatchCritic(nn.Module):
    """Radiographs (n, 1, h, w) → a verdict for each patch (n, 1, h / 8, w / 8), above 0 for real (Isola et al. 2017).

    Args:
        width: Channels of the first layer.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for outputs in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.net = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """The verdicts."""
        verdicts: Tensor = self.net(x)
        return verdicts


def hinge(real: Tensor, made: Tensor) -> Tensor:
    """What the critic minimises (Lim and Ye 2017, arXiv:1705.02894)."""
    return 0.5 * (nn.functional.relu(1 - real).mean() + nn.functional.relu(1 + made).mean())


def adaptive_weight(wanted: Tensor, critic: Tensor, at: Tensor) -> Tensor:
    """What makes the critic's gradient as large as the reconstruction's (Esser et al. 2021, arXiv:2012.09841, eq. 7).

    Taken at the image instead of at the last layer: the ratio is nearly the same, and no layer is run through twice.

    Args:
        wanted: The loss of reconstruction.
        critic: The loss that the critic gives.
        at: The reconstruction that both depend on.
    """
    (first,) = torch.autograd.grad(wanted, at, retain_graph=True)
    (second,) = torch.autograd.grad(critic, at, retain_graph=True)
    return (first.norm() / (second.norm() + 1e-6)).clamp(max=1e4).detach()
