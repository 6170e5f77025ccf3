"""Scores of all copies of a set, and of real halves drawn again and again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from synth.core.seeds import sample_generator
from synth.metrics.images.sets import ImageSet
from synth.metrics.scoring import score
from synth.metrics.scoring.metrics import METRICS

from .order import Order, order_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.metrics.score_value import Score

    from .corruptions import Corruption
    from .people import People

    Pictures = NDArray[np.uint8]

__all__ = ["NAMES", "SPLITS", "Run", "run"]

NAMES = tuple(name for name in METRICS if name != "fid")
"""All that needs no download."""

SPLITS = 19
"""Real halves; a set like them is worse than all with a probability of 1/20."""

Scores: TypeAlias = "Mapping[str, Score]"


@dataclass(frozen=True)
class Run:
    """All scores.

    Attributes:
        corruptions: What was done.
        traces: For each corruption the scores of rising severity, the unchanged set's first.
        real: Those of halves drawn anew from both.
    """

    corruptions: tuple[Corruption, ...]
    traces: tuple[tuple[Scores, ...], ...]
    real: tuple[Scores, ...]

    @cached_property
    def orders(self) -> dict[str, tuple[Order, ...]]:
        """Metric → how it follows each corruption."""
        return {
            name: tuple(
                order_of(name, [one[name] for one in trace], [one[name] for one in self.real]) for trace in self.traces
            )
            for name in self.real[0]
        }


def run(people: People, found: tuple[Corruption, ...], seed: int, splits: int = SPLITS) -> Run:
    """Scores every severity of every corruption against the reference, features from the cache where they are there."""
    unchanged = _scores(people.reference, people.generated, seed)
    print(f"unchanged: {_line(unchanged)}", file=sys.stderr, flush=True)
    traces = []
    for one in found:
        trace = [unchanged]
        for level, label in enumerate(one.labels, 1):
            trace.append(_scores(people.reference, one.make(level), seed))
            print(f"{one.name} {label}: {_line(trace[-1])}", file=sys.stderr, flush=True)
        traces.append(tuple(trace))
    both = np.concatenate([people.reference, people.generated])
    real = []
    for split in range(splits):
        order = sample_generator(seed, split, "split").permutation(len(both))
        half = len(people.reference)
        real.append(_scores(both[order[:half]], both[order[half:]], seed))
        print(f"real halves {split}: {_line(real[-1])}", file=sys.stderr, flush=True)
    return Run(found, tuple(traces), tuple(real))


def _scores(reference: Pictures, generated: Pictures, seed: int) -> Scores:
    card = score(
        ImageSet.open(reference, name="half A"), ImageSet.open(generated, name="half B"), NAMES, seed=seed, workers=1
    )
    return {name: card[name] for name in NAMES}


def _line(scores: Scores) -> str:
    return ", ".join(f"{name} {one.value:.3g}" for name, one in scores.items())
