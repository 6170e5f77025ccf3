"""The joint distribution: how many images each combination of values has, unknowns included."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.record import CHEXPERT_FINDINGS
from synth.dataset.plan.groups import AgeGroups
from synth.dataset.plan.reference import OTHER, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from synth.anatomy.cohort_rows import Row

__all__ = ["COLUMNS", "UNKNOWN", "UNKNOWNS", "Column", "Table", "columns_of", "select", "tabulate"]

COLUMNS = ("sex", "age_group", "race", "view", "finding")
"""What may be balanced."""

UNKNOWN = "unknown"
"""The value of images of which a column says nothing."""

UNKNOWNS = ("keep", "drop", "own")
"""What is done with images of unknown values: cells that are never filled, left out, or a value as any other."""

_ORDER = {
    "sex": ("F", "M"),
    "view": ("PA", "AP", "LATERAL"),
    "finding": (*CHEXPERT_FINDINGS, "Emphysema", "Hernia"),
}
_ALWAYS = {"sex": ("F", "M")}
"""Values that are there even where no image has them."""
_LAST = (OTHER, UNKNOWN)
_MOST_CELLS = 100_000


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a reference.

    Attributes:
        name: One of COLUMNS.
        values: Its values in order; OTHER of findings and UNKNOWN last, where they occur.
        codes: (rows,) the number of each row's value.
    """

    name: str
    values: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def closed(self) -> tuple[str, ...]:
        """Values that nothing is made of, but when asked."""
        return tuple(value for value in self.values if value == UNKNOWN or (self.name == "finding" and value == OTHER))


@dataclass(frozen=True, eq=False)
class Table:
    """Counts of all combinations of values, the last column running fastest.

    Attributes:
        columns: What is balanced.
        before: (cells,) images.
        open: (cells,) whether a cell may be filled.
        known: All columns of which the reference says something.
    """

    columns: tuple[Column, ...]
    before: NDArray[np.int64]
    open: NDArray[np.bool_]
    known: Mapping[str, Column]

    @property
    def shape(self) -> tuple[int, ...]:
        """Values of each column."""
        return tuple(len(column.values) for column in self.columns)

    @property
    def codes(self) -> NDArray[np.int64]:
        """(cells, columns): the number of the value of each column."""
        return np.stack(np.unravel_index(np.arange(len(self.before)), self.shape), axis=1)

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The values of each cell."""
        return [tuple(c.values[k] for c, k in zip(self.columns, row, strict=True)) for row in self.codes.tolist()]

    def occurs(self) -> NDArray[np.bool_]:
        """(cells,) those to speak of: that may be filled or that images are in."""
        return self.open | (self.before > 0)


def columns_of(reference: Reference, groups: AgeGroups) -> dict[str, Column]:
    """All columns of which the reference says something."""
    readers: dict[str, Callable[[Row], str | None]] = {
        "sex": lambda row: row.sex,
        "age_group": lambda row: None if row.age is None else groups.names[groups.of(row.age)],
        "race": lambda row: row.race or None,
        "view": lambda row: row.view,
        "finding": lambda row: reference.primary(row.labels),
    }
    columns = {}
    for name, read in readers.items():
        told = [read(row) or UNKNOWN for row in reference.rows]
        if set(told) != {UNKNOWN}:
            columns[name] = _column(name, told, groups)
    return columns


def _column(name: str, told: Sequence[str], groups: AgeGroups) -> Column:
    order = groups.names if name == "age_group" else _ORDER.get(name, ())
    always = groups.names if name == "age_group" else _ALWAYS.get(name, ())
    last = _LAST if name == "finding" else (UNKNOWN,)

    def place(value: str) -> tuple[int, int, str]:
        return (
            last.index(value) if value in last else -1,
            order.index(value) if value in order else len(order),
            value,
        )

    values = tuple(sorted({*told, *always}, key=place))
    numbers = {value: number for number, value in enumerate(values)}
    return Column(name, values, np.array([numbers[value] for value in told], np.int64))


def tabulate(
    reference: Reference, balance: Sequence[str], *, groups: AgeGroups | None = None, unknown: str = "keep"
) -> Table:
    """The joint distribution of some columns.

    Args:
        reference: The images.
        balance: Some of COLUMNS.
        groups: Age groups; default: 18-39, 40-59, 60-79, 80+.
        unknown: One of UNKNOWNS.

    Raises:
        InputError: An unknown or repeated column, one of which the reference says nothing, or too many cells.
    """
    groups = groups or AgeGroups()
    reference = select(reference, balance, groups=groups, unknown=unknown)
    known = columns_of(reference, groups)
    columns = tuple(known[name] for name in _checked(balance, known, reference))
    shape = tuple(len(column.values) for column in columns)
    size = math.prod(shape)
    if size > _MOST_CELLS:
        raise InputError(f"--balance {','.join(balance)}: that are {size} cells; balance fewer columns")
    flat = np.ravel_multi_index([column.codes for column in columns], shape)
    before = np.bincount(flat, weights=np.array(reference.counts), minlength=size).astype(np.int64)
    fillable = [
        np.array([value not in column.closed or (value == UNKNOWN and unknown == "own") for value in column.values])
        for column in columns
    ]
    codes = np.unravel_index(np.arange(size), shape)
    may = np.logical_and.reduce([mask[code] for mask, code in zip(fillable, codes, strict=True)])
    if not may.any():
        raise InputError(f"{', '.join(reference.files)}: no finding that can be made is among its labels")
    return Table(columns, before, may, known)


def select(
    reference: Reference,
    balance: Sequence[str],
    *,
    groups: AgeGroups,
    view: str | None = None,
    unknown: str = "keep",
) -> Reference:
    """The images that a plan is about; the others are counted in `left_out`.

    Args:
        reference: The images.
        balance: Columns.
        groups: Whose first edge is the least age.
        view: Leaves out images known to be of other views.
        unknown: "drop" leaves out images of which one of the columns is unknown.

    Raises:
        InputError: No image is left.
    """
    if unknown not in UNKNOWNS:
        raise InputError(f"--unknown {unknown}: use one of {', '.join(UNKNOWNS)}")
    reference = reference.kept(view=view, youngest=groups.edges[0])
    if unknown != "drop":
        return reference
    known = columns_of(reference, groups)
    told = [np.array(known[name].values)[known[name].codes] for name in _checked(balance, known, reference)]
    return reference.where((np.array(told) != UNKNOWN).all(axis=0).tolist(), "of unknown values")


def _checked(balance: Sequence[str], known: dict[str, Column], reference: Reference) -> Sequence[str]:
    if not balance:
        raise InputError(f"--balance: name at least one of {', '.join(COLUMNS)}")
    for number, name in enumerate(balance):
        if name not in COLUMNS:
            raise InputError(f"--balance: unknown column {name!r}; use {', '.join(COLUMNS)}")
        if name in balance[:number]:
            raise InputError(f"--balance: {name} is named twice")
        if name not in known:
            raise InputError(
                f"--balance: {', '.join(reference.files)} says nothing of {name}; it tells "
                f"{', '.join(known) or 'nothing'}"
            )
    return balance
