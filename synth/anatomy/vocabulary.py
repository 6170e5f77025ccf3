"""The kinds of findings that can be drawn into a CT, and what a report may say of each.

A finding has a name, which is CheXpert's class (or NIH ChestX-ray14's, where CheXpert has none: emphysema, hernia), and
a kind, which is what is drawn. A name may stand for several kinds; `default_kind` draws one of them.

Weights are our rules unless a source stands beside them: label sets count classes, and say neither kind nor side.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.record import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = [
    "CHEXPERT_OF",
    "KINDS",
    "LATERALITIES",
    "LOCATIONS",
    "Kind",
    "default_kind",
    "draw_finding",
    "kinds_of",
    "locations",
]

LATERALITIES = ("left", "right", "bilateral")
LOCATIONS = ("upper lobe", "middle lobe", "lower lobe", "lingula", "apex", "base", "hilum")
"""Where in a lung; "hilum" is central, "apex" and "base" are the ends whatever the lobe."""

_GRADES = MappingProxyType({"mild": 0.45, "moderate": 0.35, "severe": 0.2})
_AMOUNTS = MappingProxyType({"small": 0.5, "moderate": 0.33, "large": 0.17})
_NONE: Mapping[str, float] = MappingProxyType({})
_LOBES = MappingProxyType(
    {"upper lobe": 0.27, "middle lobe": 0.1, "lower lobe": 0.46, "lingula": 0.05, "base": 0.07, "hilum": 0.05}
)
# Cancers favour the upper lobes and the right lung (MacMahon et al. 2017, Radiology 284:228); the numbers are ours.
_LESION_LOBES = MappingProxyType(
    {"upper lobe": 0.55, "middle lobe": 0.07, "lower lobe": 0.28, "lingula": 0.03, "apex": 0.05, "hilum": 0.02}
)
_ONE_SIDE = MappingProxyType({"left": 0.5, "right": 0.5})
_LESION_SIDE = MappingProxyType({"left": 0.42, "right": 0.58})
_EITHER = MappingProxyType({"left": 0.35, "right": 0.4, "bilateral": 0.25})
_PLAQUES = MappingProxyType({"left": 0.15, "right": 0.15, "bilateral": 0.7})
_BOTH = MappingProxyType({"left": 0.04, "right": 0.06, "bilateral": 0.9})


@dataclass(frozen=True)
class Kind:
    """One kind of finding: which words may describe it, each with how often it does (summing to 1, or none at all).

    Attributes:
        name: CheXpert's class, or NIH's.
        weight: How often a finding of that name is of this kind.
        lateralities: Sides of the patient; none where there is one only, or no side to name.
        locations: Places in the lung; none where the kind has its place.
        severities: Grades or amounts; none where a report gives a size or nothing.
        size_cm: Smallest and largest diameter, drawn log-uniformly; None where size is not said.
    """

    name: str
    weight: float = 1.0
    lateralities: Mapping[str, float] = field(default_factory=lambda: _NONE)
    locations: Mapping[str, float] = field(default_factory=lambda: _NONE)
    severities: Mapping[str, float] = field(default_factory=lambda: _NONE)
    size_cm: tuple[float, float] | None = None


def _lesion(weight: float, size_cm: tuple[float, float]) -> Kind:
    return Kind("Lung Lesion", weight, _LESION_SIDE, _LESION_LOBES, _NONE, size_cm)


_BASES = MappingProxyType({"base": 0.6, "lower lobe": 0.3, "middle lobe": 0.05, "lingula": 0.05})
_COLLAPSES = MappingProxyType({"lower lobe": 0.55, "upper lobe": 0.2, "middle lobe": 0.15, "base": 0.1})

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        # A mass is a lesion of more than 3 cm (Hansell et al. 2008, Radiology 246:697).
        "nodule": _lesion(0.4, (0.6, 3.0)),
        "spiculated nodule": _lesion(0.12, (0.8, 3.0)),
        "lobulated nodule": _lesion(0.08, (0.8, 3.0)),
        "calcified nodule": _lesion(0.12, (0.4, 1.5)),
        "ground-glass nodule": _lesion(0.05, (0.8, 3.0)),
        "mass": _lesion(0.18, (3.1, 8.0)),
        "cavitary mass": _lesion(0.05, (3.1, 7.0)),
        "consolidation": Kind("Consolidation", 1.0, _EITHER, _LOBES, _GRADES),
        "pneumonia": Kind("Pneumonia", 1.0, _EITHER, _LOBES, _GRADES),
        "ground-glass opacity": Kind("Lung Opacity", 1.0, _EITHER, _LOBES, _GRADES),
        "interstitial edema": Kind("Edema", 0.65, _BOTH, _NONE, _GRADES),
        "alveolar edema": Kind("Edema", 0.35, _BOTH, _NONE, _GRADES),
        "atelectasis": Kind("Atelectasis", 0.5, _EITHER, _COLLAPSES, _GRADES),
        "linear atelectasis": Kind("Atelectasis", 0.5, _EITHER, _BASES, _GRADES),
        "pleural effusion": Kind(
            "Pleural Effusion", 1.0, MappingProxyType({"left": 0.26, "right": 0.34, "bilateral": 0.4}), _NONE, _AMOUNTS
        ),
        "pneumothorax": Kind("Pneumothorax", 0.95, MappingProxyType({"left": 0.45, "right": 0.55}), _NONE, _AMOUNTS),
        "tension pneumothorax": Kind("Pneumothorax", 0.05, _ONE_SIDE, _NONE, MappingProxyType({"large": 1.0})),
        "emphysema": Kind("Emphysema", 1.0, MappingProxyType({"bilateral": 1.0}), _NONE, _GRADES),
        "pleural thickening": Kind(
            "Pleural Other", 0.75, _EITHER, MappingProxyType({"apex": 0.6, "base": 0.4}), _GRADES
        ),
        "pleural plaque": Kind(
            "Pleural Other", 0.25, MappingProxyType({"left": 0.15, "right": 0.15, "bilateral": 0.7})
        ),
        "cardiomegaly": Kind("Cardiomegaly", severities=_GRADES),
        "enlarged mediastinum": Kind("Enlarged Cardiomediastinum", severities=_GRADES),
        "rib fracture": Kind("Fracture", 0.6, _ONE_SIDE),
        "healing rib fracture": Kind("Fracture", 0.4, _ONE_SIDE),
        "hiatal hernia": Kind("Hernia", severities=_AMOUNTS),
        "endotracheal tube": Kind("Support Devices", 0.25),
        "nasogastric tube": Kind("Support Devices", 0.2),
        "central venous catheter": Kind("Support Devices", 0.3, MappingProxyType({"left": 0.25, "right": 0.75})),
        "chest drain": Kind("Support Devices", 0.07, _ONE_SIDE),
        "pacemaker": Kind("Support Devices", 0.1, MappingProxyType({"left": 0.85, "right": 0.15})),
        "sternal wires": Kind("Support Devices", 0.08),
    }
)
"""Kind → what may be said of it; these are the kinds that the finding editors draw."""

CHEXPERT_OF: Mapping[str, str] = MappingProxyType({kind: entry.name for kind, entry in KINDS.items()})
"""Kind → CheXpert's class; "Emphysema" and "Hernia" are classes of NIH ChestX-ray14 that CheXpert lacks."""


def kinds_of(name: str) -> tuple[str, ...]:
    """The kinds that a name may stand for, the usual one first; none for "No Finding" and names unknown here."""
    return tuple(sorted((kind for kind in KINDS if KINDS[kind].name == name), key=lambda kind: -KINDS[kind].weight))


def locations(kind: str, laterality: str | None = None) -> tuple[str, ...]:
    """Where a kind of finding may lie: the left lung has no middle lobe, the right no lingula.

    Raises:
        InputError: An unknown kind; the message names the nearest.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        raise InputError(f"unknown kind of finding {kind!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return tuple(_on_side(KINDS[kind].locations, laterality))


def default_kind(
    name: str, generator: np.random.Generator, *, laterality: str | None = None, severity: str | None = None
) -> str | None:
    """Draws what a finding is of which only the name is known.

    Args:
        name: CheXpert's class, "Emphysema" or "Hernia".
        generator: One draw is made.
        laterality: If given, only kinds that may lie there; if none may, all.
        severity: If given, only kinds that have that grade; if none has, all.

    Returns:
        A key of KINDS; None if the name stands for nothing that is drawn ("No Finding").
    """
    kinds = kinds_of(name)
    for words, word in (("lateralities", laterality), ("severities", severity)):
        kinds = tuple(kind for kind in kinds if word is None or word in getattr(KINDS[kind], words)) or kinds
    return _pick({kind: KINDS[kind].weight for kind in kinds}, generator)


def draw_finding(name: str, generator: np.random.Generator, kind: str | None = None) -> Finding:
    """A finding with what is not known of it drawn: side, place, grade, size.

    Args:
        name: CheXpert's class, or NIH's.
        generator: Source of the draws; always five of them, whatever is drawn.
        kind: What it is; default: drawn by `default_kind`.

    Returns:
        The finding; a name or kind unknown here is kept, with nothing else said.
    """
    drawn = default_kind(name, generator)
    kind = kind or drawn
    entry = KINDS.get(kind or "", Kind(name))
    laterality = _pick(entry.lateralities, generator)
    location = _pick(_on_side(entry.locations, laterality), generator)
    severity = _pick(entry.severities, generator)
    share = generator.random()
    size = (
        None if entry.size_cm is None else round(entry.size_cm[0] * (entry.size_cm[1] / entry.size_cm[0]) ** share, 1)
    )
    return Finding(name, laterality, location, size, severity, kind)


_ELSEWHERE = MappingProxyType(
    {"left": ("middle lobe",), "right": ("lingula",), "bilateral": ("middle lobe", "lingula")}
)


def _on_side(places: Mapping[str, float], laterality: str | None) -> Mapping[str, float]:
    return {place: weight for place, weight in places.items() if place not in _ELSEWHERE.get(laterality or "", ())}


def _pick(weights: Mapping[str, float], generator: np.random.Generator) -> str | None:
    """One of the keys, by weight; None of nothing. One draw either way."""
    share, total = generator.random(), 0.0
    for key, weight in weights.items():
        total += weight / sum(weights.values())
        if share < total:
            return key
    return max(weights, key=weights.__getitem__, default=None)  # rounding left a sliver
