"""The wall of the trunk: skin, fat and muscles around the cage, breasts, shoulders, arms and neck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.belly import belly
from synth.anatomy.breasts import breast
from synth.anatomy.girdle import girdle
from synth.anatomy.limbs import arm
from synth.anatomy.muscles import PLANE_MM, back_muscles, neck_muscles, sheets, spinous_points
from synth.anatomy.outline import Axes, Balls, covered, ribs_layer, step, window
from synth.anatomy.shoulder_muscles import (
    between_blades,
    blade_muscles,
    bony_points,
    nape_muscles,
    shoulder_muscles,
)
from synth.anatomy.solids import Stroke

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.breasts import Breast
    from synth.anatomy.build import Build
    from synth.anatomy.frame import Frame
    from synth.anatomy.girdle import Shoulder
    from synth.anatomy.limbs import Arm
    from synth.anatomy.muscles import Rod
    from synth.anatomy.solids import Solid

__all__ = ["wall"]

_GROUP = "wall"
_BREASTS = ("breast_left", "breast_right")
_SKIN_MM = 2.2
"""Epidermis and dermis of the trunk: 1.5 to 2.5 mm (Laurent et al. 2007, Vaccine 25:6423)."""
_LEAST_MM = 6.0
"""Skin and fat over muscle and bone at least."""


@dataclass(frozen=True, eq=False)
class _Layers:
    """Outer surfaces on the trunk, from within, (n, m) mm each; 0 above the cage.

    Attributes:
        cage: Of ribs and intercostal muscles.
        first: Of the fat on them.
        second: Of the deep sheet of muscles.
        third: Of the fat on it.
        outer: Of the superficial sheet.
    """

    cage: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    third: NDArray[np.float64]
    outer: NDArray[np.float64]


def wall(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Strokes of the wall, from the skin inward; the cavity is painted over them.

    Args:
        frame: The plan of the body.
        hu: Mean HU by tissue: skin, fat_subcutaneous, muscle, breast_fat and breast_gland.
        generator: Draws fat, and the breasts.
    """
    build, axes = frame.build, Axes.of(frame)
    fat = _fat(build, axes) * float(np.exp(0.04 * np.clip(generator.standard_normal(), -2, 2)))
    layers = _layers(frame, axes)
    shoulders = girdle(frame)
    arms = [arm(build, shoulder, max(0.6 * build.subcutaneous_mm + _SKIN_MM, _LEAST_MM)) for shoulder in shoulders]
    folds, neck = _rods(frame, axes, layers.outer, shoulders)
    spinal = {side: back_muscles(frame, sign) for side, sign in (("left", 1.0), ("right", -1.0))}
    trunk = np.where(layers.cage > 0, layers.outer + fat + _SKIN_MM, 0.0)
    balls = _proud(frame, shoulders, arms, folds, neck, list(spinal.values()))
    skin = covered(axes, trunk, balls, blur=1.4)
    breasts = [breast(build, axes, layers.outer, skin, sign, generator) for sign in (1.0, -1.0)]
    surface = (axes.loft(skin), *(item.skin for item in arms), *(b.skin for b in breasts if b.skin is not None))
    blades = [blade_muscles(build, shoulder) for shoulder in shoulders]
    flesh: tuple[Solid, ...] = (*(rod.tubes for rod in (*folds, *neck)), *blades, *(item.muscle for item in arms))
    muscle, fatty = hu["muscle"], hu["fat_subcutaneous"]
    soft = ("subcutaneous_fat", *_BREASTS, "skeletal_muscle")
    strokes = [
        _stroke(tuple(item.nipple for item in breasts), hu["skin"], "skin"),
        _stroke(surface, hu["skin"], "skin"),
        _stroke(surface, fatty, "subcutaneous_fat", inset=_SKIN_MM),
        *(stroke for item in breasts for stroke in _breast(item, hu)),
        *_sheets(axes, layers, hu),
        _stroke(flesh, muscle, "skeletal_muscle", soft),
        _stroke(tuple(item.septum for item in arms), fatty, "subcutaneous_fat", ("skeletal_muscle",)),
    ]
    return strokes + [_stroke((rod.tubes,), muscle, f"autochthon_{side}", soft) for side, rod in spinal.items()]


def _stroke(
    solids: tuple[Solid, ...], value: float, label: str, over: tuple[str, ...] | None = None, inset: float = 0.0
) -> Stroke:
    return Stroke(solids, value, label, over=over, inset_mm=inset, group=_GROUP)


def _layers(frame: Frame, axes: Axes) -> _Layers:
    within = belly(frame, axes)
    deep, shallow = sheets(frame.build, axes)
    cage = within + ribs_layer(axes, within)
    first = cage + PLANE_MM
    second = first + deep
    third = second + PLANE_MM
    return _Layers(*(np.where(within > 0, radius, 0.0) for radius in (cage, first, second, third, third + shallow)))


def _sheets(axes: Axes, layers: _Layers, hu: Mapping[str, float]) -> list[Stroke]:
    """The two sheets of flat muscles and the layer of the ribs, each painted over all within the one before."""

    def muscle(outside: NDArray[np.float64], below: NDArray[np.float64]) -> Stroke:
        # Where there is none, its surface sinks below the fat that is painted next.
        radius = outside - 2.0 * (outside - below < 0.4)
        return _stroke((axes.loft(radius),), hu["muscle"], "skeletal_muscle", ("subcutaneous_fat", *_BREASTS))

    def fat(outside: NDArray[np.float64]) -> Stroke:
        return _stroke((axes.loft(outside),), hu["fat_subcutaneous"], "subcutaneous_fat")

    return [
        muscle(layers.outer, layers.third),
        fat(layers.third),
        muscle(layers.second, layers.first),
        fat(layers.first),
        _stroke((axes.loft(layers.cage),), hu["muscle"], "skeletal_muscle"),
    ]


def _breast(item: Breast, hu: Mapping[str, float]) -> list[Stroke]:
    label, fat = f"breast_{item.side}", ("subcutaneous_fat",)
    if item.skin is None:
        return [_stroke((item.gland,), hu["breast_gland"], label, fat)]
    return [
        _stroke((item.skin,), hu["breast_fat"], label, fat, _SKIN_MM),
        _stroke((item.gland,), hu["breast_gland"], label, (label,)),
    ]


def _rods(
    frame: Frame, axes: Axes, outer: NDArray[np.float64], shoulders: tuple[Shoulder, Shoulder]
) -> tuple[list[Rod], list[Rod]]:
    """The folds of the axillae, and the muscles of neck and nape."""
    folds: list[Rod] = []
    neck: list[Rod] = []
    for shoulder in shoulders:
        folds += shoulder_muscles(frame.build, axes, outer, shoulder)
        neck += [*neck_muscles(frame, shoulder), *nape_muscles(frame, shoulder)]
    return folds, neck


def _proud(
    frame: Frame,
    shoulders: tuple[Shoulder, Shoulder],
    arms: list[Arm],
    folds: list[Rod],
    neck: list[Rod],
    spinal: list[Rod],
) -> Balls:
    """What stands out of the trunk, each with its fat and skin."""
    build = frame.build
    over = max(0.42 * min(build.subcutaneous_mm, 35.0) + _SKIN_MM, _LEAST_MM)
    balls = [rod.balls(over) for rod in folds] + [rod.balls(0.8 * over) for rod in neck]
    balls += [rod.balls(over + 5.0 * build.muscle, 24) for rod in spinal]
    balls += [bony_points(frame, shoulder, over) for shoulder in shoulders] + [item.root for item in arms]
    balls += [_neck(frame), _breastbone(frame, over), spinous_points(frame, over + 6.0)]
    if build.arms_up:
        balls.append(between_blades(*shoulders, over))
    return Balls.merged(balls)


def _fat(build: Build, axes: Axes) -> NDArray[np.float64]:
    """(n, m) mm below the skin: thin over breastbone and shoulders, thick at the sides and flanks."""
    a, level = axes.angle, axes.level
    around = np.interp(a, [0, 25, 70, 90, 130, 160, 180], [0.55, 0.6, 0.95, 1.0, 1.0, 0.8, 0.7])
    along = np.interp(level, [0, 3, 8, 11, 15], [0.5, 0.65, 1.0, 1.0, 1.15])
    flank = 1 + 0.5 * window(a, 75, 130, 30) * step(level, 10, 13.5)
    front = 1 + 0.7 * step(a, 70, 20) * step(level, 9, 13)
    hips = 1 + 0.2 * build.female * step(level, 11, 15)
    return np.asarray(np.maximum(build.subcutaneous_mm * around * along * flank * front * hips, _LEAST_MM - _SKIN_MM))


def _neck(frame: Frame) -> Balls:
    """The neck: 38 cm around in men, 33 cm in women (Gordon et al. 2014, ANSUR II), more with fat."""
    build, spine = frame.build, frame.spine
    radius = (51.0 if build.female else 58.0) + 0.3 * (min(build.subcutaneous_mm, 45.0) - 12.0)
    z = np.array([spine.z(-2.0) + 40.0, spine.z(-1.0), spine.z(0.6)])
    x, y = spine.axis(z).T
    return Balls.along(np.column_stack([x, y + 4.0, z]), radius, 12)


def _breastbone(frame: Frame, over: float) -> Balls:
    bone = frame.cage.sternum
    middle = np.stack([bone.notch, bone.angle, bone.xiphisternal, bone.tip])
    side = np.array([14.0, 0.0, 0.0])
    return Balls.merged([Balls.along(middle + k * side, bone.thickness / 2 + over, 20) for k in (-1, 0, 1)])
