"""metadata.csv: a row an image."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.core.files import atomic_path
from synth.core.record import Finding, Record, Sample, ScanSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["BASE_COLUMNS", "columns", "metadata_row", "write_csv"]

BASE_COLUMNS = (
    "file_name",
    *(field.name for field in fields(Record)),
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
)
"""The columns that every table has, in order; those of the geometry follow."""

_GEOMETRY_FIRST = ("source_detector_mm", "source_isocentre_mm", "primary_angle_deg", "secondary_angle_deg", "kvp")


def metadata_row(file_name: str, sample: Sample | ScanSample) -> dict[str, str]:
    """The cells of one sample by column; what is unknown is empty.

    Args:
        file_name: The image's path relative to the table's folder.
        sample: The sample; its findings become one cell of JSON, a list of objects without unknowns.

    Raises:
        InputError: A key of the geometry is the name of another column.
    """
    more = sample.geometry if isinstance(sample, Sample) else sample.measures
    taken = sorted(set(BASE_COLUMNS) & set(more))
    if taken:
        raise InputError(f"sample {sample.index}: geometry key {taken[0]!r} is the name of another column")
    row, column = (sample.pixel_spacing_mm if isinstance(sample, Sample) else None) or (None, None)
    values: dict[str, object] = {field.name: getattr(sample.record, field.name) for field in fields(Record)}
    values |= {"pixel_spacing_row_mm": row, "pixel_spacing_column_mm": column, **more}
    return {"file_name": file_name} | {key: _cell(value) for key, value in values.items()}


def columns(keys: Iterable[str]) -> list[str]:
    """The columns of a table whose rows have these keys: the base columns, the beam's, then others by name."""
    others = set(keys) - set(BASE_COLUMNS)
    known = [key for key in _GEOMETRY_FIRST if key in others]
    return [*BASE_COLUMNS, *known, *sorted(others - set(known))]


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Writes a table atomically: UTF-8, a header, lines ended by a line feed, missing cells empty.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # Carriage returns and NULs read back as line ends or not at all.
        return value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if isinstance(value, tuple):
        return _findings(value)
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        return ""  # an unknown, or the distance of a parallel beam
    # 64-bit seeds do not fit a float; whole floats (63.0 years) read better as 63.
    return str(int(value)) if number.is_integer() else repr(number)  # type: ignore[call-overload]


def _findings(findings: Sequence[Finding]) -> str:
    known = [{key: value for key, value in asdict(finding).items() if value is not None} for finding in findings]
    return json.dumps(known, ensure_ascii=False) if known else ""
