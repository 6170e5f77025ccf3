"""Any score of two sets, subgroup by subgroup."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.images import subgroups
from synth.metrics.score_value import Score, check_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Features = NDArray[np.float64]
    Rows = Sequence[Mapping[str, str]]

__all__ = ["FEW", "GroupScore", "group_rows", "score_by_group"]

FEW = 50
"""Images below which a subgroup's score comes with a warning: half the interval's width is then at least 14 points for
a share of one half."""


@dataclass(frozen=True)
class GroupScore:
    """A score of one subgroup.

    Attributes:
        group: "F", or "F, 60-79" where several columns were asked for; "all" for the whole sets.
        n_reference: Images of it in the reference.
        n_generated: Images of it in the generated set.
        score: None where a set has too few images of the group to be scored.
        warnings: Why not, or why to be careful.
    """

    group: str
    n_reference: int
    n_generated: int
    score: Score | None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        score = None if self.score is None else self.score.as_dict()
        counts = {"n_reference": self.n_reference, "n_generated": self.n_generated}
        return {"group": self.group, **counts, "score": score, "warnings": list(self.warnings)}


def score_by_group(
    score: Callable[[Features, Features], Score],
    reference: ArrayLike,
    reference_rows: Rows,
    generated: ArrayLike,
    generated_rows: Rows,
    *columns: str,
    few: int = FEW,
) -> tuple[GroupScore, ...]:
    """A score of each subgroup: its generated images against its real ones.

    Scores that grow as sets shrink (FID, CMMD, precision …) are compared with their own floors, not with each
    other: groups have different sizes. KID and FD∞ may be compared.

    Args:
        score: Takes features (n, d) and (m, d) of a group.
        reference: (n, d) features of real images.
        reference_rows: Their rows of metadata.csv.
        generated: (m, d) features.
        generated_rows: Their rows.
        columns: Columns, by name or alias; several give intersections.
        few: Images below which a group gets a warning.

    Returns:
        "all" first, then the groups that either set has, sorted, "unknown" last.

    Raises:
        InputError: Malformed features, rows that do not match them, or no such column.
    """
    x, y = check_pair(reference, generated, least=1)
    for rows, features, name in ((reference_rows, x, "reference"), (generated_rows, y, "generated")):
        if len(rows) != len(features):
            raise InputError(f"{name}: {len(rows)} rows of metadata for {len(features)} images; give one an image")
    ours, theirs = group_rows(reference_rows, *columns), group_rows(generated_rows, *columns)
    ordered = sorted({*ours, *theirs}, key=_order)
    parts = ((", ".join(group), x[ours.get(group, [])], y[theirs.get(group, [])]) for group in ordered)
    return _one("all", score, x, y, few), *(_one(name, score, some, others, few) for name, some, others in parts)


def group_rows(rows: Rows, *columns: str) -> dict[tuple[str, ...], list[int]]:
    """Group → the rows in it; a row with several findings is in the group of each.

    Raises:
        InputError: No column asked for, or no such column.
    """
    if not columns:
        raise InputError("name at least one column to group by, such as 'sex'")
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    members = zip(*(subgroups.memberships(rows, column) for column in columns), strict=True)
    for index, member in enumerate(members):
        for group in product(*member):
            groups[group].append(index)
    return dict(groups)


def _one(group: str, score: Callable[[Features, Features], Score], x: Features, y: Features, few: int) -> GroupScore:
    sizes = len(x), len(y)
    for size, what in zip(sizes, ("reference", "generated"), strict=True):
        if size == 0:
            return GroupScore(group, *sizes, None, (f"no {what} image of this group",))
    warnings = () if min(sizes) >= few else (f"small group: {sizes[0]} reference and {sizes[1]} generated images",)
    try:
        return GroupScore(group, *sizes, score(x, y), warnings)
    except InputError as error:  # too few images for this score: the other groups have theirs
        return GroupScore(group, *sizes, None, (*warnings, str(error)))


def _order(group: tuple[str, ...]) -> list[tuple[bool, str]]:
    return [(part == subgroups.UNKNOWN, part) for part in group]
