"""Label tables of chest radiograph data sets: rows by the keys of their columns, joined across files."""

from __future__ import annotations

import csv
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.tables import column_key, is_json_lines, json_object, opened_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["IMAGE", "PATIENT", "Row", "first", "joined_rows", "patient_of", "row_of"]

Row = dict[str, str]
"""Key of a column → cell, blanks cut off; cells that are empty or say "unknown" are left out."""

IMAGE = ("filename", "path", "pathtoimage", "imagepath", "imageindex", "imageid", "image", "dicomid")
PATIENT = ("patientid", "subjectid", "patient", "deidpatientid")
"""Keys of the columns that name the file and the patient, in the order in which they are believed."""

_PATIENT = re.compile(r"patient\d+", re.IGNORECASE)
_NOTHING = re.compile(
    r"|nan|n/?a|none|null|unspecified|(race )?unknown.*|(patient )?(refused|declined).*|unable to obtain|other/unknown"
)
_FIELD_LIMIT = 10_000_000  # a report in a cell may be longer than csv's 131,072 characters


def first(row: Mapping[str, str], keys: Sequence[str]) -> str:
    """The first of some cells that a row has, or nothing."""
    return next((row[key] for key in keys if key in row), "")


def row_of(cells: Mapping[str, object]) -> Row:
    """A row of the cells of its columns, whatever their types."""
    texts = {column_key(str(name)): str(cell).strip() for name, cell in cells.items() if name}
    return {key: text for key, text in texts.items() if not _NOTHING.fullmatch(text.lower())}


def patient_of(row: Mapping[str, str]) -> str:
    """Whose radiograph it is, by its column or by CheXpert's folders "patient00001"; nothing where neither tells."""
    found = _PATIENT.search(first(row, IMAGE))
    return first(row, PATIENT) or (found[0] if found else "")


def joined_rows(tables: Sequence[Path]) -> Iterator[Row]:
    """The rows of the first table, one an image, with what the others say of the same image, study or patient.

    MIMIC-CXR's metadata with its labels, sectioned reports, patients and admissions; CheXpert Plus with its labels;
    CheXpert with its demographics. Cells of the first table count before those of the others; of several rows of a
    later table on the same patient the last counts.

    Args:
        tables: CSV or JSON Lines files, gzipped or not.

    Raises:
        InputError: A table that cannot be read, names no images (the first) or shares no key with the first.
    """
    first_table, *others = tables
    lookups = [_lookup(path) for path in others]
    named = False
    for row in _rows(first_table):
        named = named or bool(first(row, IMAGE))
        more: Row = {}
        for key, rows in lookups:
            more = {**rows.get(_ids(row).get(key, ""), {}), **more}
        yield {**more, **row}
    if not named:
        raise InputError(f"{first_table.name}: no row with file_name, Path, Image Index or dicom_id to name an image")


def _lookup(path: Path) -> tuple[str, dict[str, Row]]:
    """By what a table is joined, and its rows by that."""
    key, found = "", dict[str, Row]()
    for row in _rows(path):
        ids = _ids(row)
        key = key or next((name for name in ("image", "study", "patient") if name in ids), "")
        if not key:
            raise InputError(f"{path.name}: no column of images, study_id or patients by which to join it")
        if key in ids:
            found[ids[key]] = found.get(ids[key], {}) | row
    return key, found


def _ids(row: Mapping[str, str]) -> dict[str, str]:
    """What a row is of: its "image", "study" and "patient", as far as it says."""
    image, study = first(row, IMAGE), first(row, ("studyid", "study"))
    ids = {
        "image": str(PurePosixPath(image.replace("\\", "/")).with_suffix("")) if image else "",
        "study": study.removeprefix("s"),
        "patient": patient_of(row),
    }
    return {name: value for name, value in ids.items() if value}


def _rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(_FIELD_LIMIT)
    with opened_table(path) as file:
        lines = (json_object(path, number, line) for number, line in enumerate(file, 1))
        for row in lines if is_json_lines(path) else csv.DictReader(file):
            yield row_of(row)
