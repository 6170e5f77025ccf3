"""Teaching the network: mild augmentation, a learning rate that rises and falls to 0 over the time there is."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from phantom_classifier.training import augmented
from torch import Tensor, nn

from synth.core.seeds import sample_generator
from synth.metrics.readers.network import Network, standardised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reader_training.films import Films

__all__ = ["RARE", "scores", "teach"]

RARE = 4.0
"""How much more a sign that is missed counts than one that is told falsely."""

_BATCH, _RATE, _DECAY, _WARM = 32, 3e-3, 0.05, 0.1
_TELL_S = 30.0


def teach(
    films: Films, chosen: NDArray[np.int64], seed: int, minutes: float, steps: int | None = None
) -> tuple[Network, int]:
    """A network taught on the chosen films for so long, or so many steps, and how many films it saw.

    With steps it is the same on every run; with minutes it depends on the machine.
    """
    torch.manual_seed(seed)
    order = sample_generator(seed, "order")
    network = Network(len(films.signs), len(films.age_groups)).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    start = told = time.monotonic()
    seen, queue = 0, np.empty(0, np.int64)
    while (share := (time.monotonic() - start) / (60 * minutes) if steps is None else seen / (_BATCH * steps)) < 1:
        while len(queue) < _BATCH:
            queue = np.concatenate([queue, order.permutation(chosen)])
        batch, queue = queue[:_BATCH], queue[_BATCH:]
        for group in optimizer.param_groups:
            group["lr"] = _rate(share)
        loss = _loss(network, films, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        seen += len(batch)
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            print(f"{share:.0%}: {seen / len(chosen):.1f} passes, loss {loss.item():.3f}", file=sys.stderr, flush=True)
    return network.eval(), seen


def _rate(share: float) -> float:
    """The learning rate after a share of the training: a line up, then half a cosine down to 0."""
    return _RATE * min(share / _WARM, 0.5 + 0.5 * math.cos(math.pi * max(0.0, share - _WARM) / (1 - _WARM)))


def _loss(network: Network, films: Films, batch: NDArray[np.int64]) -> Tensor:
    images, _ = augmented(standardised(torch.from_numpy(films.images[batch])), torch.zeros(len(batch), 1, 1, 1))
    signs, _, man, age = network(images)
    wanted = torch.from_numpy(films.targets[batch])
    entropy = nn.functional.binary_cross_entropy_with_logits(
        signs, wanted.nan_to_num(), pos_weight=torch.tensor(RARE), reduction="none"
    )
    told = entropy[~wanted.isnan()].sum() / len(batch)
    sex = nn.functional.binary_cross_entropy_with_logits(man, torch.from_numpy(films.men[batch]).float())
    groups = torch.tensor([films.age_groups.index(films.ages[row]) for row in batch])
    return told + sex + 0.5 * nn.functional.cross_entropy(age, groups)


@torch.no_grad()
def scores(network: Network, images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
    """Log-odds of signs (n, s), of a man (n,), and of age groups (n, a), of images (n, h, w)."""
    parts = [network(standardised(torch.from_numpy(some))) for some in np.array_split(images, -(-len(images) // 64))]
    signs, _, man, age = (torch.cat(each).double().numpy() for each in zip(*parts, strict=True))
    return signs, man, age
