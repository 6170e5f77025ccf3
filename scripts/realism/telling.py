"""What tells one set of films from another: features one by one, and by groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import table
from scipy import stats

from realism.features import GROUPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from realism.features import Space
    from realism.films import Film

__all__ = ["group_table", "telling_table"]

SHOWN = 20


def aucs(real: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(d,): how often a film of `other` (m, d) has more of a feature than one of `real` (n, d); ties count half.

    The area under the ROC curve by the rank sum (Hanley & McNeil 1982, Radiology 143:29).
    """
    n, m = len(real), len(other)
    ranks = stats.rankdata(np.concatenate([real, other]), axis=0)[n:].sum(0)
    found: NDArray[np.float64] = (ranks - m * (m + 1) / 2) / (n * m)
    return found


def telling_table(space: Space, real: list[Film], made: dict[str, list[Film]]) -> str:
    """The features that tell the last kind from real films best, and how well they tell the others."""
    truth, found = space.raw(real), {kind: space.raw(films) for kind, films in made.items()}
    areas = {kind: aucs(truth, values) for kind, values in found.items()}
    kind = next(reversed(made))
    order = np.argsort(-np.abs(areas[kind] - 0.5), kind="stable")[:SHOWN]
    names = [f"{group}: {name}" for group, members in GROUPS.items() for name in members]
    cells = [
        [names[i], f"{np.median(truth[:, i]):.3g}"]
        + [text for each in made for text in (f"{np.median(found[each][:, i]):.3g}", f"{areas[each][i]:.2f}")]
        for i in order
    ]
    return table(["feature", "real median", *(text for each in made for text in (each, "AUC"))], cells)


def group_table(space: Space, real: list[Film], made: dict[str, list[Film]]) -> str:
    """Root mean square of the differences of the means over each group's features, in real standard deviations."""
    truth = space(real)
    mean, spread = truth.mean(0), truth.std(0) + 1e-9
    ends = np.cumsum([0, *(len(members) for members in GROUPS.values())])
    cells = []
    for group, first, last in zip(GROUPS, ends[:-1], ends[1:], strict=True):
        apart = [((space(films).mean(0) - mean) / spread)[first:last] for films in made.values()]
        cells.append([group, str(last - first), *(f"{np.sqrt((values**2).mean()):.2f}" for values in apart)])
    return table(["group", "features", *made], cells)
