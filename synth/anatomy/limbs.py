"""The upper arms: skin, fat and muscle around the humerus, from over the shoulder to the elbow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from synth.anatomy.outline import Balls
from synth.anatomy.solids import Loft, Tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.build import Build
    from synth.anatomy.girdle import Shoulder

__all__ = ["Arm", "arm"]

# Distance from the middle of the humerus' head along the arm, mm; half breadth of the muscles and how far their middle
# lies outward of the bone's axis, mm, for the default man: 32 cm around the relaxed upper arm (Gordon et al. 2014,
# ANSUR II: biceps circumference 33 cm in men, 29 cm in women).
_PROFILE = np.array(
    [
        (-46.0, 0.0, 2.0),
        (-43.0, 16.0, 2.0),
        (-34.0, 31.0, 3.0),
        (-18.0, 42.0, 4.0),
        (5.0, 47.0, 5.0),
        (40.0, 47.0, 5.0),
        (80.0, 45.0, 3.0),
        (120.0, 42.5, 0.0),
        (180.0, 41.0, -1.0),
        (240.0, 38.0, 0.0),
        (345.0, 36.0, 0.0),
    ]
)
_STEP_MM, _N_THETA = 7.0, 48


@dataclass(frozen=True, eq=False)
class Arm:
    """One upper arm.

    Attributes:
        skin: Its outside.
        muscle: What lies below the fat.
        septum: Fat between biceps and triceps, on both sides of the bone.
        root: Spheres for the part that belongs to the shoulder's outline: its skin.
    """

    skin: Loft
    muscle: Loft
    septum: Tubes
    root: Balls


def arm(build: Build, shoulder: Shoulder, cover_mm: float) -> Arm:
    """The upper arm of a shoulder.

    Args:
        build: The body's measures.
        shoulder: Where the arm is.
        cover_mm: Skin and fat over its muscles.
    """
    outward = shoulder.axes[0] - (shoulder.axes[0] @ shoulder.arm) * shoulder.arm
    outward /= np.linalg.norm(outward)
    axes = np.stack([outward, np.cross(shoulder.arm, outward), shoulder.arm])
    size = (shoulder.radius / 24.5) * (0.6 + 0.4 * build.muscle)
    long = 0.4 + 0.6 * build.trunk_scale
    w, half, aside = _PROFILE.T
    w = np.where(w > 40, w * long, w * size)
    start = shoulder.head + 4.0 * size * outward
    muscle = _loft(w, half * size, aside, start, axes)
    over = half * size + cover_mm
    over[0] = 0.0
    skin = _loft(w - cover_mm * (w < 0), over, aside, start, axes)
    along = np.array([-20.0, 5.0, 30.0, 55.0]) * size
    thick = PchipInterpolator(w, half)(along) * size + cover_mm
    root = Balls.along(start + along[:, None] * shoulder.arm + 3.0 * outward, thick - 3.0, 5)
    return Arm(skin, muscle, _septum(start, axes, size, long), root)


def _loft(
    w: NDArray[np.float64],
    half: NDArray[np.float64],
    aside: NDArray[np.float64],
    start: NDArray[np.float64],
    axes: NDArray[np.float64],
) -> Loft:
    at = np.linspace(w[0], w[-1], int((w[-1] - w[0]) / _STEP_MM) + 1)
    radius = np.sqrt(np.maximum(PchipInterpolator(w, half**2)(at), 0))
    theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
    flat = 1 + 0.05 * np.cos(2 * theta) + 0.02 * np.cos(3 * theta + 0.6)
    centre = np.stack([PchipInterpolator(w, aside)(at), np.zeros_like(at)], axis=-1)
    return Loft(radius[:, None] * flat, centre, float(at[0]), float(at[1] - at[0]), start, axes)


def _septum(start: NDArray[np.float64], axes: NDArray[np.float64], size: float, long: float) -> Tubes:
    """Intermuscular septa with the vessels and nerves of the inner side."""
    along = np.linspace(75.0, 300.0, 8)[:, None] * long * axes[2]
    sides = [
        Tubes.along(start + along + aside * size * axes[0], radius, normal=axes[1], flat=flat)
        for aside, radius, flat in ((-27.0, 11.0 * size, 0.3), (29.0, 9.0 * size, 0.16))
    ]
    return Tubes.merged(sides)
