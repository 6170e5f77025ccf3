"""What the network tells of phantoms, in the order of its outputs."""

from __future__ import annotations

from phantom_classifier.design import AGE_GROUPS, CLASSES, SIDED
from synth.metrics.readers.network import Network, standardised

__all__ = ["SIDES", "SIGNS", "new_network", "standardised"]

SIDES = ("right", "left")
SIGNS = tuple((name, side) for name in CLASSES for side in (SIDES if name in SIDED else (None,)))
"""What the network tells: a class, and of which side where it has one."""


def new_network() -> Network:
    """A network that has learnt nothing."""
    return Network(len(SIGNS), len(AGE_GROUPS))
