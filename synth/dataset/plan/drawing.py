"""Records for a cell, drawn from the reference as it is given that cell.

A cell that n rows of the reference are in is served by one of them with probability n / (n + smoothing), and else by a
row of a wider cell in which one column less is fixed, by the same rule: race is given up first, then view, age group
and sex, the primary finding never. So findings that occur together in the reference do here, also in cells that it has
few rows of, and no findings are put together that no image has together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.dataset.plan.table import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synth.anatomy.cohort_rows import Row
    from synth.dataset.plan.groups import AgeGroups
    from synth.dataset.plan.reference import Reference
    from synth.dataset.plan.table import Column

__all__ = ["Drawer"]

_GIVEN_UP = ("race", "view", "age_group", "sex")


class Drawer:
    """Draws rows, and ages within their groups.

    Args:
        reference: What is drawn from.
        columns: Its columns by name.
        fixed: Names of the columns that a cell gives.
        groups: Age groups.
        smoothing: In rows, 0 or more.
    """

    def __init__(
        self,
        reference: Reference,
        columns: Mapping[str, Column],
        fixed: Sequence[str],
        groups: AgeGroups,
        smoothing: float,
    ) -> None:
        if not 0 <= smoothing < np.inf:
            raise InputError(f"--smoothing must be a number of rows, 0 or more; got {smoothing:g}")
        self._rows, self._columns, self._groups, self._smoothing = reference.rows, columns, groups, smoothing
        counts = np.array(reference.counts, np.int64)
        known = np.array([row.labels is not None for row in reference.rows])
        if "finding" in columns:
            made = columns["finding"]
            known &= ~np.isin(made.codes, [k for k, value in enumerate(made.values) if value in made.closed])
        usable = counts * (known if known.any() else 1)
        self._levels = [_Pools(columns, names, usable) for names in _narrowed(fixed)]
        aged = counts * np.array([row.age is not None for row in reference.rows])
        by = [["sex", "age_group"], ["age_group"]] if "sex" in columns else [["age_group"]]
        self._ages = [_Pools(columns, names, aged) for names in by] if "age_group" in columns else []

    def row(self, cell: Mapping[str, str], generator: np.random.Generator) -> Row | None:
        """A row of the reference for a cell; None where nothing like it is there."""
        return self._drawn(self._levels, cell, generator)

    def age(self, sex: str | None, group: str, generator: np.random.Generator) -> float | None:
        """An age of that group as the reference has them, or any whole year of it; None of an unknown group."""
        if group == UNKNOWN:
            return None
        row = self._drawn(self._ages, {"sex": sex or UNKNOWN, "age_group": group}, generator)
        low, high = self._groups.years(self._groups.names.index(group))
        whole = float(generator.integers(low, high + 1))
        return row.age if row is not None else whole

    def _drawn(self, levels: Sequence[_Pools], cell: Mapping[str, str], generator: np.random.Generator) -> Row | None:
        found = [(pools, pool) for pools in levels if (pool := pools.of(cell)) is not None]
        for number, (pools, (start, end)) in enumerate(found):
            n, share = end - start, generator.random()
            last = number == len(found) - 1
            if last or generator.random() < n / (n + self._smoothing):
                return self._rows[pools.at(start + int(share * n))]
        return None


class _Pools:
    """Rows sorted by their values of some columns, so that those of one cell lie together.

    Args:
        columns: By name.
        names: Those that count.
        counts: (rows,) images each row stands for; 0 leaves it out.
    """

    def __init__(self, columns: Mapping[str, Column], names: Sequence[str], counts: NDArray[np.int64]) -> None:
        self._values = [{value: code for code, value in enumerate(columns[name].values)} for name in names]
        self._names, self._shape = names, tuple(len(columns[name].values) for name in names)
        codes = [columns[name].codes for name in names]
        flat = np.ravel_multi_index(codes, self._shape) if names else np.zeros(len(counts), np.int64)
        order = np.argsort(flat, kind="stable")
        self._order = order[counts[order] > 0]
        self._below = np.cumsum(counts[self._order])
        keys, starts = np.unique(flat[self._order], return_index=True)
        ends = np.append(starts[1:], len(self._order)) - 1
        images = self._below[ends].tolist()
        self._spans = dict(zip(keys.tolist(), zip([0, *images[:-1]], images, strict=True), strict=True))

    def of(self, cell: Mapping[str, str]) -> tuple[int, int] | None:
        """From which image to before which the cell reaches; None where it has none."""
        codes = [values.get(cell[name]) for name, values in zip(self._names, self._values, strict=True)]
        if None in codes:
            return None
        key = int(np.ravel_multi_index([code or 0 for code in codes], self._shape)) if codes else 0
        return self._spans.get(key)

    def at(self, image: int) -> int:
        """The row of an image."""
        return int(self._order[np.searchsorted(self._below, image, side="right")])


def _narrowed(fixed: Sequence[str]) -> list[list[str]]:
    """The columns that stay fixed at each step, from all to the finding alone, or to none."""
    levels = [list(fixed)]
    for name in _GIVEN_UP:
        if name in fixed:
            levels.append([each for each in levels[-1] if each != name])
    return levels
