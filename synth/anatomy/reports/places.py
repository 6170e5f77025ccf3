"""Places outside the lungs: where a tube or lead ends, and which rib is broken; values of Finding.location."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from synth.anatomy.reports.english import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["RIB_KINDS", "TIPS", "has_place", "rib_words", "tip_words"]

_VENOUS = {
    "superior vena cava": ("its tip in the superior vena cava", "its tip overlying the SVC"),
    "cavoatrial junction": ("its tip at the cavoatrial junction", "its tip overlying the cavoatrial junction"),
    "right atrium": ("its tip in the right atrium", "its tip projecting over the right atrium"),
}

TIPS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "endotracheal tube": {
            "mid trachea": ("its tip in the mid trachea", "its tip above the carina", "its tip well above the carina"),
            "high": ("its tip high in the trachea", "its tip in the upper trachea"),
            "right main bronchus": ("its tip in the right main bronchus", "its tip in the right mainstem bronchus"),
        },
        "nasogastric tube": {
            "stomach": ("its tip in the stomach", "its tip below the diaphragm", "its tip overlying the stomach"),
            "distal esophagus": ("its tip in the distal esophagus", "its tip above the gastroesophageal junction"),
        },
        "central venous catheter": _VENOUS,
        "chest drain": {
            "apex": ("its tip at the apex", "its tip projecting over the apex"),
            "base": ("its tip at the base", "its tip projecting over the base"),
        },
        "pacemaker": {
            "right atrium and right ventricle": (
                "leads in the right atrium and right ventricle",
                "leads overlying the right atrium and right ventricle",
            ),
            "right ventricle": ("a single lead in the right ventricle", "one lead overlying the right ventricle"),
        },
    }
)
"""Kind → location of its tip → what follows "with", the canonical wording first."""

RIB_KINDS = ("rib fracture", "healing rib fracture")
_RIB = re.compile(r"(?:(?:posterior|lateral|anterior)\b ?)?(?:\d{1,2}(?:st|nd|rd|th) rib)?")


def has_place(kind: str, location: str) -> bool:
    """Whether a tube may end there, or whether a rib is named: "lateral 6th rib", "lateral", "6th rib"."""
    if kind in RIB_KINDS:
        return bool(location) and _RIB.fullmatch(location) is not None
    return location in TIPS.get(kind, {})


def tip_words(kind: str, location: str, generator: np.random.Generator | None) -> str:
    """What follows "with": "its tip in the right atrium"."""
    return pick(generator, TIPS[kind][location])


def rib_words(location: str) -> str:
    """What stands before "rib fracture": "lateral 6th"."""
    return location.removesuffix(" rib")
