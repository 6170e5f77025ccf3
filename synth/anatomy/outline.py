"""Surfaces around the trunk as radii about the cage's own centres: the cage, the belly, and what covers them.

A contour is a table of radii over height and direction, so that the layers of the wall are sums of thicknesses, and
whatever stands out of the trunk (shoulders, folds of the axilla, neck) raises it where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.anatomy.solids import Loft

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.frame import Frame

__all__ = ["Axes", "Balls", "covered", "inner", "ribs_layer", "step", "window"]

_CAGE_MM = 9.6
"""Thickness of the layer of ribs and intercostal muscles: 2 mm to the bone and 7 mm of it, see synth.anatomy.cage."""

_TRANSVERSUS_MM = 3.0
"""Thickness of the innermost muscle of the belly, there the layer has no ribs."""

_STEP_MM, _N_THETA = 6.0, 96
_BELOW_MM, _ABOVE_MM = 16.0, 26.0  # beyond L3 and C5, which no picture shows
_NECK_MM = 4.0
"""How far behind the middle of the cervical bodies that of the neck lies (ours)."""


@dataclass(frozen=True, eq=False)
class Axes:
    """Heights, directions and centres of the tables of radii.

    Attributes:
        z: (n,) mm, ascending.
        centre: (n, 2) mm.
        theta: (m,) radians, 0 to the left, π/2 to the back.
        level: (n, 1) of the spine: 1 is T1.
        angle: (1, m) degrees from the front, 0 to 180, the same on both sides.
    """

    z: NDArray[np.float64]
    centre: NDArray[np.float64]
    theta: NDArray[np.float64]
    level: NDArray[np.float64]
    angle: NDArray[np.float64]

    @classmethod
    def of(cls, frame: Frame) -> Axes:
        """The axes of a body."""
        spine, cavity = frame.spine, frame.cage.cavity
        low, high = spine.z(15.0) - _BELOW_MM, spine.z(-2.0) + _ABOVE_MM
        z = np.linspace(low, high, int(np.ceil((high - low) / _STEP_MM)) + 1)
        heights = cavity.w0 + cavity.dw * np.arange(len(cavity.centre))
        centre = np.stack([np.interp(z, heights, cavity.centre[:, axis]) for axis in (0, 1)], axis=-1)
        neck = spine.axis(z) + np.array([0.0, _NECK_MM])
        share = step(z, spine.z(2.5), spine.z(-0.5))[:, None]
        centre = (1 - share) * centre + share * neck
        theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
        levels = np.arange(-2.0, 16.0)
        tops = np.array([spine.z(level) for level in levels])
        level = np.interp(z, tops[::-1], levels[::-1])
        angle = np.rad2deg(np.abs(np.arctan2(np.cos(theta), -np.sin(theta))))
        return cls(z, centre, theta, level[:, None], angle[None])

    @property
    def spokes(self) -> NDArray[np.float64]:
        """(m, 2) unit vectors of the directions."""
        return np.stack([np.cos(self.theta), np.sin(self.theta)], axis=-1)

    def loft(self, radius: NDArray[np.float64]) -> Loft:
        """The solid of a table of radii (n, m)."""
        return Loft(np.maximum(radius, 0.0), self.centre, float(self.z[0]), float(self.z[1] - self.z[0]))

    def point(self, radius: NDArray[np.float64], degrees: float, level: float, sign: float) -> NDArray[np.float64]:
        """(3,) world: the point of a contour at an angle from the front, at a level of the spine, on one side."""
        row = float(np.interp(-level, -self.level[:, 0], np.arange(len(self.z))))
        direction = np.deg2rad(degrees)
        spoke = np.array([sign * np.sin(direction), -np.cos(direction)])
        column = np.arctan2(spoke[1], spoke[0]) % (2 * np.pi) / (2 * np.pi) * len(self.theta)
        r = float(ndimage.map_coordinates(radius, [[row], [column]], order=1, mode="grid-wrap")[0])
        z = float(np.interp(row, np.arange(len(self.z)), self.z))
        x, y = (float(np.interp(z, self.z, self.centre[:, axis])) for axis in (0, 1))
        return np.array([x + r * spoke[0], y + r * spoke[1], z])


@dataclass(frozen=True, eq=False)
class Balls:
    """Spheres that a contour must cover.

    Attributes:
        centre: (k, 3) world mm.
        radius: (k,) mm.
    """

    centre: NDArray[np.float64]
    radius: NDArray[np.float64]

    @classmethod
    def along(cls, points: ArrayLike, radius: ArrayLike, n: int = 6) -> Balls:
        """Evenly spaced along a polyline (p, 3) with radii (p,) or one for all."""
        line = np.atleast_2d(np.asarray(points, float))
        radii = np.broadcast_to(np.asarray(radius, float), len(line))
        chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        at = np.linspace(0, chord[-1], n if len(line) > 1 else 1)
        centre = np.stack([np.interp(at, chord, line[:, axis]) for axis in range(3)], axis=-1)
        return cls(centre, np.interp(at, chord, radii))

    @classmethod
    def merged(cls, balls: list[Balls]) -> Balls:
        """All of several."""
        return cls(np.concatenate([b.centre for b in balls]), np.concatenate([b.radius for b in balls]))


def inner(frame: Frame, axes: Axes) -> NDArray[np.float64]:
    """(n, m): the cage's inner surface, bridged over the spine between the gutters; mm."""
    cavity = frame.cage.cavity
    rows = (axes.z - cavity.w0) / cavity.dw
    columns = np.arange(len(axes.theta)) * cavity.radius.shape[1] / len(axes.theta)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    radius = np.sqrt(ndimage.map_coordinates(cavity.radius**2, at, order=1, mode="grid-wrap"))
    radius[(rows < 0) | (rows > len(cavity.radius) - 1)] = 0.0
    radius[rows < 0] = radius[np.argmax(rows >= 0)]
    back = frame.cage.back(axes.z)[:, None] - axes.centre[:, 1:]
    aside = np.cos(np.deg2rad(180.0 - axes.angle))
    bridge = np.where(axes.angle > 140, back / np.maximum(aside, 0.3), 0.0)
    inside = (radius > 0) & (axes.z < frame.spine.z(1.2))[:, None]
    return np.asarray(np.where(inside, np.maximum(radius, bridge), radius))


def ribs_layer(axes: Axes, radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) mm along the directions: the layer of ribs, over the leaning apex thicker; below the costal arch thin.

    Args:
        axes: Of the table.
        radius: (n, m) the inner surface, mm.
    """
    slope = np.gradient(radius, axes.z, axis=0)
    layer = _CAGE_MM * np.minimum(np.sqrt(1 + slope**2), 2.5)
    soft = step(axes.angle, 22.0 * (axes.level - 9.2), 22.0 * (axes.level - 10.4)) * step(axes.level, 9.4, 10.6)
    return np.asarray(layer - (_CAGE_MM - _TRANSVERSUS_MM) * soft)


def covered(axes: Axes, radius: NDArray[np.float64], balls: Balls, blur: float = 1.0) -> NDArray[np.float64]:
    """(n, m): a contour raised over spheres, the creases between them filled.

    Args:
        axes: Of the table.
        radius: (n, m) the contour, mm.
        balls: What stands out of it.
        blur: Standard deviation of the filling, cells.
    """
    above = axes.z[:, None] - balls.centre[None, :, 2]
    rows, which = np.nonzero(np.abs(above) < balls.radius)
    square = balls.radius[which] ** 2 - above[rows, which] ** 2
    offset = balls.centre[which, :2] - axes.centre[rows]
    along = offset @ axes.spokes.T
    missed = square[:, None] - ((offset**2).sum(1)[:, None] - along**2)
    exits = np.where(missed > 0, along + np.sqrt(np.maximum(missed, 0)), 0.0)
    raised = radius.copy()
    np.maximum.at(raised, rows, exits)
    smooth = ndimage.gaussian_filter(raised, blur, mode=("nearest", "wrap"))
    filled = np.maximum(raised, smooth)
    return np.asarray(ndimage.gaussian_filter(filled, 0.5 * blur, mode=("nearest", "wrap")))


def step(x: ArrayLike, start: ArrayLike, end: ArrayLike) -> NDArray[np.float64]:
    """0 up to start, 1 from end on, smooth between; start may exceed end."""
    first, last = np.asarray(start, float), np.asarray(end, float)
    t = np.clip((np.asarray(x, float) - first) / (last - first), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def window(x: ArrayLike, low: float, high: float, soft: float) -> NDArray[np.float64]:
    """1 between low and high, falling to 0 within `soft` beyond."""
    return step(x, low - soft, low) * step(x, high + soft, high)
