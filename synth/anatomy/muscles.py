"""The muscles of the trunk's wall and of the neck.

Flat muscles that lie on the cage are two sheets of varying thickness, fat between them; the others are rods along their
course, flattened, several side by side for a fan. Thicknesses are ours for the default man, near those of ultrasound
(Abe et al. 1994, Am J Hum Biol 6:161, for chest, abdomen and back); attachments after Gray's Anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.outline import Balls, window
from synth.anatomy.solids import Tubes
from synth.anatomy.sternum import clavicular_notch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.build import Build
    from synth.anatomy.frame import Frame
    from synth.anatomy.girdle import Shoulder
    from synth.anatomy.outline import Axes

__all__ = ["PLANE_MM", "Rod", "back_muscles", "neck_muscles", "pillars", "sheets", "spinous_points"]

PLANE_MM = 1.3
"""Fat between two layers of muscle (ours)."""


@dataclass(frozen=True, eq=False)
class Rod:
    """A muscle along a line.

    Attributes:
        points: (n, 3) world mm.
        radius: (n,) half breadth, mm.
        normal: (3,) along which it is flat.
        flat: Half thickness over half breadth.
    """

    points: NDArray[np.float64]
    radius: NDArray[np.float64]
    normal: NDArray[np.float64]
    flat: float

    @property
    def tubes(self) -> Tubes:
        """The solid."""
        normal = self.normal / np.linalg.norm(self.normal)
        return Tubes.along(self.points, self.radius, normal=normal, flat=self.flat)

    def balls(self, cover: float, n: int = 7) -> Balls:
        """Spheres about as thick, and covered."""
        return Balls.along(self.points, self.radius * max(self.flat, 0.3) + cover, n)


def sheets(build: Build, axes: Axes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thickness of the deep and of the superficial sheet, (n, m) mm.

    Deep: pectoralis minor, serratus anterior, rhomboids and serratus posterior, the two inner muscles of the belly.
    Superficial: pectoralis major, latissimus dorsi, trapezius, rectus abdominis and external oblique.
    """
    a, level, m = axes.angle, axes.level, build.muscle

    def part(
        thick: float, sides: tuple[float, float, float], levels: tuple[float, float, float]
    ) -> NDArray[np.float64]:
        return thick * window(a, *sides) * window(level, *levels)

    deep = np.maximum.reduce(
        [
            part(7.0, (28, 50, 12), (3.6, 6.0, 0.8)),
            part(5.5, (55, 135, 15), (3.0, 9.0, 1.5)),
            part(4.0, (140, 180, 15), (1.5, 12.0, 1.0)),
            part(6.0, (25, 140, 15), (10.5, 16.0, 1.5)),
        ]
    )
    shallow = np.maximum.reduce(
        [
            part(12.0, (14, 52, 12), (3.4, 6.6, 1.6)),
            part(6.0, (96, 152, 14), (7.0, 16.0, 2.0)),
            part(5.0, (150, 180, 15), (-1.0, 11.5, 1.5)),
            part(6.0, (30, 105, 15), (8.5, 16.0, 1.5)),
            part(9.0, (4, 24, 8), (9.5, 16.0, 1.0)),
        ]
    )
    return deep * m, shallow * m


def back_muscles(frame: Frame, sign: float) -> Rod:
    """Erector spinae and multifidus of one side, from the neck to the loins."""
    levels = np.array([-4.0, -2.0, 0.0, 1.5, 3.0, 6.0, 9.0, 11.5, 13.5, 15.0, 17.0])
    half = np.array([24.0, 24.0, 22.0, 21.0, 21.0, 22.0, 24.0, 27.0, 31.0, 33.0, 33.0])
    aside = np.array([21.0, 21.0, 23.0, 25.0, 26.0, 28.0, 30.0, 32.0, 35.0, 36.0, 36.0])
    behind = np.array([30.0, 30.0, 32.0, 37.0, 41.0, 45.0, 48.0, 50.0, 53.0, 55.0, 55.0])
    spine = frame.spine
    z = np.array([spine.z(float(level)) for level in levels])
    z[0] = z[1] + 40.0
    z[-1] = z[-2] - 40.0
    xy = spine.axis(z)
    points = np.stack([xy[:, 0] + sign * aside, xy[:, 1] + behind, z], axis=-1)
    thick = 0.6 * frame.build.muscle**0.5
    return Rod(points, half, np.array([0.0, 1.0, 0.0]), min(thick, 1.0))


def pillars(frame: Frame, sign: float) -> list[Rod]:
    """Psoas and quadratus lumborum."""
    spine, m = frame.spine, frame.build.muscle**0.5
    z = np.array([spine.z(12.6), spine.z(13.5), spine.z(15.0) - 30.0])
    xy = spine.axis(z)
    psoas = np.stack([xy[:, 0] + sign * np.array([24.0, 29.0, 38.0]), xy[:, 1] + [8.0, 5.0, 2.0], z], axis=-1)
    square = np.stack([xy[:, 0] + sign * np.array([46.0, 56.0, 66.0]), xy[:, 1] + 24.0, z], axis=-1)
    return [
        Rod(psoas, np.array([6.0, 12.0, 19.0]) * m, np.array([0.0, 1.0, 0.0]), 0.9),
        Rod(square, np.array([12.0, 16.0, 20.0]), np.array([0.0, 1.0, 0.0]), 0.35),
    ]


def neck_muscles(frame: Frame, shoulder: Shoulder) -> list[Rod]:
    """Sternocleidomastoid, scalenes, muscles before the spine, straps before the windpipe, descending trapezius."""
    sign, m = shoulder.sign, frame.build.muscle**0.5
    spine = frame.spine
    top, notch = spine.z(-2.0) + 30.0, clavicular_notch(frame, sign)

    def at(aside: float, back: float, z: float) -> NDArray[np.float64]:
        x0, y0 = spine.axis(z)
        return np.array([x0 + sign * aside, y0 + back, z])

    windpipe = frame.trachea_top
    side = np.array([sign, 0.0, 0.0])
    mastoid = at(46.0, 6.0, top)
    rib = at(56.0, -14.0, spine.z(1.4))
    acromion = shoulder.at(12.0, 37.0, 24.0)
    slope = np.stack([at(24.0, 50.0, top), at(38.0, 42.0, spine.z(-0.1)), at(70.0, 32.0, spine.z(0.5)), acromion])
    slope[2] = 0.5 * (slope[1] + acromion) + np.array([0.0, 6.0, -13.0])
    front = slope + np.array(
        [[sign * 6.0, -14.0, 0.0], [sign * 6.0, -16.0, -4.0], [0.0, -18.0, -6.0], [0.0, -12.0, -2.0]]
    )
    levator = np.stack([at(30.0, 18.0, top), at(44.0, 26.0, spine.z(0.0)), shoulder.at(-84.0, 42.0, 6.0)])
    straps = np.stack([windpipe + side * 14.0 + [0, -12.0, 20.0], notch + side * 2.0 + [0, 9.0, 0.0]])
    back = np.array([0.0, 1.0, 0.0])
    mastoid = np.stack([mastoid, (mastoid + notch) / 2 + side * 3.0, notch + side * 6.0])
    scalenes = np.stack([at(26.0, -2.0, top), at(36.0, -4.0, spine.z(0.2)), rib])
    before = np.stack([at(9.0, -12.0, top), at(10.0, -13.0, spine.z(2.5))])
    return [
        Rod(mastoid, np.array([15.0, 14.0, 9.0]) * m, side, 0.6),
        Rod(scalenes, np.array([12.0, 13.0, 10.0]) * m, side, 0.75),
        Rod(before, np.array([8.0, 5.0]), back, 0.5),
        Rod(straps, np.array([9.0, 8.0]), back, 0.35),
        Rod(levator, np.array([9.0, 9.0, 7.0]) * m, side, 0.7),
        Rod(slope, np.array([20.0, 19.0, 17.0, 11.0]) * m, np.array([0.0, 0.75, 0.65]), 0.4),
        Rod(front, np.array([12.0, 15.0, 15.0, 10.0]) * m, np.array([sign * 0.5, -0.2, 0.8]), 0.5),
    ]


def spinous_points(frame: Frame, cover: float) -> Balls:
    """Spheres over the tips of the spinous processes."""
    levels = np.array([-3.0, -2.0, 0.0, 1.0, 4.0, 8.0, 11.0, 12.0, 13.0, 15.0])
    behind = np.interp(levels, [-2, 0, 1, 4, 8, 12, 13, 15], [50.0, 61.0, 64.0, 62.0, 62.0, 67.0, 74.0, 78.0])
    z = np.array([frame.spine.z(float(level)) for level in levels])
    z[0] += 40.0
    size = frame.spine.vertebrae["T8"].width / 31.6
    return Balls.along(np.column_stack([frame.spine.axis(z) + np.column_stack([0 * z, behind * size]), z]), cover, 40)
