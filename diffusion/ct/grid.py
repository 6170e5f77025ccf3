"""The grids of a CT from the base to the finest: sizes, spacings, and where they lie in the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CtGrid", "affine_of", "grid_of"]

Triple = tuple[int, int, int]
Millimetres = tuple[float, float, float]

_LEAST_MM, _MOST_MM = 0.1, 50.0
_MOST_VOXELS = 1024


@dataclass(frozen=True)
class CtGrid:
    """A grid, and how often it is twice as fine as the base.

    Attributes:
        size: (z, y, x) voxels.
        spacing: (z, y, x) mm.
        finer: Doublings from the base to it.
    """

    size: Triple
    spacing: Millimetres
    finer: int

    def at(self, finer: int) -> CtGrid:
        """The grid of the same field of view so many doublings from the base."""
        factor = 2 ** (self.finer - finer)
        z, y, x = self.size
        mm = self.spacing
        return CtGrid((z // factor, y // factor, x // factor), (mm[0] * factor, mm[1] * factor, mm[2] * factor), finer)

    @property
    def affine(self) -> NDArray[np.float64]:
        """See `affine_of`."""
        return affine_of(self.size, self.spacing)


def grid_of(
    size: Sequence[int] | None,
    spacing: float | Sequence[float] | None,
    *,
    base: Triple,
    base_spacing: float,
    unit: int,
    refines: bool,
) -> CtGrid:
    """The grid that is asked for.

    It is halved until it fits into the base, so that the base covers the same field of view.

    Args:
        size: (z, y, x) voxels; default: the base's.
        spacing: (z, y, x) mm, or one for all; default: the base's, halved with every doubling.
        base: (z, y, x), largest grid of the base.
        base_spacing: Of its voxels, mm.
        unit: Voxels along each side of what the base takes as one.
        refines: Whether there is a refiner.

    Raises:
        InputError: A size or a spacing that cannot be made.
    """
    wanted = tuple(base if size is None else size)
    if len(wanted) != 3 or not all(1 <= side <= _MOST_VOXELS for side in wanted):
        raise InputError(f"size {_text(wanted)}: give three numbers of voxels (z, y, x), 1 to {_MOST_VOXELS}")
    finer = 0
    while any(side > most * 2**finer for side, most in zip(wanted, base, strict=True)):
        finer += 1
    if finer and not refines:
        raise InputError(f"size {_text(wanted)}: this model has no refiner; give at most {_text(base)} voxels")
    step = unit * 2**finer
    if any(side % step for side in wanted):
        raise InputError(f"size {_text(wanted)}: give multiples of {step} voxels")
    usual = base_spacing / 2**finer
    given = usual if spacing is None else spacing
    mm = (float(given),) * 3 if isinstance(given, (int, float)) else tuple(map(float, given))
    if len(mm) != 3 or not all(_LEAST_MM <= one <= _MOST_MM for one in mm):
        raise InputError(f"spacing {given}: give one number of mm, or three (z, y, x), {_LEAST_MM:g} to {_MOST_MM:g}")
    return CtGrid((wanted[0], wanted[1], wanted[2]), (mm[0], mm[1], mm[2]), finer)


def affine_of(size: Sequence[int], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Voxel (x, y, z, 1) → LPS, mm; the middle of the grid is the origin.

    Args:
        size: (z, y, x) voxels.
        spacing: (z, y, x) mm.
    """
    steps = np.asarray(spacing, np.float64)[::-1]
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (np.asarray(size)[::-1] - 1) / 2
    return affine


def _text(size: Sequence[int]) -> str:
    return " × ".join(map(str, size))
