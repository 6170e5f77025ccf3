"""From text to marks: sections, sentences, words, and the terms found among them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from synth.anatomy.reports.lexicon import TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synth.anatomy.reports.cues import Role
    from synth.anatomy.reports.lexicon import Term

__all__ = ["Mark", "mark", "sections", "sentences"]


@dataclass(frozen=True)
class Mark:
    """A term found in a sentence, or a size, a comma or an unknown word.

    Attributes:
        role: The term's, or "size", "comma", "word".
        value: The term's; of a size, cm.
    """

    role: Role | str
    value: object = ""


_HEADING = re.compile(
    r"(?:^|(?<=[\s.]))(INDICATIONS?|(?:CLINICAL )?HISTORY|CLINICAL INFORMATION|REASON FOR EXAM(?:INATION)?|"
    r"EXAM(?:INATION)?|TECHNIQUE|COMPARISONS?|FINDINGS?|IMPRESSIONS?|CONCLUSIONS?|OPINION)\s*:",
    re.IGNORECASE,
)
_READ = ("FINDING", "IMPRESSION", "CONCLUSION", "OPINION")


def sections(text: str) -> list[str]:
    """The parts of a text that tell what is seen: before any heading, and under findings and impression."""
    pieces = _HEADING.split(text)
    titled = zip(pieces[1::2], pieces[2::2], strict=True)
    return [pieces[0], *(body for title, body in titled if title.upper().startswith(_READ))]


_SPELLINGS = (
    ("oedema", "edema"),
    ("haem", "hem"),
    (r"\boesophag", "esophag"),
    ("tumour", "tumor"),
    ("centimetre", "centimeter"),
    ("millimetre", "millimeter"),
    ("air space", "airspace"),
    ("air-space", "airspace"),
    ("cardio mediastinal", "cardiomediastinal"),
)
_END = re.compile(r"(?<!\d)\.(?=\s|$|\.)|(?<=\d)\.(?!\d)|[;\n!]|\.(?=[a-z]{3})|\s\d{1,2}\.\s")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[a-z]+|[,:()?/>]")
_UNITS: Mapping[str, float] = MappingProxyType(
    {"cm": 1.0, "mm": 0.1, "centimeter": 1.0, "centimeters": 1.0, "millimeter": 0.1, "millimeters": 0.1}
)


def sentences(text: str) -> Iterator[list[str]]:
    """Words and punctuation of each sentence, lower case, in American spelling, hyphens as spaces."""
    text = text.lower()
    for british, american in _SPELLINGS:
        text = re.sub(british, american, text)
    for piece in _END.split(text):
        words = _TOKEN.findall(piece.replace("-", " "))
        if words:
            yield words


def _index() -> Mapping[str, list[tuple[tuple[str, ...], Term]]]:
    """Terms by first word, the longest first."""
    by_first: dict[str, list[tuple[tuple[str, ...], Term]]] = defaultdict(list)
    for words, term in sorted(TERMS.items(), key=lambda item: -len(item[0])):
        by_first[words[0]].append((words, term))
    return by_first


_INDEX = _index()


def mark(words: list[str]) -> list[Mark]:
    """The marks of a sentence, in order; the longest term wins."""
    out, position = [], 0
    while position < len(words):
        found, length = _size(words, position) or _term(words, position)
        out.append(found)
        position += length
    return out


def _term(words: list[str], position: int) -> tuple[Mark, int]:
    first = words[position]
    for phrase, term in _INDEX.get(first, ()):
        if tuple(words[position : position + len(phrase)]) == phrase:
            return Mark(term.role, term.value), len(phrase)
    if first in ",:()":
        return Mark("comma", first), 1
    return Mark("word", first), 1


def _size(words: list[str], position: int) -> tuple[Mark, int] | None:
    """A size, "1.8 cm" or "1.8 x 1.5 cm": its largest number; a distance above or below something is none."""
    numbers, end = [], position
    while end < len(words) and words[end][0].isdigit():
        numbers.append(float(words[end]))
        end += 1
        if end < len(words) - 1 and words[end] in ("x", "by", "to", *_UNITS) and words[end + 1][0].isdigit():
            end += 1
        elif end < len(words) - 2 and words[end] in _UNITS and words[end + 1] in ("x", "by"):
            end += 2
    if not numbers or end >= len(words) or words[end] not in _UNITS:
        return None
    after = words[end + 1 : end + 2]
    role = "word" if after and after[0] in ("above", "below", "from", "proximal", "distal") else "size"
    return Mark(role, max(numbers) * _UNITS[words[end]]), end + 1 - position
