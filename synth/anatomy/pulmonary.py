"""Airways and vessels of the lungs in the picture: the region they fill is read off the lobes, then they are grown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.airways import grow_airways, wall_mm
from synth.anatomy.labels import LABELS, LOBES
from synth.anatomy.mediastinum import pulmonary_roots
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.solids import Stroke, Tubes
from synth.anatomy.trees import LungRegion
from synth.anatomy.vessels import grow_arteries, grow_veins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from synth.anatomy.frame import Frame
    from synth.anatomy.trees import Tree

__all__ = ["lung_region", "pulmonary_trees"]

_CELL_MM = 5.0
_WALL_MM = 1.0  # of the pulmonary trunk
_AROUND = (*LOBES, "torso_fat")
_SHEATH_MM = 2.5  # fat around what is wide at the hilum (ours)
_SHEATH_END_MM = 2.0  # radius in the lobes from which it is there; at twice that it is as thick as outside (ours)


def pulmonary_trees(
    frame: Frame, chest: Iterable[Stroke], hu: Mapping[str, float], generator: np.random.Generator
) -> list[Stroke]:
    """The fat of the hila, pulmonary veins, arteries and the bronchial tree, in the order of painting.

    Args:
        frame: The plan of the body.
        chest: Strokes of lungs, abdomen and mediastinum, which leave the trees their room.
        hu: Mean HU by tissue.
        generator: Draws how the trees fill it.
    """
    region, roots = lung_region(frame, chest), pulmonary_roots(frame)
    airways = grow_airways(
        region,
        frame.carina,
        frame.trachea_top,
        generator,
        radius_mm=frame.build.trachea_mm / 2,
    )
    arteries = grow_arteries(
        region,
        roots.fork,
        airways,
        generator,
        hila=np.stack([roots.left_artery, roots.right_artery]),
        trunk_mm=roots.trunk_radius - _WALL_MM,
    )
    veins = grow_veins(region, roots.ostia, airways, arteries, generator)
    walls = airways.tubes(extra_mm=wall_mm(airways.end_radius))
    return [
        _sheath([arteries, veins, airways], hu["fat_mediastinal"]),
        _vessels(veins, hu["blood_pulmonary_vein"], "lung_vein"),
        _vessels(arteries, hu["blood_pulmonary_artery"], "lung_artery"),
        Stroke((walls,), hu["airway_wall"], None, "airway_wall", over=_AROUND, group="trees"),
        Stroke((airways.tubes(),), hu["gas"], None, "airway_lumen", over=(*_AROUND, "trachea"), group="trees"),
    ]


def lung_region(frame: Frame, chest: Iterable[Stroke]) -> LungRegion:
    """The lobes on a coarse lattice, as the strokes leave them."""
    low, high = frame.cage.z[0], frame.cage.top
    half = frame.build.cavity_width_mm / 2 + 2 * _CELL_MM
    front = float(frame.cage.front(frame.cage.z).min()) - 2 * _CELL_MM
    back = float(frame.cage.back(frame.cage.z).max()) + 2 * _CELL_MM
    nx, ny, nz = (int(np.ceil(length / _CELL_MM)) for length in (2 * half, back - front, high - low + _CELL_MM))
    canvas = Canvas.empty((nz, ny, nx), (-half, front, low), _CELL_MM)
    paint(canvas, chest)
    table = np.full(256, -1, np.int8)
    for number, lobe in enumerate(LOBES):
        table[LABELS[lobe]] = number
    return LungRegion(table[canvas.labels], canvas.origin, _CELL_MM)


def _sheath(trees: list[Tree], hu: float) -> Stroke:
    """The fat of the hilum and of the bundles that leave it: it goes with vessels and bronchi as far as they are wide.

    Outside the lobes it is as thick as _SHEATH_MM; in them it thins out.
    """
    tubes = []
    for tree in trees:
        radius = (tree.start_radius + tree.end_radius) / 2
        share = np.where(tree.lobe < 0, 1.0, np.clip((radius - _SHEATH_END_MM) / _SHEATH_END_MM, 0, 1))
        around = tree.tubes(extra_mm=_SHEATH_MM * share)
        tubes.append(Tubes(*(getattr(around, name)[share > 0] for name in Tubes.__dataclass_fields__)))
    return Stroke((Tubes.merged(tubes),), hu, "torso_fat", over=LOBES, group="trees")


def _vessels(tree: Tree, hu: float, part: str) -> Stroke:
    return Stroke((tree.tubes(),), hu, None, part, over=_AROUND, group="trees")
