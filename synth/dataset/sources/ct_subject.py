"""A generated CT before the tube: its masks, which may overlap, as what radiographs project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.core.volume import Labels, Volume
from synth.dataset.patients.structures import combined
from synth.dataset.patients.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from synth.core.record import Record
    from synth.diffusion.ct.generate import Drawn

__all__ = ["OneSubject", "subject_of_drawn"]

_LUNGS: Mapping[str, Sequence[str]] = {"lung_left": LUNG_LEFT, "lung_right": LUNG_RIGHT}


@dataclass(frozen=True)
class OneSubject:
    """The one patient of a radiograph job, see `synth.dataset.patients.subject.Subjects`.

    Attributes:
        subject: The patient; None where nothing is read, only told of.
    """

    subject: Subject | None = None

    @property
    def names(self) -> list[str]:
        """One."""
        return ["ct"]

    def recipe(self) -> dict[str, Any]:
        """The CT is told of by its own source."""
        return {}

    def check(self, root: Path) -> None:
        """Nothing has to be there."""

    def posture(self, view: str) -> str:
        """A CT's patient lies as it does."""
        return ""

    def read(self, number: int, posture: str) -> Subject:
        """The patient."""
        assert self.subject is not None
        return self.subject


def subject_of_drawn(drawn: Drawn, record: Record, *, masks: bool) -> Subject:
    """What radiographs are taken of.

    Args:
        drawn: The CT.
        record: What is said of it.
        masks: Whether its masks are projected, each wholly where masks overlap, and both lungs.
    """
    volume = Volume(drawn.hu, drawn.affine, "ct")
    if not masks:
        return Subject(volume, record=record)
    if not drawn.names:
        return Subject(volume, () if drawn.labels is None else (drawn.labels,), record=record)
    layers = [
        Labels(np.ascontiguousarray(mask).view(np.uint8), drawn.affine, {1: name}, name)
        for name, mask in zip(drawn.names, drawn.masks, strict=True)
    ]
    groups = {name: (name,) for name in drawn.names} | {
        name: lobes for name, lobes in _LUNGS.items() if set(lobes) <= set(drawn.names)
    }
    maps, sums = combined(layers, groups)
    return Subject(volume, maps, sums, record=record)
