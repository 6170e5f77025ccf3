"""The rib cage: its inner surface, the ribs and their cartilages upon it, the breastbone, and the diaphragm within.

The inner surface is a stack of horizontal sections; ribs are curves on it, so that bone, pleura and muscle fit each
other by construction. Angles about a section's centre run from the patient's left (0°) over the back (90°).
Proportions of the levels are our own, set so that inner widths and depths agree with published means: Bellemare et al.
2003 (Am J Respir Crit Care Med 168:305) for width, depth and rib slope at full inspiration; Gayzik et al. 2008
(J Biomech 41:701) for how ribs descend.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from synth.anatomy.solids import Loft

if TYPE_CHECKING:
    from synth.anatomy.build import Build
    from synth.anatomy.spine import Spine

Real = float | np.floating | NDArray[np.float64]

__all__ = ["Cage", "Rib", "Sternum"]

_N_THETA = 96
_SECTION_MM = 6.0
_LATTICE_MM = 8.0

# Level of the spine (T1 = 1), half width and depth of the cavity relative to the largest.
_LEVELS = (0.35, 0.6, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0)
_WIDTH = (0.0, 0.27, 0.40, 0.51, 0.595, 0.665, 0.73, 0.815, 0.88, 0.93, 0.965, 0.99, 1.0, 0.995, 0.975, 0.95, 0.925,
          0.90, 0.88)  # fmt: skip
_FRONT = (0.02, 0.10, 0.17, 0.27, 0.37, 0.47, 0.55, 0.66, 0.74, 0.82, 0.88, 0.94, 0.985, 1.0, 0.99, 0.97, 0.94, 0.91,
          0.89)  # fmt: skip

# Rib number → drop from its joint to its front end, half height and half thickness (mm), and the angle at which its
# bone ends, −90° being the front (our round numbers, for the default body).
_RIBS = (
    (36.0, 6.1, 2.6, -52.0),
    (58.0, 5.6, 2.9, -57.0),
    (74.0, 5.8, 3.2, -57.0),
    (86.0, 6.1, 3.4, -55.0),
    (96.0, 6.4, 3.5, -51.0),
    (104.0, 6.6, 3.6, -45.0),
    (108.0, 6.6, 3.6, -37.0),
    (106.0, 6.4, 3.5, -28.0),
    (98.0, 6.1, 3.4, -18.0),
    (86.0, 5.8, 3.3, -6.0),
    (60.0, 5.2, 3.0, 12.0),
    (30.0, 4.2, 2.7, 45.0),
)
_CLEAR_MM = 2.0
"""Between pleura and bone: endothoracic fascia and inner intercostal muscle."""


@dataclass(frozen=True, eq=False)
class Rib:
    """A rib's bone, and the cartilage in front of it.

    Attributes:
        side: "left" or "right".
        number: 1 to 12.
        line: (n, 3) from the head at the spine to the joint with the cartilage, world mm.
        normal: (n, 3) outward, along which the rib is flat.
        half_height: Half the width of its flat face, mm.
        half_thickness: Half its thickness, mm.
        tubercle: Index into `line` of the joint with the transverse process.
        cartilage: (m, 3) from the bone to the sternum or to the cartilage above; (0, 3) for ribs 11 and 12.
    """

    side: str
    number: int
    line: NDArray[np.float64]
    normal: NDArray[np.float64]
    half_height: float
    half_thickness: float
    tubercle: int
    cartilage: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sternum:
    """The breastbone's middle line, world mm; (3,) each.

    Attributes:
        notch: Middle of the upper edge.
        angle: Joint of manubrium and body.
        xiphisternal: Lower end of the body.
        tip: Of the xiphoid.
        thickness: mm.
    """

    notch: NDArray[np.float64]
    angle: NDArray[np.float64]
    xiphisternal: NDArray[np.float64]
    tip: NDArray[np.float64]
    thickness: float


class Cage:
    """The inner surface of the chest wall, the bones upon it, and what is measured from them."""

    def __init__(self, build: Build, spine: Spine) -> None:
        """Lays the sections along the spine, then ribs and breastbone on them."""
        self.spine = spine
        self._build = build
        self._breath = 1 - build.inspiration
        top, bottom = spine.z(_LEVELS[0]), spine.z(_LEVELS[-1])
        self.z = np.linspace(bottom, top, int(np.ceil((top - bottom) / _SECTION_MM)) + 1)
        heights = np.array([spine.z(level) for level in _LEVELS])[::-1]
        # A dome closes like a sphere: squares, not lengths, go to nothing steadily.
        widths = np.sqrt(np.maximum(PchipInterpolator(heights, np.square(_WIDTH[::-1]))(self.z), 0))
        fronts = PchipInterpolator(heights, _FRONT[::-1])(self.z)
        sections = [self._section(*item) for item in zip(self.z, widths, fronts, strict=True)]
        self._squares = np.square([radius for radius, _ in sections])
        self._centre = np.array([centre for _, centre in sections])
        self.sternum = self._sternum()
        self.ribs = tuple(self._rib(side, number) for side in ("left", "right") for number in range(1, 13))

    @property
    def top(self) -> float:
        """Height of the apices, mm."""
        return float(self.z[-1])

    @property
    def cavity(self) -> Loft:
        """Everything within the chest wall, from L3 to the apices."""
        return Loft(np.sqrt(self._squares), self._centre, float(self.z[0]), float(self.z[1] - self.z[0]))

    def half_width(self, z: Real) -> NDArray[np.float64]:
        """Half the inner width at height z, mm."""
        radius = np.sqrt(self._squares)
        return np.asarray(np.interp(np.asarray(z, np.float64), self.z, (radius[:, 0] + radius[:, _N_THETA // 2]) / 2))

    def front(self, z: Real) -> NDArray[np.float64]:
        """Where the inner surface lies in front, in the midline: y at height z, mm."""
        return np.asarray(
            np.interp(
                np.asarray(z, np.float64), self.z, self._centre[:, 1] - np.sqrt(self._squares[:, 3 * _N_THETA // 4])
            )
        )

    def back(self, z: Real) -> NDArray[np.float64]:
        """Where the gutters beside the spine are deepest: y at height z, mm."""
        depth = np.sqrt(self._squares) * np.sin(np.arange(_N_THETA) * 2 * np.pi / _N_THETA)
        return np.asarray(np.interp(np.asarray(z, np.float64), self.z, self._centre[:, 1] + depth.max(axis=1)))

    @cached_property
    def lattice(self) -> tuple[NDArray[np.float64], float]:
        """(n, 3) points that fill the inside evenly, and the volume that each stands for, ml."""
        x = np.arange(-self.half_width(self.z).max(), self.half_width(self.z).max(), _LATTICE_MM)
        y = np.arange(self.front(self.z).min(), self.back(self.z).max(), _LATTICE_MM)
        z, y, x = np.meshgrid(np.arange(self.z[0], self.top, _LATTICE_MM), y, x, indexing="ij")
        row = np.clip(np.rint((z - self.z[0]) / (self.z[1] - self.z[0])), 0, len(self.z) - 1).astype(int)
        p, q = x - self._centre[row, 0], y - self._centre[row, 1]
        column = np.rint(np.mod(np.arctan2(q, p), 2 * np.pi) * _N_THETA / (2 * np.pi)).astype(int) % _N_THETA
        inside = p**2 + q**2 < self._squares[row, column]
        return np.stack([x[inside], y[inside], z[inside]], axis=1), _LATTICE_MM**3 / 1000

    def point(self, theta: Real, z: Real, outward: Real = 0.0) -> NDArray[np.float64]:
        """(…, 3): points of the inner surface, moved along its normal.

        Args:
            theta: Angles about the sections' centres, radians.
            z: Heights, mm.
            outward: How far to move, mm.
        """
        angles, heights = _pair(theta, z)
        away = np.asarray(outward, float)[..., None]
        moved: NDArray[np.float64] = self._surface(angles, heights) + self.normal(angles, heights) * away
        return moved

    def normal(self, theta: Real, z: Real) -> NDArray[np.float64]:
        """(…, 3): outward unit normals at angles theta (radians) and heights z (mm)."""
        angles, heights = _pair(theta, z)
        heights = np.clip(heights, self.z[0] + 3.0, self.top - 3.0)
        around = self._surface(angles + 0.05, heights) - self._surface(angles - 0.05, heights)
        upward = self._surface(angles, heights + 2.0) - self._surface(angles, heights - 2.0)
        normal = np.cross(around, upward)
        unit: NDArray[np.float64] = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        return unit

    def _surface(self, theta: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
        column = np.mod(theta, 2 * np.pi) * _N_THETA / (2 * np.pi)
        row = np.clip((z - self.z[0]) / (self.z[1] - self.z[0]), 0, len(self.z) - 1)
        j, k = column.astype(int), np.minimum(row.astype(int), len(self.z) - 2)
        a, b = column - j, row - k
        j, following = j % _N_THETA, (j + 1) % _N_THETA
        low = (1 - a) * self._squares[k, j] + a * self._squares[k, following]
        high = (1 - a) * self._squares[k + 1, j] + a * self._squares[k + 1, following]
        radius = np.sqrt((1 - b) * low + b * high)
        centre = (1 - b)[..., None] * self._centre[k] + b[..., None] * self._centre[k + 1]
        return np.stack([centre[..., 0] + radius * np.cos(theta), centre[..., 1] + radius * np.sin(theta), z], axis=-1)

    def _section(self, z: float, width: float, front: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Radii at the table's angles, and the centre, of one horizontal section."""
        x0, y0 = self.spine.axis(z)
        half = self._build.cavity_width_mm / 2 * (1 - 0.05 * self._breath) * width
        depth = self._build.cavity_depth_mm * (1 - 0.12 * self._breath) * front
        y_front = y0 - 14.0 * min(1.0, 3 * width) - depth
        y_back = y0 + 33.0 * width**0.6
        y_middle = y_front + 0.56 * (y_back - y_front)
        t = np.linspace(0, 2 * np.pi, 721)[:-1]
        cos, sin = np.cos(t), np.sin(t)
        x = half * np.sign(cos) * np.abs(cos) ** (2 / 2.3)
        y = np.where(sin > 0, y_back - y_middle, y_middle - y_front) * np.sign(sin) * np.abs(sin) ** (2 / 2.3)
        # The spine stands into the cavity: gutters beside it, fronts of the bodies between them.
        y -= (y_back - y0 - 2.0) * np.exp(-((x / 27.0) ** 2)) * np.clip(sin, 0, 1) ** 0.5 * min(1.0, 2 * width)
        angle = np.unwrap(np.arctan2(y, x))
        radius = np.interp(np.arange(_N_THETA) * 2 * np.pi / _N_THETA, angle, np.hypot(x, y), period=2 * np.pi)
        return radius, np.array([x0 * 0.6, y_middle])

    def _sternum(self) -> Sternum:
        drop = 9.0 * self._breath
        thickness = 11.0 if self._build.female else 12.5

        def on_front(level: float) -> NDArray[np.float64]:
            z = self.spine.z(level) - drop
            return np.array([0.0, float(self.front(z)) - _CLEAR_MM - thickness / 2, z])

        below = 9.1 if self._build.female else 9.4
        tip = on_front(below + 1.2) + np.array([0, 4.0, 0])
        return Sternum(on_front(2.6), on_front(4.6), on_front(below), tip, thickness)

    def _rib(self, side: str, number: int) -> Rib:
        drop, half_height, half_thickness, degrees = _RIBS[number - 1]
        sign = 1.0 if side == "left" else -1.0
        vertebra = self.spine.vertebrae[f"T{number}"]
        z_back = vertebra.at(0, 0, vertebra.height * 0.3)[2]
        drop *= self._build.trunk_scale * self._build.rib_drop_deg / 28.0 * (1 + 0.12 * self._breath)
        offset = _CLEAR_MM + half_thickness
        first, last = np.deg2rad(_start_deg(number)), np.deg2rad(degrees)
        t = np.linspace(0, 1, 40)
        theta = first + (last - first) * t
        z = np.minimum(z_back, self.top - 8.0) - drop * (0.30 * t + 0.70 * t**1.9)
        mirrored = theta if side == "left" else np.pi - theta
        sweep = self.point(mirrored, z, offset)
        normals = self.normal(mirrored, z)
        head = vertebra.at(sign * (vertebra.width / 2 + 1.0), vertebra.depth * 0.22, vertebra.height * 0.42)
        neck = _smooth(np.vstack([head, (head + sweep[0]) / 2 + np.array([0, 2.5, 0]), sweep[:3]]), 10)[:-1]
        line = np.vstack([neck, sweep[2:]])
        normal = np.vstack([np.repeat(normals[:1], len(neck), axis=0), normals[2:]])
        cartilage = self._cartilage(sign, number, mirrored[-1], z[-1], offset)
        return Rib(side, number, line, normal, half_height, half_thickness, len(neck) - 2, cartilage)

    def _cartilage(self, sign: float, number: int, theta: float, z: float, offset: float) -> NDArray[np.float64]:
        if number > 10:
            return np.empty((0, 3))
        s = self.sternum
        share = (0.0, 0.0, 0.24, 0.46, 0.66, 0.84, 1.0, 1.06, 1.12, 1.18)[number - 1]
        end = s.notch + 0.30 * (s.angle - s.notch) if number == 1 else s.angle + share * (s.xiphisternal - s.angle)
        end = end + np.array([sign * (20.0 if number == 1 else 15.0), 0, 0])
        if number > 7:  # ends on the cartilage above, which runs to the same place
            end = end + np.array([sign * 9.0 * (number - 7), 0, 0])
        _, y = self._centre[np.argmin(np.abs(self.z - end[2]))]
        last = np.arctan2(end[1] - y, end[0])
        t = np.linspace(0, 1, 14)
        turn = np.mod(last - theta + np.pi, 2 * np.pi) - np.pi
        # It goes on downward a little before it turns up to the breastbone.
        path_z = z + (end[2] - z) * t**1.6 - 5.0 * np.sin(np.pi * t) * (number > 3)
        path = self.point(theta + turn * t, path_z, offset)
        line: NDArray[np.float64] = path + np.clip((t - 0.6) / 0.4, 0, 1)[:, None] * (end - path[-1])
        return line


def _pair(theta: Real, z: Real) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    angles, heights = np.broadcast_arrays(np.asarray(theta, np.float64), np.asarray(z, np.float64))
    return angles, heights


def _start_deg(number: int) -> float:
    """Where a rib touches the inner surface, beside the transverse process: nearer the midline further down."""
    return float(np.interp(number, [1, 2, 4, 12], [52.0, 58.0, 64.0, 67.0]))


def _smooth(points: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """(n, 3): a smooth curve through some points, evenly spaced by chord."""
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    curve: NDArray[np.float64] = PchipInterpolator(chord, points)(np.linspace(0, chord[-1], n))
    return curve
