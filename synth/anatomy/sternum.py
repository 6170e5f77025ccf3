"""The breastbone: manubrium with its notches, body, and xiphoid.

Widths after Selthofer et al. 2006 (Coll Antropol 30:43), rounded; outlines are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.bone import core, marrow, rod, shell
from synth.anatomy.solids import Slab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.solids import Stroke

__all__ = ["clavicular_notch", "sternum"]

_STEP_MM = 1.5
_EDGE_MM = 4.5
"""How far from its outline the bone has reached its full thickness."""
_SHELL_MM = 0.6
_JOINT_MM = 1.6
"""Gap of cartilage between manubrium and body."""
_FEMALE = 0.9

# Share of the length from below → half width, mm, of the default man.
_MANUBRIUM = ((0.0, 14.5), (0.25, 19.0), (0.5, 25.0), (0.7, 30.0), (0.85, 30.5), (1.0, 27.0))
_BODY = ((0.0, 10.0), (0.12, 15.5), (0.3, 18.5), (0.55, 16.5), (0.85, 13.5), (1.0, 14.0))


def clavicular_notch(frame: Frame, sign: float) -> NDArray[np.float64]:
    """(3,) world: where the clavicle of a side (left +1, right −1) meets the manubrium."""
    plan = frame.cage.sternum
    up = _up(plan.notch - plan.angle)
    size = _FEMALE if frame.build.female else 1.0
    point: NDArray[np.float64] = plan.notch + np.array([sign * 22.0 * size, 0.0, 0.0]) + 5.0 * up
    return point


def sternum(frame: Frame, hu: Mapping[str, float]) -> list[Stroke]:
    """Strokes of the breastbone."""
    plan, size = frame.cage.sternum, _FEMALE if frame.build.female else 1.0
    solids = (
        _plate(plan.angle, plan.notch, _MANUBRIUM, plan.thickness, size, notched=True),
        _plate(plan.xiphisternal, plan.angle, _BODY, 0.88 * plan.thickness, size, notched=False),
    )
    xiphoid = rod(
        np.linspace(plan.xiphisternal, plan.tip + np.array([0.0, 0.0, 4.0]), 3),
        np.array([9.0, 7.0, 3.0]) * size,
        np.array([4.0, 3.0, 2.0]) * size,
        [0.0, -1.0, 0.0],
    )
    across = np.array([11.0 * size, 0.0, 0.0])
    joint = rod([plan.angle - across, plan.angle + across], 0.36 * plan.thickness)
    return [
        shell((joint,), "sternum", hu["cartilage"], "sternum"),
        shell((*solids, xiphoid), "sternum", hu["cortical_bone"], "sternum"),
        marrow(solids, "sternum", hu["trabecular_rib"], "sternum", _SHELL_MM),
        marrow((core(xiphoid, 0.7),), "sternum", hu["cartilage"], "sternum"),
    ]


def _up(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = direction / np.linalg.norm(direction)
    return unit


def _plate(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    widths: tuple[tuple[float, float], ...],
    thickness: float,
    size: float,
    *,
    notched: bool,
) -> Slab:
    """A plate with rounded edges over the line between two points, its face forward.

    Args:
        low: (3,) middle of its lower edge, world mm.
        high: (3,) middle of its upper edge; with `notched`, of the jugular notch.
        widths: (share of the length from below, half width in mm), rising.
        thickness: mm.
        size: What to multiply the widths by.
        notched: Whether the upper edge bears the jugular and the clavicular notches.
    """
    up = _up(high - low)
    axes = np.stack([[1.0, 0.0, 0.0], up, np.cross([1.0, 0.0, 0.0], up)])
    length = float(np.linalg.norm(high - low))
    u = np.arange(-36.0, 36.1, _STEP_MM)
    v = np.arange(-3.0, length + 14.0, _STEP_MM)
    share, half = np.array(widths).T
    side = np.interp(v / length, share, half * size)[:, None] - np.abs(u)
    bottom = (v - _JOINT_MM / 2 * notched)[:, None]
    x = np.abs(u) / size
    top = length + (np.interp(x, [0, 8, 15, 22, 31], [0.0, 1.5, 7.0, 4.0, -5.0]) if notched else -_JOINT_MM / 2)
    inside = np.minimum(np.minimum(side, bottom), top - v[:, None])
    rounding = np.clip(inside / _EDGE_MM, -1.0, 1.0)
    half_thickness = thickness / 2 * rounding * (2 - np.abs(rounding))
    return Slab(-half_thickness, half_thickness, float(u[0]), float(v[0]), _STEP_MM, _STEP_MM, low, axes)
