"""What a dataset asks of its source: one body, from which a source makes one sample or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from synth.core.record import Finding

__all__ = ["DrawnRequests", "Request", "seed_of"]


@dataclass(frozen=True)
class Request:
    """One case that is asked for; what is None or empty is the source's to choose.

    Attributes:
        number: Place in the dataset; its samples are number × each, …, number × each + each − 1.
        seed: 64-bit root of all that is drawn for it. Nothing else decides the case but the source and these wishes.
        id: What the plan calls it; default: the number.
        sex: "F" or "M".
        age: Years.
        race: Free text.
        view: "PA", "AP", "LATERAL"; instead of the source's views.
        findings: What is to be seen; () for nothing, None for the source to choose.
        prompt: Text for a generator that takes text.
    """

    number: int
    seed: int
    id: str = ""
    sex: str | None = None
    age: float | None = None
    race: str | None = None
    view: str | None = None
    findings: tuple[Finding, ...] | None = None
    prompt: str = ""

    @property
    def name(self) -> str:
        """Its id, or its number where it has none."""
        return self.id or str(self.number)

    def again(self, attempt: int) -> Request:
        """The same wishes with another seed, where earlier attempts were refused; attempt 0 is the request itself."""
        return replace(self, seed=seed_of(self.seed, attempt)) if attempt else self


@dataclass(frozen=True)
class DrawnRequests(Sequence[Request]):
    """Requests that leave everything to the source, made when asked for.

    Attributes:
        n: How many.
        seed: Root seed, from which each has its own.
    """

    n: int
    seed: int

    def __len__(self) -> int:
        return self.n

    @overload
    def __getitem__(self, at: int) -> Request: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Request]: ...
    def __getitem__(self, at: int | slice) -> Request | Sequence[Request]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(self.n))]
        number = range(self.n)[at]
        return Request(number, seed_of(self.seed, number))


def seed_of(root_seed: int, number: int) -> int:
    """The seed of the case, or of the attempt, of that number: 63 bits."""
    return int(sample_generator(root_seed, number, "case").integers(2**63))
