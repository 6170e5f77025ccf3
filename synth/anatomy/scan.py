"""A CT with what is known of it: organs, their parts, and the findings in it with their masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume, same_grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from synth.core.record import Finding
    from synth.drr.placed import Placed

__all__ = ["Scan", "Seen"]


@dataclass(frozen=True, eq=False)
class Seen:
    """A finding where it lies.

    Attributes:
        finding: What it is.
        mask: (z, y, x) bool on the scan's grid: the voxels that show it.
        placed: The objects it consists of, for devices: radiographs draw them as meshes, sharper than voxels.
    """

    finding: Finding
    mask: NDArray[np.bool_]
    placed: tuple[Placed, ...] = ()


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT, phantom or real, and what is known of it.

    Attributes:
        volume: The CT, HU.
        labels: Organs on its grid, TotalSegmentator's names.
        parts: Airways, vessels of the lungs and chambers on the same grid, names of synth.anatomy.labels.PARTS; real
            CT may come without.
        seen: Findings added so far, in their order.
        supine: Whether the patient lies on the back: free fluid and gas follow gravity (towards +y when supine, −z
            upright).
    """

    volume: Volume
    labels: Labels
    parts: Labels | None = None
    seen: tuple[Seen, ...] = field(default=())
    supine: bool = False

    def __post_init__(self) -> None:
        for labels in (self.labels, self.parts):
            if labels is not None and not same_grid(self.volume, labels):
                raise InputError(f"{labels.name}: the label map is not on the grid of {self.volume.name}")

    def values(self, names: Iterable[str]) -> list[int]:
        """Values of the label map that bear one of the names; those it lacks are left out."""
        wanted = set(names)
        return [value for value, name in self.labels.names.items() if name in wanted]

    def where(self, *names: str) -> NDArray[np.bool_]:
        """(z, y, x) bool: the voxels that bear one of the names."""
        table = np.zeros(np.iinfo(self.labels.array.dtype).max + 1, bool)
        table[self.values(names)] = True
        inside: NDArray[np.bool_] = table[self.labels.array]
        return inside
