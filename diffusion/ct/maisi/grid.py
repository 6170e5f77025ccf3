"""The grids that MAISI's models draw on: their axes, and the sizes and spacings that they were trained for.

MAISI's arrays are (x, y, z) with x to the patient's right, y to the front, z to the head; ours are (z, y, x) with x to
the left, y to the back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Limits", "from_maisi", "to_maisi"]

Triple = tuple[int, int, int]
_T = TypeVar("_T", bound=np.generic)


def to_maisi(array: NDArray[_T]) -> NDArray[_T]:
    """(…, z, y, x) LPS → (…, x, y, z) RAS, C-contiguous."""
    return np.ascontiguousarray(np.flip(np.swapaxes(array, -1, -3), (-3, -2)))


def from_maisi(array: NDArray[_T]) -> NDArray[_T]:
    """(…, x, y, z) RAS → (…, z, y, x) LPS, C-contiguous."""
    return np.ascontiguousarray(np.swapaxes(np.flip(array, (-3, -2)), -1, -3))


@dataclass(frozen=True)
class Limits:
    """What a model was trained for; outside of it, it draws noise or bodies cut off, without a word.

    The defaults are those of the published models, as their own scripts check them.

    Attributes:
        sides: Voxels along x and y, which are equal.
        heights: Voxels along z.
        in_plane: Least and largest spacing along x and y, mm.
        between: Least and largest along z, mm.
        field: Least field of view along x and y, mm; the published advice is 256 for heads and 384 for the rest.
    """

    sides: tuple[int, ...] = (256, 384, 512)
    heights: tuple[int, ...] = (128, 256, 384, 512, 640, 768)
    in_plane: tuple[float, float] = (0.5, 3.0)
    between: tuple[float, float] = (0.5, 5.0)
    field: float = 256.0

    def check(self, size: Triple, spacing: Sequence[float], *, head: bool = False) -> tuple[str, ...]:
        """Refuses what the model cannot draw; returns what it may draw badly, one line each.

        Args:
            size: (z, y, x) voxels.
            spacing: (z, y, x) mm.
            head: Whether the head alone is drawn.

        Raises:
            InputError: A size, a spacing or a field of view that the model was not trained for.
        """
        self._check_size(size)
        self._check_spacing(spacing)
        field = size[1] * spacing[1]
        if field < self.field:
            raise InputError(
                f"field of view {field:g} mm ({size[1]} voxels of {spacing[1]:g} mm): give at least {self.field:g} mm "
                f"along x and y, with a spacing of {self.field / size[1]:g} mm or more"
            )
        advised = 1.5 * self.field
        if field < advised and not head:
            return (f"field of view {field:g} mm: bodies may be cut off; {advised:g} mm are advised but for heads",)
        return ()

    def _check_size(self, size: Triple) -> None:
        z, y, x = size
        if y != x or x not in self.sides:
            raise InputError(f"size {y} × {x} in the plane: this model draws {_any_of(self.sides)}, equal both ways")
        if z not in self.heights:
            raise InputError(f"size {z} along z: this model draws {_any_of(self.heights)} slices")

    def _check_spacing(self, spacing: Sequence[float]) -> None:
        z, y, x = spacing
        if y != x:
            raise InputError(f"spacing {y:g} × {x:g} mm in the plane: give one for both ways")
        for name, value, (low, high) in (("in the plane", x, self.in_plane), ("along z", z, self.between)):
            if not low <= value <= high:
                raise InputError(f"spacing {value:g} mm {name}: this model draws {low:g} to {high:g} mm")


def _any_of(values: Sequence[int]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} or {last}" if first else last
