"""What words mean to the parser: tables of terms, each a phrase in lower case, hyphens as spaces.

Terms of findings are those that the writer knows (`wording.NOUNS`) and the synonyms and abbreviations below.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from synth.anatomy.reports.cues import CUES, PLACES
from synth.anatomy.reports.wording import BARE_NOUNS, NOUNS
from synth.anatomy.vocabulary import CHEXPERT_OF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from synth.anatomy.reports.cues import Role

__all__ = ["REFINEMENTS", "TERMS", "Concept", "Term"]


class Concept(NamedTuple):
    """A finding's name and, where the words tell, its kind."""

    name: str
    kind: str | None = None


class Term(NamedTuple):
    """What a phrase means."""

    role: Role
    value: object = ""


def _kind(kind: str) -> Concept:
    return Concept(CHEXPERT_OF[kind], kind)


_SYNONYMS: Mapping[Concept, str] = MappingProxyType(
    {
        _kind("nodule"): "nodular opacity; nodular density; nodular focus; nodular lesion; coin lesion",
        _kind("calcified nodule"): "granuloma; calcified lung nodule; calcific nodule; "
        "calcified nodular density; calcific density; calcified density",
        _kind("mass"): "mass density; mass lesion; mass like opacity; mass like density; "
        "mass like consolidation; lung tumor; lung carcinoma",
        _kind("cavitary mass"): "cavitary lesion; cavitating lesion; cavity; cavitation; cavitary density",
        _kind(
            "consolidation"
        ): "consolidative opacity; consolidative change; consolidated lung; airspace consolidation",
        _kind("pneumonia"): "pneumonitis; bronchopneumonia; pna; pneumonic infiltrate",
        _kind("ground-glass opacity"): "ggo; ground glass density; ground glass attenuation; hazy opacity",
        _kind("interstitial edema"): "septal edema",
        _kind("alveolar edema"): "airspace edema",
        _kind("atelectasis"): "atelectatic change; atelectases; collapse",
        _kind("linear atelectasis"): "platelike atelectasis; bandlike atelectasis; band like atelectasis; "
        "plate atelectasis; streaky atelectasis",
        _kind("pleural effusion"): "pleural fluid; hydrothorax; hemothorax; subpulmonic fluid; parapneumonic effusion",
        _kind("pneumothorax"): "ptx; pneumothoraces; pneumothoracies; pneumothoraxes",
        _kind("emphysema"): "emphysematous change; emphysematous disease; emphysematous lung disease; "
        "emphysematous lung; emphysematous",
        _kind("pleural thickening"): "thickening of the pleura; apical cap; pleural scar; pleural scarring",
        _kind("pleural plaque"): "pleural calcification; calcified pleural plaque",
        _kind(
            "cardiomegaly"
        ): "heart is large; heart is slightly large; enlarged heart; large heart; cardiac enlargement",
        _kind("enlarged mediastinum"): "enlarged mediastinum; widened mediastinum; wide mediastinum",
        _kind("rib fracture"): "fractured rib; broken rib",
        _kind("hiatal hernia"): "hiatus hernia; paraesophageal hernia",
        _kind("endotracheal tube"): "ett; et tube",
        _kind("nasogastric tube"): "ngt; ng tube; ogt; og tube; orogastric tube; enteric tube; feeding tube; "
        "dobhoff; dobhoff tube; nasoenteric tube; gastric tube",
        _kind("central venous catheter"): "cvc; picc; picc line; central line; central catheter; port a cath; "
        "portacath; mediport; chest port; infusion port; port; subclavian line; subclavian catheter; "
        "jugular line; jugular catheter; ij line; ij catheter; dialysis catheter; swan ganz catheter; "
        "venous catheter; catheter; catheter tip; port catheter; central venous access",
        _kind("chest drain"): "chest tube; pigtail catheter; thoracostomy tube; pleural catheter; "
        "pleural drain; intercostal drain; thoracotomy tube",
        _kind("pacemaker"): "pacer; icd; aicd; defibrillator; pacing device; cardiac device; pacemaker lead; "
        "pacing lead; cardiac defibrillator; pacemaker generator",
        _kind("sternal wires"): "sternotomy wire; sternal wire; sternotomy suture; median sternotomy wire",
        Concept("Lung Opacity"): "opacity; opacification; density; infiltrate; airspace disease; infiltration; "
        "interstitial marking; interstitial thickening; interstitial prominence; reticulation; "
        "reticular pattern; reticulonodular pattern; interstitial pattern; interstitial lung marking; "
        "interstitial change; interstitial lung change; reticulonodular opacity; airspace process; "
        "interstitial disease",
        Concept("Lung Lesion"): "lung lesion; pulmonary lesion; metastasis; metastases",
        Concept("Edema"): "pulmonary edema; edema; heart failure; chf; vascular congestion; "
        "pulmonary congestion; venous congestion; venous engorgement; vascular engorgement; congestive failure; "
        "congestion; congestive change; vascular redistribution; cephalization; kerley line; "
        "pulmonary venous hypertension",
        Concept("Fracture"): "fracture; fx",
        Concept("Pleural Other"): "pleural abnormality",
        Concept("Hernia"): "hernia; diaphragmatic hernia; herniation",
        Concept("Support Devices"): "support device; medical device; monitoring device; tracheostomy; "
        "tracheostomy tube; tracheostomy cannula; drain; valve prosthesis; prosthetic valve; spinal stimulator; "
        "stimulator; shunt catheter; vp shunt; tube; lead; device; generator",
    }
)
_BOTH_PNEUMO = (_kind("pneumothorax"), _kind("pleural effusion"))

REFINEMENTS: Mapping[tuple[Concept, str], Concept] = MappingProxyType(
    {
        (_kind("nodule"), "spiculated"): _kind("spiculated nodule"),
        (_kind("nodule"), "lobulated"): _kind("lobulated nodule"),
        (_kind("nodule"), "calcified"): _kind("calcified nodule"),
        (_kind("nodule"), "ground-glass"): _kind("ground-glass nodule"),
        (_kind("mass"), "cavitary"): _kind("cavitary mass"),
        (_kind("atelectasis"), "linear"): _kind("linear atelectasis"),
        (_kind("pneumothorax"), "tension"): _kind("tension pneumothorax"),
        (_kind("rib fracture"), "healing"): _kind("healing rib fracture"),
        (Concept("Lung Opacity"), "ground-glass"): _kind("ground-glass opacity"),
        (Concept("Edema"), "interstitial"): _kind("interstitial edema"),
        (Concept("Edema"), "alveolar"): _kind("alveolar edema"),
        (Concept("Fracture"), "rib"): _kind("rib fracture"),
    }
)
"""(general finding, trait said of it) → the special one."""


def _plain(phrase: str) -> str:
    """As the tokenizer has it: lower case, hyphens as spaces, signs as words."""
    return " ".join(re.findall(r"[\w.']+|[/>?]", phrase.lower()))


def _plurals(phrase: str) -> Iterable[str]:
    """The phrase and its regular plural."""
    yield phrase
    if phrase.endswith("y") and not phrase.endswith(("ey", "ay")):
        yield f"{phrase[:-1]}ies"
    elif phrase.endswith("s"):
        yield f"{phrase}es"
    else:
        yield f"{phrase}s"


def _finding_terms() -> dict[str, Term]:
    out: dict[str, Term] = {}
    for concept, phrases in _SYNONYMS.items():
        for phrase in phrases.split(";"):
            out |= {word: Term("finding", (concept,)) for word in _plurals(_plain(phrase))}
    for name, noun in BARE_NOUNS.items():
        concept = next((c for c in _SYNONYMS if noun.one in _SYNONYMS[c].split("; ")), Concept(name))
        out |= {_plain(word): out.get(_plain(word), Term("finding", (concept,))) for word in noun if word}
    for kind, nouns in NOUNS.items():
        out |= {
            _plain(word.replace("*", "")): Term("finding", (_kind(kind),)) for noun in nouns for word in noun if word
        }
    out |= {word: Term("finding", _BOTH_PNEUMO) for word in _plurals("hydropneumothorax")}
    return out


def _terms() -> Mapping[tuple[str, ...], Term]:
    out = {word: Term("place", place) for place, names in PLACES.items() for name in names.split("; ")
           for word in _plurals(name)}  # fmt: skip
    for role, table in CUES.items():
        for value, phrases in table.items():
            for phrase in phrases.split("; "):
                words = _plurals(phrase) if role in ("trait", "organ") else (phrase,)
                out |= {_plain(word): Term(role, value) for word in words if word not in out or role != "no"}
    for phrase, term in _finding_terms().items():
        if phrase not in CUES["nothing"][""].split("; "):
            out[phrase] = term
    return MappingProxyType({tuple(phrase.split()): term for phrase, term in out.items()})


TERMS: Mapping[tuple[str, ...], Term] = _terms()
"""Phrase, as a tuple of words, → what it means; the longest match wins."""
