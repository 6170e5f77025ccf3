"""What a row of a label table says of a radiograph, as conditions: the patient, the view, and findings in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from synth.core.record import CHEXPERT_FINDINGS
from synth.core.tables import column_key
from synth.diffusion.text.conditions import Conditions, parse_prompt
from synth.diffusion.training.layouts.tables import first

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOTHING_FOUND", "conditions_of", "labelled_impression", "report_impression"]

NOTHING_FOUND = "No acute cardiopulmonary process."
"""The impression of radiographs that are labelled "No Finding"."""

_SEX = ("sex", "gender", "patientsex", "patientgender")
_AGE = ("age", "patientage", "anchorage")
_RACE = ("race", "primaryrace", "ethnicity")
_VIEWS = ("appa", "viewposition", "view", "projection", "frontallateral")
_PROMPTS = ("promptvariation", "prompt", "caption", "text")
_IMPRESSIONS = ("impressionshort", "impression", "sectionimpression", "sectionfindings")
_LISTS = ("findinglabels", "finding", "labels")
_LABELS = {column_key(name): name for name in CHEXPERT_FINDINGS}

_SEX_LETTERS = {"f": "F", "female": "F", "m": "M", "male": "M"}
_AGE_CELL = re.compile(r"(\d+(?:\.\d+)?)\s*([ymwd]?)", re.IGNORECASE)
_UNITS_A_YEAR = {"": 1, "y": 1, "m": 12, "w": 52, "d": 365}
_RACE_WORDS = (
    ("WHITE", r"white|caucasian|portuguese"),
    ("BLACK", r"black|african"),
    ("ASIAN", r"asian"),
    ("HISPANIC", r"hispanic|latin[oax]|south american"),
)
_NOT_HISPANIC = re.compile(r",?\s*\b(?:non|not)[ -]hispanic\b.*", re.IGNORECASE)
_VIEW_WORDS = {"pa": "PA", "ap": "AP", "lateral": "LATERAL", "ll": "LATERAL", "rl": "LATERAL"}
_SECTION = re.compile(r"^[ \t]*([A-Z][A-Z /&,()-]+):", re.MULTILINE)


def conditions_of(row: Mapping[str, str], words: str = "", report: str = "") -> tuple[Conditions, ...]:
    """What a radiograph shows, in each phrasing that its row has.

    Prompts count before impressions, impressions before labels, and what columns say of the patient before what a
    prompt says.

    Args:
        row: As `tables.joined_rows` has it.
        words: Key of the one column of prompts, impressions or lists of labels to take the words from; default: those
            that RoentGen-v2's, our own, CheXpert Plus', MIMIC-CXR's and NIH's tables have.
        report: The report's text, whose impression counts where the row has neither prompt nor impression.

    Returns:
        At least one; several where the row has several prompts.
    """
    person = Conditions(_sex(row), _age(row), _race(first(row, _RACE)), _view(row))
    said = _phrasings(row, words) or [parse_prompt(report_impression(report) or labelled_impression(row))]
    phrasings = (
        Conditions(
            person.sex or one.sex,
            one.age if person.age is None else person.age,
            person.race or one.race,
            person.view or one.view,
            one.impression,
        )
        for one in said
    )
    return tuple(dict.fromkeys(phrasings))


def labelled_impression(row: Mapping[str, str]) -> str:
    """Findings as sentences, "Pleural effusion. Mass.", of a list of them or of CheXpert's columns where they are 1.

    Uncertain labels (−1) are left out; nothing is said where nothing is labelled.
    """
    listed = first(row, _LISTS)
    names = [name for key, name in _LABELS.items() if _is_one(row.get(key, ""))]
    return _sentences(listed.split("|") if listed else names)


def report_impression(report: str) -> str:
    """The impression of a report whose sections begin with their names in capitals and a colon; else its findings."""
    marks = list(_SECTION.finditer(report))
    ends = [mark.start() for mark in marks[1:]] + [len(report)]
    sections = {mark[1].strip(): report[mark.end() : end] for mark, end in zip(marks, ends, strict=False)}
    words = next((sections[name] for name in ("IMPRESSION", "CONCLUSION", "FINDINGS") if name in sections), "")
    return " ".join(words.split())


def _phrasings(row: Mapping[str, str], words: str) -> list[Conditions]:
    """Prompts, else the impression: the chosen column's, or all that are known."""
    if words in _LISTS:
        return [parse_prompt(_sentences(row[words].split("|") if words in row else []))]
    if words:
        return [parse_prompt(row.get(words, ""))]
    prompts = [parse_prompt(row[key]) for key in _PROMPTS if key in row]
    said = first(row, _IMPRESSIONS)
    return prompts or ([Conditions(impression=" ".join(said.split()))] if said else [])


def _sentences(names: list[str]) -> str:
    words = [name.replace("_", " ").strip().lower() for name in names]
    found = [word for word in words if word not in ("", "no finding")]
    if not found and "no finding" in words:
        return NOTHING_FOUND
    return " ".join(f"{word[0].upper()}{word[1:]}." for word in found)


def _is_one(cell: str) -> bool:
    return cell.partition(".")[0] == "1"


def _sex(row: Mapping[str, str]) -> str | None:
    return _SEX_LETTERS.get(first(row, _SEX).lower())


def _age(row: Mapping[str, str]) -> float | None:
    """Years; "058Y" is read, MIMIC's anchor age is brought to the year of the radiograph, CheXpert's 0 is unknown."""
    found = _AGE_CELL.fullmatch(first(row, _AGE))
    if not found:
        return None
    years = float(found[1]) / _UNITS_A_YEAR[found[2].lower()]
    anchor, taken = row.get("anchoryear", ""), row.get("studydate", "")[:4]
    if "anchorage" in row and anchor.isdigit() and taken.isdigit():
        years += int(taken) - int(anchor)
    return years if 0 < years <= 130 else None


def _race(cell: str) -> str:
    """One of RoentGen-v2's four words where the cell names one, else the cell."""
    said = _NOT_HISPANIC.sub("", cell)
    return next((name for name, words in _RACE_WORDS if re.search(words, said, re.IGNORECASE)), said.upper())


def _view(row: Mapping[str, str]) -> str | None:
    """The most exact that is said: CheXpert tells of AP and PA beside "Frontal"; "AP Supine" is AP."""
    cells = (re.split(r"[\s_/-]+", row[key].lower())[0] for key in _VIEWS if key in row)
    return next((_VIEW_WORDS[word] for word in cells if word in _VIEW_WORDS), None)
