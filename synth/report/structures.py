"""What the structures of masks belong to, and how the groups are told apart on the page."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["GROUPS", "Group", "group_of"]


@dataclass(frozen=True)
class Group:
    """Structures that are shown and hidden together.

    Attributes:
        key: In the page's address.
        label: In the legend.
        colour: On a radiograph. Those of Okabe and Ito (2008), which colour-blind readers tell apart, white for black.
        dash: SVG's stroke-dasharray, so that colour is not all that tells groups apart; empty for a full line.
        members: Pattern of the structures' names.
        single: Whether each structure keeps its outline and its name; else the group has one outline.
        shown: Whether it is shown at first.
    """

    key: str
    label: str
    colour: str
    dash: str
    members: str
    single: bool = False
    shown: bool = False


GROUPS = (
    Group("findings", "findings", "#ff6d1f", "", r"finding:.*", single=True, shown=True),
    Group("devices", "devices, objects", "#f0e442", "", r"object:(?!.*:visible$).*", single=True, shown=True),
    Group("lungs", "lungs", "#56b4e9", "", r"lungs?(_(left|right|upper|middle|lower).*)?", shown=True),
    Group("heart", "heart", "#e684bb", "", r"heart.*|atrial_.*|pericardial.*", shown=True),
    Group("mediastinum", "mediastinum, great vessels", "#7f9fff", "6 3",
          r"mediastinum|aorta|esophagus|thyroid.*|(brachio|superior_vena|inferior_vena|azygos|(common_)?carotid"
          r"|subclavian|portal|iliac_|hilum).*"),
    Group("airways", "airways, vessels of the lungs", "#00c795", "2 2",
          r"trachea|airway.*|lung_(artery|vein|trachea|vessel).*|pulmonary_.*"),
    Group("bones", "bones", "#e69f00", "6 2 2 2",
          r"bones?|ribs?(_.*)?|(vertebrae|clavic|scapul|humerus|hip_|femur|skull|costal|intervertebral).*|hip|sacrum"
          r"|sternum|spine|bone_marrow"),
    Group("abdomen", "diaphragm, abdomen", "#ffffff", "2 4",
          r"(hemi)?diaphragm.*|liver|spleen|stomach|pancreas|colon|duodenum|small_bowel|gallbladder|(adrenal_gland|kidney"
          r"|urinary).*|prostate|gas"),
    Group("others", "other structures", "#a8b0ba", "1 3", r"(?!object:).*"),
)  # fmt: skip
"""In the order of the legend; a structure belongs to the first that has it."""

_PATTERNS = [re.compile(group.members) for group in GROUPS]


def group_of(name: str) -> int | None:
    """The number of the group a structure belongs to; None for what is not drawn (the seen part of an object)."""
    return next((number for number, pattern in enumerate(_PATTERNS) if pattern.fullmatch(name)), None)
