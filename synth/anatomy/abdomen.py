"""The abdomen below the lungs: diaphragm, fat, and the organs within, which meet each other and never overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy import bowel
from synth.anatomy import stomach as gastric
from synth.anatomy.belly import belly
from synth.anatomy.labels import LOBES
from synth.anatomy.muscles import pillars
from synth.anatomy.outline import Axes
from synth.anatomy.solids import Slab, Stroke, Tubes
from synth.anatomy.viscera import DIAPHRAGM_MM, adrenals, kidneys, liver, pancreas, spleen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synth.anatomy.frame import Frame
    from synth.anatomy.solids import Solid

__all__ = ["abdomen"]

_GROUP = "abdomen"
_FAT = ("torso_fat",)
_FAR_MM = 500.0
_APPOSED_MM = 2.5
"""Thickness of the diaphragm where it lies on the chest wall (Boon et al. 2013, Muscle Nerve 47:884)."""


def abdomen(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Strokes of all below the domes, to be painted after the lungs.

    Args:
        frame: The plan of the body.
        hu: Mean HU by tissue.
        generator: Draws sizes and places of the organs.
    """
    hepatic = liver(frame, generator)
    strokes = [*_diaphragm(frame, hu), *_muscles(frame, hu)]
    for side, (kidney, sinus) in kidneys(frame, generator).items():
        label = f"kidney_{side}"
        strokes.append(_paint(kidney, hu["kidney"], label))
        strokes.append(_paint(sinus, hu["fat_visceral"], "torso_fat", (label,)))
    strokes.append(_paint(hepatic.solid, hu["liver"], "liver", ("torso_fat", "diaphragm")))
    strokes.append(_paint(spleen(frame, generator), hu["spleen"], "spleen"))
    strokes += _stomach(frame, hu, generator)
    strokes += [_paint(gland, hu["adrenal"], f"adrenal_gland_{side}") for side, gland in adrenals(frame).items()]
    strokes.append(_paint(hepatic.gallbladder, hu["gallbladder"], "gallbladder"))
    strokes.append(_paint(pancreas(frame), hu["pancreas"], "pancreas"))
    tube = bowel.duodenum(frame)
    strokes.append(_paint(tube, hu["bowel_wall"], "duodenum"))
    strokes.append(_paint(tube, hu["bowel_contents"], "duodenum", ("duodenum",), inset=bowel.WALL_MM))
    gut = bowel.colon(frame, hepatic, generator)
    strokes.append(_paint(gut.outside, hu["bowel_wall"], "colon"))
    strokes.append(_paint(gut.lumen, hu["bowel_contents"], "colon", ("colon",)))
    strokes.append(_paint(gut.gas, hu["gas"], "colon", ("colon",), part="gas"))
    loops = bowel.small_bowel(frame, generator)
    strokes.append(_paint(loops, hu["bowel_wall"], "small_bowel"))
    strokes.append(_paint(loops, hu["bowel_contents"], "small_bowel", ("small_bowel",), inset=bowel.WALL_MM))
    return strokes


def _paint(
    solid: Solid, value: float | None, label: str | None, over: tuple[str, ...] = _FAT, part: str | None = None,
    inset: float = 0.0,
) -> Stroke:  # fmt: skip
    return Stroke((solid,), value, label, part, over=over, inset_mm=inset, group=_GROUP)


def _diaphragm(frame: Frame, hu: Mapping[str, float]) -> list[Stroke]:
    """The dome over fat, and the part of it that lies on the chest wall."""
    domes, axes = frame.diaphragm, Axes.of(frame)
    floor = np.full_like(domes.z, float(axes.z[0]))
    steps = (domes.x[0], domes.y[0], domes.x[1] - domes.x[0], domes.y[1] - domes.y[0])
    below, above = Slab(floor, domes.z, *steps), Slab(domes.z, floor + _FAR_MM, *steps)
    muscle, fat = hu["diaphragm"], hu["fat_visceral"]
    low = (axes.z < frame.cage.sternum.xiphisternal[2] - 8.0)[:, None]
    bulge = axes.loft(np.where(low, belly(frame, axes), 0.0))
    return [
        _paint(below, muscle, "diaphragm", LOBES),
        _paint(below, fat, "torso_fat", ("diaphragm",), inset=DIAPHRAGM_MM),
        _paint(bulge, fat, "torso_fat", ("skeletal_muscle",)),
        # Voxels that the lungs' edge blurs into the wall are fat or muscle down here.
        _paint(frame.cage.cavity, fat, None, inset=-_APPOSED_MM),
        _paint(frame.cage.cavity, None, "diaphragm", ("skeletal_muscle",), inset=-_APPOSED_MM),
        _paint(below, muscle, "diaphragm", ("diaphragm",)),
        _paint(above, None, "skeletal_muscle", ("diaphragm",)),
    ]


def _muscles(frame: Frame, hu: Mapping[str, float]) -> list[Stroke]:
    """Crura, psoas and quadratus lumborum."""
    spine = frame.spine
    strokes = []
    for side, sign, end in (("left", 1.0, 14.0), ("right", -1.0, 14.8)):
        psoas, square = pillars(frame, sign)
        z = np.array([spine.z(level) for level in (10.6, 11.5, 12.5, 13.5, end)])
        x, y = spine.axis(z).T
        before = np.array([52.0, 34.0, 24.0, 21.0, 19.0])
        crus = np.stack([x + sign * np.array([6.0, 14.0, 16.0, 16.0, 14.0]), y - before, z], axis=-1)
        rod = Tubes.along(crus, np.array([4.0, 6.5, 7.5, 6.0, 2.5]), normal=np.array([sign, -0.3, 0.0]), flat=0.6)
        strokes.append(_paint(rod, hu["diaphragm"], "diaphragm"))
        strokes.append(_paint(psoas.tubes, hu["muscle"], f"iliopsoas_{side}"))
        strokes.append(_paint(square.tubes, hu["muscle"], "skeletal_muscle"))
    return strokes


def _stomach(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    organ = gastric.stomach(frame, generator)
    label = "stomach"
    strokes = [
        Stroke((organ.bag, organ.outlet), hu["stomach_wall"], label, over=_FAT, group=_GROUP),
        Stroke((organ.bag, organ.outlet), hu["stomach_contents"], label, over=(label,), inset_mm=gastric.WALL_MM,
               group=_GROUP),
    ]  # fmt: skip
    if organ.gas is not None:
        strokes.append(_paint(organ.gas, hu["gas"], label, (label,), part="gas"))
    return strokes
