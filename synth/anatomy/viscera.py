"""The solid organs of the upper abdomen: liver with gallbladder, spleen, pancreas, kidneys, adrenals.

Sizes: liver 1.2 to 1.8 litres (Johnson et al. 2005, Transplant Proc 37:1538), spleen 11 × 7 × 4 cm and about 0.2 litres
(Prassopoulos et al. 1997, Eur Radiol 7:246), kidneys 11 cm long (Emamian et al. 1993, AJR 160:83). Places are our
reading of CT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.outline import step
from synth.anatomy.solids import Loft, Slab, Tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame

__all__ = ["DIAPHRAGM_MM", "Liver", "adrenals", "ellipsoid", "kidneys", "liver", "pancreas", "spleen"]

DIAPHRAGM_MM = 3.5
"""Thickness of the diaphragm's domes (3 to 5 mm, Harper et al. 2013, J Orthop Sports Phys Ther 43:927)."""

_LIVER_ML = 1500.0
_SPLEEN_ML = 200.0
_LIVER_STEPS = 7


@dataclass(frozen=True, eq=False)
class Liver:
    """The liver.

    Attributes:
        solid: From its lower surface up to the diaphragm; the walls of the cavity cut it at the sides.
        gallbladder: Below it.
        x: (nx,) mm, of the table.
        y: (ny,) mm.
    """

    solid: Slab
    gallbladder: Tubes
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def below(self, x: float, y: float) -> float:
        """Height of the lower surface at the nearest sample, mm."""
        return float(self.solid.lower[np.argmin(np.abs(self.y - y)), np.argmin(np.abs(self.x - x))])


def liver(frame: Frame, generator: np.random.Generator) -> Liver:
    """The liver, of a volume that goes with the size of the chest."""
    build, domes, cage = frame.build, frame.diaphragm, frame.cage
    x, y = np.meshgrid(domes.x, domes.y)
    slopes = np.gradient(domes.z, domes.y, domes.x)
    upper = domes.z - DIAPHRAGM_MM * np.minimum(np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2), 3.0)
    top = float(domes.right_top[2])
    z = top - 60.0
    half, front, back = float(cage.half_width(z)), float(cage.front(z)), float(cage.back(z))
    middle = (front + back) / 2
    depth = (y - middle) / (back - front) * 2
    share = x / half
    hang = np.interp(
        share + 0.2 * depth, [-1.0, -0.7, -0.35, 0.0, 0.25, 0.45, 0.6], [138.0, 142.0, 124.0, 100.0, 74.0, 38.0, -40.0]
    )
    # The left lobe lies in front of stomach and gullet; behind on the right the kidney dents the lower face.
    hang = hang - 150.0 * step(share, -0.05, 0.3) * step(depth, -0.35, 0.25)
    hang = hang - 34.0 * step(depth, 0.15, 0.7) * step(share, -0.75, -0.3)
    hang = hang + 6.0 * np.sin(x / 31.0 + generator.uniform(0, 6)) * np.sin(y / 37.0 + generator.uniform(0, 6))
    inside = np.abs(share) ** 2.3 + np.abs(depth) ** 2.3 < 1
    size = (build.cavity_width_mm / 298) ** 2 * build.trunk_scale * (0.95 if build.female else 1.0)
    target = np.clip(_LIVER_ML * size * np.exp(0.08 * np.clip(generator.standard_normal(), -2, 2)), 1100.0, 1900.0)
    low, high = 0.5, 1.6
    for _ in range(_LIVER_STEPS):
        scale = (low + high) / 2
        thick = np.clip(upper - (top - scale * hang), 0, None)
        low, high = (scale, high) if thick[inside].sum() * _cell(frame) < 1000 * target else (low, scale)
    lower = top - scale * hang
    solid = Slab(lower, upper, domes.x[0], domes.y[0], domes.x[1] - domes.x[0], domes.y[1] - domes.y[0])
    return Liver(solid, _gallbladder(solid, domes.x, domes.y, half, front), domes.x, domes.y)


def _cell(frame: Frame) -> float:
    domes = frame.diaphragm
    return float((domes.x[1] - domes.x[0]) * (domes.y[1] - domes.y[0]))


def _gallbladder(solid: Slab, x: NDArray[np.float64], y: NDArray[np.float64], half: float, front: float) -> Tubes:
    """A pear of 8 cm below the liver, its fundus in front (Gray's Anatomy)."""
    points = []
    for aside, behind in ((-0.40, 38.0), (-0.34, 60.0), (-0.27, 84.0)):
        column, row = np.argmin(np.abs(x - aside * half)), np.argmin(np.abs(y - (front + behind)))
        points.append([x[column], y[row], solid.lower[row, column] - 8.0])
    return Tubes.along(np.array(points), np.array([15.0, 12.0, 6.0]))


def spleen(frame: Frame, generator: np.random.Generator) -> Loft:
    """The spleen, along the tenth rib at the back of the left side, against diaphragm and wall."""
    domes, cage = frame.diaphragm, frame.cage
    z = float(domes.left_top[2]) - 56.0
    half, back = float(cage.half_width(z)), float(cage.back(z))
    size = float(
        (frame.build.cavity_width_mm / 298) ** 0.7 * np.exp(0.06 * np.clip(generator.standard_normal(), -2, 2))
    )
    centre = np.array([0.66 * half, back - 44.0, z])
    out = np.array([0.80, 0.60, 0.0])
    along = np.array([0.30, -0.40, -0.87])
    return ellipsoid(centre, np.array([27.0, 38.0, 55.0]) * size, out, along)


def pancreas(frame: Frame) -> Tubes:
    """Head at L2 right of the midline, body over the spine, tail at the hilum of the spleen."""
    spine, cage = frame.spine, frame.cage
    tail_z = spine.z(12.4)
    half, back = float(cage.half_width(tail_z)), float(cage.back(tail_z))
    points = []
    for aside, forward, level in ((-34.0, 52.0, 14.2), (-24.0, 58.0, 13.7), (6.0, 66.0, 13.4), (36.0, 56.0, 13.0)):
        z = spine.z(level)
        x0, y0 = spine.axis(z)
        points.append([x0 + aside, y0 - forward, z])
    points.append([0.50 * half, back - 68.0, tail_z])
    return Tubes.along(np.array(points), np.array([16.0, 13.0, 9.0, 10.0, 8.0]), normal=np.array([0, 1.0, 0]), flat=0.8)


def kidneys(frame: Frame, generator: np.random.Generator) -> dict[str, tuple[Loft, Loft]]:
    """Side → the kidney and its sinus of fat; the right one 1.5 cm lower."""
    spine, size = frame.spine, frame.build.trunk_scale * np.exp(0.05 * np.clip(generator.standard_normal(), -2, 2))
    pairs = {}
    breath = 0.4 * frame.build.inspiration  # they descend by a third of a vertebra or more
    for side, sign, level in (("left", 1.0, 13.4), ("right", -1.0, 13.8)):
        z = spine.z(level + breath)
        x0, y0 = spine.axis(z)
        centre = np.array([x0 + sign * 64.0, y0 + 4.0, z])
        out, along = np.array([sign * 0.85, 0.53, 0.0]), np.array([sign * 0.18, -0.14, -0.97])
        sinus = centre - 14.0 * out
        pairs[side] = (
            ellipsoid(centre, np.array([27.0, 23.0, 56.0]) * size, out, along),
            ellipsoid(sinus, np.array([15.0, 9.0, 26.0]) * size, out, along),
        )
    return pairs


def adrenals(frame: Frame) -> dict[str, Tubes]:
    """Side → two thin limbs above and before the upper pole of a kidney."""
    spine = frame.spine
    glands = {}
    for side, sign, level in (("left", 1.0, 12.6), ("right", -1.0, 12.3)):
        z = spine.z(level)
        x0, y0 = spine.axis(z)
        ridge = np.array([x0 + sign * 33.0, y0 - 12.0, z])
        limbs = [
            Tubes.along(np.stack([ridge, ridge + np.array([sign * aside, 20.0, -8.0])]), 7.0, normal=normal, flat=0.42)
            for aside, normal in ((3.0, np.array([1.0, 0.0, 0.0])), (16.0, np.array([0.7, -0.7, 0.0])))
        ]
        glands[side] = Tubes.merged(limbs)
    return glands


def ellipsoid(
    centre: NDArray[np.float64], half: NDArray[np.float64], across: NDArray[np.float64], along: NDArray[np.float64]
) -> Loft:
    """An ellipsoid of half axes (across, third, along); `across` and `along` need not be at right angles or unit."""
    w_axis = along / np.linalg.norm(along)
    u_axis = across - (across @ w_axis) * w_axis
    u_axis /= np.linalg.norm(u_axis)
    theta = np.arange(32) * 2 * np.pi / 32
    section = 1 / np.hypot(np.cos(theta) / half[0], np.sin(theta) / half[1])
    w = np.linspace(-half[2], half[2], 15)
    radius = np.sqrt(np.maximum(1 - (w / half[2]) ** 2, 0))[:, None] * section
    axes = np.stack([u_axis, np.cross(w_axis, u_axis), w_axis])
    return Loft(radius, np.zeros((len(w), 2)), float(w[0]), float(w[1] - w[0]), centre, axes)
