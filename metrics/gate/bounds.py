"""What a score must reach: thresholds in the score's own unit or in its floor's, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from synth.metrics.score_value import Score

__all__ = ["Bound", "Limit"]


@dataclass(frozen=True)
class Limit:
    """One threshold of a score.

    Attributes:
        at: The threshold, in the score's unit.
        upper: Whether the score must not be above it, or not below.
        words: Where it comes from.
    """

    at: float
    upper: bool
    words: str

    def kept(self, value: float) -> bool:
        """Whether a value is on the right side; NaN is not."""
        return value <= self.at if self.upper else value >= self.at

    def surely(self, score: Score) -> bool | None:
        """Whether the whole interval is on the right side (True) or on the wrong one (False); None between."""
        if score.low is None or score.high is None:
            return self.kept(score.value)
        ends = {self.kept(score.low), self.kept(score.high)}
        return ends.pop() if len(ends) == 1 else None


@dataclass(frozen=True)
class Bound:
    """Thresholds of one score; all that are given must be kept.

    The floor is what real against real scores at these sizes (of vendi and ms-ssim, the reference's own value), so that
    thresholds beside it hold for any number of images and any extractor.

    Attributes:
        max: Largest value.
        min: Smallest value.
        max_of_floor: Largest multiple of the floor.
        min_of_floor: Smallest multiple of the floor.
        max_above_floor: Largest difference from the floor; for FRD, which is a logarithm.
    """

    max: float | None = None
    min: float | None = None
    max_of_floor: float | None = None
    min_of_floor: float | None = None
    max_above_floor: float | None = None

    def __post_init__(self) -> None:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in given.items():
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(f"{name} must be a number, got {value!r}")
            if name.endswith("of_floor") and not value > 0:
                raise InputError(f"{name} must be above 0, got {value!r}")
        if all(value is None for value in given.values()):
            raise InputError(f"a bound needs one of {', '.join(given)}")

    @property
    def needs_floor(self) -> bool:
        """Whether a threshold is beside the floor."""
        return any(value is not None for value in (self.max_of_floor, self.min_of_floor, self.max_above_floor))

    def limits(self, floor: float | None) -> tuple[Limit, ...]:
        """The thresholds; those beside the floor are left out where there is none."""
        found = []
        if self.max is not None:
            found.append(Limit(self.max, True, f"at most {self.max:.4g}"))
        if self.min is not None:
            found.append(Limit(self.min, False, f"at least {self.min:.4g}"))
        if floor is None or not math.isfinite(floor):
            return tuple(found)
        if self.max_of_floor is not None:
            at = self.max_of_floor * floor
            found.append(Limit(at, True, f"at most {at:.4g}, {self.max_of_floor:g} times the floor"))
        if self.min_of_floor is not None:
            at = self.min_of_floor * floor
            found.append(Limit(at, False, f"at least {at:.4g}, {self.min_of_floor:g} times the floor"))
        if self.max_above_floor is not None:
            at = floor + self.max_above_floor
            found.append(Limit(at, True, f"at most {at:.4g}, {self.max_above_floor:g} above the floor"))
        return tuple(found)
