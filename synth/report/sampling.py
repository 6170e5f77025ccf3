"""Which samples of a dataset are looked at, where there are more than a page can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.report.groups import Survey

__all__ = ["choose"]


def choose(survey: Survey, most: int) -> list[int]:
    """Numbers of at most `most` rows, ascending, so drawn that small subgroups are seen as well as large ones.

    One row is taken after another, each time of the kind whose groups have been taken least often (the mean over the
    columns); of one kind, in an order that is drawn. The same table gives the same rows.
    """
    n = len(survey)
    if n <= most:
        return list(range(n))
    members, left = _members(survey)
    table, count = _table(survey)
    taken = np.zeros(count)
    chosen = []
    for _ in range(most):
        burden = np.where(left > 0, taken[table].mean(axis=1), np.inf)
        kind = int(burden.argmin())
        left[kind] -= 1
        chosen.append(int(members[kind][left[kind]]))
        np.add.at(taken, table[kind], 1.0)
    return sorted(chosen)


def _members(survey: Survey) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """The rows of each kind in a drawn order, and how many they are."""
    kinds = np.asarray(survey.kind_of, np.int64)
    drawn = sample_generator(0, len(kinds), "report").permutation(len(kinds))
    drawn = drawn[np.argsort(kinds[drawn], kind="stable")]
    left = np.bincount(kinds, minlength=len(survey.kinds))
    return np.split(drawn, np.cumsum(left)[:-1]), left


def _table(survey: Survey) -> tuple[NDArray[np.int64], int]:
    """For each kind the numbers of its groups, the first of each column; and how many groups there are."""
    numbers: dict[tuple[int, str], int] = {}
    rows = [
        [numbers.setdefault((column, names[0]), len(numbers)) for column, names in enumerate(groups)]
        for groups in survey.kinds
    ]
    return np.asarray(rows, np.int64), len(numbers)
