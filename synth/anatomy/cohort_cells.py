"""Cells of the label files of chest radiograph data sets, in their many spellings."""

from __future__ import annotations

import csv
import json
import re
from functools import cache, lru_cache
from importlib.resources import files

from synth.anatomy.vocabulary import CHEXPERT_OF
from synth.core.record import CHEXPERT_FINDINGS

__all__ = [
    "Label",
    "age_of",
    "label_of",
    "labels_of",
    "listed_findings",
    "quoted",
    "race_of",
    "sex_of",
    "sided_labels",
    "view_of",
]

Label = tuple[str, str | None]
"""Name and kind of a finding."""

_SEXES = {"f": "F", "female": "F", "w": "F", "woman": "F", "m": "M", "male": "M", "man": "M"}
_VIEWS = {"pa": "PA", "ap": "AP", "lateral": "LATERAL", "ll": "LATERAL", "rl": "LATERAL", "l": "LATERAL"}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([ymwd]?)", re.IGNORECASE)
_YEARS = {"": 1.0, "y": 1.0, "m": 1 / 12, "w": 1 / 52, "d": 1 / 365}
_OLDEST = 120.0
_NOTHING = frozenset({"no finding", "no findings", "normal", "healthy", "none", "0"})
_UNKNOWN = frozenset({"", "unspecified", "unknown", "todo", "nan", "unchanged", "suboptimal study"})
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NO_RACE = re.compile(
    r"|nan|n/?a|none|null|.*(unknown|declined?|refused|unable to obtain|not (specified|reported|available|disclosed)).*"
)
_RACES = (
    ("White", r"white|caucasian|portuguese"),
    ("Black", r"black|african"),
    ("Asian", r"asian"),
    ("Pacific Islander", r"pacific islander|hawaiian"),
    ("Native American", r"american indian|native american|alaska"),
    ("Hispanic", r"hispanic|latin[oax]|south american"),
    ("Other", r"other|multiple|multi-?racial"),
)


def sex_of(cell: str) -> str | None:
    """Female, male or unknown, in one letter."""
    return _SEXES.get(cell.strip().lower())


@lru_cache(4096)
def age_of(cell: str) -> float | None:
    """Years; "058Y" and "010M" are read, and what no one has reached is unknown."""
    match = _AGE.fullmatch(cell.strip())
    if match is None:
        return None
    years = float(match[1]) * _YEARS[match[2].lower()]
    return years if years <= _OLDEST else None


@lru_cache(4096)
def view_of(cell: str) -> str | None:
    """The view, or unknown; "AP Supine" is AP."""
    words = re.split(r"[\s_/-]+", cell.strip().lower())
    return _VIEWS.get(words[0])


@lru_cache(4096)
def race_of(cell: str) -> str | None:
    """The broad group that a cell names, or unknown; what is not one of those below stays as it is.

    White, Black, Asian, Pacific Islander, Native American, Hispanic (where nothing else is said) and Other: so that
    MIMIC-CXR's "ASIAN - CHINESE" and CheXpert Plus' "Asian, non-Hispanic" are both Asian.
    """
    text = " ".join(cell.split())
    lower = text.lower()
    if _NO_RACE.fullmatch(lower):
        return None
    said = re.sub(r",? *\b(non|not)[ -]hispanic\b.*", "", lower)
    return next((name for name, words in _RACES if re.search(words, said)), text)


def quoted(cell: str) -> list[str]:
    """The words of a list as Python writes it: "['pleural effusion', 'loc right']"."""
    return [" ".join((one or other).split()) for one, other in _QUOTED.findall(cell)]


def sided_labels(cell: str) -> dict[Label, str | None]:
    """Findings of PadChest's LabelsLocalizationsBySentence → their side: each label is followed by its places."""
    sides: dict[Label, str | None] = {}
    label: Label | None = None
    for word in quoted(cell):
        if not word.startswith("loc "):
            label = label_of(word)
        elif label is not None and word[4:] in ("left", "right", "bilateral"):
            sides[label] = word[4:] if sides.get(label, word[4:]) == word[4:] else "bilateral"
    return sides


def listed_findings(cell: str) -> dict[Label, str | None] | None:
    """Findings of a cell of JSON objects, as in our metadata.csv, → their side; None where it is not one."""
    try:
        found = json.loads(cell)
        listed = {(str(one["name"]), one.get("kind")): one.get("laterality") for one in found}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return {label: side for label, side in sorted(listed.items(), key=_by_name) if label[0] != "No Finding"}


def _by_name(item: tuple[Label, str | None]) -> tuple[str, str]:
    (name, kind), _ = item
    return name, kind or ""


def labels_of(cell: str) -> tuple[Label, ...] | None:
    """The findings of a cell, without repeats, in alphabetic order; None where nothing is said.

    Cells are words such as "Effusion|Mass", a list as Python writes it (PadChest) or JSON objects (our metadata.csv).
    """
    if cell.startswith("["):
        listed = listed_findings(cell)
        if listed is not None:
            return tuple(listed)
        cell = "|".join(quoted(cell))
    words = [word.strip().lower().replace("_", " ") for word in re.split(r"[|;]", cell)]
    if all(word in _UNKNOWN for word in words):
        return None
    found = {label_of(word) for word in words if word not in _NOTHING | _UNKNOWN}
    return tuple(sorted(found, key=lambda label: (label[0], label[1] or "")))


def label_of(word: str) -> Label:
    """Name and kind of one label; a word that is not known is a name of its own."""
    word = word.strip().lower().replace("_", " ")
    return _names().get(word, (word.capitalize(), None))


@cache
def _names() -> dict[str, Label]:
    """Lower-case label → name and kind: CheXpert's names, the kinds of our vocabulary, then tables/label_names.csv."""
    text = files("synth.anatomy").joinpath("tables", "label_names.csv").read_text(encoding="utf-8")
    more = {row["label"]: (row["name"], row["kind"] or None) for row in csv.DictReader(text.splitlines())}
    kinds: dict[str, Label] = {kind: (name, kind) for kind, name in CHEXPERT_OF.items()}
    return kinds | {name.lower(): (name, None) for name in CHEXPERT_FINDINGS} | more
