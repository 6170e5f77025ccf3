"""Label files of chest radiographs: CheXpert (Plus), MIMIC-CXR, NIH ChestX-ray14, PadChest, ours, and plain tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from synth.anatomy.cohort_joins import chexpert_rows, mimic_rows, plus_rows
from synth.anatomy.cohort_rows import UNCERTAIN, Row, image_rows, padchest_rows
from synth.anatomy.cohort_tables import AGE, FINDING, RACE, SEX, VIEW, Table, open_table, table_names
from synth.anatomy.prevalence import Case
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["LAYOUTS", "OLDEST", "UNCERTAIN", "count_cases", "count_rows"]

LAYOUTS = ("auto", "chexpert", "chexpert-plus", "mimic", "nih", "padchest", "plain")

_YOUNGEST = 18.0
OLDEST = 95.0
"""Ages past this are this: the oldest that bodies and prompts know."""

_NEEDED: dict[str, dict[str, tuple[str, ...]]] = {
    "nih": {"Finding Labels": ("findinglabels",), "Patient Gender or Patient Sex": SEX, "Patient Age": AGE},
    "padchest": {
        "Labels": ("labels",),
        "PatientSex_DICOM": SEX,
        "PatientBirth or age": ("patientbirth", *AGE),
        "Projection": VIEW,
    },
    "plain": {"finding": FINDING},
}
"""Layout → the columns it must have, with the keys that each goes by."""


def count_cases(paths: Sequence[Path], layout: str = "auto", uncertain: str = "ignore") -> Counter[Case]:
    """Counts the images of adults in label files, by what is known of them.

    Args:
        paths: As in `count_rows`.
        layout: One of LAYOUTS.
        uncertain: One of UNCERTAIN.

    Returns:
        Case → number of images. Children are left out; ages past 95 are 95.

    Raises:
        InputError: A file that cannot be read, lacks its columns or holds no usable row, or an unknown option.
    """
    tables, layout = _opened(paths, layout, uncertain)
    for table in tables:
        if layout in ("nih", "plain") and not table.has_finding() and not table.has_labels():
            raise _lacks_findings(table) if layout == "plain" else _lacks(table, layout, ["Finding Labels"])
    cases: Counter[Case] = Counter()
    for (sex, age, race, view, labels, _), count in Counter(_read(tables, layout, uncertain, strict=False)).items():
        if labels is not None and (age is None or age >= _YOUNGEST):
            cases[Case(sex, None if age is None else min(age, OLDEST), race, view, labels)] += count
    if not cases:
        raise InputError(f"{table_names(tables)}: no row of an adult with known findings")
    return cases


def count_rows(paths: Sequence[Path], layout: str = "auto", uncertain: str = "ignore") -> tuple[Counter[Row], str]:
    """Counts all images of label files by what is said of them, unknowns included.

    Args:
        paths: CSV files, gzipped or not: one or several tables of images (CheXpert's train.csv, NIH's Data_Entry,
            PadChest's, the metadata.csv of our datasets, plain ones); MIMIC-CXR's label file with, in any order,
            metadata (views), patients (sex, age) and admissions (race); or CheXpert Plus' table with a label file of
            JSON Lines.
        layout: One of LAYOUTS.
        uncertain: One of UNCERTAIN. A row of label columns without a positive one is healthy only where "No Finding"
            is marked.

    Returns:
        Row → number of images; the layout, which "auto" finds by the columns.

    Raises:
        InputError: A file that cannot be read, lacks its columns or holds no row, or an unknown option.
    """
    tables, layout = _opened(paths, layout, uncertain)
    rows = Counter(_read(tables, layout, uncertain, strict=True))
    if not rows:
        raise InputError(f"{table_names(tables)}: no rows below the header")
    return rows, layout


def _opened(paths: Sequence[Path], layout: str, uncertain: str) -> tuple[list[Table], str]:
    """The tables and their layout, all options checked."""
    _one_of("layout", layout, LAYOUTS)
    _one_of("use of uncertain labels", uncertain, UNCERTAIN)
    if not paths:
        raise InputError("no label file given")
    repeated = [path for number, path in enumerate(paths) if path.absolute() in [p.absolute() for p in paths[:number]]]
    if repeated:
        raise InputError(f"{repeated[0]}: is given twice")
    tables = [open_table(path) for path in paths]
    return tables, _guess(tables) if layout == "auto" else layout


def _read(tables: Sequence[Table], layout: str, uncertain: str, *, strict: bool) -> Iterator[Row]:
    if layout == "mimic":
        return mimic_rows(tables, uncertain, strict=strict)
    if layout == "chexpert-plus":
        return plus_rows(tables, uncertain, strict=strict)
    if layout == "chexpert":
        for table in tables:
            if not table.has_labels() and not _is_demographics(table):
                raise _lacks(table, layout, ["CheXpert's 14 labels"])
        return chexpert_rows(tables, uncertain, strict=strict)
    for table in tables:
        missing = _missing(table, layout)
        if missing and not (layout == "plain" and (table.has_labels() or _tells_of_people(table))):
            raise _lacks(table, layout, missing)
    if layout == "padchest":
        return (row for table in tables for row in padchest_rows(table))
    return (row for table in tables for row in image_rows(table, uncertain, strict=strict))


def _guess(tables: Sequence[Table]) -> str:
    """The layout of files by their columns."""
    if any("studyid" in table.columns and table.has_labels() and "path" not in table.columns for table in tables):
        return "mimic"
    if any({"pathtoimage", "frontallateral"} <= table.columns.keys() for table in tables):
        return "chexpert-plus"
    if all("patientsexdicom" in table.columns and "labels" in table.columns for table in tables):
        return "padchest"
    if any(table.has_labels() for table in tables) and all(
        table.has_labels() or _is_demographics(table) for table in tables
    ):
        return "chexpert"
    lacking = [table for table in tables if not (table.has_labels() or table.has_finding() or _tells_of_people(table))]
    if lacking:
        raise _lacks_findings(lacking[0])
    return "nih" if all(not _missing(table, "nih") for table in tables) else "plain"


def _missing(table: Table, layout: str) -> list[str]:
    return [name for name, keys in _NEEDED[layout].items() if not table.places(*keys)]


def _is_demographics(table: Table) -> bool:
    return "patient" in table.columns and bool(table.places(*RACE))


def _tells_of_people(table: Table) -> bool:
    """Sex, age, race or view alone can be counted, too."""
    return bool(table.places(*SEX, *AGE, *RACE, *VIEW))


def _lacks(table: Table, layout: str, names: Sequence[str]) -> InputError:
    found = ", ".join(table.columns) or "none"
    return InputError(f"{table.path.name}: no column {', '.join(names)}, which layout {layout} has; found {found}")


def _lacks_findings(table: Table) -> InputError:
    return InputError(
        f"{table.path.name}: neither CheXpert's 14 label columns nor one named finding or Finding Labels; "
        f"found {', '.join(table.columns) or 'none'}"
    )


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"unknown {what} {value!r}; there are {', '.join(allowed)}")
