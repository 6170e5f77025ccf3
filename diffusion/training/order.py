"""Which examples a step sees and what is drawn for them: pure functions of seed and step, so that a run can go on.

Draws are made for the whole batch and then shared out: neither processes nor accumulation change them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from synth.core.seeds import sample_generator
from synth.diffusion.flow import draw_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["Share", "indices_of", "shares"]


@dataclass(frozen=True)
class Share:
    """What one process does of one step's batch at a time.

    Attributes:
        seed: Of the stage.
        step: Counted from 0.
        first: Place in the batch of its first example.
        last: After its last.
        batch: Examples of the whole batch.
        indices: (last - first,), into the training set.
        progress: How much of the training is done, 0 to 1.
    """

    seed: int
    step: int
    first: int
    last: int
    batch: int
    indices: NDArray[np.int64]
    progress: float = 0.0

    @classmethod
    def all_of(cls, seed: int, n: int) -> Share:
        """The same draws every time, for n validation examples."""
        return cls(seed, -1, 0, n, n, np.arange(n))

    def __len__(self) -> int:
        return self.last - self.first

    def normal(self, shape: Sequence[int], purpose: str = "noise") -> Tensor:
        """(share, *shape) standard normal numbers."""
        return torch.randn(self.batch, *shape, generator=self._generator(purpose))[self.first : self.last]

    def uniform(self, shape: Sequence[int], purpose: str) -> Tensor:
        """(share, *shape) numbers from 0 to 1."""
        return torch.rand(self.batch, *shape, generator=self._generator(purpose))[self.first : self.last]

    def times(self, mean: float, deviation: float) -> Tensor:
        """(share,) times of the flow, stratified over the whole batch."""
        drawn = draw_times(self.batch, self._generator("times"), mean=mean, deviation=deviation)
        return drawn[self.first : self.last]

    def _generator(self, purpose: str) -> torch.Generator:
        seed = int(sample_generator(self.seed, self.step, purpose).integers(2**63))
        return torch.Generator().manual_seed(seed)


def indices_of(seed: int, step: int, batch: int, n: int) -> NDArray[np.int64]:
    """(batch,) indices of the step's examples: all n in random order, then all again in another."""
    places = np.arange(step * batch, (step + 1) * batch)
    epochs = places // n
    orders = {epoch: _shuffled(seed, int(epoch), n) for epoch in np.unique(epochs)}
    return np.array([orders[epoch][place % n] for epoch, place in zip(epochs, places, strict=True)], np.int64)


def _parts(batch: int, parts: int) -> list[tuple[int, int]]:
    """The batch in equal parts, as first and last; `parts` divides it."""
    size = batch // parts
    return [(k * size, (k + 1) * size) for k in range(parts)]


def shares(
    seed: int, step: int, batch: int, n: int, *, rank: int, ranks: int, accumulate: int, progress: float
) -> Iterator[Share]:
    """The shares of one process in one step."""
    indices = indices_of(seed, step, batch, n)
    for first, last in _parts(batch, ranks * accumulate)[rank * accumulate : (rank + 1) * accumulate]:
        yield Share(seed, step, first, last, batch, indices[first:last], progress)


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    return sample_generator(seed, epoch, "order").permutation(n)
