"""The noise a sample starts from: its own, from its own seed, whatever the batch, the device and the order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["noise_of", "noise_seed"]


def noise_seed(root_seed: int, sample_id: str | int, purpose: str = "noise") -> int:
    """The seed of one sample's noise: 63 bits of (root seed, id, purpose)."""
    return int(sample_generator(root_seed, sample_id, purpose).integers(2**63))


def noise_of(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Standard normal noise, float32, on the CPU: GPUs of different makes would draw different numbers.

    Args:
        seeds: One a sample.
        shape: Of one sample.

    Returns:
        (n, *shape).
    """
    drawn = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(drawn) if drawn else torch.empty(0, *shape)
