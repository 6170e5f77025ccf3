"""Names and values of the label maps of a phantom: TotalSegmentator's where it has them.

Two maps share the grid. `LABELS` tells organs and tissues apart (TotalSegmentator v2's task "total", 1 to 117, then its
tissue types and what else a phantom knows); `PARTS` tells what lies inside them: airways, vessels of the lungs, and the
chambers of the heart (names of the tasks "lung_vessels" and "heartchambers_highres").
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from synth.core.label_names import totalsegmentator_names

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LABELS", "LOBES", "LUNG_LEFT", "LUNG_RIGHT", "PARTS", "STRUCTURES", "TISSUES"]

_MORE = (
    "skin",
    "subcutaneous_fat",
    "torso_fat",
    "skeletal_muscle",
    "intervertebral_discs",
    "breast_left",
    "breast_right",
    "diaphragm",
    "pulmonary_artery",
    "azygos_vein",
    "pericardial_fat",
    "couch",
)
_PARTS = (
    "airway_lumen",
    "airway_wall",
    "lung_artery",
    "lung_vein",
    "heart_myocardium",
    "heart_atrium_left",
    "heart_ventricle_left",
    "heart_atrium_right",
    "heart_ventricle_right",
    "calcification",
    "bone_marrow",
    "gas",
)

LABELS: Mapping[str, int] = MappingProxyType(
    {name: value for value, name in totalsegmentator_names().items()}
    | {name: 118 + number for number, name in enumerate(_MORE)}
)
"""Organ or tissue → value of the label map; 0 is air around the body."""

PARTS: Mapping[str, int] = MappingProxyType({name: 1 + number for number, name in enumerate(_PARTS)})
"""What lies inside an organ → value of the map of parts; 0 is none."""

LUNG_LEFT = ("lung_upper_lobe_left", "lung_lower_lobe_left")
LUNG_RIGHT = ("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right")
LOBES = LUNG_LEFT + LUNG_RIGHT
"""The five lobes, TotalSegmentator's names."""

TISSUES = ("skin", "subcutaneous_fat", "torso_fat", "skeletal_muscle", "couch")
"""Labels of what is everywhere, whose masks on a radiograph would say nothing."""

_RIBS = tuple(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13))
_VERTEBRAE = tuple(
    f"vertebrae_{name}" for name in ("C5", "C6", "C7", *(f"T{n}" for n in range(1, 13)), "L1", "L2", "L3")
)
_VESSELS = (
    "aorta", "superior_vena_cava", "inferior_vena_cava", "pulmonary_artery", "pulmonary_vein", "brachiocephalic_trunk",
    "brachiocephalic_vein_left", "brachiocephalic_vein_right", "azygos_vein",
)  # fmt: skip

STRUCTURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lung_left": LUNG_LEFT,
        "lung_right": LUNG_RIGHT,
        "ribs": _RIBS,
        "clavicles": ("clavicula_left", "clavicula_right"),
        "scapulae": ("scapula_left", "scapula_right"),
        "spine": (*_VERTEBRAE, "intervertebral_discs"),
        "mediastinum": ("heart", "pericardial_fat", "atrial_appendage_left", "trachea", "esophagus", *_VESSELS),
    }
)
"""What radiologists speak of → the labels that it consists of."""
