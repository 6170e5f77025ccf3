"""Where the vertebrae stand: the curve of the spine from C5 to L3, and the size of each bone.

Heights, widths and depths of vertebral bodies after Panjabi et al. 1991 (thoracic, Spine 16:888), 1992 (lumbar,
Spine 17:299) and 1991 (cervical, Spine 16:861), means of cadavers of both sexes, here for the default body; discs after
Pooni et al. 1986 (Surg Radiol Anat 8:175) and Koeller et al. 1986.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.build import Build

__all__ = ["Spine", "Vertebra", "spine"]

# name, height of the body (back edge), width and depth of its upper face, height of the disc below; mm
_BONES = (
    ("C5", 11.4, 17.5, 15.2, 5.5),
    ("C6", 10.9, 18.5, 15.6, 5.5),
    ("C7", 12.8, 21.8, 15.6, 5.0),
    ("T1", 14.1, 24.5, 17.0, 4.4),
    ("T2", 15.6, 24.9, 18.6, 3.9),
    ("T3", 15.7, 24.6, 20.4, 3.6),
    ("T4", 16.2, 24.5, 22.4, 3.7),
    ("T5", 16.2, 24.9, 23.8, 3.9),
    ("T6", 17.4, 26.2, 25.4, 4.4),
    ("T7", 18.2, 27.8, 27.0, 4.8),
    ("T8", 18.7, 29.5, 28.0, 5.0),
    ("T9", 19.3, 30.6, 28.6, 5.4),
    ("T10", 20.2, 31.9, 29.0, 5.8),
    ("T11", 21.3, 34.9, 29.4, 6.4),
    ("T12", 22.7, 39.0, 30.0, 7.4),
    ("L1", 23.8, 41.2, 34.1, 8.6),
    ("L2", 24.3, 42.6, 34.6, 9.8),
    ("L3", 23.8, 44.1, 35.2, 10.6),
)
_LIVING = 1.07
"""Cadavers of the tables were small and elderly: a living adult of 176 cm is about that much larger (our choice)."""

_MIDDLE = "T8"  # stands at the origin, upright


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra.

    Attributes:
        name: "T7".
        centre: (3,) middle of its body, world mm.
        axes: (3, 3), rows: to the left, to the back, up, in the world.
        width: Of the body, side to side, mm.
        depth: Of the body, front to back, mm.
        height: Of the body, mm.
        disc: Height of the disc below, mm.
    """

    name: str
    centre: NDArray[np.float64]
    axes: NDArray[np.float64]
    width: float
    depth: float
    height: float
    disc: float

    def at(self, left: float, back: float, up: float) -> NDArray[np.float64]:
        """(3,) world: a point in the vertebra's own directions from the middle of its body, mm."""
        point: NDArray[np.float64] = self.centre + np.array([left, back, up]) @ self.axes
        return point


@dataclass(frozen=True, eq=False)
class Spine:
    """The vertebrae from the neck down.

    Attributes:
        vertebrae: Name → vertebra, from above.
    """

    vertebrae: dict[str, Vertebra]

    def z(self, level: float) -> float:
        """Height of a level: 1 is the middle of T1, 12 of T12, 13 of L1, 0 of C7; between them linear. mm."""
        return float(np.interp(level, self._levels, self._centres[:, 2]))

    def axis(self, z: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """(…, 2): x and y of the middle of the vertebral bodies at height z, mm; constant beyond the ends."""
        centres = self._centres[::-1]
        where = np.asarray(z, np.float64)
        return np.stack([np.interp(where, centres[:, 2], centres[:, axis]) for axis in (0, 1)], axis=-1)

    @property
    def _centres(self) -> NDArray[np.float64]:
        return np.array([vertebra.centre for vertebra in self.vertebrae.values()])

    @property
    def _levels(self) -> NDArray[np.float64]:
        return np.arange(-2.0, len(self.vertebrae) - 2.0)


def spine(build: Build) -> Spine:
    """The spine of a body; T8's middle is the origin of the world.

    Kyphosis is spread evenly over T4 to T12 and goes on to T1 a little less; the neck and the loins bend back.
    """
    names = [bone[0] for bone in _BONES]
    size = _LIVING * build.trunk_scale * (0.965 if build.female else 1.0)
    heights = np.array([bone[1] for bone in _BONES]) * size * _wedging(build)
    discs = np.array([bone[4] for bone in _BONES]) * size * (1 - 0.15 * build.osteophytes)
    across = _LIVING * (0.90 if build.female else 1.0)
    tilt = np.deg2rad(_tilt(build))
    sway = _sway(build)
    steps = (heights[:-1] + heights[1:]) / 2 + discs[:-1]
    mean = (tilt[:-1] + tilt[1:]) / 2
    y = np.concatenate([[0.0], np.cumsum(steps * np.sin(mean))])
    z = np.concatenate([[0.0], -np.cumsum(steps * np.cos(mean))])
    middle = names.index(_MIDDLE)
    centres = np.stack([sway - sway[middle], y - y[middle], z - z[middle]], axis=1)
    bones = {}
    for number, (name, _, width, depth, _) in enumerate(_BONES):
        above, below = centres[max(number - 1, 0)], centres[min(number + 1, len(names) - 1)]
        axes = _axes(above - below)
        bones[name] = Vertebra(
            name, centres[number], axes, width * across, depth * across, float(heights[number]), float(discs[number])
        )
    return Spine(bones)


def _tilt(build: Build) -> NDArray[np.float64]:
    """(18,) degrees by which the upward direction of each vertebra leans forward."""
    level = np.arange(len(_BONES)) - 2.0
    slope = build.kyphosis_deg / 8  # Cobb angle from T4 to T12
    thoracic = (8 - level) * slope * np.where(level < 4, 0.92, 1.0)
    neck = np.interp(level, [-2, 0, 1], [0.25, 0.8, 1.0])
    loins = np.interp(level, [12, 15], [1.0, 0.15])
    tilt: NDArray[np.float64] = thoracic * neck * loins
    return tilt


def _sway(build: Build) -> NDArray[np.float64]:
    """(18,) mm sideways, to the left positive: a long thoracic bow with a counter-curve below."""
    level = np.arange(len(_BONES)) - 2.0
    bow = np.exp(-(((level - 7) / 3.2) ** 2)) - 0.35 * np.exp(-(((level - 13.5) / 2.2) ** 2))
    return np.asarray(-build.scoliosis_mm * bow)


def _wedging(build: Build) -> NDArray[np.float64]:
    """(18,) heights relative to those of youth: old vertebrae lose up to 7 %, most at T7 and T12."""
    level = np.arange(len(_BONES)) - 2.0
    loss = 0.07 * np.clip((build.age - 45) / 45, 0, 1)
    where = np.maximum(np.exp(-(((level - 7) / 2) ** 2)), np.exp(-(((level - 12) / 2) ** 2)))
    return np.asarray(1 - loss * where)


def _axes(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3), rows left, back, up; `up` need not be of unit length."""
    up = up / np.linalg.norm(up)
    left = np.array([1.0, 0.0, 0.0]) - up[0] * up
    left /= np.linalg.norm(left)
    return np.stack([left, np.cross(up, left), up])
