"""What a picture should show: attributes of the patient and the view, and the impression; as prompts and as tensors.

Prompts follow RoentGen-v2 (Moroianu et al. 2025, arXiv:2508.16783), "65 year old WHITE female. Small left pleural
effusion.", and ChexGen (Ji et al. 2025, arXiv:2509.03903), "sex:Female, age:65.0, race:White. …", is read as well. A
view, which neither has, is a sentence of its own at the end: "AP view."
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["ATTRIBUTES", "RACES", "SEXES", "UNKNOWN", "VIEWS", "Conditions", "encode", "parse_prompt"]

ATTRIBUTES = ("sex", "age", "race", "view")
"""The columns of `encode`."""

SEXES = ("F", "M")
RACES = ("WHITE", "BLACK", "ASIAN", "HISPANIC", "OTHER")
"""RoentGen-v2's four, and any other word."""
VIEWS = ("PA", "AP", "LATERAL")
UNKNOWN = -1.0
"""What `encode` writes where nothing is asked for."""

_SEX_WORDS = {"female": "F", "woman": "F", "f": "F", "male": "M", "man": "M", "m": "M"}
_ROENTGEN = re.compile(
    r"^\s*(?:(?P<age>\d{1,3}(?:\.\d+)?)[ -]years?[ -]old\b[ ,]*)?(?:(?P<race>[A-Za-z][A-Za-z /-]*?)\s+)?"
    r"(?P<sex>female|woman|male|man|patient)\s*(?:\.|$)\s*",
    re.IGNORECASE,
)
_CHEXGEN = re.compile(r"^\s*(?:(?:sex|age|race)\s*:\s*[^,.]*(?:\.\d+)?\s*,?\s*)+\.\s*", re.IGNORECASE)
_PAIR = re.compile(r"(sex|age|race)\s*:\s*([^,.]*(?:\.\d+)?)", re.IGNORECASE)
_VIEW = re.compile(r"\b(?P<view>PA|AP|lateral) view\b\s*\.?\s*", re.IGNORECASE)
_WORDS_OF_RACE = 4  # longer runs before the sex are a sentence, not a race


@dataclass(frozen=True)
class Conditions:
    """What is asked for; what is None or empty is the model's to choose.

    Attributes:
        sex: "F" or "M".
        age: Years.
        race: Free text.
        view: One of VIEWS.
        impression: Findings, in words.
    """

    sex: str | None = None
    age: float | None = None
    race: str = ""
    view: str | None = None
    impression: str = ""

    def __post_init__(self) -> None:
        if self.sex not in (None, *SEXES):
            raise InputError(f"sex {self.sex!r}: use F or M")
        if self.age is not None and not 0 <= self.age <= 130:
            raise InputError(f"age {self.age!r}: give years, 0 to 130")
        if self.view not in (None, *VIEWS):
            raise InputError(f"view {self.view!r}: use one of {', '.join(VIEWS)}")

    def prompt(self) -> str:
        """The prompt that says so; `parse_prompt` reads it back."""
        age = "" if self.age is None else f"{self.age:.0f} year old"
        sex = {None: "patient" if age or self.race else "", "F": "female", "M": "male"}[self.sex]
        person = " ".join(filter(None, (age, self.race, sex)))
        person = f"{person[0].upper()}{person[1:]}." if person else ""
        view = {None: "", "LATERAL": "Lateral view."}.get(self.view, f"{self.view} view.")
        return " ".join(filter(None, (person, self.impression, view)))

    def changed(self, **changes: object) -> Conditions:
        """A copy that asks for something else, and leaves the rest: what counterfactuals are made of."""
        return replace(self, **changes)  # type: ignore[arg-type]


def parse_prompt(text: str) -> Conditions:
    """Reads a prompt; what is said of neither patient nor view is the impression.

    Args:
        text: A prompt in RoentGen-v2's or ChexGen's style, or any sentence.
    """
    text = " ".join(text.split())
    view: str | None = None
    found = _VIEW.search(text)
    if found:
        view = found["view"].upper()
        text = f"{text[: found.start()]}{text[found.end() :]}".strip()
    return replace(_person(text), view=view)


def encode(conditions: Sequence[Conditions]) -> Tensor:
    """(n, 4) float32: sex, age in years, race and view, each UNKNOWN or its place in SEXES, RACES, VIEWS."""
    rows = [
        (
            UNKNOWN if one.sex is None else SEXES.index(one.sex),
            UNKNOWN if one.age is None else one.age,
            _race_code(one.race),
            UNKNOWN if one.view is None else VIEWS.index(one.view),
        )
        for one in conditions
    ]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, len(ATTRIBUTES))


def _person(text: str) -> Conditions:
    """What is said of the patient; the rest is the impression."""
    chexgen = _CHEXGEN.match(text)
    if chexgen:
        said = {key.lower(): value.strip() for key, value in _PAIR.findall(chexgen.group())}
        sex = _SEX_WORDS.get(said.get("sex", "").lower())
        return Conditions(sex, _age(said.get("age")), said.get("race", ""), impression=text[chexgen.end() :])
    found = _ROENTGEN.match(text)
    race = (found["race"] or "").strip(" ,") if found else ""
    if not found or len(race.split()) > _WORDS_OF_RACE:
        return Conditions(impression=text)
    sex = _SEX_WORDS.get(found["sex"].lower())
    return Conditions(sex, _age(found["age"]), race, impression=text[found.end() :])


def _age(text: str | None) -> float | None:
    try:
        age = float(text or "nan")
    except ValueError:
        return None
    return age if math.isfinite(age) and 0 <= age <= 130 else None


def _race_code(race: str) -> float:
    if not race.strip():
        return UNKNOWN
    words = race.upper()
    return float(next((code for code, name in enumerate(RACES) if name in words), len(RACES) - 1))
