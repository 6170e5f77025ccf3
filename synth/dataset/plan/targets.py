"""What shares the cells of a plan should have: equal ones, the reference's, or those of a table."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.dataset.plan.table import Column, Table

__all__ = ["Target", "read_target"]

_AMOUNTS = ("share", "count")


@dataclass(frozen=True)
class Target:
    """Weights of the cells of a table.

    Attributes:
        name: "uniform", "reference" or the file's name.
        weights: (cells,) 0 where nothing is wanted.
        counted: Whether they are numbers of images, so that no total is needed.
    """

    name: str
    weights: tuple[Fraction, ...]
    counted: bool = False


def read_target(wanted: str | Path, table: Table) -> Target:
    """The target of a table's cells.

    Args:
        wanted: "uniform", "reference", or a CSV file with a column for each balanced one and a column `share` or
            `count`; cells that it does not name are not wanted.
        table: The joint distribution.

    Raises:
        InputError: A file that cannot be read, other columns, an unknown value, a cell named twice, or one that cannot
            be made.
    """
    if wanted == "uniform":
        return Target("uniform", tuple(Fraction(int(may)) for may in table.open))
    if wanted == "reference":
        weights = tuple(
            Fraction(int(n)) if may else Fraction(0) for n, may in zip(table.before, table.open, strict=True)
        )
        if not any(weights):
            raise InputError("--target reference: the reference has no image in a cell that can be filled")
        return Target("reference", weights)
    path = Path(wanted)
    rows, amount = _rows(path, [column.name for column in table.columns])
    numbers = {cell: number for number, cell in enumerate(table.cells)}
    weights_of: dict[int, Fraction] = {}
    for line, row in rows:
        cell = tuple(_value(row[column.name].strip(), column, f"{path.name}, line {line}") for column in table.columns)
        number = numbers[cell]
        if number in weights_of:
            raise InputError(f"{path.name}, line {line}: {', '.join(cell)} stands there twice")
        weights_of[number] = _amount(row[amount], f"{path.name}, line {line}", whole=amount == "count")
        if weights_of[number] and not table.open[number]:
            raise InputError(f"{path.name}, line {line}: {', '.join(cell)} cannot be made; leave it out, or give it 0")
    weights = tuple(weights_of.get(number, Fraction(0)) for number in range(len(table.before)))
    if not any(weights):
        raise InputError(f"{path.name}: no cell has a {amount} above 0")
    return Target(path.name, weights, amount == "count")


def _rows(path: Path, columns: Sequence[str]) -> tuple[list[tuple[int, dict[str, str]]], str]:
    """Numbered rows, and which of _AMOUNTS they give."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = [(reader.line_num, dict(row)) for row in reader]
            header = list(reader.fieldnames or ())
    except FileNotFoundError:
        raise InputError(f"--target {path}: no such file; use uniform, reference or a CSV file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name}: cannot be read as CSV ({error})") from None
    amounts = [name for name in _AMOUNTS if name in header]
    if len(amounts) != 1 or sorted(header) != sorted([*columns, *amounts]):
        raise InputError(
            f"{path.name}: must have the columns {', '.join(columns)} and either share or count; "
            f"found {', '.join(header) or 'none'}"
        )
    return rows, amounts[0]


def _value(text: str, column: Column, where: str) -> str:
    if text in column.values:
        return text
    near = difflib.get_close_matches(text, column.values, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(column.values)}"
    raise InputError(f"{where}: unknown {column.name} {text!r}; {hint}")


def _amount(text: str, where: str, *, whole: bool) -> Fraction:
    try:
        amount = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        amount = Fraction(-1)
    if amount < 0 or (whole and amount.denominator != 1):
        raise InputError(f"{where}: {text!r} is not a {'whole number' if whole else 'share'} of 0 or more")
    return amount
