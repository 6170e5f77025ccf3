"""The bones of the analytic thorax: shoulders, ribs, breastbone and spine.

Coordinates as in `synth.drr.analytic`: LPS, mm; z = 0 is mid-chest.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from synth.drr.solids import Solid, box, capsule, cylinder, ellipsoid, rotation_along, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["skeleton"]

_CORTICAL, _SPONGY, _DISC, _CARTILAGE = 800.0, 200.0, 85.0, 110.0  # Hounsfield units

_SIDES = (("right", -1.0), ("left", 1.0))

_VERTEBRAE = (*(f"T{i}" for i in range(1, 13)), "L1", "L2")
# Half width, half depth, fall from back to front and last angle (0° back, 180° front) of ribs 1 to 12; mm, degrees
_RIBS = (
    (58, 46, 38, 138), (82, 62, 50, 140), (101, 76, 58, 143), (115, 85, 62, 146),
    (125, 91, 66, 148), (132, 95, 70, 148), (137, 97, 74, 146), (139, 98, 78, 140),
    (139, 98, 80, 132), (136, 96, 78, 122), (130, 93, 62, 92), (118, 88, 40, 62),
)  # fmt: skip


def skeleton() -> list[Solid]:
    """Shoulders, ribs with cartilages, sternum and spine, under TotalSegmentator's names."""
    return [*_shoulders(), *_cage(), *_spine()]


def _shoulders() -> list[Solid]:
    """Shoulder blades turned outwards, as for a PA view, collar bones and the heads of the arms."""
    solids = []
    for name, side in _SIDES:
        blade, collar = f"scapula_{name}", f"clavicula_{name}"
        turn = rotation_along((side * 0.42, 0.90, 0.05))
        solids += [
            ellipsoid((side * 124, 52, 58), (2.5, 30, 72), 500.0, blade, rotation=turn[:, [1, 0, 2]]),
            *tube([(side * 112, 72, 92), (side * 138, 56, 118), (side * 152, 30, 134)], 6.0, 450.0, blade),
            *tube([(side * 122, 44, 0), (side * 136, 36, 60), (side * 142, 26, 108)], 4.5, 500.0, blade),
            *tube([(side * 20, -62, 102), (side * 58, -58, 109), (side * 98, -22, 124), (side * 146, 18, 136)], 6.5,
                   _CORTICAL, collar),
            *tube([(side * 20, -62, 102), (side * 58, -58, 109), (side * 98, -22, 124), (side * 146, 18, 136)], 3.5,
                   _SPONGY, collar),
            ellipsoid((side * 150, 22, 112), (15, 21, 21), 500.0, f"humerus_{name}"),
            ellipsoid((side * 150, 22, 112), (12.5, 18.5, 18.5), _SPONGY, f"humerus_{name}"),
        ]  # fmt: skip
    return solids


def _cage() -> list[Solid]:
    """Ribs as chains of flat capsules, cortical bone around spongy, their cartilages, and the sternum."""
    solids = []
    for name, side in _SIDES:
        for i, (half_width, half_depth, fall, last) in enumerate(_RIBS):
            path = _rib_path(i, side, half_width, half_depth, fall, last)
            for radius, hu in ((6.0, _CORTICAL), (4.2, _SPONGY)):
                for a, b in pairwise(path):
                    outwards = (a + b) / 2 * [1, 1, 0]
                    solids.append(capsule(a, b, radius, hu, f"rib_{name}_{i + 1}", flat=(outwards, radius - 2.4)))
            if i < 10:
                end = path[-1]
                target = np.array([side * 17, -84.0 - 0.5 * min(i, 6), 92.0 - 21 * min(i, 6)])
                bend = 0.5 * (end + target) + [0, -5, -6]
                solids += tube([end, bend, target], 5.0, _CARTILAGE, "costal_cartilages")
    lean = rotation_along((0, -0.10, -0.995))[:, [1, 2, 0]]
    solids += [
        box((0, -80, 96), (27, 6.5, 24), _CORTICAL - 300, "sternum", rotation=lean),
        box((0, -80, 96), (24, 4.5, 21.5), _SPONGY, "sternum", rotation=lean),
        box((0, -88, 22), (17, 6, 50), _CORTICAL - 300, "sternum", rotation=lean),
        box((0, -88, 22), (14.5, 4, 48), _SPONGY, "sternum", rotation=lean),
    ]
    return solids


def _rib_path(
    i: int, side: float, half_width: float, half_depth: float, fall: float, last: float
) -> list[NDArray[np.float64]]:
    """Points along rib i + 1, from its vertebra around the side to its cartilage."""
    angle = np.deg2rad(np.linspace(9, last, 13))
    z_back = _level(i) + 6
    drop = fall * ((1 - np.cos(angle)) / 2) ** 0.8
    back = half_depth * (1 - 0.12 * np.exp(-((angle / 0.35) ** 2)))
    points = np.stack([side * half_width * np.sin(angle), 4 + back * np.cos(angle), z_back - drop], axis=1)
    return list(points)


def _level(i: int) -> float:
    """Height of the middle of vertebra T1 + i, mm: bodies grow taller downwards."""
    return 158.0 - 21.0 * i - 0.32 * i * i


def _spine() -> list[Solid]:
    levels = [_level(i) for i in range(len(_VERTEBRAE) + 1)]
    solids: list[Solid] = [*tube([(0, _kyphosis(z), z) for z in (200, *levels, -200)], 13.0, _DISC, "")]
    solids += [
        *tube([(0, _kyphosis(z) + 25, z) for z in (200, *levels, -200)], 9.0, 20.0, ""),
        *tube([(0, _kyphosis(z) + 25, z) for z in (200, *levels, -200)], 5.0, 40.0, "spinal_cord"),
    ]
    for i, vertebra in enumerate(_VERTEBRAE):
        z, name = levels[i], f"vertebrae_{vertebra}"
        width, height = 14.5 + 0.55 * i, 0.42 * (levels[i] - levels[i + 1])
        y = _kyphosis(z)
        solids += [
            cylinder((0, y, z), (width, 15, height), _CORTICAL - 350, name),
            cylinder((0, y, z), (width - 1.6, 13.4, height - 1.6), _SPONGY - 40, name),
            *tube([(0, y + 36, z - 3), (0, y + 50, z - 22)], 3.5, 380.0, name),
        ]
        for _, side in _SIDES:
            solids += [
                *tube([(side * 9, y + 14, z + 3), (side * 12, y + 28, z + 2), (0, y + 37, z - 3)], 3.4, 400.0, name),
                capsule((side * 12, y + 28, z + 2), (side * (34 - i), y + 34, z + 4), 3.5, 380.0, name),
            ]
    return solids


def _kyphosis(z: float) -> float:
    """Where the middle of the vertebral bodies lies at a height: furthest back in the middle of the chest, y in mm."""
    return 56.0 - 26.0 * ((z - 10) / 190) ** 2
