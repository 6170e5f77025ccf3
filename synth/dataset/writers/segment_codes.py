"""Structures in DICOM's words: category and type of a segment (PS3.16 CID 7150 and 7151), by the name of a mask.

The codes are those of the standard's own lists, as pydicom carries them. A structure that the lists do not have keeps
its name as the segment's label and is coded by its category alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydicom.sr.codedict import codes

from synth.anatomy.vocabulary import CHEXPERT_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom.sr.coding import Code

__all__ = ["Meaning", "meaning_of"]

_STRUCTURE, _TISSUE, _SUBSTANCE = "AnatomicalStructure", "Tissue", "BodySubstance"
_ABNORMAL, _OBJECT = "MorphologicallyAbnormalStructure", "PhysicalObject"

# Name without its side → keyword of CID 7151.
_TYPES: Mapping[str, str] = {
    **{one: one.capitalize() for one in (
        "spleen", "kidney", "gallbladder", "liver", "stomach", "pancreas", "esophagus", "trachea", "duodenum", "colon",
        "prostate", "sacrum", "heart", "aorta", "humerus", "scapula", "femur", "brain", "skull", "rib", "sternum",
        "lung", "breast", "diaphragm", "spine", "mediastinum", "skin",
    )},
    "adrenal_gland": "AdrenalGland",
    "lung_upper_lobe": "UpperLobeOfLung",
    "lung_middle_lobe": "MiddleLobeOfRightLung",
    "lung_lower_lobe": "LowerLobeOfLung",
    "thyroid_gland": "Thyroid",
    "small_bowel": "SmallIntestine",
    "urinary_bladder": "Bladder",
    "pulmonary_artery": "PulmonaryArtery",
    "pulmonary_vein": "PulmonaryVein",
    "lung_artery": "PulmonaryArtery",
    "lung_vein": "PulmonaryVein",
    "brachiocephalic_trunk": "InnominateArtery",
    "brachiocephalic_vein": "InnominateVein",
    "subclavian_artery": "SubclavianArtery",
    "common_carotid_artery": "CommonCarotidArtery",
    "superior_vena_cava": "SuperiorVenaCava",
    "inferior_vena_cava": "InferiorVenaCava",
    "azygos_vein": "AzygosVein",
    "iliac_artery": "IliacArtery",
    "iliac_vena": "IliacVein",
    "clavicula": "Clavicle",
    "spinal_cord": "SpinalCord",
    "costal_cartilages": "CostalCartilage",
    "ribs": "Rib",
    "clavicles": "Clavicle",
    "scapulae": "Scapula",
    "airway_lumen": "AirwayStructure",
    "airway_wall": "AirwayStructure",
}  # fmt: skip
# Names whose side is part of the type.
_SIDED: Mapping[str, str] = {
    "atrial_appendage_left": "LeftAuricularAppendage",
    "heart_atrium_left": "LeftAtrium",
    "heart_atrium_right": "RightAtrium",
    "heart_ventricle_left": "LeftVentricle",
    "heart_ventricle_right": "RightVentricle",
}
_TISSUES: Mapping[str, str] = {
    "subcutaneous_fat": "AdiposeTissue",
    "torso_fat": "AdiposeTissue",
    "pericardial_fat": "AdiposeTissue",
    "skeletal_muscle": "MuscleTissue",
}
_SUBSTANCES: Mapping[str, str] = {"gas": "Gas"}
_ABNORMALITIES: Mapping[str, str] = {
    "kidney_cyst": "Cyst",
    "nodule": "Nodule",
    "mass": "Mass",
    "edema": "Edema",
}
_OBJECTS: Mapping[str, str] = {
    "couch": "Table",
    "endotracheal tube": "EndotrachealTube",
    "central venous catheter": "Catheter",
    "chest drain": "ChestTube",
    "pacemaker": "CardiacPacemaker",
}


class Meaning(NamedTuple):
    """What a segment shows.

    Attributes:
        category: Of context group 7150.
        type: Of context group 7151, or the category where that has none for it.
        side: Left or right, where the type does not say.
    """

    category: Code
    type: Code
    side: Code | None


def meaning_of(name: str) -> Meaning:
    """The codes of a mask or label: a structure, "finding:KIND", "object:NAME" or the kind of a finding."""
    prefix, _, rest = name.rpartition(":") if name.startswith("finding:") else ("", "", name)
    if name.startswith("object:"):
        return _coded(_OBJECT, _OBJECTS.get(name.split(":")[1]))
    if rest in _OBJECTS or CHEXPERT_OF.get(rest) == "Support Devices":
        return _coded(_OBJECT, _OBJECTS.get(rest))
    if prefix or rest in CHEXPERT_OF:
        return _coded(_ABNORMAL, _ABNORMALITIES.get(rest.rsplit(" ", 1)[-1], "Lesion"))
    return _structure(name)


def _structure(name: str) -> Meaning:
    if name in _SIDED:
        return _coded(_STRUCTURE, _SIDED[name])
    words = name.split("_")
    side = next((word for word in ("left", "right") if word in words), None)
    base = "_".join(word for word in words if word != side and not word.isdigit())
    if base.startswith("vertebrae_"):
        return _coded(_STRUCTURE, f"{words[-1]}Vertebra")
    for category, types in ((_TISSUE, _TISSUES), (_SUBSTANCE, _SUBSTANCES), (_ABNORMAL, _ABNORMALITIES)):
        if base in types:
            return _coded(category, types[base], side)
    keyword = _TYPES.get(base)
    return _coded(_STRUCTURE, keyword, None if keyword == "MiddleLobeOfRightLung" else side)


def _coded(category: str, keyword: str | None, side: str | None = None) -> Meaning:
    group: Code = getattr(codes.cid7150, category)
    kind: Code = getattr(codes.cid7151, keyword, group) if keyword else group
    return Meaning(group, kind, None if side is None else getattr(codes.cid244, side.capitalize()))
