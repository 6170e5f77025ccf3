"""How many samples each cell gets: an exact total, within bounds, as near to the target as whole numbers come.

Two steps. First the target that can be reached: with b_i images there, N to make and weights w_i,

    x_i = min(max(μ w_i, l_i), h_i),   l_i = max(b_i, low_i),   Σ x_i = Σ b_i + N

with one level μ for all cells: filling in proportion, as water fills a vessel. Of all real x within the bounds it has
the least Σ (x_i − T_i)² / w_i to the shares T_i = w_i (Σ b + N) / Σ w (its Karush-Kuhn-Tucker conditions are the line
above). Then whole numbers by the largest remainder: of all integers with that sum they are nearest to x in the sum of
squares, in the sum of absolute values and in the largest one; x's bounds are whole, so they are kept. For equal weights
the result is nearest to the uniform target itself in squares and in the largest deviation. All in exact fractions.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["InfeasibleError", "allocate", "level_total", "worst"]

_WORST = 3  # cells that a message names


class InfeasibleError(InputError):
    """Bounds, total and target that contradict each other.

    Attributes:
        reasons: Number of a cell → why it cannot be had.
    """

    def __init__(self, message: str, reasons: dict[int, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


def allocate(
    before: Sequence[int],
    *,
    target: Sequence[int | Fraction],
    total: int,
    low: int | Sequence[int] = 0,
    high: int | Sequence[int] | None = None,
    values: Sequence[Sequence[int]] | None = None,
    names: Sequence[str] | None = None,
) -> list[int]:
    """How many samples to make in each cell.

    Args:
        before: (n,) images that are there and count.
        target: (n,) weights, 0 or more: what shares of the whole the cells should have. Cells of weight 0 get nothing.
        total: How many to make.
        low: Least a cell may hold in the end, where its weight is not 0.
        high: Most a cell may hold in the end; None for no limit.
        values: (n, columns) the value of each column that a cell stands for. Where remainders tie, those cells come
            first whose values have had fewest so far, so that single columns stay even; else the first of the list.
        names: (n,) of cells, for messages.

    Returns:
        (n,) counts that sum to `total`.

    Raises:
        InfeasibleError: As said; it names the worst cells.
        InputError: No cell has a weight, or a negative argument.
    """
    weights = _whole(target)
    names = list(names) if names is not None else [f"cell {k}" for k in range(len(weights))]
    if total < 0 or min(before, default=0) < 0:
        raise InputError(f"--total must be 0 or more, got {total}")
    if not any(weights):
        raise InputError("the target has no cell with a share above 0: nothing can be made")
    lows, highs = _bounds(before, weights, low, high, names)
    _check_total(before, weights, lows, highs, total, names)
    reached = _filled(weights, lows, highs, sum(before) + total)
    counts = _rounded(reached, sum(before) + total, values)
    return [count - had for count, had in zip(counts, before, strict=True)]


def level_total(before: Sequence[int], *, target: Sequence[int | Fraction], low: int = 0) -> int:
    """The least number of samples after which every cell has its share exactly."""
    weights = _whole(target)
    if not any(weights):
        raise InputError("the target has no cell with a share above 0: nothing can be made")
    pairs = [(weight, max(had, low)) for weight, had in zip(weights, before, strict=True) if weight]
    level = max(ceil(Fraction(least, weight)) for weight, least in pairs)
    return sum(level * weight - had for weight, had in zip(weights, before, strict=True) if weight)


def _whole(target: Sequence[int | Fraction]) -> list[int]:
    """The weights as coprime whole numbers."""
    weights = [Fraction(weight) for weight in target]
    if min(weights, default=Fraction(0)) < 0:
        raise InputError("a share of the target is negative")
    scale = lcm(*(weight.denominator for weight in weights))
    whole = [int(weight * scale) for weight in weights]
    common = gcd(*whole) or 1
    return [weight // common for weight in whole]


def _bounds(
    before: Sequence[int],
    weights: Sequence[int],
    low: int | Sequence[int],
    high: int | Sequence[int] | None,
    names: Sequence[str],
) -> tuple[list[int], list[int | None]]:
    """Least and most of each cell in the end; cells without a weight stay as they are."""
    n = len(weights)
    lows = [low] * n if isinstance(low, int) else list(low)
    highs = [high] * n if high is None or isinstance(high, int) else list(high)
    crossed = {k: f"at least {lows[k]}, at most {h}" for k, h in enumerate(highs) if h is not None and lows[k] > h}
    if crossed:
        raise InfeasibleError(f"--min is above --max: {worst(crossed, names)}; swap them", crossed)
    over = {
        k: f"holds {before[k]}, may hold {h}"
        for k, h in enumerate(highs)
        if h is not None and weights[k] and before[k] > h
    }
    if over:
        first = dict(sorted(over.items(), key=lambda item: -before[item[0]]))
        raise InfeasibleError(
            f"--max: there are more already in {_cells(over)}: {worst(first, names)}; raise --max, or count the "
            "made set alone (--alone)",
            over,
        )
    least = [max(b, floor_) if w else b for b, floor_, w in zip(before, lows, weights, strict=True)]
    return least, [h if w else b for b, h, w in zip(before, highs, weights, strict=True)]


def _check_total(
    before: Sequence[int],
    weights: Sequence[int],
    lows: Sequence[int],
    highs: Sequence[int | None],
    total: int,
    names: Sequence[str],
) -> None:
    lacks = [low - had for low, had in zip(lows, before, strict=True)]
    if sum(lacks) > total:
        reasons = {k: f"lacks {lack}" for k, lack in enumerate(lacks) if lack}
        first = dict(sorted(reasons.items(), key=lambda item: -lacks[item[0]]))
        raise InfeasibleError(
            f"--total {total} is too small: {sum(lacks)} are needed to bring {_cells(reasons)} to --min: "
            f"{worst(first, names)}; raise --total, lower --min, or balance fewer columns",
            reasons,
        )
    if all(high is not None for high in highs):
        rooms = [(high or 0) - had for high, had in zip(highs, before, strict=True)]
        if sum(rooms) < total:
            reasons = {k: f"has room for {room}" for k, room in enumerate(rooms) if weights[k]}
            first = dict(sorted(reasons.items(), key=lambda item: rooms[item[0]]))
            raise InfeasibleError(
                f"--total {total} is too large: {_cells(reasons)} have room for {sum(rooms)} below --max: "
                f"{worst(first, names)}; lower --total or raise --max",
                reasons,
            )


def _filled(weights: Sequence[int], lows: Sequence[int], highs: Sequence[int | None], total: int) -> list[Fraction]:
    """min(max(μ w, low), high) with the level μ at which it sums to `total`."""

    def at(level: Fraction) -> list[Fraction]:
        filled = (max(level * weight, Fraction(low)) for weight, low in zip(weights, lows, strict=True))
        return [x if high is None else min(x, Fraction(high)) for x, high in zip(filled, highs, strict=True)]

    # The sum is linear between the levels at which a cell leaves its lower or reaches its upper bound.
    ends = [Fraction(low, w) for w, low in zip(weights, lows, strict=True) if w]
    ends += [Fraction(high, w) for w, high in zip(weights, highs, strict=True) if w and high is not None]
    levels = sorted(set(ends))
    above = bisect_left(levels, Fraction(total), key=lambda level: sum(at(level), Fraction(0)))
    if above < len(levels) and sum(at(levels[above])) == total:
        return at(levels[above])
    start = levels[above - 1]
    base, free = sum(at(start)), 0
    for weight, low, high in zip(weights, lows, highs, strict=True):
        if weight and start * weight >= low and (high is None or start * weight < high):
            free += weight
    return at(start + Fraction(total - base, free))


def _rounded(reached: Sequence[Fraction], total: int, values: Sequence[Sequence[int]] | None) -> list[int]:
    """Whole numbers with that sum, by the largest remainder."""
    counts = [floor(x) for x in reached]
    left = total - sum(counts)
    order = sorted(range(len(reached)), key=lambda k: (counts[k] - reached[k], k))
    while left:
        remainder = reached[order[0]] - counts[order[0]]
        tied = [k for k in order if reached[k] - counts[k] == remainder]
        order = order[len(tied) :]
        chosen = tied if len(tied) <= left else _spread(tied, left, values)
        for k in chosen:
            counts[k] += 1
        left -= len(chosen)
    return counts


def _spread(tied: Sequence[int], n: int, values: Sequence[Sequence[int]] | None) -> list[int]:
    """Some n of the cells, one after the other that whose values have had fewest for their number."""
    if values is None:
        return list(tied[:n])
    codes = np.array([values[k] for k in tied])
    sizes = [np.bincount(column) for column in codes.T]
    cost = np.zeros(len(tied))
    for size, column in zip(sizes, codes.T, strict=True):
        cost += 1 / size[column]
    chosen: list[int] = []
    for _ in range(n):
        best = int(np.argmin(cost))
        chosen.append(tied[best])
        for size, column in zip(sizes, codes.T, strict=True):
            cost[column == column[best]] += 2 / size[column[best]]  # as squares of how many were had rise
        cost[best] = np.inf
    return chosen


def _cells(reasons: Mapping[int, str]) -> str:
    return "1 cell" if len(reasons) == 1 else f"{len(reasons)} cells"


def worst(reasons: Mapping[int, str], names: Sequence[str]) -> str:
    """The first of the reasons in words, with the names of their cells."""
    told = [f"{names[k]} ({why})" for k, why in list(reasons.items())[:_WORST]]
    return "; ".join(told) + (f"; and {len(reasons) - _WORST} more" if len(reasons) > _WORST else "")
