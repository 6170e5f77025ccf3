"""What all bones are made of: rods of any section, with a shell of cortex around marrow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.solids import Stroke, Tubes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.solids import Solid

__all__ = ["core", "knob", "marrow", "rod", "share_along", "shell"]

_LEAST_MM = 0.05
"""Half axis of what is left within a bone that is cortex throughout."""


def rod(
    points: ArrayLike,
    half_width: ArrayLike,
    half_thickness: ArrayLike | None = None,
    normal: ArrayLike | None = None,
) -> Tubes:
    """A rod whose section changes along its axis.

    Args:
        points: (n, 3) world mm, n ≥ 2, no two that follow each other alike.
        half_width: (n,) or one for all: the longer half axis of the section, mm.
        half_thickness: (n,) or one: the shorter half axis, along the normal; None: round.
        normal: (n, 3) or (3,): which way it is flat; what of it runs along the axis is taken out.

    Returns:
        n − 1 segments.
    """
    points = np.asarray(points, np.float64)
    n = len(points)
    width = np.broadcast_to(np.asarray(half_width, np.float64), n)
    thickness = width if half_thickness is None else np.broadcast_to(np.asarray(half_thickness, np.float64), n)
    along = np.diff(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    towards = _any_across(along) if normal is None else np.broadcast_to(np.asarray(normal, np.float64), (n, 3))[:-1]
    across = towards - (towards * along).sum(axis=1, keepdims=True) * along
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    ratio = np.minimum(thickness / width, 1.0)
    return Tubes(points[:-1], points[1:], width[:-1], width[1:], across, (ratio[:-1] + ratio[1:]) / 2)


def knob(centre: ArrayLike, radius: float) -> Tubes:
    """A ball."""
    centre = np.asarray(centre, np.float64)
    return rod(centre + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1e-3]]), radius)


def core(tubes: Tubes, cortex: ArrayLike) -> Tubes:
    """What a cortex leaves within a rod.

    Args:
        tubes: n segments.
        cortex: Thickness, mm: (n,), or one for all.
    """
    cortex = np.broadcast_to(np.asarray(cortex, np.float64), tubes.flat.shape)
    start = np.maximum(tubes.start_radius - cortex, _LEAST_MM)
    end = np.maximum(tubes.end_radius - cortex, _LEAST_MM)
    width = (tubes.start_radius + tubes.end_radius) / 2
    thickness = np.maximum(width * tubes.flat - cortex, _LEAST_MM)
    flat = np.clip(thickness / np.maximum(width - cortex, _LEAST_MM), 0.02, 1.0)
    return replace(tubes, start_radius=start, end_radius=end, flat=flat)


def share_along(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) length of a polyline (n, 3) up to each point, over all of it."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    share: NDArray[np.float64] = length / length[-1]
    return share


def shell(solids: tuple[Solid, ...], label: str, hu: float, group: str) -> Stroke:
    """A bone as a whole, in the value of its cortex."""
    return Stroke(solids, hu, label, "", group=group)


def marrow(solids: tuple[Solid, ...], label: str, hu: float, group: str, inset_mm: float = 0.0) -> Stroke:
    """What lies within the cortex: painted on the bone of that label alone."""
    return Stroke(solids, hu, None, "bone_marrow", over=(label,), inset_mm=inset_mm, group=group)


def _any_across(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3): the axis of the world that is farthest from each direction."""
    across: NDArray[np.float64] = np.eye(3)[np.argmin(np.abs(along), axis=1)]
    return across
