"""The stomach: a bag below the left dome, its outlet across the midline, and the air that rises in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from synth.anatomy.solids import Loft, Tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame

__all__ = ["WALL_MM", "Stomach", "stomach"]

WALL_MM = 4.0
"""Of a distended stomach (below 5 mm on CT, Pickhardt & Asher 2003, AJR 181:973)."""

_N_W, _N_THETA = 31, 48
_LOOK_MM = 60.0
_STEPS = 24

# Share of the way down, half width, and middle: share of the half chest to the left, mm before the middle of the dome.
_BAG = np.array(
    [
        (0.0, 0.0, 0.40, -20.0),
        (0.06, 23.0, 0.40, -19.0),
        (0.15, 33.0, 0.40, -17.0),
        (0.28, 37.0, 0.39, -12.0),
        (0.45, 34.0, 0.37, 0.0),
        (0.65, 28.0, 0.32, 14.0),
        (0.85, 24.0, 0.25, 24.0),
        (1.0, 0.0, 0.20, 28.0),
    ]
)


@dataclass(frozen=True, eq=False)
class Stomach:
    """The stomach.

    Attributes:
        bag: Fundus and body, outside.
        outlet: Antrum and pylorus, outside.
        gas: Air inside the bag; None if there is none.
    """

    bag: Loft
    outlet: Tubes
    gas: Loft | None


def stomach(frame: Frame, generator: np.random.Generator) -> Stomach:
    """The stomach with its air on top when upright, in front when lying."""
    build, domes, cage = frame.build, frame.diaphragm, frame.cage
    half = float(cage.half_width(domes.left_top[2] - 40.0))
    front = float(cage.front(domes.left_top[2] - 100.0))
    t, radius, aside, forward = _BAG.T
    size = float((build.cavity_width_mm / 298) ** 0.8 * np.exp(0.06 * np.clip(generator.standard_normal(), -2, 2)))
    size *= 1 + 0.12 * min(build.stomach_gas_ml / 150.0, 1.5)
    x, y = aside * half, domes.left_top[1] - forward
    top = float(domes.height(x[0], y[0])) - 8.0
    at = np.linspace(0, 1, _N_W)
    z = top - at * 122.0 * build.trunk_scale
    profile = np.sqrt(np.maximum(PchipInterpolator(t, (radius * size) ** 2)(at), 0))
    theta = np.arange(_N_THETA) * 2 * np.pi / _N_THETA
    shape = 1 + 0.06 * np.cos(2 * theta + 0.5) + 0.03 * np.cos(3 * theta + generator.uniform(0, 6))
    table = (profile[:, None] * shape)[::-1]
    centre = np.stack([PchipInterpolator(t, x)(at), PchipInterpolator(t, y)(at)], axis=-1)[::-1]
    bag = Loft(table, centre, float(z[-1]), float(z[0] - z[1]))
    lower = np.array([centre[3, 0], centre[3, 1], z[-1] + 24.0 * build.trunk_scale])
    ends = [
        lower,
        lower + np.array([-34.0, -4.0, -10.0]),
        [-12.0, front + 62.0, lower[2] - 4.0],
        [-36.0, front + 74.0, lower[2] + 6],
    ]
    outlet = Tubes.along(np.array(ends), np.array([22.0, 21.0, 17.0, 11.0]) * size**0.5)
    return Stomach(bag, outlet, _gas(bag, 1000.0 * build.stomach_gas_ml, lying=build.supine))


def _gas(bag: Loft, volume: float, *, lying: bool) -> Loft | None:
    """What a volume of air fills of the lumen, mm³; no more than 0.7 of it."""
    lumen = np.maximum(bag.radius - WALL_MM, 0.0)
    area = (lumen**2).mean(axis=1) * np.pi
    volume = min(volume, 0.7 * float(area.sum()) * bag.dw)
    if volume < 500.0:
        return None
    if not lying:
        slices = (area[:-1] + area[1:]) / 2 * bag.dw
        filled = np.append(np.cumsum(slices[::-1])[::-1], 0.0)
        row = float(np.interp(-volume, -filled, np.arange(len(filled))))
        w = np.linspace(row, len(area) - 1, 12)
        k = np.arange(len(area))
        square = np.stack([np.interp(w, k, column) for column in (lumen**2).T], axis=-1)
        centre = np.stack([np.interp(w, k, column) for column in bag.centre.T], axis=-1)
        return Loft(np.sqrt(square), centre, bag.w0 + row * bag.dw, float(w[1] - w[0]) * bag.dw)
    low, high = bag.centre[:, 1].min() - _LOOK_MM, bag.centre[:, 1].max() + _LOOK_MM
    for _ in range(_STEPS):
        level = (low + high) / 2
        gas = _before(bag, lumen, level)
        much = (gas.radius**2).mean(axis=1).sum() * np.pi * gas.dw > volume
        low, high = (low, level) if much else (level, high)
    return gas


def _before(bag: Loft, lumen: NDArray[np.float64], level: float) -> Loft:
    """The part of the lumen in front of the plane y = level, each section about a centre of its own."""
    nearest = bag.centre[:, 1] - lumen[:, 3 * lumen.shape[1] // 4]
    end = np.minimum(level, bag.centre[:, 1] + lumen[:, lumen.shape[1] // 4])
    y = (nearest + np.maximum(end, nearest)) / 2
    theta = np.arange(lumen.shape[1]) * 2 * np.pi / lumen.shape[1]
    cos, sin = np.cos(theta), np.sin(theta)
    # From the centre moved by `shift`, the circle of the section's mean radius.
    shift, r = (y - bag.centre[:, 1])[:, None], lumen.mean(axis=1)[:, None]
    exits = -shift * sin + np.sqrt(np.maximum(r**2 - (shift * cos) ** 2, 0))
    plane = np.where(sin > 1e-6, np.maximum(level - y, 0)[:, None] / np.maximum(sin, 1e-6), np.inf)
    there = (level > nearest)[:, None] & (r > 0)
    radius = np.where(there, np.clip(np.minimum(exits, plane), 0, None), 0.0)
    return Loft(radius, np.column_stack([bag.centre[:, 0], y]), bag.w0, bag.dw)
