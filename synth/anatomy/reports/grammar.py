"""Radiology reports from a record, worded anew each time: what they say is true of the record, and nothing else is.

A report names every finding with all that is known of it, denies only what is absent, and calls normal only what has no
finding. A tube is said to end where its location says; without one, it is in place.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from synth.anatomy.reports.english import chance, pick, sentence
from synth.anatomy.reports.normals import heart_statements, lung_statements, skeleton_statements
from synth.anatomy.reports.places import tip_words
from synth.anatomy.reports.prompts import NOTHING_FOUND
from synth.anatomy.reports.wording import check_finding, noun_phrase, settle
from synth.anatomy.vocabulary import KINDS
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np

    from synth.core.record import Finding, Record

__all__ = ["SECTIONS", "write_report"]

SECTIONS = ("indication", "technique", "comparison", "findings", "impression")
"""The sections of a report, in their order."""


def write_report(
    record: Record,
    generator: np.random.Generator,
    *,
    sections: Sequence[str] = ("findings", "impression"),
    comparison: str = "",
) -> str:
    """A report on what the record says.

    Args:
        record: View, findings, and for the indication sex and age; its other fields are not read.
        generator: Draws every wording.
        sections: Some of SECTIONS. Their headings stand in capitals; one section alone has none.
        comparison: What the image was compared with ("chest radiograph of the day before"); empty: nothing.

    Returns:
        The text: a paragraph a section, an empty line between.

    Raises:
        InputError: An unknown section, view, kind, side or severity.
    """
    unknown = [name for name in sections if name not in SECTIONS]
    if unknown or not sections:
        raise InputError(f"report section {', '.join(unknown) or '(none)'}: use some of {', '.join(SECTIONS)}")
    findings = [finding for finding in dict.fromkeys(record.findings) if finding.name != "No Finding"]
    for finding in findings:
        check_finding(finding)
    texts = {
        "indication": lambda: _indication(record),
        "technique": lambda: sentence(_technique(record.view, generator)),
        "comparison": lambda: sentence(comparison.rstrip(".") or pick(generator, ("none", "none available"))),
        "findings": lambda: _findings(record.view, findings, generator, comparison, sections),
        "impression": lambda: _impression(findings, generator, alone="findings" not in sections),
    }
    parts = [(name, texts[name]()) for name in SECTIONS if name in sections]
    if len(parts) == 1:
        return parts[0][1]
    return "\n\n".join(f"{name.upper()}: {text}" for name, text in parts if text)


def _indication(record: Record) -> str:
    age = "" if record.age is None else f"{record.age:.0f}-year-old"
    return sentence(" ".join(filter(None, (age, {"F": "female", "M": "male"}.get(record.sex or "", "patient")))))


_OBLIQUE = re.compile(r"(?:(LAO|RAO|LPO|RPO)([\d.]+))?(?:(CRA|CAU)([\d.]+))?")
_LETTERS = MappingProxyType({"L": "left", "R": "right", "A": "anterior", "P": "posterior"})
_FRONTAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "PA": ("PA radiograph of the chest", "single PA view of the chest", "upright PA view of the chest"),
        "AP": ("AP radiograph of the chest", "single AP view of the chest", "frontal AP view of the chest"),
        "LATERAL": ("lateral radiograph of the chest", "single lateral view of the chest"),
        "RLATERAL": ("right lateral radiograph of the chest", "right lateral view of the chest"),
    }
)


def _technique(view: str, generator: np.random.Generator) -> str:
    name = view.strip().upper()
    if name in _FRONTAL:
        return pick(generator, _FRONTAL[name])
    match = _OBLIQUE.fullmatch(name)
    if not name or match is None:
        raise InputError(f"view {view!r}: use {', '.join(_FRONTAL)}, or angles such as LAO45, RAO30CRA20")
    oblique, degrees, tilt, tilt_degrees = match.groups()
    words = "frontal view of the chest"
    if oblique:
        words = f"{_LETTERS[oblique[0]]} {_LETTERS[oblique[1]]} oblique view of the chest, {degrees} degrees"
    if tilt:
        words += f", {tilt_degrees} degrees {'cranial' if tilt == 'CRA' else 'caudal'}"
    return words


def _findings(
    view: str, findings: Sequence[Finding], generator: np.random.Generator, comparison: str, sections: Sequence[str]
) -> str:
    """Preamble, then devices, heart, lungs and pleura, bones, in an order that varies."""
    present = {finding.name for finding in findings}
    start = []
    if "technique" not in sections and view and chance(generator, 0.4):
        technique = _technique(view, generator)
        is_short = "," not in technique
        start.append(sentence(f"{technique}{' was obtained' if is_short and chance(generator, 0.4) else ''}"))
    if "comparison" not in sections and comparison:
        start.append(
            sentence(f"{pick(generator, ('comparison is made with', 'this study is compared with'))} {comparison}")
        )
    clear, denials = lung_statements(present, generator)
    groups = {
        "devices": _positives(findings, _DEVICES, generator),
        "heart": _positives(findings, _HEART, generator) + heart_statements(present, generator),
        "lungs": clear + _positives(findings, None, generator) + denials,
        "bones": _positives(findings, _BONES, generator) + skeleton_statements(present, generator),
    }
    order = pick(generator, _ORDERS)
    return " ".join(start + [text for name in order for text in groups[name]])


_DEVICES, _BONES = frozenset({"Support Devices"}), frozenset({"Fracture", "Hernia"})
_HEART = frozenset({"Cardiomegaly", "Enlarged Cardiomediastinum"})
_ORDERS = (
    ("devices", "heart", "lungs", "bones"),
    ("devices", "lungs", "heart", "bones"),
    ("heart", "lungs", "devices", "bones"),
    ("lungs", "heart", "bones", "devices"),
    ("heart", "devices", "lungs", "bones"),
)


def _positives(findings: Sequence[Finding], names: frozenset[str] | None, generator: np.random.Generator) -> list[str]:
    """Sentences of the findings with one of the names; None: of all that are no device, heart or bone."""
    elsewhere = _DEVICES | _BONES | _HEART
    chosen = [f for f in findings if (f.name in names if names is not None else f.name not in elsewhere)]
    chosen = [chosen[i] for i in generator.permutation(len(chosen))]
    out = []
    while chosen:
        first = chosen.pop(0)
        if chosen and _may_join(first) and _may_join(chosen[0]) and chance(generator, 0.25):
            out.append(_joined(first, chosen.pop(0), generator))
        else:
            out.append(_sentence(first, generator))
    return out


def _may_join(finding: Finding) -> bool:
    """Whether the sides in a sentence of two findings are beyond doubt."""
    kind = KINDS.get(finding.kind or "")
    return finding.name not in _DEVICES and kind is not None and bool(finding.laterality or not kind.lateralities)


def _joined(first: Finding, second: Finding, generator: np.random.Generator) -> str:
    a, b = noun_phrase(first, generator), noun_phrase(second, generator)
    word = pick(generator, ("and", "with"))
    if chance(generator, 0.5):
        return sentence(f"there {a.be} {a.with_article} {word} {b.with_article}")
    return sentence(f"{a.text} {word} {b.with_article if word == 'with' else b.text}")


_ADVERBS: Mapping[str | None, str | None] = MappingProxyType(
    {None: "", "mild": "mildly ", "moderate": "moderately ", "severe": "severely ", "small": None, "large": None}
)
_IN_PLACE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sternal wires": ("intact", "present and aligned", "noted"),
        "pacemaker": ("in place", "present", "noted"),
    }
)


def _sentence(finding: Finding, generator: np.random.Generator) -> str:
    """One finding in one sentence."""
    adverb = _ADVERBS.get(finding.severity)
    is_organ = finding.name in _HEART and (finding.laterality, finding.location, finding.size_cm) == (None, None, None)
    if is_organ and adverb is not None and chance(generator, 0.5):
        subjects = ("The heart is", "The cardiac silhouette is", "Heart size is")
        if finding.name == "Cardiomegaly":
            return f"{pick(generator, subjects)} {adverb}enlarged."
        return f"{pick(generator, ('The mediastinum is', 'The mediastinal silhouette is'))} {adverb}widened."
    if finding.name in _DEVICES:
        return _device(settle(finding), generator)
    phrase = noun_phrase(finding, generator)
    seen = pick(generator, ("seen", "present", "noted", "identified", "demonstrated"))
    return sentence(
        pick(
            generator,
            (f"there {phrase.be} {phrase.with_article}", phrase.text, f"{phrase.with_article} {phrase.be} {seen}"),
        )
    )


def _device(finding: Finding, generator: np.random.Generator) -> str:
    """Where a tube or wire lies: "an endotracheal tube is in place, with its tip above the carina"."""
    kind, location = finding.kind or "", finding.location
    phrase = noun_phrase(replace(finding, location=None), generator)
    text = f"{phrase.with_article} {phrase.be} {pick(generator, _IN_PLACE.get(kind, ('in place', 'present', 'noted')))}"
    return sentence(f"{text}, with {tip_words(kind, location, generator)}" if location else text)


def _impression(findings: Sequence[Finding], generator: np.random.Generator, *, alone: bool) -> str:
    """The findings once more, numbered or in a row; shorter where the section of findings has said the rest."""
    if not findings:
        return sentence(pick(generator, NOTHING_FOUND))
    items = [_item(finding if alone else _short(finding, generator), generator) for finding in findings]
    items = list(dict.fromkeys(items))
    items = [items[i] for i in generator.permutation(len(items))]
    if {finding.name for finding in findings} <= {"Support Devices"}:
        items.append(pick(generator, NOTHING_FOUND[:-1]))
    return _listed(items, generator)


def _item(finding: Finding, generator: np.random.Generator) -> str:
    text = noun_phrase(finding, generator).text
    is_brief = finding.name in _DEVICES and " with " not in text
    return f"{text} in place" if is_brief and chance(generator, 0.6) else text


def _short(finding: Finding, generator: np.random.Generator) -> Finding:
    """Without its location or severity, at times."""
    if chance(generator, 0.2):
        finding = replace(finding, severity=None)
    return replace(finding, location=None) if finding.laterality and chance(generator, 0.15) else finding


def _listed(items: Iterable[str], generator: np.random.Generator) -> str:
    lines = [sentence(item) for item in items]
    if len(lines) > 1 and chance(generator, 0.5):
        return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    return " ".join(lines)
