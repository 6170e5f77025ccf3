"""Painting strokes on a canvas: values, organs and their parts on one grid."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.packing import pack
from synth.core.errors import InputError
from synth.kernels.paint import paint as paint_program

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.solids import Stroke

__all__ = ["Canvas", "paint"]

AIR_HU = -1000.0
"""What a canvas starts with; by definition of the Hounsfield scale."""


@dataclass
class Canvas:
    """What strokes are painted on.

    Attributes:
        hu: (z, y, x) float32, C-contiguous, numpy or CuPy.
        labels: (z, y, x) uint8, values of synth.anatomy.labels.LABELS, the same kind of array.
        parts: (z, y, x) uint8, values of synth.anatomy.labels.PARTS, the same kind of array.
        origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm, in the strokes' coordinates.
        spacing: (3,) mm, along x, y, z.
    """

    hu: Any
    labels: Any
    parts: Any
    origin: NDArray[np.float64]
    spacing: NDArray[np.float64]

    @classmethod
    def empty(cls, shape: tuple[int, int, int], origin: ArrayLike, spacing: ArrayLike, xp: Any = np) -> Canvas:
        """A canvas of air.

        Args:
            shape: Voxels along z, y, x.
            origin: (3,) centre of voxel (0, 0, 0), x, y, z, mm.
            spacing: (3,) mm, along x, y, z; or one number.
            xp: numpy or cupy.

        Raises:
            InputError: An empty grid, or voxels without a size.
        """
        origin, spacing = np.asarray(origin, np.float64), np.asarray(spacing, np.float64)
        if origin.shape != (3,) or spacing.shape not in ((), (3,)):
            raise InputError(f"canvas: origin and spacing need three numbers, got {origin.shape} and {spacing.shape}")
        if not (np.isfinite(origin).all() and np.isfinite(spacing).all() and (spacing > 0).all()) or min(shape) < 1:
            raise InputError(f"canvas: needs voxels of a size above 0, got {shape} of {spacing} mm at {origin}")
        return cls(
            xp.full(shape, AIR_HU, np.float32),
            xp.zeros(shape, np.uint8),
            xp.zeros(shape, np.uint8),
            origin,
            np.broadcast_to(spacing, (3,)).copy(),
        )


def paint(canvas: Canvas, strokes: Iterable[Stroke], *, clock: dict[str, float] | None = None) -> None:
    """Paints strokes in their order; those outside the grid cost next to nothing.

    The same strokes give the same bits on every machine, CPU or GPU, with any number of threads.

    Args:
        canvas: Painted in place.
        strokes: What to paint.
        clock: Gains the seconds spent, by the strokes' groups. Strokes of one group in a row are painted at once.

    Raises:
        InputError: A label or part that there is not, or a solid that is malformed.
    """
    runs = [("", strokes)] if clock is None else itertools.groupby(strokes, key=lambda stroke: stroke.group)
    for group, run in runs:
        painted = list(run)
        start = time.perf_counter()
        program = pack(painted, canvas.hu.shape, canvas.origin, canvas.spacing)
        paint_program(canvas.hu, canvas.labels, canvas.parts, canvas.origin, canvas.spacing, program)
        if clock is not None:
            if not isinstance(canvas.hu, np.ndarray):
                canvas.hu.device.synchronize()
            clock[group] = clock.get(group, 0.0) + time.perf_counter() - start
