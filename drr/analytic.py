"""An adult thorax of analytic solids, and the means to build other scenes.

After the idea of the FORBILD thorax (Lauritsch & Bruder, www.imp.uni-erlangen.de/phantoms): solids with priorities and
closed-form chords, so that every line integral and every thickness is known exactly. The anatomy and its round numbers
are our own. World is LPS in mm: x to the patient's left, y to the back, z to the head; z = 0 is mid-chest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.drr.scene import Scene
from synth.drr.skeleton import skeleton
from synth.drr.solids import HalfSpace, Solid, box, capsule, cylinder, ellipsoid, rotation_along, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HalfSpace", "Scene", "Solid", "box", "capsule", "cylinder", "ellipsoid", "thorax"]

# Hounsfield units
_FAT, _MUSCLE, _TISSUE, _LUNG, _AIR = -100.0, 50.0, 35.0, -850.0, -1000.0
_HEART, _BLOOD, _LIVER, _SPLEEN, _VESSEL = 45.0, 48.0, 60.0, 50.0, 20.0

_SIDES = (("right", -1.0), ("left", 1.0))
_BOUNDS = ((-175.0, -125.0, -190.0), (175.0, 125.0, 190.0))


def thorax() -> Scene:
    """An adult's chest from the neck to the upper abdomen, about 340 × 230 × 380 mm, arms away.

    Structures bear TotalSegmentator's names. The box of `Scene.bounds` cuts neck and abdomen.
    """
    solids = (*_trunk(), *_abdomen(), *_lungs(), *_mediastinum(), *_domes(), *skeleton())
    return Scene(solids, "thorax", _BOUNDS)


def _trunk() -> list[Solid]:
    """Skin and fat, and the muscles within."""
    solids = []
    for hu, rim in ((_FAT, 0.0), (_MUSCLE, 11.0)):
        solids += [
            _column((0, 0, -75), (166 - rim, 113 - rim, 100), 150, hu),
            ellipsoid((0, 22, 104), (168 - rim, 68 - rim, 58 - rim), hu),
            _column((0, 22, 160), (60 - rim, 58 - rim, 20), 80, hu),
        ]
        for _, side in _SIDES:
            solids.append(ellipsoid((side * 118, 22, 112), (54 - rim, 58 - rim, 52 - rim), hu))
            solids.append(capsule((side * 40, 30, 150), (side * 112, 26, 132), 34 - rim, hu))
    return solids


def _column(centre: tuple[float, float, float], half: tuple[float, float, float], straight: float, hu: float) -> Solid:
    """An upright elliptic cylinder with domed ends: half axes and half the straight part, mm."""
    return Solid(3, np.array(centre, float), np.diag(np.array(half, float)), hu, "", straight / half[2])


def _abdomen() -> list[Solid]:
    """Fat below the domes, in which the organs lie."""
    return [_column((0, -2, -190), (128, 86, 60), 40, -60.0)]


def _lungs() -> list[Solid]:
    """Lobes cut from one shape by the fissures, and the vessels in them."""
    solids = []
    for side_name, side in _SIDES:
        shapes = [
            (np.array([side * 69, 4, -28]), np.array([66.0, 86, 172])),
            (np.array([side * 71, 6, -70]), np.array([64.0, 86, 110])),
        ]
        oblique = _plane((side * 70, 0, -25), (0, 0.72, -0.70))
        horizontal = _plane((side * 70, 0, 0), (0, 0.05, -1))
        lobes = [("lower", ()), ("upper", (oblique,))]
        if side < 0:
            lobes = [("lower", ()), ("middle", (oblique,)), ("upper", (oblique, horizontal))]
        for lobe, clips in lobes:
            solids += [
                ellipsoid(centre, half, _LUNG, f"lung_{lobe}_lobe_{side_name}", clips=clips) for centre, half in shapes
            ]
        solids += _vessels(side_name, side)
    return solids


def _plane(point: tuple[float, float, float], normal: tuple[float, float, float]) -> HalfSpace:
    return HalfSpace(normal, float(np.dot(point, normal)))


def _vessels(side_name: str, side: float) -> list[Solid]:
    """A tree that branches from the hilum, four generations deep, thinner and fainter outwards."""
    hilum = np.array([side * 34, 12.0, 6.0])
    stems = [(0.25, -0.25, 1.0), (0.75, -0.55, 0.5), (0.95, 0.25, 0.1), (0.8, -0.6, -0.45), (0.55, 0.45, -0.95),
             (0.3, 0.1, -1.0), (0.65, 0.5, 0.75)]  # fmt: skip
    solids = []
    for stem in stems:
        heading = np.array(stem) * [side, 1, 1]
        tips = [(hilum, heading / np.linalg.norm(heading), 5.0, 30.0)]
        for generation in range(4):
            grown = []
            for start, towards, radius, length in tips:
                end = start + length * towards
                middle = (start + end) / 2
                solids.append(capsule(start, end, radius, _VESSEL - 40 * generation, _lobe(side_name, side, middle)))
                spread = np.cross(towards, [0.3, 1.0, 0.2] if generation % 2 else [1.0, 0.2, -0.4])
                for sign in (-1, 1):
                    turned = towards + sign * 0.42 * spread / np.linalg.norm(spread)
                    turned /= np.linalg.norm(turned)
                    if _within_lung(side, end + 0.8 * length * turned):
                        grown.append((end, turned, 0.66 * radius, 0.8 * length))
            tips = grown
    return solids


def _within_lung(side: float, point: NDArray[np.float64]) -> bool:
    return bool((((point - [side * 69, 4, -28]) / [58, 76, 158]) ** 2).sum() < 1 and abs(point[0]) > 26)


def _lobe(side_name: str, side: float, point: NDArray[np.float64]) -> str:
    _, y, z = point
    above_oblique = 0.72 * y - 0.70 * (z + 25) <= 0
    if not above_oblique:
        return f"lung_lower_lobe_{side_name}"
    return f"lung_{'middle' if side < 0 and z < 0.05 * y else 'upper'}_lobe_{side_name}"


def _mediastinum() -> list[Solid]:
    return [
        ellipsoid((0, 6, 70), (25, 50, 90), _TISSUE),
        ellipsoid((0, 20, -50), (24, 55, 110), _TISSUE),
        ellipsoid((14, -44, -92), (62, 38, 18), -80.0),  # fat pad
        # Long axis to the left, forwards and down.
        ellipsoid((24, -24, -56), (68, 44, 48), _HEART, "heart", rotation=rotation_along((0.80, -0.40, -0.45))),
        ellipsoid((-14, -14, -48), (29, 34, 42), _HEART, "heart"),
        ellipsoid((14, -22, 2), (30, 26, 34), _HEART, "heart"),
        *tube([(6, -12, -20), (-10, -20, 20), (-9, -18, 50), (0, -8, 68), (12, 8, 74), (22, 28, 66), (25, 40, 46)],
              14.0, _BLOOD, "aorta"),
        *tube([(25, 40, 46), (25, 44, 0), (21, 42, -60), (12, 38, -120), (4, 30, -200)], 12.5, _BLOOD, "aorta"),
        *tube([(-24, -8, 100), (-26, -12, 60), (-24, -14, -10)], 10.0, _BLOOD, "superior_vena_cava"),
        *tube([(-22, 4, -80), (-22, 10, -130), (-18, 16, -200)], 11.0, _BLOOD, "inferior_vena_cava"),
        *tube([(-34, 6, 4), (0, 4, -22), (36, 6, 6)], 10.0, _BLOOD, "pulmonary_vein"),
        *tube([(-26, 6, 18), (-44, 12, 2), (-50, 18, -22)], 8.5, _BLOOD, "pulmonary_vein"),
        *tube([(28, 2, 24), (44, 12, 12), (50, 20, -14)], 8.5, _BLOOD, "pulmonary_vein"),
        *tube([(-2, 32, 200), (-3, 38, 60), (2, 36, -60), (10, 20, -110)], 7.0, 30.0, "esophagus"),
        *tube([(0, 6, 200), (-1, 14, 110), (-1, 20, 46)], 9.0, _AIR, "trachea"),
        *tube([(-1, 20, 46), (-18, 22, 24), (-36, 24, 8)], 6.5, _AIR, "trachea"),
        *tube([(-1, 20, 46), (20, 24, 26), (40, 26, 14)], 5.5, _AIR, "trachea"),
    ]  # fmt: skip


def _domes() -> list[Solid]:
    """What the diaphragm covers replaces the lungs' bases."""
    return [
        ellipsoid((-70, 2, -178), (72, 94, 92), _LIVER, "liver"),
        ellipsoid((10, -20, -172), (80, 62, 60), _LIVER, "liver"),
        ellipsoid((70, 4, -190), (70, 92, 90), -40.0),
        ellipsoid((96, 40, -168), (34, 42, 54), _SPLEEN, "spleen"),
        ellipsoid((60, -14, -152), (42, 44, 44), _TISSUE, "stomach"),
        ellipsoid((58, -16, -134), (30, 32, 18), -950.0, "stomach"),
    ]
