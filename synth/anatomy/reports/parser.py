"""Prompts and reports, read into records: what is said to be there, of which side, place, size and grade.

Text → sections → sentences → marks (lexicon) → which findings stand (scope) → what belongs to them (attributes). Rules
after the manner of NegEx (Chapman et al. 2001, J Biomed Inform 34:301) and the CheXpert labeler (Irvin et al. 2019).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from synth.anatomy.reports.attributes import Attributes, attributes, share
from synth.anatomy.reports.lexicon import REFINEMENTS, Concept
from synth.anatomy.reports.marks import Mark, mark, sections, sentences
from synth.anatomy.reports.person import read_person, read_view
from synth.anatomy.reports.places import RIB_KINDS, TIPS
from synth.anatomy.reports.scope import standing
from synth.anatomy.reports.wording import settle
from synth.anatomy.vocabulary import CHEXPERT_OF
from synth.core.errors import InputError
from synth.core.record import Finding, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["parse"]


class _Mention(NamedTuple):
    """A finding as one sentence has it; `definite`: "the nodule", one that was spoken of before."""

    finding: Finding
    definite: bool


def parse(text: str, *, keep_uncertain: bool = False) -> Record:
    """Reads a prompt or a report.

    Sections on indication, technique and comparison tell of the person and the view alone. What is denied, resolved or
    only in the history is left out; what is unchanged is there. A finding that several sections tell of is one.

    Args:
        text: A prompt in the style of RoentGen-v2 or ChexGen, a sentence, or a report; British or American spelling.
        keep_uncertain: Whether a finding that may be there ("possible", "cannot exclude", "versus") counts.

    Returns:
        A Record with view ("PA" where nothing is said), sex, age, race and findings. A finding's kind is None where
        the words leave it open ("opacity", "pulmonary edema").

    Raises:
        InputError: A text without words.
    """
    if not re.search(r"[A-Za-z]", text):
        raise InputError("text: nothing to read; give a prompt or a report in English")
    person, rest = read_person(text)
    findings: list[Finding] = []
    for section in sections(rest):
        mentions = [mention for words in sentences(section) for mention in _mentions(mark(words), keep_uncertain)]
        findings = _merge(findings, mentions)
    return Record(read_view(text), person.sex, person.age, person.race, findings=tuple(findings))


def _mentions(marks: Sequence[Mark], keep_uncertain: bool) -> list[_Mention]:
    """The findings of a sentence that count."""
    marks = _without_parts(_resolve_organs(marks))
    indices = [k for k, found in enumerate(marks) if found.role == "finding"]
    said = [attributes(marks, k) for k in indices]
    concepts = [_refine(_concepts(marks[k]), own[0].traits) for k, own in zip(indices, said, strict=True)]
    said = share(marks, indices, [found[0].kind for found in concepts], said)
    counts = ("present", "doubted") if keep_uncertain else ("present",)
    return [
        _Mention(_finding(concept, entry), k > 0 and _is_definite(marks, k))
        for k, found, own in zip(indices, concepts, said, strict=True)
        if standing(marks, k) in counts
        for concept in found
        for entry in own
    ]


_ENLARGED = {
    "heart": (Concept(CHEXPERT_OF["cardiomegaly"], "cardiomegaly"),),
    "mediastinum": (Concept(CHEXPERT_OF["enlarged mediastinum"], "enlarged mediastinum"),),
}


def _resolve_organs(marks: Sequence[Mark]) -> list[Mark]:
    """An "enlarged", "widened" or "prominent" of a heart or mediastinum becomes a finding."""
    out = list(marks)
    for k, found in enumerate(marks):
        organ = _organ(marks, k) if found.role == "enlarged" else ""
        if organ in _ENLARGED:
            out[k] = Mark("finding", _ENLARGED[organ])
    return out


def _organ(marks: Sequence[Mark], index: int) -> str:
    """The organ just after, or the nearest before in the clause."""
    for found in marks[index + 1 : index + 4]:
        if found.role == "organ":
            return str(found.value)
        if found.role not in ("word", "the"):
            break
    for found in reversed(marks[:index]):
        if found.role in ("break", "normal", "finding", "enlarged"):
            break
        if found.role == "organ":
            return str(found.value)
    return ""


def _without_parts(marks: Sequence[Mark]) -> list[Mark]:
    """A lead or generator after its pacemaker, or a tube after its name, is no device of its own."""
    out, seen = list(marks), False
    for k, found in enumerate(marks):
        if found.role == "finding":
            concept = _concepts(found)[0]
            if concept == Concept("Support Devices") and seen:
                out[k] = Mark("word")
            seen = seen or concept.name == "Support Devices"
    return out


def _concepts(found: Mark) -> tuple[Concept, ...]:
    return found.value if isinstance(found.value, tuple) else ()


def _refine(concepts: Iterable[Concept], traits: frozenset[str]) -> tuple[Concept, ...]:
    """A fracture of a rib is a rib fracture, an old one of those a healing one."""
    out = []
    for concept in concepts:
        for trait in ("rib", *sorted(traits - {"rib"})):
            concept = REFINEMENTS.get((concept, trait), concept) if trait in traits else concept
        out.append(concept)
    return tuple(out)


def _finding(concept: Concept, said: Attributes) -> Finding:
    """With those attributes that a finding of its kind may have."""
    kind, place = concept.kind or "", said.place
    if kind in RIB_KINDS:
        place = said.rib
    elif said.tip in TIPS.get(kind, {}):
        place = said.tip
    size = None if said.size_cm is None else round(said.size_cm, 2)
    if concept == Concept("Support Devices"):
        return Finding(concept.name)
    return settle(Finding(concept.name, said.side, place, size, said.grade, concept.kind))


def _is_definite(marks: Sequence[Mark], index: int) -> bool:
    return any(found.role == "the" for found in marks[max(0, index - 3) : index])


def _merge(known: list[Finding], mentions: Sequence[_Mention]) -> list[Finding]:
    """Adds mentions of one section; one that adds nothing to another section's finding, or that completes it, is it."""
    out = list(known)
    for finding, definite in mentions:
        is_vague = finding == Finding(finding.name)  # "the leads", "the opacity"
        candidates = range(len(out) if definite or is_vague else len(known))
        if finding in out or any(_covers(out[k], finding) for k in candidates):
            continue
        match = next((k for k in candidates if _agree(out[k], finding)), None)
        if match is None:
            out.append(finding)
        else:
            out[match] = _union(out[match], finding)
    return out


_FIELDS = ("laterality", "location", "size_cm", "severity")
_GENERAL = {(special, general) for (general, _), special in REFINEMENTS.items()}


def _concept(finding: Finding) -> Concept:
    return Concept(finding.name, finding.kind)


def _covers(full: Finding, brief: Finding) -> bool:
    """Whether the brief one says nothing that the full one does not."""
    same = full.name == brief.name and (
        brief.kind in (None, full.kind) or (_concept(full), _concept(brief)) in _GENERAL
    )
    return same and all(getattr(brief, name) in (None, getattr(full, name)) for name in _FIELDS)


def _agree(a: Finding, b: Finding) -> bool:
    kinds = a.name == b.name and (
        None in (a.kind, b.kind)
        or a.kind == b.kind
        or (_concept(a), _concept(b)) in _GENERAL
        or (_concept(b), _concept(a)) in _GENERAL
    )
    return kinds and all(None in (getattr(a, f), getattr(b, f)) or getattr(a, f) == getattr(b, f) for f in _FIELDS)


def _union(a: Finding, b: Finding) -> Finding:
    special = b if a.kind is None or (_concept(b), _concept(a)) in _GENERAL else a
    known = {f: getattr(a, f) if getattr(a, f) is not None else getattr(b, f) for f in _FIELDS}
    return settle(replace(special, **known))
