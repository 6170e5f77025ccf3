"""A table of CTs: which files, and whom each is of.

    ct,labels,sex,age,race
    scans/a.nii.gz,scans/a_seg.nii.gz,F,63,White
    scans/b,scans/b_seg.nii.gz,M,,

Paths are relative to the table; ct must be there, labels in all rows or none; empty cells are unknown.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.values import known_keys

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CtTable", "Person", "read_ct_table"]

_COLUMNS = ["ct", "labels", "sex", "age", "race"]


@dataclass(frozen=True)
class Person:
    """Whom a CT is of; what is unknown is None or empty.

    Attributes:
        sex: "F" or "M".
        age: Years.
        race: Free text.
    """

    sex: str | None = None
    age: float | None = None
    race: str = ""

    def fits(self, *, sex: str | None, age: float | None, race: str | None, within: float) -> bool:
        """Whether it is of whom is asked for; what is unknown fits no wish.

        Args:
            sex: None for any.
            age: Years, None for any.
            race: None for any; capitals do not matter.
            within: Years by which the age may be off.
        """
        return (
            (sex is None or sex == self.sex)
            and (age is None or (self.age is not None and abs(age - self.age) <= within))
            and (race is None or race.casefold() == self.race.casefold())
        )


@dataclass(frozen=True)
class CtTable:
    """The rows of a table, column by column.

    Attributes:
        cts: CTs.
        labels: Label maps, or none.
        people: Whom each is of; none where no row says.
    """

    cts: tuple[Path, ...]
    labels: tuple[Path, ...]
    people: tuple[Person, ...]


def read_ct_table(path: Path) -> CtTable:
    """Reads a table of CTs.

    Raises:
        InputError: The file cannot be read, has an unknown column or no row, or a cell is wrong; the row is named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = list(reader.fieldnames or ())
            rows = [{key: (row[key] or "").strip() for key in columns} for row in reader]
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV table ({error})") from error
    known_keys(dict.fromkeys(columns), _COLUMNS, str(path))
    for number, row in enumerate(rows, start=1):
        if not row.get("ct"):
            raise InputError(f"{path}: row {number} names no CT in its column ct")
    if not rows:
        raise InputError(f"{path}: no row; give a CT in each")
    labels = [row.get("labels", "") for row in rows]
    if any(labels) and not all(labels):
        raise InputError(f"{path}: row {labels.index('') + 1} has no label map; give one in all rows or in none")
    people = tuple(_person(row, f"{path}: row {number}") for number, row in enumerate(rows, start=1))
    return CtTable(
        tuple(path.parent / row["ct"] for row in rows),
        tuple(path.parent / one for one in labels if one),
        people if any(person != Person() for person in people) else (),
    )


def _person(row: dict[str, str], where: str) -> Person:
    sex = row.get("sex", "").upper() or None
    if sex not in (None, "F", "M"):
        raise InputError(f"{where}: sex must be F, M or empty, got {row['sex']!r}")
    try:
        age = float(row["age"]) if row.get("age") else None
    except ValueError:
        age = math.nan
    if age is not None and not 0 <= age <= 120:
        raise InputError(f"{where}: age must be years or empty, got {row['age']!r}")
    return Person(sex, age, row.get("race", ""))
