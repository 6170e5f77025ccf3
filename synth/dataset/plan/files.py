"""A plan on disk: PLAN.csv with a row a sample, PLAN.json with the counts, PLAN.svg with their picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.files import write_bytes
from synth.core.record import Finding
from synth.dataset.plan.picture import draw_picture
from synth.dataset.plan.settings import VIEWS
from synth.dataset.plan.summary import summary
from synth.dataset.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from synth.dataset.plan.planning import Plan

__all__ = ["PLAN_COLUMNS", "plan_csv", "read_plan", "write_plan"]

PLAN_COLUMNS = ("id", "sex", "age", "race", "view", "findings", "prompt", "seed")
_FIELDS = {field.name for field in fields(Finding)}
_SEXES = ("F", "M")
_OLDEST = 120.0


def write_plan(plan: Plan, path: Path) -> None:
    """Writes the samples to `path`, and counts and picture beside it under the same name, each whole or not at all.

    Raises:
        InputError: The path does not end in .csv, or cannot be written.
    """
    if path.suffix != ".csv":
        raise InputError(f"{path}: a plan's name ends in .csv")
    told = summary(plan)
    write_bytes(path.with_suffix(".json"), (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())
    write_bytes(path.with_suffix(".svg"), draw_picture(told).encode())
    write_bytes(path, plan_csv(plan.requests).encode())


def plan_csv(requests: Sequence[Request]) -> str:
    """The samples as CSV: UTF-8, a header, an empty cell where something is left to the source."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(PLAN_COLUMNS)
    for one in requests:
        cells = (one.name, one.sex, _years(one.age), one.race, one.view, _findings(one.findings), one.prompt, one.seed)
        writer.writerow(["" if cell is None else cell for cell in cells])
    return stream.getvalue()


def read_plan(path: Path) -> list[Request]:
    """The samples of a plan, numbered in its order.

    Args:
        path: A CSV file with the columns PLAN_COLUMNS, of which id and seed must be filled; others may be missing.

    Raises:
        InputError: The file cannot be read or has no row; names the line of what is wrong in it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            unknown = sorted({*(reader.fieldnames or ())} - {*PLAN_COLUMNS})
            missing = sorted({"id", "seed"} - {*(reader.fieldnames or ())})
            if unknown or missing:
                wrong = f"has no column {missing[0]!r}" if missing else f"has an unknown column {unknown[0]!r}"
                raise InputError(f"{path.name}: {wrong}; a plan has {', '.join(PLAN_COLUMNS)}")
            requests = [_request(row, k, f"{path.name}, line {reader.line_num}") for k, row in enumerate(reader)]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name}: cannot be read as CSV ({error})") from None
    if not requests:
        raise InputError(f"{path.name}: no rows below the header")
    seen: set[str] = set()
    for one in requests:
        if one.id in seen:
            raise InputError(f"{path.name}: the id {one.id!r} stands there twice")
        seen.add(one.id)
    return requests


def _request(row: Mapping[str, str], number: int, where: str) -> Request:
    if None in row:
        raise InputError(f"{where}: has more cells than the header")
    cells = {name: row.get(name, "").strip() for name in PLAN_COLUMNS}
    if not cells["id"]:
        raise InputError(f"{where}: the id is empty")
    if not (cells["seed"].isascii() and cells["seed"].isdigit() and int(cells["seed"]) < 2**64):
        raise InputError(f"{where}: seed {cells['seed']!r} is not a whole number below 2^64")
    for name, allowed in (("sex", _SEXES), ("view", VIEWS)):
        if cells[name] and cells[name] not in allowed:
            raise InputError(f"{where}: {name} {cells[name]!r}: use {', '.join(allowed)}, or leave it empty")
    return Request(
        number,
        int(cells["seed"]),
        id=cells["id"],
        sex=cells["sex"] or None,
        age=_age(cells["age"], where),
        race=cells["race"] or None,
        view=cells["view"] or None,
        findings=_read_findings(cells["findings"], where),
        prompt=cells["prompt"],
    )


def _age(cell: str, where: str) -> float | None:
    try:
        age = float(cell) if cell else None
    except ValueError:
        age = -1.0
    if age is not None and not 0 <= age <= _OLDEST:
        raise InputError(f"{where}: age {cell!r} is not a number of years")
    return age


def _read_findings(cell: str, where: str) -> tuple[Finding, ...] | None:
    """A JSON list of objects; empty leaves them to the source."""
    if not cell:
        return None
    try:
        listed = json.loads(cell)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "name" in one for one in listed):
        raise InputError(f'{where}: findings must be a JSON list such as [{{"name": "Edema"}}], or [] for none')
    return tuple(_finding(one, where) for one in listed)


def _finding(values: Mapping[str, Any], where: str) -> Finding:
    for key, value in values.items():
        if key not in _FIELDS:
            raise InputError(f"{where}: a finding has no {key!r}; use {', '.join(sorted(_FIELDS))}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number if key == "size_cm" else isinstance(value, str)):
            raise InputError(f"{where}: {key} {value!r} is not {'a number' if key == 'size_cm' else 'text'}")
    return Finding(**values)


def _findings(findings: Sequence[Finding] | None) -> str | None:
    if findings is None:
        return None
    known = [{key: value for key, value in asdict(one).items() if value is not None} for one in findings]
    return json.dumps(known, ensure_ascii=False)


def _years(age: float | None) -> str | None:
    return None if age is None else f"{age:.2f}".rstrip("0").rstrip(".")
