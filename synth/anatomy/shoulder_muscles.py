"""The muscles between trunk and arm: folds of the axilla, trapezius and rhomboids, and those on the shoulder blade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.muscles import Rod
from synth.anatomy.outline import Balls
from synth.anatomy.solids import Slab
from synth.anatomy.sternum import clavicular_notch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.anatomy.build import Build
    from synth.anatomy.frame import Frame
    from synth.anatomy.girdle import Shoulder
    from synth.anatomy.outline import Axes

__all__ = ["between_blades", "blade_muscles", "bony_points", "nape_muscles", "shoulder_muscles"]

_BLADE_STEP_MM = 5.0
# Corners of the shoulder blade, lateral and up from the socket, mm, counter-clockwise.
_BLADE = np.array(
    [(0.0, 14.0), (-34.0, 24.0), (-88.0, 44.0), (-106.0, 12.0), (-84.0, -112.0), (-72.0, -112.0), (0.0, -16.0)]
)


def shoulder_muscles(build: Build, axes: Axes, surface: NDArray[np.float64], shoulder: Shoulder) -> list[Rod]:
    """The front and the back fold of the axilla: pectoralis major with minor, latissimus dorsi with teres major.

    Args:
        build: The body's measures.
        axes: Of the surface.
        surface: (n, m) outside of the muscles on the cage, mm.
        shoulder: Where the arm is.
    """
    sign, m = shoulder.sign, build.muscle
    size = shoulder.radius / 24.5
    raised = shoulder.arm[2] > 0

    def on(degrees: float, level: float, inward: float) -> NDArray[np.float64]:
        return axes.point(surface - inward, degrees, level, sign)

    front = shoulder.head + size * (58.0 * shoulder.arm + np.array([sign * 2.0, -14.0, 0.0]))
    behind = shoulder.head + size * (52.0 * shoulder.arm + np.array([-sign * 10.0, 8.0, 0.0]))
    chest = []
    lift = -0.6 if raised else 0.0
    for start, middle, breadth in (
        ((18.0, 2.9), (36.0, 2.9 + lift), 17.0),
        ((26.0, 4.0), (46.0, 3.9 + lift), 19.0),
        ((33.0, 5.2), (52.0, 4.9 + lift), 19.0),
        ((40.0, 6.2), (56.0, 5.7 + lift), 15.0),
    ):
        points = _bent(np.stack([on(*start, 7.0 * m), on(*middle, 4.0 * m), front]))
        across = np.cross(points[-1] - points[0], [0.0, 0.0, 1.0])
        across = across / np.linalg.norm(across) + np.array([sign * 0.3, -0.6, 0.0]) * np.sign(across @ [0, -1.0, 0])
        chest.append(Rod(points, np.linspace(breadth, 0.75 * breadth, len(points)), across, min(0.42 * m**0.7, 1.0)))
    corner = shoulder.at(-76.0, -104.0, 0.0)
    back = []
    for points, breadth in (
        (np.stack([on(128.0, 9.0, 5.0), on(112.0, 7.4, 1.0), behind]), 19.0),
        (np.stack([on(105.0, 9.0, 5.0), on(98.0, 7.2, 2.0), behind]), 16.0),
        (np.stack([corner, 0.5 * (corner + behind) + np.array([sign * 4.0, 4.0, -4.0]), behind]), 18.0),
    ):
        line = _bent(points)
        across = np.array([sign * 0.8, 0.6, 0.0])
        back.append(Rod(line, np.linspace(breadth, 0.7 * breadth, len(line)), across, min(0.5 * m**0.7, 1.0)))
    return chest + back


def nape_muscles(frame: Frame, shoulder: Shoulder) -> list[Rod]:
    """Middle trapezius from the spinous processes to the spine of the blade, rhomboids to its medial border."""
    sign, m = shoulder.sign, frame.build.muscle**0.7
    rods = []
    for level, end, deep, breadth, flat in (
        (0.0, (10.0, 36.0, 28.0), 0.0, 22.0, 0.36),
        (1.5, (-20.0, 28.0, 34.0), 0.0, 22.0, 0.34),
        (3.0, (-60.0, 20.0, 22.0), 0.0, 22.0, 0.30),
        (4.5, (-96.0, 12.0, 8.0), 0.0, 20.0, 0.25),
        (2.2, (-100.0, 4.0, -4.0), 9.0, 20.0, 0.28),
        (3.6, (-98.0, -40.0, -2.0), 9.0, 20.0, 0.28),
        (5.2, (-92.0, -80.0, -2.0), 9.0, 18.0, 0.25),
    ):
        z = frame.spine.z(level)
        x0, y0 = frame.spine.axis(z)
        start, last = np.array([x0 + sign * 8.0, y0 + 58.0 - deep, z]), shoulder.at(*end)
        middle = 0.5 * (start + last) + np.array([0.0, 5.0, 0.0])
        line = _bent(np.stack([start, middle, last]), 7)
        across = np.cross(last - start, [0.0, 0.0, 1.0])
        rods.append(Rod(line, np.full(len(line), breadth), across, flat * m))
    return rods


def blade_muscles(build: Build, shoulder: Shoulder) -> Slab:
    """Supraspinatus and infraspinatus behind the blade, subscapularis before it."""
    across, along = np.arange(-118.0, 14.0, _BLADE_STEP_MM), np.arange(-122.0, 54.0, _BLADE_STEP_MM)
    u, v = np.meshgrid(across, along)
    edges = np.roll(_BLADE, -1, axis=0) - _BLADE
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=-1) / np.linalg.norm(edges, axis=1, keepdims=True)
    depth = ((np.stack([u, v], axis=-1)[..., None, :] - _BLADE) * inward).sum(-1)
    inside = depth.min(-1)
    full = np.sign(inside) * (1 - np.exp(-np.abs(inside) / 14.0))
    m = build.muscle**0.7 * shoulder.size
    hollow = 9.0 * np.exp(-(((u + 58) / 34) ** 2) - ((v + 20) / 55) ** 2)
    lower, upper = hollow - 13.0 * m * full, hollow + 17.0 * m * full
    up = 1.0 if np.linalg.det(shoulder.axes) > 0 else -1.0
    v0 = along[0] if up > 0 else -along[-1]
    lower, upper = (shoulder.size * table[:: int(up)] for table in (lower, upper))
    step = shoulder.size * _BLADE_STEP_MM
    axes = shoulder.axes * np.array([[1.0], [up], [1.0]])
    return Slab(lower, upper, shoulder.size * across[0], shoulder.size * v0, step, step, shoulder.socket, axes)


def bony_points(frame: Frame, shoulder: Shoulder, cover: float) -> Balls:
    """Spheres over bones and muscles of the shoulder girdle that lie near the skin, covered by `cover` mm."""
    size = shoulder.size
    m = frame.build.muscle**0.7

    def row(points: Sequence[tuple[float, float, float]], radius: float, n: int) -> Balls:
        return Balls.along(np.array([shoulder.at(*p) for p in points]), radius * size + cover, n)

    inner = clavicular_notch(frame, shoulder.sign) + np.array([shoulder.sign * 9.0, 1.0, 4.0])
    t = np.array([0.0, 0.15, 0.3, 0.55, 0.78, 1.0])[:, None]
    bow = np.array([0.0, 8.0, 13.0, 3.0, -9.0, 0.0])  # forward, as synth.anatomy.shoulder draws it
    bowed = inner + t * (shoulder.at(10.0, 34.0, -2.0) - inner)
    bowed[:, 1] -= bow
    return Balls.merged(
        [
            Balls.along(bowed, np.array([13.0, 11.0, 9.0, 8.0, 8.0, 8.0]) + cover, 14),
            row([(-103, 12, 3), (-55, 21, 23), (2, 31, 34)], 8.0, 9),
            row([(-2, 31, 34), (16, 33, 30), (28, 33, 18), (29, 33, 2), (22, 33, -10)], 13.5, 8),
            row([(-100, 12, 2), (-98, -30, 4), (-80, -108, 3)], 10.0 * max(m, 0.9), 9),
            row([(-70, -20, 10), (-76, -80, 5)], 15.0 * m, 4),
            row([(-40, 2, 8), (-20, -10, 6)], 16.0 * m, 3),
            row([(-86, 40, 0), (-50, 28, 2)], 9.0, 3),
        ]
    )


def between_blades(left: Shoulder, right: Shoulder, over: float) -> Balls:
    """The back between the shoulder blades: skin does not follow their spines into every hollow."""
    arch = np.array([0.0, 5.0, 8.0, 5.0, 0.0])
    rows = []
    for spot in ((-78.0, 16.0, 14.0), (-101.0, -6.0, 4.0), (-98.0, -45.0, 3.0)):
        line = np.linspace(left.at(*spot), right.at(*spot), 5)
        line[:, 1] -= arch
        rows.append(Balls.along(line, 3.0 + over, 11))
    return Balls.merged(rows)


def _bent(points: NDArray[np.float64], n: int = 9) -> NDArray[np.float64]:
    """(n, 3): the parabola through three points."""
    a, b, c = points
    share = np.linalg.norm(b - a) / (np.linalg.norm(b - a) + np.linalg.norm(c - b))
    t = np.linspace(0, 1, n)[:, None]
    through: NDArray[np.float64] = (
        a * (t - share) * (t - 1) / share + b * t * (t - 1) / (share * (share - 1)) + c * t * (t - share) / (1 - share)
    )
    return through
