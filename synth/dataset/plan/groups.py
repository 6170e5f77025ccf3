"""Age groups of a plan, as half-open ranges of years with the names that scores and datasets use."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from synth.anatomy.cohort_files import OLDEST
from synth.core.errors import InputError

__all__ = ["AgeGroups"]

_DECADES = (18, 30, 40, 50, 60, 70, 80, 90)
_DEFAULT = (18, 40, 60, 80)


@dataclass(frozen=True)
class AgeGroups:
    """Groups from each edge to below the next, the last without an end.

    Attributes:
        edges: Years, rising; who is younger than the first belongs to no group.
    """

    edges: tuple[int, ...] = _DEFAULT

    @classmethod
    def read(cls, text: str) -> AgeGroups:
        """Groups of a text: "18,40,60,80", or "decades" of adults (18-29, 30-39, …, 90+).

        Raises:
            InputError: Anything else.
        """
        if text.strip().lower() == "decades":
            return cls(_DECADES)
        parts = [part.strip() for part in text.split(",")]
        edges = tuple(int(part) for part in parts if part.isdigit())
        if len(edges) != len(parts) or list(edges) != sorted(set(edges)) or not edges[-1] < OLDEST:
            raise InputError(
                f"--age-groups {text}: give rising whole years below {OLDEST:g}, such as 18,40,60,80, or decades"
            )
        return cls(edges)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Such as 18-39, 40-59, 60-79, 80+."""
        ends = zip(self.edges, self.edges[1:], strict=False)
        return (*(f"{low}-{high - 1}" for low, high in ends), f"{self.edges[-1]}+")

    def of(self, age: float) -> int:
        """The number of an age's group; −1 for none."""
        return bisect_right(self.edges, age) - 1

    def years(self, group: int) -> tuple[int, int]:
        """First and last whole year of a group; the last group ends with the oldest age."""
        last = self.edges[group + 1] - 1 if group + 1 < len(self.edges) else int(OLDEST)
        return self.edges[group], last
