"""Where crops are taken: drawn for the whole batch, so that processes do not change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from synth.diffusion.training.ct.volumes import CtData, Level

__all__ = ["DRAWS", "corner", "fixed_patches", "pick", "random_patches"]

DRAWS = 4
"""Numbers from 0 to 1 that a crop needs: its level, and its place along z, y, x."""


def pick(draw: float, n: int) -> int:
    """One of n places, evenly."""
    return min(int(draw * n), n - 1)


def corner(draws: Sequence[float], whole: Sequence[int], side: int) -> tuple[int, ...]:
    """The first voxel of a crop of a grid."""
    return tuple(pick(draw, length - side + 1) for draw, length in zip(draws, whole, strict=True))


def random_patches(data: CtData, indices: NDArray[np.int64], draws: Tensor, side: int) -> Tensor:
    """(k, 1 + m, side, side, side) a crop of each CT, at a level of its own.

    Args:
        data: The CTs.
        indices: (k,) which.
        draws: (k, DRAWS) numbers from 0 to 1.
        side: Voxels of a side.
    """
    crops = []
    for index, (which, *place) in zip(indices.tolist(), draws.tolist(), strict=True):
        level = data.levels[pick(which, len(data.levels))]
        crops.append(level.crop(index, corner(place, level.grid.size, side), side))
    return torch.cat(crops)


def fixed_patches(level: Level, indices: NDArray[np.int64], side: int) -> Tensor:
    """(k, 1 + m, side, side, side) the middle of each CT."""
    first = [(whole - side) // 2 for whole in level.grid.size]
    return torch.cat([level.crop(int(index), first, side) for index in indices])
