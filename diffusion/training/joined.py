"""Several sets of examples as one."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synth.diffusion.text.conditions import Conditions
    from synth.diffusion.training.examples import Examples
    from synth.diffusion.training.sources import DataSource

__all__ = ["Joined", "open_sources"]


@dataclass(frozen=True, eq=False)
class Joined:
    """Sets of examples one after the other; patients of different sets are different."""

    sets: tuple[Examples, ...]

    @cached_property
    def digest(self) -> str:
        """See Examples."""
        return hashlib.sha256(" ".join(one.digest for one in self.sets).encode()).hexdigest()

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *map(len, self.sets)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _at(self, index: int) -> tuple[int, int]:
        place = int(np.searchsorted(self._starts, index, side="right")) - 1
        return place, index - int(self._starts[place])

    def image(self, index: int, size: int) -> NDArray[np.uint16]:
        """See Examples."""
        place, inner = self._at(index)
        return self.sets[place].image(inner, size)

    def masks(self, index: int, size: int) -> Mapping[str, NDArray[np.bool_]]:
        """See Examples."""
        place, inner = self._at(index)
        return self.sets[place].masks(inner, size)

    def structures(self) -> Mapping[str, int]:
        """See Examples."""
        total: Counter[str] = Counter()
        for one in self.sets:
            total.update(one.structures())
        return total

    def conditions(self, index: int) -> tuple[Conditions, ...]:
        """See Examples."""
        place, inner = self._at(index)
        return self.sets[place].conditions(inner)

    def patient(self, index: int) -> str:
        """See Examples."""
        place, inner = self._at(index)
        return f"{place}:{self.sets[place].patient(inner)}"


def open_sources(sources: Sequence[DataSource]) -> Examples:
    """Folders as one set.

    Raises:
        InputError: None is given, or one cannot be read.
    """
    if not sources:
        raise InputError("data: give a dataset's folder, or several")
    sets = tuple(source.open() for source in sources)
    return sets[0] if len(sets) == 1 else Joined(sets)
