"""What radiographs are taken of: a CT with its maps, what lies in it, and what is known of the patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from synth.core.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume
    from synth.drr.placed import Placed

__all__ = ["Subject", "Subjects"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A patient before the tube.

    Attributes:
        volume: The CT.
        maps: Label maps on its grid; a structure is projected from each.
        sums: Structure → the structures of the maps that it is the sum of; where given, they take their place.
        unions: Mask → the structures that it joins.
        titles: Structure → the name of its mask; others keep theirs.
        objects: What lies in the picture besides.
        focus: (n, 3) world mm, what the field is opened for; default: the body.
        record: What is known of the patient; its view is the radiograph's.
        report: Whether findings are known, so that a report and a prompt can be written.
    """

    volume: Volume
    maps: tuple[Labels, ...] = ()
    sums: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[Placed, ...] = ()
    focus: NDArray[np.float64] | None = None
    record: Record = field(default_factory=lambda: Record(view=""))
    report: bool = False


class Subjects(Protocol):
    """Where the patients of a radiograph job come from. Each is a pure function of the source and its number."""

    @property
    def names(self) -> list[str]:
        """What to call each; their number is the number of patients."""

    def recipe(self) -> dict[str, Any]:
        """All that decides them, as plain JSON without paths."""

    def check(self, root: Path) -> None:
        """Refuses inputs that are not there, and an output folder that would lie among them."""

    def posture(self, view: str) -> str:
        """How a patient is posed for a view; views of one posture share a subject."""

    def read(self, number: int, posture: str) -> Subject:
        """The patient of that number in that posture."""
