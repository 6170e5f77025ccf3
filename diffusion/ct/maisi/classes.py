"""MAISI's classes of labels: names, values, and what they are called elsewhere in the toolkit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.settings import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BODY", "CLASSES", "MASK_CLASSES", "TUMOURS", "common_name", "read_classes"]

BODY = 200
"""The label of all tissue in the body that has no class of its own."""

_SIDES = ("left", "right")
_VERTEBRAE = [f"{part}{number}" for part, last in (("L", 5), ("T", 12), ("C", 7)) for number in range(last, 0, -1)]
_FIRST: tuple[str | None, ...] = (
    "liver", None, "spleen", "pancreas", "right kidney", "aorta", "inferior vena cava", "right adrenal gland",
    "left adrenal gland", "gallbladder", "esophagus", "stomach", "duodenum", "left kidney", "bladder", None,
    "portal vein and splenic vein", None, "small bowel", None, None, "brain", "lung tumor", "pancreatic tumor",
    "hepatic vessel", "hepatic tumor", "colon cancer primaries", "left lung upper lobe", "left lung lower lobe",
    "right lung upper lobe", "right lung middle lobe", "right lung lower lobe",
    *(f"vertebrae {name}" for name in _VERTEBRAE),
    "trachea", "left iliac artery", "right iliac artery", "left iliac vena", "right iliac vena", "colon",
    *(f"{side} rib {number}" for side in _SIDES for number in range(1, 13)),
    *(f"{side} {bone}" for bone in ("humerus", "scapula", "clavicula", "femur", "hip") for side in _SIDES),
    "sacrum",
    *(f"{side} {muscle}" for muscle in ("gluteus maximus", "gluteus medius", "gluteus minimus", "autochthon",
                                        "iliopsoas") for side in _SIDES),
    "left atrial appendage", "brachiocephalic trunk", "left brachiocephalic vein", "right brachiocephalic vein",
    "left common carotid artery", "right common carotid artery", "costal cartilages", "heart", "left kidney cyst",
    "right kidney cyst", "prostate", "pulmonary vein", "skull", "spinal cord", "sternum", "left subclavian artery",
    "right subclavian artery", "superior vena cava", "thyroid gland", "vertebrae S1", "bone lesion", None, None, None,
    "airway",
)  # fmt: skip

CLASSES: Mapping[str, int] = {name: value for value, name in enumerate(_FIRST, 1) if name} | {"body": BODY}
"""Name → label, as label_dict.json of NV-Generate-CT has them, without its unused ones."""

_BONES = ("vertebrae", "rib", "humerus", "scapula", "clavicula", "femur", "hip", "sacrum", "skull", "sternum")

MASK_CLASSES: Mapping[str, tuple[str, ...]] = {
    "lung_upper_lobe_left": ("left lung upper lobe",),
    "lung_lower_lobe_left": ("left lung lower lobe",),
    "lung_upper_lobe_right": ("right lung upper lobe",),
    "lung_middle_lobe_right": ("right lung middle lobe",),
    "lung_lower_lobe_right": ("right lung lower lobe",),
    "lung_airways": ("trachea", "airway"),
    "heart": ("heart", "left atrial appendage"),
    "bones": (*(name for name in CLASSES if set(_BONES) & set(name.split())), "bone lesion"),
    "finding": ("lung tumor", "pancreatic tumor", "hepatic tumor", "colon cancer primaries", "bone lesion"),
}
"""Mask → the classes that it consists of. Vessels within the lungs have no class."""

TUMOURS: Mapping[str, tuple[str, ...]] = {
    "lung tumor": tuple(name for name in CLASSES if name.endswith("lobe")),
    "pancreatic tumor": ("pancreas",),
    "hepatic tumor": ("liver",),
    "colon cancer primaries": ("colon",),
    "bone lesion": tuple(name for name in CLASSES if set(_BONES) & set(name.split())),
}
"""Tumour → the classes, one of which its place would have without it."""

_OTHERWISE = {
    "bladder": "urinary_bladder",
    "left iliac vena": "iliac_vena_left",
    "right iliac vena": "iliac_vena_right",
    "airway": "lung_trachea_bronchia",
}


def common_name(name: str) -> str:
    """TotalSegmentator's name of a class of MAISI: "left lung upper lobe" → "lung_upper_lobe_left".

    Classes that TotalSegmentator does not have keep their own, with underscores.
    """
    if name in _OTHERWISE:
        return _OTHERWISE[name]
    words = name.split()
    if words[0] in _SIDES:
        side, *words = words
        words.insert(1 if words[0] == "rib" else len(words), side)
    return "_".join(words)


def read_classes(path: Path) -> dict[str, int]:
    """A label_dict.json: name → label, without its unused classes ("dummy3").

    Raises:
        InputError: It is none, or a label does not fit into eight bits.
    """
    table = read_json(path)
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
            raise InputError(f"{path}: the label of {name!r} is {value!r}; give 0 to 255")
    return {name: value for name, value in table.items() if value and not name.startswith("dummy")}
