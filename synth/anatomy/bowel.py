"""Colon, duodenum and loops of small bowel, as far as a picture of the chest shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from synth.anatomy.solids import Tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.viscera import Liver

__all__ = ["WALL_MM", "Gut", "colon", "duodenum", "small_bowel"]

WALL_MM = 2.5
"""Of the bowel (1 to 3 mm distended, Macari & Balthazar 2001, AJR 176:1105)."""

_RADIUS_MM = 19.0
_HAUSTRUM_MM = 26.0
_STEP_MM = 4.5
_LOOPS = 7


@dataclass(frozen=True, eq=False)
class Gut:
    """A piece of gut.

    Attributes:
        outside: Its wall's outside.
        lumen: Its inside.
        gas: The part of the lumen that holds gas.
    """

    outside: Tubes
    lumen: Tubes
    gas: Tubes


def colon(frame: Frame, beneath: Liver, generator: np.random.Generator) -> Gut:
    """From the ascending colon over both flexures, with gas about them."""
    domes, cage, build = frame.diaphragm, frame.cage, frame.build
    left = domes.left_top[2] - 62.0 * build.trunk_scale
    low = frame.spine.z(15.0) - 10.0
    half, front, back = (float(f(left - 30.0)) for f in (cage.half_width, cage.front, cage.back))
    middle = (front + back) / 2
    # Under the liver, where there is room for it above the lowest part.
    right = min(beneath.below(-0.55 * half, middle - 5.0), domes.right_top[2] - 70.0) - 24.0
    points = np.array(
        [
            (-0.76 * half, middle + 28.0, min(low, right - 60.0)),
            (-0.76 * half, middle + 22.0, right - 32.0),
            (-0.70 * half, middle + 4.0, right - 4.0),
            (-0.50 * half, front + 56.0, right - 10.0),
            (-0.15 * half, front + 32.0, right - 36.0),
            (0.25 * half, front + 30.0, min(right, left) - 36.0),
            (0.62 * half, front + 50.0, left - 26.0),
            (0.80 * half, middle - 8.0, left),
            (0.83 * half, middle + 20.0, left - 12.0),
            (0.83 * half, middle + 34.0, left - 52.0),
            (0.83 * half, middle + 34.0, low - 30.0),
        ]
    )
    points += generator.normal(0, 3.0, points.shape)
    line, at = _curve(points)
    size = (build.cavity_width_mm / 298) ** 0.6 * (0.9 + 0.35 * build.bowel_gas)
    haustra = 0.86 + 0.14 * np.abs(np.sin(np.pi * at / _HAUSTRUM_MM + generator.uniform(0, 3)))
    calibre = np.interp(at, at[-1] * np.array([0, 0.35, 0.7, 1.0]), [1.15, 1.0, 0.95, 0.7])
    radius = _RADIUS_MM * size * haustra * calibre
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    reach = 10.0 + 75.0 * build.bowel_gas
    gas = np.minimum(np.abs(at - chord[2]) - 0.8 * reach, np.abs(at - chord[7]) - reach) < 0
    gas |= (np.abs(at - chord[5]) < 55.0 * build.bowel_gas) & (not build.supine)
    gas |= (np.abs(at - chord[4]) < 150.0 * build.bowel_gas) & build.supine
    return _gut(line, radius, gas)


def duodenum(frame: Frame) -> Tubes:
    """A loop of 25 mm around the pancreas' head."""
    spine = frame.spine
    points = []
    for aside, forward, level in ((-38.0, 74.0, 13.2), (-56.0, 56.0, 13.4), (-58.0, 44.0, 14.4), (-40.0, 44.0, 15.3)):
        z = spine.z(level)
        x0, y0 = spine.axis(z)
        points.append([x0 + aside, y0 - forward, z])
    line, _ = _curve(np.array(points))
    return Tubes.along(line, 11.5)


def small_bowel(frame: Frame, generator: np.random.Generator) -> Tubes:
    """Loops below the stomach."""
    cage, z = frame.cage, frame.spine.z(14.5)
    half, front, back = (float(f(z)) for f in (cage.half_width, cage.front, cage.back))
    turns = np.arange(2 * _LOOPS)
    x = np.where(turns % 2, 0.60, 0.05) * half + generator.normal(0, 6, len(turns))
    y = np.interp(turns, [0, 2 * _LOOPS - 1], [front + 30.0, 0.5 * (front + back) + 10.0])
    height = z + 8.0 + 14.0 * np.sin(turns * 1.9) + generator.normal(0, 5, len(turns))
    line, _ = _curve(np.column_stack([x, y, height]))
    return Tubes.along(line, 12.0)


def _curve(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A smooth curve through some points and the distance along it, mm."""
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, chord[-1], int(chord[-1] / _STEP_MM) + 1)
    return np.asarray(PchipInterpolator(chord, points)(at)), at


def _gut(line: NDArray[np.float64], radius: NDArray[np.float64], gas: NDArray[np.bool_]) -> Gut:
    outside = Tubes.along(line, radius)
    lumen = Tubes.along(line, radius - WALL_MM)
    both = gas[:-1] & gas[1:]
    full = Tubes(*(getattr(lumen, name)[both] for name in lumen.__dataclass_fields__))
    return Gut(outside, lumen, full)
