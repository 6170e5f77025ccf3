"""Label files whose facts lie in several tables: MIMIC-CXR's, CheXpert Plus', and CheXpert's demographics."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from synth.anatomy.cohort_cells import age_of, race_of, sex_of, view_of
from synth.anatomy.cohort_rows import Labels, Row, image_rows, known_age, label_reader, year_of
from synth.anatomy.cohort_tables import AGE, RACE, SEX, VIEW, Table, table_names
from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["chexpert_rows", "mimic_rows", "plus_rows"]

_PATIENT = re.compile(r"patient\d+")

Person = tuple[str | None, float | None, int | None]
"""Sex, age, and the year of that age."""


def mimic_rows(tables: Sequence[Table], uncertain: str, *, strict: bool) -> Iterator[Row]:
    """MIMIC-CXR: labels by study, joined with what else is given.

    Raises:
        InputError: No label file is among them.
    """
    labelled = [table for table in tables if "studyid" in table.columns and table.has_labels()]
    if not labelled:
        raise InputError(f"{table_names(tables)}: MIMIC-CXR needs its label file (subject_id, study_id, 14 labels)")
    labels: dict[str, tuple[str, Labels]] = {}
    for table in labelled:
        findings = label_reader(table, uncertain, strict=strict)
        (study,), subject = table.places("studyid"), table.places("subjectid")
        labels |= {row[study]: (row[subject[0]] if subject else "", findings(row)[0]) for row in table.rows()}
    patients, races = _mimic_patients(tables)
    images = _mimic_images([table for table in tables if table not in labelled])
    for study_id, view, year in images or ((study_id, None, None) for study_id in labels):
        if study_id in labels:
            subject_id, found = labels[study_id]
            sex, age, anchor = patients.get(subject_id, (None, None, None))
            if age is not None and anchor is not None and year is not None:
                age = age + year - anchor
            yield Row(sex, age, races.get(subject_id, ""), view, found)


def _mimic_images(tables: Sequence[Table]) -> list[tuple[str, str | None, int | None]]:
    """Study, view and year of each image of the metadata; none without that file."""
    images = []
    for table in tables:
        if {"studyid", "viewposition"} <= table.columns.keys():
            (study, view), date = table.places("studyid", "viewposition"), table.places("studydate")
            images += [
                (row[study], view_of(row[view]), year_of(row[date[0]]) if date else None) for row in table.rows()
            ]
    return images


def _mimic_patients(tables: Sequence[Table]) -> tuple[dict[str, Person], dict[str, str]]:
    """Subject → who; subject → race, the last that is known."""
    patients, races = {}, {}
    for table in tables:
        sexes, ages, race, year = (table.places(*keys) for keys in (SEX, AGE, RACE, ("anchoryear",)))
        if "subjectid" not in table.columns or not (sexes or ages or race):
            continue
        subject = table.columns["subjectid"]
        for row in table.rows():
            if sexes or ages:
                age = age_of(row[ages[0]]) if ages else None
                sex = sex_of(row[sexes[0]]) if sexes else None
                patients[row[subject]] = (sex, age, year_of(row[year[0]]) if year else None)
            if race and race_of(row[race[0]]) is not None:
                races[row[subject]] = row[race[0]].strip()
    return patients, races


def plus_rows(tables: Sequence[Table], uncertain: str, *, strict: bool) -> Iterator[Row]:
    """CheXpert Plus: df_chexpert_plus_*.csv, joined by path_to_image with a label file, JSON Lines or CSV.

    Raises:
        InputError: No table with path_to_image, sex and age.
    """
    people = [table for table in tables if "pathtoimage" in table.columns and table.places(*SEX)]
    if not people:
        raise InputError(
            f"{table_names(tables)}: CheXpert Plus needs df_chexpert_plus_*.csv (path_to_image, sex, age, race, "
            "frontal_lateral, ap_pa)"
        )
    labels: dict[str, Labels] = {}
    for table in (each for each in tables if each not in people):
        if not (table.has_labels() and "pathtoimage" in table.columns):
            raise InputError(f"{table.path.name}: CheXpert Plus' label files have path_to_image and 14 labels")
        findings, place = label_reader(table, uncertain, strict=strict), table.columns["pathtoimage"]
        labels |= {_image(row[place]): findings(row)[0] for row in table.rows()}
    for table in people:
        own = table.has_labels()
        place = table.columns["pathtoimage"]
        findings = label_reader(table, uncertain, strict=strict)
        sexes, ages, races, views = (table.places(*keys) for keys in (SEX, AGE, RACE, VIEW))
        for row in table.rows():
            sex = sex_of(row[sexes[0]])
            age = known_age(age_of(row[ages[0]]), sex) if ages else None
            view = next((view for place in views if (view := view_of(row[place])) is not None), None)
            found = findings(row)[0] if own else labels.get(_image(row[place]))
            yield Row(sex, age, row[races[0]].strip() if races else "", view, found)


def _image(path: str) -> str:
    """The image whatever its format: the label files name .jpg where some tables name .png or .dcm."""
    return str(PurePosixPath(path.strip()).with_suffix("")) if path.strip() else ""


def chexpert_rows(tables: Sequence[Table], uncertain: str, *, strict: bool) -> Iterator[Row]:
    """CheXpert's train.csv and valid.csv; with the table of its demographics (PATIENT, PRIMARY_RACE), race as well."""
    races: dict[str, str] = {}
    for table in tables:
        if not table.has_labels():
            patient, race = table.columns["patient"], table.places(*RACE)[0]
            races |= {row[patient].strip(): row[race].strip() for row in table.rows()}
    for table in tables:
        if not table.has_labels():
            continue
        path = table.places("path")
        rows = image_rows(table, uncertain, strict=strict)
        if not (races and path):
            yield from rows
            continue
        for cells, row in zip(table.rows(), rows, strict=True):
            patient_id = _PATIENT.search(cells[path[0]])
            yield row._replace(race=races.get(patient_id[0], "")) if patient_id and not row.race else row
