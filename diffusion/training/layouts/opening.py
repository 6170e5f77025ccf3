"""A folder of radiographs of any known layout, opened as examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.tables import column_key
from synth.diffusion.training.layouts.examples import Entry, LayoutExamples
from synth.diffusion.training.layouts.files import PictureFiles
from synth.diffusion.training.layouts.saved import is_saved, saved_entries
from synth.diffusion.training.layouts.tables import IMAGE, first, joined_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["open_layout"]

_USUAL = ("metadata.csv", "metadata.jsonl", "train.csv", "Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
_SHOWN = 3


def open_layout(
    folder: Path,
    tables: Sequence[Path] = (),
    *,
    where: Mapping[str, str | Sequence[str]] | None = None,
    words: str = "",
    fit: str = "pad",
    allow_missing: bool = False,
) -> LayoutExamples:
    """Opens a folder of radiographs with their label tables.

    Args:
        folder: Of an "imagefolder" (metadata.csv with file_name), CheXpert, CheXpert Plus, MIMIC-CXR, NIH
            ChestX-ray14, RoentGen-v2's training data, or a data set saved by Hugging Face `datasets`
            (`save_to_disk`).
        tables: The table of the images and, in any order, those that are joined to it (MIMIC-CXR: metadata first, then
            labels, sectioned reports, patients, admissions); relative to the folder. Default: metadata.csv, train.csv
            or Data_Entry_2017.csv, else the only table of the folder.
        where: Column → the cell, or the cells, that are wanted: {"split": "train", "view": ["PA", "AP"]}.
        words: Column of prompts, impressions or lists of labels; default: as found, see `wording.conditions_of`.
        fit: "pad" or "crop", see `pictures.FITS`.
        allow_missing: Leave out radiographs whose files are not there, rather than refuse.

    Raises:
        InputError: No table or file, an unknown column, or no radiograph that is wanted.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not tables and is_saved(folder):
        entries = saved_entries(folder)
    else:
        entries = _table_entries(folder, tables or [_usual_table(folder)])
    chosen = _chosen(folder, entries, where or {}, words)
    missing = [entry.name for entry in chosen if entry.source is None]
    if missing and (len(missing) == len(chosen) or not allow_missing):
        shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        raise InputError(
            f"{folder}: {len(missing)} of {len(chosen)} radiographs are not there, or not alone of their name: "
            f"{shown}; unpack them, or choose rows with where, or set allow_missing"
        )
    return LayoutExamples([entry for entry in chosen if entry.source], words=column_key(words), fit=fit)


def _table_entries(folder: Path, tables: Sequence[Path]) -> Iterator[Entry]:
    files = PictureFiles(folder)
    for row in joined_rows([folder / table for table in tables]):
        name = first(row, IMAGE)
        path = files.find(name) if name else None
        yield Entry(name or "a row without a name", row, path, _report_of(path))


def _report_of(path: Path | None) -> Path | None:
    """MIMIC-CXR keeps the report of s50414267/….jpg beside that folder, as s50414267.txt."""
    report = path.parent.with_name(f"{path.parent.name}.txt") if path else None
    return report if report and report.is_file() else None


def _chosen(
    folder: Path, entries: Iterator[Entry], where: Mapping[str, str | Sequence[str]], words: str
) -> list[Entry]:
    wanted = {column_key(name): [cells] if isinstance(cells, str) else [*cells] for name, cells in where.items()}
    columns: set[str] = set()
    chosen, total = [], 0
    for entry in entries:
        total += 1
        columns.update(entry.row)
        if all(entry.row.get(key, "") in cells for key, cells in wanted.items()):
            chosen.append(entry)
    unknown = next((name for name in [*where, *([words] if words else [])] if column_key(name) not in columns), None)
    if unknown is not None:
        raise InputError(f"{folder}: no column {unknown!r}; the tables have {', '.join(sorted(columns)) or 'none'}")
    if not chosen:
        raise InputError(f"{folder}: none of {total} radiographs is as wanted: {dict(where)}")
    return chosen


def _usual_table(folder: Path) -> Path:
    """The table of the images, where one can be told.

    Raises:
        InputError: None or several.
    """
    tables = sorted(path for path in folder.iterdir() if path.name.removesuffix(".gz").endswith((".csv", ".jsonl")))
    usual = [path for name in _USUAL for path in tables if path.name == name]
    if not usual and len(tables) != 1:
        found = ", ".join(path.name for path in tables) or "none"
        raise InputError(f"{folder}: which table lists the images? Found {found}; name it in tables, first of all")
    return (usual or tables)[0].relative_to(folder)
