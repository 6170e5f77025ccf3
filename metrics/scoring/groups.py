"""The subgroups of two sets that are scored against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from synth.metrics.images.sets import ImageSet

__all__ = ["SMALL", "Group", "group_columns", "matched_groups"]

SMALL = 50
"""Images below which a group's scores say little."""


@dataclass(frozen=True)
class Group:
    """The images of both sets that share a value.

    Attributes:
        column: The column, or several joined by "+".
        name: The value, or several, "F, 60-79".
        reference: Names of the reference's images.
        generated: Names of the generated set's images.
    """

    column: str
    name: str
    reference: frozenset[str]
    generated: frozenset[str]

    def rows(self, reference: Sequence[str], generated: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Positions of the group's images among names."""
        sides = ((reference, self.reference), (generated, self.generated))
        first, second = (np.array([k for k, name in enumerate(names) if name in own], np.intp) for names, own in sides)
        return first, second

    @property
    def warning(self) -> str | None:
        """Says so where the group is small."""
        n, m = len(self.reference), len(self.generated)
        if not n or not m or min(n, m) >= SMALL:
            return None
        return f"{self.column} {self.name}: only {n} reference and {m} generated images; intervals are wide"


def group_columns(by: str | Iterable[str] | None) -> tuple[str, ...]:
    """The columns to group by, from names or one text with commas between; "sex+age_group" is an intersection.

    Raises:
        InputError: A name is empty.
    """
    if by is None:
        return ()
    columns = tuple(part.strip() for part in (by.split(",") if isinstance(by, str) else by))
    if any(not name.strip() for column in columns for name in column.split("+")):
        raise InputError(f"by: a column is empty in {by!r}; give names such as sex,age_group or sex+age_group")
    return tuple(dict.fromkeys(columns))


def matched_groups(reference: ImageSet, generated: ImageSet, columns: Iterable[str]) -> tuple[Group, ...]:
    """The groups of every column, those of either set, in sorted order, "unknown" last.

    Raises:
        InputError: A set has no such column.
    """
    found = []
    for column in columns:
        parts = [part.strip() for part in column.split("+")]
        first, second = _by(reference, parts), _by(generated, parts)
        found += [
            Group(column, name, first.get(name, frozenset()), second.get(name, frozenset()))
            for name in sorted({*first, *second}, key=lambda name: ("unknown" in name, name))
        ]
    return tuple(found)


def _by(images: ImageSet, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    try:
        return {name: frozenset(group.names) for name, group in images.by(*columns).items()}
    except InputError as error:
        raise InputError(f"{images.name}: {error}") from error
