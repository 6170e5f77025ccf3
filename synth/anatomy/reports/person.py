"""Who is imaged, and from where: age, sex, race and view, as prompts and reports give them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Person", "read_person", "read_view"]


class Person(NamedTuple):
    """Who is imaged; what is unknown is None or empty."""

    sex: str | None = None
    age: float | None = None
    race: str = ""


_SEXES = "female|male|woman|man|lady|gentleman|girl|boy|patient"
_AGE = r"(?P<age>\d{1,3}(?:\.\d+)?)"
_YEARS = r"[\s-]*(?:years?|yrs?)[\s-]*(?:old|of age)|[\s-]*(?:y/o|yo)\b"
_ROENTGEN = re.compile(
    rf"\b{_AGE}(?:{_YEARS})\b,?(?P<race>(?:\s+(?!(?:{_SEXES})\b)[A-Za-z/&'-]+){{0,4}}?)\s+(?P<sex>{_SEXES}|[MF])\b\.?",
    re.IGNORECASE,
)
_BRIEF = re.compile(rf"\b{_AGE}\s?(?P<sex>[MF])\b\.?")
_AGE_ALONE = re.compile(rf"\b{_AGE}(?:{_YEARS})\b\.?", re.IGNORECASE)
_NO_AGE = re.compile(rf"^\s*(?P<race>(?:[A-Za-z/&'-]+\s+){{0,3}}?)(?P<sex>{_SEXES})\.", re.IGNORECASE)
_CHEXGEN = re.compile(r"\b(sex|age|race)\s*:\s*([^,.]+(?:\.\d+)?)[,.]?", re.IGNORECASE)
_FEMALE = ("female", "woman", "lady", "girl", "f")


def read_person(text: str) -> tuple[Person, str]:
    """The person that a text tells of, and the text without those words."""
    fields = {key.lower(): value.strip() for key, value in _CHEXGEN.findall(text)}
    if fields:
        age = re.match(r"\d+(?:\.\d+)?", fields.get("age", ""))
        person = Person(_sex(fields.get("sex", "")), float(age[0]) if age else None, fields.get("race", ""))
        return person, _CHEXGEN.sub("", text)
    for pattern in (_ROENTGEN, _BRIEF, _AGE_ALONE, _NO_AGE):
        match = pattern.search(text)
        if match:
            found = match.groupdict()
            age_text = found.get("age")
            person = Person(
                _sex(found.get("sex") or ""),
                float(age_text) if age_text else None,
                (found.get("race") or "").strip(),
            )
            return person, f"{text[: match.start()]} {text[match.end() :]}"
    return Person(), text


def _sex(word: str) -> str | None:
    if not word or word.lower() == "patient":
        return None
    return "F" if word.lower() in _FEMALE else "M"


_FRONTAL_WORDS = re.compile(r"\b(PA|AP)\b|\b([Pp]osteroanterior|[Aa]nteroposterior|[Pp]ortable|[Ss]upine|[Bb]edside)\b")
_LATERAL_WORDS = re.compile(r"\b(right )?lateral (?:view|radiograph|projection|chest|film|x-ray)", re.IGNORECASE)
_OBLIQUE_WORDS = re.compile(
    r"\b(left|right) (anterior|posterior) oblique\D{0,40}?(\d+(?:\.\d+)?)\s*(?:degrees|°)", re.IGNORECASE
)
_TILT_WORDS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:degrees|°)(?: of)? (cranial|caudal)", re.IGNORECASE)
_NAMED = re.compile(r"\b(?:(?:LAO|RAO|LPO|RPO)\d+(?:\.\d+)?)?(?:(?:CRA|CAU)\d+(?:\.\d+)?)?\b")


def read_view(text: str) -> str:
    """The view that a text names, as Record has it; "PA" where it names none, or a frontal beside a lateral one."""
    named = next((match[0] for match in _NAMED.finditer(text) if match[0]), "")
    if named:
        return named
    oblique, tilt = _OBLIQUE_WORDS.search(text), _TILT_WORDS.search(text)
    name = f"{oblique[1][0]}{oblique[2][0]}O{oblique[3]}".upper() if oblique else ""
    if tilt:
        name += f"{tilt[2][:3].upper()}{tilt[1]}"
    if name:
        return name
    frontal = _FRONTAL_WORDS.search(text)
    if frontal:
        return "PA" if (frontal[1] or frontal[2].lower()) in ("PA", "posteroanterior") else "AP"
    lateral = _LATERAL_WORDS.search(text)
    if lateral and not re.search(r"\bfrontal\b", text, re.IGNORECASE):
        return "RLATERAL" if lateral[1] else "LATERAL"
    return "PA"
