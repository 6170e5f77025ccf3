"""Running means of weights, whose reach grows with training (Karras et al. 2024, arXiv:2312.02696, sec. 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.errors import InputError
from synth.diffusion.training.checkpoint import whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

__all__ = ["PowerMean", "exponent"]


class PowerMean:
    """Weights averaged over steps with a density ∝ step^γ: early ones fade, and no warm-up is needed.

    Args:
        net: Whose trained parameters are followed.
        width: Standard deviation of that density, as a share of all steps done (0.05, 0.10, …).

    Attributes:
        means: Name of a parameter → its mean.
    """

    def __init__(self, net: nn.Module, width: float) -> None:
        self.width = width
        self.gamma = exponent(width)
        self.means: dict[str, Tensor] = {name: value.detach().clone() for name, value in _trained(net)}

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Takes in the weights after step 1, 2, …: mean ← β·mean + (1 - β)·weights, β = (1 - 1 / step)^(γ + 1)."""
        weights = [value.detach() for _, value in _trained(net)]
        torch._foreach_lerp_(list(self.means.values()), weights, 1 - (1 - 1 / step) ** (self.gamma + 1))

    @torch.no_grad()
    def put(self, net: nn.Module) -> None:
        """Gives a copy of the net these weights."""
        for name, value in net.named_parameters():
            if name in self.means:
                value.copy_(whole(self.means[name]))


def exponent(width: float) -> float:
    """γ of a width (op. cit., eq. 126 and algorithm 2).

    Raises:
        InputError: A width that no γ ≥ 0 has.
    """
    if not 0 < width <= 0.25:
        raise InputError(f"ema {width:g}: give widths above 0 and up to 0.25, shares of the training")
    inverse = width**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())


def _trained(net: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return ((name, value) for name, value in net.named_parameters() if value.requires_grad)
