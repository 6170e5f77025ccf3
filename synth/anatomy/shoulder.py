"""Shoulder blades, clavicles, and the arms' upper bones.

Outlines in the blade's plane are ours, for a blade of 155 mm height and 105 mm breadth; a clavicle is bent forward in
its inner two thirds and backward in the outer third, where it is flat (Andermahr et al. 2007, Clin Anat 20:48).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from synth.anatomy.bone import core, knob, marrow, rod, shell
from synth.anatomy.girdle import gap, girdle
from synth.anatomy.solids import Slab, Tubes
from synth.anatomy.sternum import clavicular_notch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.girdle import Shoulder
    from synth.anatomy.solids import Stroke

__all__ = ["shoulders"]

_GROUP = "shoulder"
_STEP_MM, _WIDE_MM, _TALL_MM = 2.5, 110.0, 117.5  # of the table of the blade

# Corners of the blade's outline, lateral and up from the socket, mm, round about.
_OUTLINE = np.array(
    [
        (-6.0, 15.0),
        (-14.0, 22.0),
        (-36.0, 20.0),
        (-60.0, 31.0),
        (-84.0, 42.0),
        (-92.0, 38.0),
        (-104.0, 13.0),
        (-101.0, -30.0),
        (-93.0, -75.0),
        (-84.0, -106.0),
        (-77.0, -110.0),
        (-69.0, -104.0),
        (-44.0, -62.0),
        (-18.0, -28.0),
        (-6.0, -15.0),
    ]
)
_LATERAL_BORDER = np.array([(-6.0, -16.0, 0.0), (-20.0, -32.0, 2.0), (-45.0, -66.0, 4.0), (-70.0, -102.0, 2.0)])
_MEDIAL_BORDER = np.array(
    [(-86.0, 38.0, 1.0), (-101.5, 12.0, 1.0), (-99.0, -30.0, 2.0), (-91.0, -75.0, 2.0), (-80.0, -106.0, 2.0)]
)
_SPINE_CREST = np.array(
    [(-103.0, 12.0, 3.0), (-82.0, 16.0, 12.0), (-55.0, 21.0, 23.0), (-25.0, 27.0, 31.0), (2.0, 31.0, 34.0)]
)
_ACROMION = np.array(
    [(-2.0, 31.0, 34.0), (16.0, 33.0, 30.0), (28.0, 33.0, 18.0), (29.0, 33.0, 2.0), (22.0, 33.0, -10.0)]
)
_CORACOID = np.array([(-13.0, 16.0, -2.0), (-14.0, 28.0, -12.0), (-6.0, 31.0, -26.0), (6.0, 25.0, -36.0)])
_CLAVICLE_END = (10.0, 34.0, -2.0)
"""Where the clavicle meets the acromion."""
_OVER_RIB_MM = 8.0
_SHAFT = np.array(
    [
        (6.0, 20.0, 19.0),
        (26.0, 17.5, 16.0),
        (48.0, 13.5, 13.0),
        (75.0, 12.0, 11.5),
        (150.0, 11.0, 10.5),
        (230.0, 11.5, 9.5),
        (280.0, 17.0, 8.5),
        (305.0, 26.0, 8.0),
    ]
)
"""Distance from the middle of the head, half breadth and half depth of the humerus, mm."""


def shoulders(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Strokes of both shoulder girdles and humeri.

    Args:
        frame: The plan of the body.
        hu: Tissue → mean value.
        generator: Draws the clavicles' bends and thicknesses.
    """
    size = float(np.exp(0.05 * np.clip(generator.standard_normal(), -2, 2)))
    bends = 1 + 0.15 * np.clip(generator.standard_normal(2), -2, 2)
    strokes: list[Stroke] = []
    for shoulder, bend in zip(girdle(frame), bends, strict=True):
        strokes += _humerus(shoulder, frame.build.trunk_scale, hu)
        strokes += _scapula(shoulder, hu)
        strokes += _clavicle(frame, shoulder, size, float(bend), hu)
    return strokes


def _placed(shoulder: Shoulder, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) world: points of the blade (lateral, up, back)."""
    placed: NDArray[np.float64] = shoulder.socket + shoulder.size * points @ shoulder.axes
    return placed


def _scapula(shoulder: Shoulder, hu: Mapping[str, float]) -> list[Stroke]:
    size, axes, label = shoulder.size, shoulder.axes, f"scapula_{shoulder.side}"
    blade = _blade(shoulder)
    crest = _placed(shoulder, _SPINE_CREST)
    root = _placed(shoulder, _SPINE_CREST * [1.0, 1.0, 0.35])
    wall = rod((crest + root) / 2, np.maximum(np.linalg.norm(crest - root, axis=1) / 2, 2.0), 1.4 * size, axes[1])
    rods = [
        rod(
            _placed(shoulder, _LATERAL_BORDER),
            np.array([7.0, 6.0, 4.8, 4.0]) * size,
            np.array([5.0, 4.2, 3.4, 2.6]) * size,
            axes[2],
        ),
        rod(
            _placed(shoulder, _MEDIAL_BORDER),
            np.array([2.6, 2.4, 2.0, 2.0, 3.0]) * size,
            np.array([1.6, 2.0, 1.7, 1.7, 2.2]) * size,
            axes[2],
        ),
        rod(crest, np.array([3.0, 3.8, 4.0, 4.6, 6.5]) * size, np.array([2.5, 3.0, 3.0, 3.4, 4.0]) * size, axes[2]),
        rod(
            _placed(shoulder, _ACROMION),
            np.array([8.0, 11.0, 11.5, 11.0, 7.0]) * size,
            np.array([4.0, 4.2, 4.0, 4.0, 3.2]) * size,
            axes[1],
        ),
        rod(
            _placed(shoulder, _CORACOID),
            np.array([7.5, 6.5, 6.0, 5.0]) * size,
            np.array([6.0, 5.0, 4.6, 4.2]) * size,
            axes[1],
        ),
        rod(
            _placed(shoulder, np.array([(-4.0, -12.0, 0.0), (-4.0, 12.0, 0.0)])),
            np.array([13.0, 11.0]) * size,
            5.0 * size,
            axes[0],
        ),
        rod(
            _placed(shoulder, np.array([(-6.0, 0.0, 0.0), (-24.0, -6.0, 1.0)])),
            np.array([15.0, 13.0]) * size,
            np.array([9.0, 5.5]) * size,
            axes[2],
        ),
    ]
    bones = Tubes.merged(rods)
    return [
        shell((blade, wall, bones), label, hu["cortical_bone"], _GROUP),
        marrow((blade,), label, hu["trabecular"], _GROUP, 0.5),
        marrow((core(bones, 0.8 * size),), label, hu["trabecular"], _GROUP),
    ]


def _blade(shoulder: Shoulder) -> Slab:
    """The thin plate, hollow towards the ribs."""
    # Rows of a slab's axes are right-handed: on one side its v runs down.
    up = 1.0 if np.linalg.det(shoulder.axes) > 0 else -1.0
    middle, half = (table[:: int(up)] for table in _plate())
    size, (u0, v0) = shoulder.size, (-_WIDE_MM, -_TALL_MM)
    axes = shoulder.axes * np.array([[1.0], [up], [1.0]])
    lower, upper, step = size * (middle - half), size * (middle + half), size * _STEP_MM
    return Slab(lower, upper, size * u0, size * v0, step, step, shoulder.socket, axes)


@cache
def _plate() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n_v, n_u) each: middle and half thickness of the plate, mm; v upward. Thickest along its borders and neck."""
    across, along = np.meshgrid(np.arange(-_WIDE_MM, 1.0, _STEP_MM), np.arange(-_TALL_MM, _TALL_MM + 1.0, _STEP_MM))
    inside = _inside(np.stack([across, along], axis=-1), _OUTLINE)
    middle = 9.0 * np.exp(-(((across + 58) / 34) ** 2) - ((along + 20) / 55) ** 2)
    thin = 1.0 + 0.8 * np.exp(-np.maximum(inside, 0) / 7.0) + 2.0 * np.exp(-(((across + 10) / 18) ** 2))
    return middle, thin * np.clip(inside / 2.0, -2.0, 1.0)


def _inside(points: NDArray[np.float64], outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…,) distance from the outline of a polygon, positive within; points (…, 2), corners (n, 2)."""
    start, end = outline, np.roll(outline, -1, axis=0)
    along = end - start
    offset = points[..., None, :] - start
    t = np.clip((offset * along).sum(-1) / (along**2).sum(-1), 0, 1)
    distance = np.linalg.norm(offset - t[..., None] * along, axis=-1).min(-1)
    y = points[..., None, 1]
    crosses = (start[:, 1] > y) != (end[:, 1] > y)
    rise = np.where(along[:, 1] == 0, 1.0, along[:, 1])
    right = points[..., None, 0] < start[:, 0] + (y - start[:, 1]) / rise * along[:, 0]
    odd = (crosses & right).sum(-1) % 2 == 1
    signed: NDArray[np.float64] = np.where(odd, distance, -distance)
    return signed


def _clavicle(frame: Frame, shoulder: Shoulder, size: float, bend: float, hu: Mapping[str, float]) -> list[Stroke]:
    label = f"clavicula_{shoulder.side}"
    thick = size * (0.86 if frame.build.female else 1.0)
    notch = clavicular_notch(frame, shoulder.sign)
    first = notch + np.array([shoulder.sign * 9.0, 1.0, 4.0]) * thick
    last = shoulder.at(*_CLAVICLE_END)
    chord = last - first
    along = chord / np.linalg.norm(chord)
    upward = np.array([0.0, 0.0, 1.0]) - along[2] * along
    upward /= np.linalg.norm(upward)
    forward = np.cross(along, upward) * shoulder.sign
    knots = np.array([0.0, 0.30, 0.55, 0.78, 1.0])
    bow = PchipInterpolator(knots, np.array([0.0, 11.0, 1.0, -9.0, 0.0]) * bend)
    t = np.linspace(0, 1, 18)
    line = first + t[:, None] * chord + bow(t)[:, None] * forward + (2.5 * np.sin(np.pi * t))[:, None] * upward
    width = thick * np.interp(t, [0, 0.08, 0.25, 0.5, 0.75, 0.92, 1], [11.0, 9.0, 6.8, 6.2, 7.2, 8.5, 7.5])
    height = thick * np.interp(t, [0, 0.08, 0.25, 0.5, 0.75, 0.92, 1], [10.0, 8.4, 6.4, 5.6, 5.2, 4.8, 4.8])
    # It passes over the first rib, never through it.
    pushed = np.maximum(_OVER_RIB_MM + height - gap(frame, line), 0.0) * np.clip(8 * t, 0, 1)
    pushed = np.convolve(np.pad(pushed, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    bone = rod(line + pushed[:, None] * np.array([0.0, -0.8, 0.6]), width, height, upward)
    middle = (t[:-1] + t[1:]) / 2
    cortex = thick * np.interp(middle, [0, 0.15, 0.4, 0.6, 0.85, 1], [0.6, 1.0, 1.7, 1.7, 0.9, 0.6])
    return [
        shell((bone,), label, hu["cortical_bone"], _GROUP),
        marrow((core(bone, cortex),), label, hu["trabecular"], _GROUP),
    ]


def _humerus(shoulder: Shoulder, trunk_scale: float, hu: Mapping[str, float]) -> list[Stroke]:
    """Head, tubercles, and the shaft down to the elbow."""
    label, radius = f"humerus_{shoulder.side}", shoulder.radius
    size = radius / 24.5
    across = shoulder.axes[0] - (shoulder.axes[0] @ shoulder.arm) * shoulder.arm
    across /= np.linalg.norm(across)
    ahead = np.cross(shoulder.arm, across)
    # Shaft and greater tubercle stand beyond the head, away from the socket.
    start = shoulder.head + 5.0 * size * across
    along = np.concatenate([np.linspace(6.0, 75.0, 9), np.linspace(110.0, 230.0, 4), np.linspace(240.0, 305.0, 9)])
    shaft = rod(
        start + trunk_scale * along[:, None] * shoulder.arm,
        size * PchipInterpolator(_SHAFT[:, 0], _SHAFT[:, 1])(along),
        size * PchipInterpolator(_SHAFT[:, 0], _SHAFT[:, 2])(along),
        ahead,
    )
    tubercle = knob(shoulder.head + size * (15.0 * across + 4.0 * shoulder.arm), 13.0 * size)
    head = Tubes.merged([knob(shoulder.head, radius), tubercle])
    middle = (along[:-1] + along[1:]) / 2
    cortex = size * np.interp(middle, [15, 60, 110, 220, 290], [1.0, 2.6, 4.2, 4.0, 1.5])
    far = np.flatnonzero(middle > 45)[0]
    canal = core(shaft, cortex)
    cavity = Tubes(*(getattr(canal, name)[far:] for name in canal.__dataclass_fields__))
    end = Tubes.merged([core(head, 1.0 * size), canal])
    return [
        shell((head, shaft), label, hu["cortical_bone"], _GROUP),
        marrow((end,), label, hu["trabecular"], _GROUP),
        marrow((cavity,), label, hu["marrow"], _GROUP),
    ]
