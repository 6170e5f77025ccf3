"""Label files of chest radiographs, read row by row: CheXpert, MIMIC-CXR, NIH ChestX-ray14, and plain tables."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, cast

from synth.anatomy.cohort_cells import Label, age_of, column_key, labels_of, sex_of, view_of
from synth.anatomy.prevalence import Case
from synth.core.errors import InputError
from synth.core.record import CHEXPERT_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["LAYOUTS", "UNCERTAIN", "count_cases"]

LAYOUTS = ("auto", "chexpert", "mimic", "nih", "plain")
UNCERTAIN = ("ignore", "positive", "drop")
"""What a label of −1 means: not there, there, or that its row is left out."""

_YOUNGEST, _OLDEST = 18.0, 95.0
_LABELS = {column_key(name): name for name in CHEXPERT_FINDINGS} | {"airspaceopacity": "Lung Opacity"}
_FEWEST_LABELS = 5  # a table with so many of CheXpert's columns is one of labels
_SEX = ("sex", "gender", "patientsex", "patientgender")
_AGE = ("age", "patientage", "anchorage")
_RACE = ("race", "ethnicity", "primaryrace")
_VIEW = ("frontallateral", "appa", "viewposition", "view", "projection")
_FINDING = ("findinglabels", "finding", "findings", "labels", "label")

Columns = dict[str, int]


@dataclass(frozen=True)
class _Table:
    """A file's name and the places of its columns, by their keys."""

    path: Path
    columns: Columns

    def places(self, *names: str) -> list[int]:
        return [self.columns[name] for name in names if name in self.columns]

    def label_places(self) -> dict[str, int]:
        """CheXpert's name → column."""
        return {_LABELS[key]: place for key, place in self.columns.items() if key in _LABELS}

    def has_labels(self) -> bool:
        return len(self.label_places()) >= _FEWEST_LABELS


def count_cases(paths: Sequence[Path], layout: str = "auto", uncertain: str = "ignore") -> Counter[Case]:
    """Counts the images of adults in label files, by what is known of them.

    Args:
        paths: CSV files, gzipped or not: one or several tables of images (CheXpert's train.csv, NIH's Data_Entry, plain
            ones), or MIMIC-CXR's label file with, in any order, metadata (views), patients (sex, age) and admissions
            (race).
        layout: One of LAYOUTS.
        uncertain: One of UNCERTAIN.

    Returns:
        Case → number of images. Children are left out; ages past 95 are 95.

    Raises:
        InputError: A file that cannot be read, lacks its columns or holds no usable row, or an unknown option.
    """
    _one_of("layout", layout, LAYOUTS)
    _one_of("use of uncertain labels", uncertain, UNCERTAIN)
    if not paths:
        raise InputError("no label file given")
    tables = [_table(path) for path in paths]
    if layout == "auto":
        layout = _guess(tables)
    read = _mimic_rows(tables, uncertain) if layout == "mimic" else _image_rows(tables, layout, uncertain)
    counts: Counter[tuple[str | None, float | None, str, str | None, tuple[Label, ...]]] = Counter(read)
    cases: Counter[Case] = Counter()
    for (sex, age, race, view, labels), count in counts.items():
        if age is None or age >= _YOUNGEST:
            cases[Case(sex, None if age is None else min(age, _OLDEST), race, view, labels)] += count
    if not cases:
        raise InputError(f"{_names(tables)}: no row of an adult with known findings")
    return cases


_Row = tuple[str | None, float | None, str, str | None, tuple[Label, ...]]


def _image_rows(tables: list[_Table], layout: str, uncertain: str) -> Iterator[_Row]:
    """One row an image; files in which every row tells all."""
    for table in tables:
        if not (_has_finding(table) if layout in ("nih", "plain") else table.has_labels()):
            wanted = {"nih": "Finding Labels", "plain": "finding"}.get(layout, "CheXpert's 14 labels")
            raise InputError(f"{table.path.name}: no column {wanted}; found {', '.join(table.columns) or 'none'}")
        findings = _findings(table, uncertain)
        sexes, ages, races, views = (table.places(*names) for names in (_SEX, _AGE, _RACE, _VIEW))
        for row in _rows(table):
            labels = findings(row)
            if labels is not None:
                age = age_of(row[ages[0]]) if ages else None
                race = row[races[0]].strip() if races else ""
                sex = sex_of(row[sexes[0]]) if sexes else None
                yield sex, _known_age(age, sex), race, _first_view(row, views), labels


def _mimic_rows(tables: list[_Table], uncertain: str) -> Iterator[_Row]:
    """MIMIC-CXR: labels by study, joined with what else is given."""
    labelled = [table for table in tables if "studyid" in table.columns and table.has_labels()]
    if not labelled:
        raise InputError(f"{_names(tables)}: MIMIC-CXR needs its label file (subject_id, study_id, 14 labels)")
    labels: dict[str, tuple[str, tuple[Label, ...]]] = {}
    for table in labelled:
        findings = _findings(table, uncertain)
        (study,), subject = table.places("studyid"), table.places("subjectid")
        for row in _rows(table):
            found = findings(row)
            if found is not None:
                labels[row[study]] = (row[subject[0]] if subject else "", found)
    patients, races = _mimic_patients(tables)
    for study_id, view, year in _mimic_images(tables, labelled) or ((study_id, None, None) for study_id in labels):
        if study_id in labels:
            subject_id, found = labels[study_id]
            sex, age, anchor = patients.get(subject_id, (None, None, None))
            if age is not None and anchor is not None and year is not None:
                age = age + year - anchor
            yield sex, age, races.get(subject_id, ""), view, found


def _mimic_images(tables: list[_Table], labelled: list[_Table]) -> list[tuple[str, str | None, int | None]]:
    """Study, view and year of each image of the metadata; none without that file."""
    images = []
    for table in tables:
        if table not in labelled and {"studyid", "viewposition"} <= table.columns.keys():
            (study, view), date = table.places("studyid", "viewposition"), table.places("studydate")
            images += [(row[study], view_of(row[view]), _year(row[date[0]]) if date else None) for row in _rows(table)]
    return images


def _mimic_patients(
    tables: list[_Table],
) -> tuple[dict[str, tuple[str | None, float | None, int | None]], dict[str, str]]:
    """Subject → sex, age and the year of that age; subject → race."""
    patients, races = {}, {}
    for table in tables:
        if "subjectid" not in table.columns:
            continue
        subject = table.columns["subjectid"]
        sexes, ages, race, year = (table.places(*n) for n in (_SEX, _AGE, _RACE, ("anchoryear",)))
        if not (sexes or ages or race):
            continue
        for row in _rows(table):
            if sexes or ages:
                age = age_of(row[ages[0]]) if ages else None
                patients[row[subject]] = (
                    sex_of(row[sexes[0]]) if sexes else None,
                    age,
                    _year(row[year[0]]) if year else None,
                )
            if race:
                races[row[subject]] = row[race[0]].strip()
    return patients, races


def _findings(table: _Table, uncertain: str) -> Callable[[list[str]], tuple[Label, ...] | None]:
    """Row → findings, or None where the row is to be left out; equal cells are read once."""
    seen: dict[tuple[str, ...], tuple[Label, ...] | None] = {}
    columns = table.label_places() if table.has_labels() else {}
    places = list(columns.values()) or table.places(*_FINDING)[:1]
    names = list(columns)

    def read(row: list[str]) -> tuple[Label, ...] | None:
        cells = tuple([row[place] for place in places])
        if cells not in seen:
            seen[cells] = _marked(names, cells, uncertain) if names else labels_of(cells[0])
        return seen[cells]

    return read


def _marked(names: list[str], cells: tuple[str, ...], uncertain: str) -> tuple[Label, ...] | None:
    """The names whose cells are 1 (or −1); blank is not mentioned, hence not there."""
    marks = {name: cell.strip().partition(".")[0] for name, cell in zip(names, cells, strict=True)}
    marks.pop("No Finding", None)
    if uncertain == "drop" and "-1" in marks.values():
        return None
    there = ("1", "-1") if uncertain == "positive" else ("1",)
    return tuple((name, None) for name in CHEXPERT_FINDINGS if marks.get(name) in there)


def _guess(tables: list[_Table]) -> str:
    """The layout of files by their columns."""
    if any("studyid" in table.columns and table.has_labels() and "path" not in table.columns for table in tables):
        return "mimic"
    if all(table.has_labels() for table in tables):
        return "chexpert"
    if all(_has_finding(table) for table in tables):
        return "plain"
    lacking = next(table for table in tables if not (table.has_labels() or _has_finding(table)))
    raise InputError(
        f"{lacking.path.name}: neither CheXpert's 14 label columns nor one named finding or Finding Labels; "
        f"found {', '.join(lacking.columns) or 'none'}"
    )


def _has_finding(table: _Table) -> bool:
    return bool(table.places(*_FINDING))


def _first_view(row: list[str], places: list[int]) -> str | None:
    return next((view for place in places if (view := view_of(row[place])) is not None), None)


def _known_age(age: float | None, sex: str | None) -> float | None:
    """CheXpert writes the age 0 where it knows neither age nor sex."""
    return None if age == 0 and sex is None else age


def _year(cell: str) -> int | None:
    return int(cell[:4]) if cell[:4].isdigit() else None


def _table(path: Path) -> _Table:
    """The header of a file."""
    with _opened(path) as file:
        header = next(csv.reader(file), [])
    return _Table(path, {column_key(name): place for place, name in enumerate(header) if name.strip()})


def _rows(table: _Table) -> Iterator[list[str]]:
    """The rows of a file, short ones filled up."""
    width = 1 + max(table.columns.values(), default=-1)
    with _opened(table.path) as file:
        reader = csv.reader(file)
        next(reader, None)
        for row in reader:
            if row:
                yield row if len(row) >= width else row + [""] * (width - len(row))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A text file, gunzipped by its ending; what is wrong with it becomes an InputError."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            yield cast("TextIO", file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError, csv.Error) as error:
        raise InputError(f"{path.name}: cannot be read as CSV ({error})") from None


def _names(tables: list[_Table]) -> str:
    return ", ".join(table.path.name for table in tables)


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"unknown {what} {value!r}; there are {', '.join(allowed)}")
