"""The belly's inner wall: the cavity below the ribs, which fat pushes out in front and at the sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.outline import inner, step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.outline import Axes

__all__ = ["belly"]


def belly(frame: Frame, axes: Axes) -> NDArray[np.float64]:
    """(n, m) mm: the inner surface of chest and belly; where it lies outside the cage's, the belly bulges."""
    build = frame.build
    below = step(axes.z, frame.cage.sternum.xiphisternal[2] - 8.0, frame.spine.z(15.0))[:, None]
    front = np.cos(np.deg2rad(np.minimum(axes.angle, 90.0))) ** 1.3
    side = np.sin(np.deg2rad(axes.angle)) * (axes.angle < 140)
    stout = max(build.visceral_fat - 0.25, 0.0)
    flat = 0.6 if build.supine else 1.0
    bulge = 1.0 + 100.0 * stout * flat
    wide = 24.0 * stout / flat
    cage = inner(frame, axes)
    return np.asarray(np.where(cage > 0, cage + below * (bulge * front + wide * side), 0.0))
