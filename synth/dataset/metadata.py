"""metadata.csv, a row an image; and rejected.csv, a row an image that a gate refused."""

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

    from synth.dataset.judged import Judged, Refusal
    from synth.metrics.verdicts import Verdict

__all__ = [
    "BASE_COLUMNS",
    "BEAM_COLUMNS",
    "REJECTED_COLUMNS",
    "columns",
    "judged_cells",
    "metadata_row",
    "record_cells",
    "rejected_row",
    "write_csv",
]

_RECORD = tuple(field.name for field in fields(Record))

BASE_COLUMNS = (
    "file_name",
    *_RECORD,
    "pixel_spacing_row_mm",
    "pixel_spacing_column_mm",
)
"""The columns that every table has, in order; those of the geometry follow, then those of the job."""

REJECTED_COLUMNS = ("file_name", "index", "case", "attempt", *_RECORD, "checks", "reasons", "verdicts")
"""The columns of rejected.csv."""

_JOB_LAST = ("shard", "case", "attempt", "gate", "verdicts")
BEAM_COLUMNS = ("source_detector_mm", "source_isocentre_mm", "primary_angle_deg", "secondary_angle_deg", "kvp")
"""Those of the geometry that come first."""


def metadata_row(file_name: str, sample: Sample | ScanSample) -> dict[str, str]:
    """The cells of one sample by column; what is unknown is empty.

    Args:
        file_name: The image's path relative to the table's folder.
        sample: The sample; its findings become one cell of JSON, a list of objects without unknowns.

    Raises:
        InputError: A key of the geometry is the name of another column.
    """
    more = sample.geometry if isinstance(sample, Sample) else sample.measures
    taken = sorted({*BASE_COLUMNS, *_JOB_LAST} & set(more))
    if taken:
        raise InputError(f"sample {sample.index}: geometry key {taken[0]!r} is the name of another column")
    row, column = (sample.pixel_spacing_mm if isinstance(sample, Sample) else None) or (None, None)
    values: dict[str, object] = {"pixel_spacing_row_mm": row, "pixel_spacing_column_mm": column, **more}
    cells = {key: _cell(value) for key, value in values.items()}
    return {"file_name": file_name} | record_cells(sample.record) | cells


def judged_cells(judged: Judged) -> dict[str, str]:
    """What the job adds to the row of an accepted sample: its case, its attempt and, where a gate ran, its verdicts."""
    from synth.metrics.verdicts import outcome_of  # its judges need scipy: only where there is a gate

    cells = {"case": _cell(judged.case), "attempt": str(judged.attempt)}
    if judged.verdicts is not None:
        cells |= {"gate": outcome_of(judged.verdicts), "verdicts": _verdicts(judged.verdicts)}
    return cells


def rejected_row(file_name: str, case: str, refusal: Refusal) -> dict[str, str]:
    """The cells of rejected.csv of one refusal; `file_name` is empty where the image is not kept."""
    failed = [verdict for verdict in refusal.verdicts if verdict.outcome == "fail"]
    told = {"file_name": file_name, "index": str(refusal.index), "case": _cell(case), "attempt": str(refusal.attempt)}
    why = {
        "checks": " | ".join(verdict.name for verdict in failed),
        "reasons": _cell(" | ".join(verdict.reason for verdict in failed)),
        "verdicts": _verdicts(refusal.verdicts),
    }
    return told | record_cells(refusal.record) | why


def columns(keys: Iterable[str]) -> list[str]:
    """The columns of a table whose rows have these keys: base columns, the beam's, others by name, the job's."""
    others = set(keys) - set(BASE_COLUMNS)
    known = [key for key in BEAM_COLUMNS if key in others]
    last = [key for key in _JOB_LAST if key in others]
    return [*BASE_COLUMNS, *known, *sorted(others - {*known, *last}), *last]


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Writes a table atomically: UTF-8, a header, lines ended by a line feed, missing cells empty.

    Raises:
        InputError: The file cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def record_cells(record: Record) -> dict[str, str]:
    """The cells of a record by column; what is unknown is empty."""
    return {name: _cell(getattr(record, name)) for name in _RECORD}


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    """As JSON. Six digits: the seventh may depend on how many threads a worker had."""
    said = [
        verdict.as_dict() | {"value": _six_digits(verdict.value), "threshold": _six_digits(verdict.threshold)}
        for verdict in verdicts
    ]
    return _cell(json.dumps(said, ensure_ascii=False))


def _six_digits(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


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
