"""How one finding is worded: noun, grade, size, side and place. The parser reads whatever stands here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from synth.anatomy.reports.english import article, chance, pick
from synth.anatomy.reports.places import RIB_KINDS, TIPS, has_place, rib_words, tip_words
from synth.anatomy.vocabulary import CHEXPERT_OF, KINDS, LATERALITIES
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from synth.core.record import Finding

__all__ = ["BARE_NOUNS", "GRADES", "NOUNS", "Noun", "Phrase", "check_finding", "noun_phrase", "rank", "settle"]


class Noun(NamedTuple):
    """A noun with its plural; without a plural it is not counted, without a singular it is always plural.

    A star stands where side and place go, "healing *rib fracture"; without one, they go first.
    """

    one: str
    many: str = ""


@dataclass(frozen=True)
class Phrase:
    """A noun phrase without its article.

    Attributes:
        text: "small left pleural effusion".
        plural: Whether the verb is plural.
        counted: Whether the singular takes an article.
    """

    text: str
    plural: bool = False
    counted: bool = True

    @property
    def with_article(self) -> str:
        """The phrase after "there is"."""
        return article(self.text) if self.counted and not self.plural else self.text

    @property
    def be(self) -> str:
        """The verb that agrees."""
        return "are" if self.plural else "is"


def _counted(*nouns: str) -> tuple[Noun, ...]:
    return tuple(Noun(noun, f"{noun}s") for noun in nouns)


def _uncounted(*nouns: str) -> tuple[Noun, ...]:
    return tuple(Noun(noun) for noun in nouns)


_PNEUMOTHORAX = Noun("pneumothorax", "pneumothoraces")

NOUNS: Mapping[str, tuple[Noun, ...]] = MappingProxyType(
    {
        "nodule": _counted("nodule", "pulmonary nodule", "lung nodule"),
        "spiculated nodule": (
            *_counted("spiculated nodule", "spiculated *pulmonary nodule", "spiculated *nodule"),
            Noun("nodule with spiculated margins", "nodules with spiculated margins"),
        ),
        "lobulated nodule": (
            *_counted("lobulated nodule", "lobulated *pulmonary nodule", "lobulated *nodule"),
            Noun("nodule with lobulated margins", "nodules with lobulated margins"),
        ),
        "calcified nodule": _counted(
            "calcified nodule", "calcified granuloma", "calcified *nodule", "calcified *granuloma"
        ),
        "ground-glass nodule": _counted("ground-glass nodule", "ground-glass pulmonary nodule"),
        "mass": (
            Noun("mass", "masses"),
            Noun("lung mass", "lung masses"),
            Noun("pulmonary mass", "pulmonary masses"),
        ),
        "cavitary mass": (Noun("cavitary mass", "cavitary masses"), Noun("cavitating mass", "cavitating masses")),
        "consolidation": (Noun("consolidation", "consolidations"), *_uncounted("airspace consolidation")),
        "pneumonia": _uncounted("pneumonia"),
        "ground-glass opacity": (
            Noun("ground-glass opacity", "ground-glass opacities"),
            *_uncounted("ground-glass opacification"),
        ),
        "interstitial edema": _uncounted("interstitial edema", "interstitial pulmonary edema"),
        "alveolar edema": _uncounted("alveolar edema", "alveolar pulmonary edema"),
        "atelectasis": _uncounted("atelectasis"),
        "linear atelectasis": _uncounted(
            "linear atelectasis", "plate-like atelectasis", "discoid atelectasis", "subsegmental atelectasis"
        ),
        "pleural effusion": _counted("pleural effusion", "effusion"),
        "pneumothorax": (_PNEUMOTHORAX,),
        "tension pneumothorax": (Noun("tension pneumothorax", "tension pneumothoraces"),),
        "emphysema": (*_uncounted("emphysema", "pulmonary emphysema"), Noun("", "emphysematous changes")),
        "pleural thickening": _uncounted("pleural thickening"),
        "pleural plaque": _counted("pleural plaque"),
        "cardiomegaly": _uncounted("cardiomegaly", "enlargement of the cardiac silhouette", "cardiac enlargement"),
        "enlarged mediastinum": _uncounted("mediastinal widening", "widening of the mediastinum"),
        "rib fracture": _counted("rib fracture", "acute *rib fracture"),
        "healing rib fracture": _counted("healing *rib fracture", "healed *rib fracture", "old *rib fracture"),
        "hiatal hernia": _counted("hiatal hernia", "hiatus hernia"),
        "endotracheal tube": _counted("endotracheal tube", "ET tube"),
        "nasogastric tube": _counted("nasogastric tube", "NG tube", "enteric tube"),
        "central venous catheter": _counted("central venous catheter", "central venous line", "central line"),
        "chest drain": _counted("chest drain", "chest tube", "pleural drain"),
        "pacemaker": _counted("pacemaker", "cardiac pacemaker"),
        "sternal wires": (Noun("", "sternal wires"), Noun("", "sternotomy wires"), Noun("", "median sternotomy wires")),
    }
)
"""Kind → its nouns, the canonical one first."""

BARE_NOUNS: Mapping[str, Noun] = MappingProxyType(
    {
        "Enlarged Cardiomediastinum": Noun("mediastinal widening"),
        "Cardiomegaly": Noun("cardiomegaly"),
        "Lung Opacity": Noun("opacity", "opacities"),
        "Lung Lesion": Noun("lung lesion", "lung lesions"),
        "Edema": Noun("pulmonary edema"),
        "Consolidation": Noun("consolidation", "consolidations"),
        "Pneumonia": Noun("pneumonia"),
        "Atelectasis": Noun("atelectasis"),
        "Pneumothorax": _PNEUMOTHORAX,
        "Pleural Effusion": Noun("pleural effusion", "pleural effusions"),
        "Pleural Other": Noun("pleural abnormality", "pleural abnormalities"),
        "Fracture": Noun("fracture", "fractures"),
        "Support Devices": Noun("support device", "support devices"),
        "Emphysema": Noun("emphysema"),
        "Hernia": Noun("hernia", "hernias"),
    }
)
"""Name → noun of a finding whose kind is not known."""

GRADES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mild": ("mild", "mild", "minimal"),
        "moderate": ("moderate",),
        "severe": ("severe", "marked"),
        "small": ("small",),
        "large": ("large",),
    }
)
"""Severity → its adjectives, the canonical one first."""

_RANK: Mapping[str, int] = MappingProxyType({"mild": 0, "small": 0, "moderate": 1, "severe": 2, "large": 2})
_ADJECTIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lingula": ("lingular",),
        "apex": ("apical",),
        "base": ("basilar", "basal", "lung base"),
        "hilum": ("hilar",),
    }
)
_BILATERAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"apex": ("biapical", "bilateral apical"), "base": ("bibasilar", "bilateral basilar", "bibasal")}
)
_AT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"apex": ("apex", "lung apex"), "base": ("lung base", "base"), "hilum": ("hilum",)}
)
_PLURALS: Mapping[str, str] = MappingProxyType({"apex": "apices", "hilum": "hila", "lung apex": "lung apices"})


def rank(severity: str | None) -> int | None:
    """0, 1 or 2 on the scale mild, moderate, severe or small, moderate, large; None if it is on neither."""
    return _RANK.get(severity or "")


def check_finding(finding: Finding) -> None:
    """Raises InputError where a finding has no wording."""
    if finding.kind is not None and finding.kind not in KINDS:
        raise InputError(f"finding {finding.kind!r}: unknown kind; use one of {', '.join(KINDS)}")
    if finding.kind is None and finding.name not in BARE_NOUNS:
        raise InputError(f"finding {finding.name!r}: without a kind, use one of {', '.join(BARE_NOUNS)}")
    if finding.kind is not None and finding.name != CHEXPERT_OF[finding.kind]:
        raise InputError(f"finding {finding.kind!r}: its name is {CHEXPERT_OF[finding.kind]!r}, not {finding.name!r}")
    if finding.laterality not in (None, *LATERALITIES):
        raise InputError(f"laterality {finding.laterality!r}: use one of {', '.join(LATERALITIES)}")
    if finding.severity not in (None, *GRADES):
        raise InputError(f"severity {finding.severity!r}: use one of {', '.join(GRADES)}")
    if finding.size_cm is not None and not (math.isfinite(finding.size_cm) and finding.size_cm >= 0.1):
        raise InputError(f"size_cm must be at least 0.1, got {finding.size_cm!r}")


def settle(finding: Finding) -> Finding:
    """The finding as the vocabulary has its kind, which is how it can be drawn.

    What goes without saying is added: the lingula is on the left, the middle lobe on the right, emphysema in both
    lungs. A severity is brought onto the kind's own scale: an effusion is small, not mild. What is never said of a kind
    is left out: the diameter of an effusion, the lobe of a heart. Without a kind, all is kept.
    """
    kind = finding.kind
    entry = KINDS.get(kind or "")
    side = finding.laterality or {"lingula": "left", "middle lobe": "right"}.get(finding.location or "")
    if kind is None or entry is None:
        return replace(finding, laterality=side)
    if len(entry.lateralities) == 1:
        side = side or next(iter(entry.lateralities))
    is_place = finding.location in entry.locations or has_place(kind, finding.location or "")
    return replace(
        finding,
        laterality=side if entry.lateralities else None,
        location=finding.location if is_place else None,
        size_cm=finding.size_cm if entry.size_cm else None,
        severity=next((word for word in entry.severities if rank(word) == rank(finding.severity)), None),
    )


def noun_phrase(finding: Finding, generator: np.random.Generator | None = None) -> Phrase:
    """The finding in words: "small left pleural effusion", "1.8 cm spiculated nodule in the right upper lobe".

    Args:
        finding: What is there; every attribute that its kind may have is said (see `settle`).
        generator: Draws synonyms and order; None: the canonical, shortest wording.

    Raises:
        InputError: An unknown kind, name, side or severity, or a size below a millimetre.
    """
    check_finding(finding)
    finding = settle(finding)
    noun = pick(generator, NOUNS[finding.kind]) if finding.kind else BARE_NOUNS[finding.name]
    plural = not noun.one or (finding.laterality == "bilateral" and bool(noun.many))
    before, after = _place(finding, generator)
    size = _size(finding.size_cm, generator)
    grade = pick(generator, GRADES[finding.severity]) if finding.severity else ""
    if size and chance(generator, 0.4):
        after, size = f"{after} measuring {'up to ' if plural else ''}{size}", ""
    name = noun.many if plural else noun.one
    first, _, last = name.rpartition("*")
    words = (grade, size, first, before, last, after)
    return Phrase(" ".join(word.strip() for word in words if word), plural, bool(noun.many))


def _size(size_cm: float | None, generator: np.random.Generator | None) -> str:
    """In cm to a tenth, or the same in mm."""
    if size_cm is None:
        return ""
    return pick(generator, (f"{size_cm:.1f} cm", f"{float(f'{size_cm:.1f}') * 10:.0f} mm"))


def _place(finding: Finding, generator: np.random.Generator | None) -> tuple[str, str]:
    """Words before and after the noun that say side and location."""
    side, place, kind = finding.laterality, finding.location, finding.kind or ""
    if place is None:
        return _side(finding, generator), ""
    if kind in TIPS:
        return _side(finding, generator), f"with {tip_words(kind, place, generator)}"
    if kind in RIB_KINDS:
        return f"{_side(finding, generator)} {rib_words(place)}", ""
    is_known = place.endswith("lobe") or place in _ADJECTIVES
    if is_known and (side is None or not chance(generator, 0.4)):
        return _before(side, place, generator), ""
    return "", _after(side, place, generator)


def _side(finding: Finding, generator: np.random.Generator | None) -> str:
    entry, side = KINDS.get(finding.kind or ""), finding.laterality
    if side is None or (entry is not None and list(entry.lateralities) == [side]):
        return ""  # emphysema is bilateral: nobody says so
    return pick(generator, (side, f"{side}-sided")) if side != "bilateral" else side


def _before(side: str | None, place: str, generator: np.random.Generator | None) -> str:
    if side == "bilateral" and place in _BILATERAL:
        return pick(generator, _BILATERAL[place])
    adjective = pick(generator, _ADJECTIVES.get(place, (place,)))
    return adjective if side is None or (side, place) == ("left", "lingula") else f"{side} {adjective}"


def _after(side: str | None, place: str, generator: np.random.Generator | None) -> str:
    where = pick(generator, _AT.get(place, (place,)))
    preposition = "at" if place in _AT else "in"
    if side == "bilateral":
        return f"{preposition} both {_PLURALS.get(where, f'{where}s')}"
    if side is None or (side, place) == ("left", "lingula"):
        return f"{preposition} the {where}"
    return f"{preposition} the {side} {where}"
