"""Label files as tables: CSV, gzipped or not, and JSON Lines, with their columns found by key."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.record import CHEXPERT_FINDINGS
from synth.core.tables import column_key, is_json_lines, json_object, opened_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

__all__ = ["AGE", "FINDING", "RACE", "SEX", "VIEW", "Table", "open_table", "table_names"]

SEX = ("sex", "gender", "patientsex", "patientgender", "patientsexdicom")
AGE = ("age", "patientage", "anchorage", "ageatcxr")
RACE = ("race", "primaryrace", "ethnicity")
VIEW = ("frontallateral", "appa", "viewposition", "view", "projection")
FINDING = ("findinglabels", "finding", "findings", "labels", "label")
"""Keys of the columns that say one thing, in the order in which they are believed."""

_LABELS = {column_key(name): name for name in CHEXPERT_FINDINGS} | {"airspaceopacity": "Lung Opacity"}
_FEWEST_LABELS = 5  # a table with so many of CheXpert's columns is one of labels
_READ = frozenset((*SEX, *AGE, *RACE, *VIEW, *FINDING, *_LABELS))


@dataclass(frozen=True)
class Table:
    """A file and the places of its columns, by their keys."""

    path: Path
    columns: Mapping[str, int]

    def places(self, *keys: str) -> list[int]:
        """Places of those columns that it has."""
        return [self.columns[key] for key in keys if key in self.columns]

    def label_places(self) -> dict[str, int]:
        """CheXpert's name → place."""
        return {_LABELS[key]: place for key, place in self.columns.items() if key in _LABELS}

    def has_labels(self) -> bool:
        """Whether it has columns of CheXpert's labels."""
        return len(self.label_places()) >= _FEWEST_LABELS

    def has_finding(self) -> bool:
        """Whether it has a column that lists findings."""
        return bool(self.places(*FINDING))

    def rows(self) -> Iterator[Sequence[str]]:
        """The cells of each row, at least as many as there are columns.

        Raises:
            InputError: The file cannot be read.
        """
        with opened_table(self.path) as file:
            if is_json_lines(self.path):
                yield from _json_rows(self.path, file, self.columns)
                return
            width = 1 + max(self.columns.values(), default=-1)
            reader = csv.reader(file)
            next(reader, None)
            for row in reader:
                if row:
                    yield row if len(row) >= width else row + [""] * (width - len(row))


def open_table(path: Path) -> Table:
    """The header of a CSV file, or the keys of the first line of a JSON Lines file.

    Raises:
        InputError: The file cannot be read, or two columns have one name.
    """
    with opened_table(path) as file:
        header = list(json_object(path, 1, file.readline())) if is_json_lines(path) else next(csv.reader(file), [])
    columns: dict[str, int] = {}
    for place, name in enumerate(header):
        key = column_key(name)
        if key in columns and key in _READ:
            raise InputError(f"{path.name}: has two columns {name!r}; leave one")
        if key:
            columns.setdefault(key, place)
    return Table(path, columns)


def table_names(tables: Sequence[Table]) -> str:
    """Their file names, for messages."""
    return ", ".join(table.path.name for table in tables)


def _json_rows(path: Path, file: TextIO, columns: Mapping[str, int]) -> Iterator[Sequence[str]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            row = [""] * (1 + max(columns.values(), default=-1))
            for name, value in json_object(path, number, line).items():
                place = columns.get(column_key(name))
                if place is not None and value is not None and value == value:  # NaN, too, is nothing
                    row[place] = str(value)
            yield row
