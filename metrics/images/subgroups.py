"""Which subgroup each image belongs to, from the columns of its table."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AGE_GROUPS", "PATIENT_COLUMNS", "UNKNOWN", "age_group", "cells", "column_named", "memberships", "patients"]

UNKNOWN = "unknown"
"""The group of images whose cell is empty."""

AGE_GROUPS = ((0, 18), (18, 40), (40, 60), (60, 80), (80, 130))
"""Ages from … to below …, in years; the last is named "80+"."""

PATIENT_COLUMNS = ("patient_id", "subject_id", "patient id", "patientid", "patient")
"""Names of the column of patients (ours, MIMIC-CXR's, NIH's, DICOM's); the first that a table has is taken."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "sex": ("gender", "patient sex", "patient gender", "patientsex"),
    "age": ("anchor_age", "patient age", "patientage", "age_years"),
    "race": ("ethnicity",),
    "view": ("view position", "viewposition", "projection", "ap/pa"),
    "finding": ("findings", "finding labels", "labels"),
}
"""Other names that public tables give a column (MIMIC-CXR, NIH ChestX-ray14, CheXpert, RoentGen-v2)."""

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M"}
_UNKNOWN_CELLS = frozenset({"", "nan", "none", "null", "n/a", "na", "unknown"})


def column_named(names: Sequence[str], wanted: str) -> str | None:
    """The column of that name, whatever its case, or of an alias; None where there is none."""
    by_name = {name.strip().lower(): name for name in reversed(names)}
    return next((by_name[name] for name in (wanted.lower(), *ALIASES.get(wanted.lower(), ())) if name in by_name), None)


def cells(rows: Sequence[Mapping[str, str]], wanted: str) -> tuple[str, ...]:
    """The cells of a column, one a row.

    Raises:
        InputError: No such column; the message lists those there are.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    column = column_named(names, wanted)
    if column is None:
        known = f"it has {', '.join(names)}" if names else "it has no table (metadata.csv)"
        raise InputError(f"the image set has no column {wanted!r}: {known}")
    return tuple(row.get(column, "") for row in rows)


def memberships(rows: Sequence[Mapping[str, str]], wanted: str) -> list[tuple[str, ...]]:
    """The groups each row belongs to.

    Args:
        rows: Column → cell.
        wanted: A column, by name or alias; "age_group" is made from the ages where there is no such column. A column
            of findings puts an image into the group of each finding; other columns give it one group.

    Returns:
        For each row its groups, at least one; "unknown" where the cell is empty.

    Raises:
        InputError: No such column.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if wanted.lower() == "age_group" and column_named(names, "age_group") is None:
        return [(age_group(cell),) for cell in cells(rows, "age")]
    values = cells(rows, wanted)
    if wanted.lower() in ("finding", *ALIASES["finding"]):
        return [_findings(cell) for cell in values]
    if wanted.lower() in ("sex", *ALIASES["sex"]):
        return [(_SEXES.get(cell.strip().lower(), _plain(cell)),) for cell in values]
    return [(_plain(cell),) for cell in values]


def patients(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...] | None:
    """The patient of each row, empty where it is unknown; None where there is no such column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    found = next((name for name in (column_named(names, one) for one in PATIENT_COLUMNS) if name), None)
    if found is None:
        return None
    return tuple("" if cell.strip().lower() in _UNKNOWN_CELLS else cell for cell in cells(rows, found))


def age_group(cell: str) -> str:
    """The age group of a cell of years ("63", "63.5", DICOM's "063Y"): "0-17", "18-39", "40-59", "60-79", "80+"."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([YMWD]?)\s*", cell, re.IGNORECASE)
    if match is None:
        return UNKNOWN
    years = float(match[1]) / {"M": 12.0, "W": 365.25 / 7, "D": 365.25}.get(match[2].upper(), 1.0)
    for low, high in AGE_GROUPS:
        if low <= years < high:
            return f"{low}+" if high == AGE_GROUPS[-1][1] else f"{low}-{high - 1}"
    return UNKNOWN


def _plain(cell: str) -> str:
    text = cell.strip()
    if text.lower() in _UNKNOWN_CELLS:
        return UNKNOWN
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if math.isfinite(number) and number.is_integer() else text


def _findings(cell: str) -> tuple[str, ...]:
    """Names in a cell: our JSON list of objects, or words joined by a bar or a semicolon."""
    text = cell.strip()
    if text.startswith("["):
        try:
            names = [str(one["name"]) if isinstance(one, dict) else str(one) for one in json.loads(text)]
        except (ValueError, KeyError):
            names = [text]
    else:
        names = re.split(r"[|;]", text)
    plain = dict.fromkeys(_plain(name) for name in names)
    return tuple(plain) or (UNKNOWN,)
