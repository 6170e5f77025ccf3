"""Tables that list images: our metadata.csv, or any CSV with a column of paths."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.metrics.images.subgroups import column_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["PATH_COLUMNS", "missing_message", "read_table", "table_paths"]

PATH_COLUMNS = ("file_name", "filename", "path", "image", "image_path", "file", "image index", "image_id")
"""Names of a column of paths, the first that a table has is taken; "path" is CheXpert's, "image index" NIH's."""

_SHOWN = 3
_FIELD_LIMIT = 10_000_000  # a report in a cell may be longer than csv's 131,072 characters

Row = dict[str, str]


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV or TSV file, column → cell.

    Raises:
        InputError: The file cannot be read, is no UTF-8 text, has no header or no rows, or a row has too many cells.
    """
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            names = reader.fieldnames
            if not names or len(set(names)) != len(names):
                raise InputError(f"{path}: needs a header of different column names, got {names or 'an empty file'}")
            rows = []
            for cells in reader:
                if None in cells:
                    raise InputError(f"{path}, line {reader.line_num}: more cells than the header has columns")
                rows.append({name: cell or "" for name, cell in cells.items()})
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise InputError(f"{path}: a header without rows: no images")
    return rows


def table_paths(path: Path, rows: Sequence[Row], column: str | None = None) -> list[tuple[str, Path]]:
    """The images that a table lists.

    Args:
        path: The table. Relative paths are taken from its folder, then from its images/ sub-folder.
        rows: Its rows.
        column: The column of paths; default: the first of PATH_COLUMNS.

    Returns:
        For each row the cell, as the image's name, and the path. Files are not looked for beyond the first.

    Raises:
        InputError: No such column, or an empty cell in it.
    """
    names = list(rows[0])
    wanted = (column,) if column else PATH_COLUMNS
    found = next((name for name in (column_named(names, one) for one in wanted) if name), None)
    if found is None:
        looked = column or "file_name, path or image"
        raise InputError(f"{path}: no column {looked} that names the images; it has {', '.join(names)} (pass column=…)")
    listed = [row[found].strip().replace("\\", "/") for row in rows]
    if "" in listed:
        raise InputError(f"{path}: row {listed.index('') + 1} has an empty {found}")
    folder = path.parent
    if not (folder / listed[0]).exists() and (folder / "images" / listed[0]).exists():
        folder = folder / "images"
    return [(name, folder / name) for name in listed]


def missing_message(where: str, what: str, names: Sequence[str], total: int, mend: str) -> str:
    """One line that names the first few of those that are missing."""
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"{where}: {len(names)} of {total} {what}: {shown}; {mend}"
