"""Prompts of text-to-image models from a record, in the styles of RoentGen-v2 and of ChexGen.

RoentGen-v2 (Moroianu et al. 2025, arXiv:2508.16783): "{age} year old {RACE} {male|female}. {impression}". ChexGen (Ji
et al. 2025, arXiv:2509.03903): "sex:Male, age:71.0, race:Black. {impression}". Race is written as the record has it,
and what is not known is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.anatomy.reports.english import pick, sentence
from synth.anatomy.reports.wording import noun_phrase
from synth.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from synth.core.record import Record

__all__ = ["NOTHING_FOUND", "STYLES", "write_prompt"]

STYLES = ("roentgen", "chexgen")
_PROBLEMS = ("process", "abnormality", "disease", "findings")
NOTHING_FOUND = (
    *(f"No acute cardiopulmonary {problem}" for problem in _PROBLEMS),
    *(f"No evidence of acute cardiopulmonary {problem}" for problem in _PROBLEMS[:3]),
    "No acute intrathoracic process",
    "No acute intrathoracic abnormality",
    "Normal chest",
)
"""Impressions of a normal radiograph, the canonical one first."""
_SEX = {"F": "female", "M": "male"}


def write_prompt(record: Record, generator: np.random.Generator | None = None, style: str = "roentgen") -> str:
    """A prompt that asks for what the record says.

    Args:
        record: Age, sex, race and findings; its other fields are not read.
        generator: Draws order and synonyms; None: the canonical, shortest wording.
        style: One of STYLES.

    Returns:
        "65 year old white female. Moderate left pleural effusion."

    Raises:
        InputError: An unknown style, sex, kind, side or severity.
    """
    if style not in STYLES:
        raise InputError(f"prompt style {style!r}: use one of {', '.join(STYLES)}")
    if record.sex not in (None, *_SEX):
        raise InputError(f"sex {record.sex!r}: use F or M")
    person = _roentgen(record) if style == "roentgen" else _chexgen(record)
    return " ".join(filter(None, (person, _impression(record, generator))))


def _roentgen(record: Record) -> str:
    age = "" if record.age is None else f"{record.age:.0f} year old"
    if not (age or record.race or record.sex):
        return ""
    person = " ".join(filter(None, (age, record.race, _SEX.get(record.sex or "", "patient"))))
    return f"{person}." if record.race and not age else sentence(person)  # a race is written as it is given


def _chexgen(record: Record) -> str:
    sex = "" if record.sex is None else f"sex:{_SEX[record.sex].capitalize()}"
    age = "" if record.age is None else f"age:{record.age:.1f}"
    race = f"race:{record.race}" if record.race else ""
    person = ", ".join(filter(None, (sex, age, race)))
    return f"{person}." if person else ""


def _impression(record: Record, generator: np.random.Generator | None) -> str:
    findings = [finding for finding in dict.fromkeys(record.findings) if finding.name != "No Finding"]
    if not findings:
        return sentence(pick(generator, NOTHING_FOUND))
    if generator is not None:
        findings = [findings[i] for i in generator.permutation(len(findings))]
    return " ".join(sentence(noun_phrase(finding, generator).text) for finding in findings)
