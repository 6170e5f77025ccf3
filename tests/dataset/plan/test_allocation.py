"""Allocations against brute force: all whole numbers within the bounds are tried."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.dataset.plan.allocation import InfeasibleError, allocate, level_total


def every(before, weights, total, low, high):
    """All allocations that keep the bounds."""
    ranges = []
    for had, weight in zip(before, weights, strict=True):
        least = max(low - had, 0) if weight else 0
        most = min(total, total if high is None else high - had) if weight else 0
        ranges.append(range(least, most + 1))
    return [made for made in itertools.product(*ranges) if sum(made) == total]


def reached(before, weights, total, low, high):
    """The level filling, by bisection in floats: an independent way to the same numbers."""

    def at(level):
        filled = []
        for had, weight in zip(before, weights, strict=True):
            x = max(level * weight, had, low if weight else 0)
            filled.append(min(x, high) if high is not None and weight else x)
        return filled

    least, most = 0.0, 1e4
    for _ in range(200):
        middle = (least + most) / 2
        least, most = (middle, most) if sum(at(middle)) < sum(before) + total else (least, middle)
    return at(most)


cells = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=4)
problem = st.tuples(cells, st.integers(0, 9), st.integers(0, 2), st.one_of(st.none(), st.integers(2, 9)))


@given(problem)
def test_nearest_to_what_can_be_reached(given_problem):
    pairs, total, low, high = given_problem
    before, weights = map(list, zip(*pairs, strict=True))
    assume(any(weights))
    choices = every(before, weights, total, low, high)
    if not choices:
        with pytest.raises(InfeasibleError):
            allocate(before, target=weights, total=total, low=low, high=high)
        return
    made = allocate(before, target=weights, total=total, low=low, high=high)
    assert tuple(made) in choices
    goal = reached(before, weights, total, low, high)

    def distances(one):
        off = [abs(b + m - x) for b, m, x in zip(before, one, goal, strict=True)]
        return sum(d * d for d in off), sum(off), max(off)

    best = [min(values) for values in zip(*map(distances, choices), strict=True)]
    assert distances(made) == pytest.approx(best, abs=1e-6)


@given(problem)
def test_uniform_is_nearest_to_the_target_itself(given_problem):
    """In squares and in the largest deviation from equal shares, though cells may already be above them."""
    pairs, total, low, high = given_problem
    before = [had for had, _ in pairs]
    choices = every(before, [1] * len(before), total, low, high)
    assume(choices)
    made = allocate(before, target=[1] * len(before), total=total, low=low, high=high)
    share = Fraction(sum(before) + total, len(before))

    def distances(one):
        off = [abs(b + m - share) for b, m in zip(before, one, strict=True)]
        return sum(d * d for d in off), max(off)

    assert distances(made) == tuple(min(values) for values in zip(*map(distances, choices), strict=True))


@given(problem)
def test_the_reached_target_is_nearest_in_chi_square(given_problem):
    """No whole numbers are nearer to the shares, weighted by them, than the reached target before it is rounded."""
    pairs, total, low, high = given_problem
    before, weights = map(list, zip(*pairs, strict=True))
    assume(all(weights))
    choices = every(before, weights, total, low, high)
    assume(choices)
    whole = sum(before) + total
    shares = [weight * whole / sum(weights) for weight in weights]

    def chi_square(x):
        return sum((a - s) ** 2 / w for a, s, w in zip(x, shares, weights, strict=True))

    least = min(chi_square([b + m for b, m in zip(before, one, strict=True)]) for one in choices)
    assert chi_square(reached(before, weights, total, low, high)) <= least + 1e-6


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60), st.integers(0, 5000))
def test_water_fills_the_lowest_first(before, total):
    made = allocate(before, target=[1] * len(before), total=total)
    assert sum(made) == total
    after = [had + new for had, new in zip(before, made, strict=True)]
    filled = [a for a, new in zip(after, made, strict=True) if new]
    if filled:
        assert max(filled) - min(filled) <= 1
        assert all(a >= max(filled) - 1 for a in after)


def test_largest_remainder():
    """10 seats for 0.47 : 0.16 : 0.158 : 0.12 : 0.061 : 0.031, the textbook example by Hare's quota."""
    shares = [Fraction(share) for share in ("0.47", "0.16", "0.158", "0.12", "0.061", "0.031")]
    assert allocate([0] * 6, target=shares, total=10) == [5, 2, 1, 1, 1, 0]


def test_cells_above_their_share_leave_the_others_in_proportion():
    """A keeps its 1000; what is left for B and C keeps 49 : 1, rather than all going to B."""
    assert allocate([1000, 0, 0], target=[50, 49, 1], total=200) == [0, 196, 4]


def test_ties_are_spread_over_the_values_of_each_column():
    values = [(sex, age) for sex in range(2) for age in range(4)]
    made = allocate([0] * 8, target=[1] * 8, total=4, values=values)
    assert [sum(made[k] for k, v in enumerate(values) if v[0] == sex) for sex in range(2)] == [2, 2]
    assert [sum(made[k] for k, v in enumerate(values) if v[1] == age) for age in range(4)] == [1, 1, 1, 1]
    assert allocate([0] * 8, target=[1] * 8, total=4) == [1, 1, 1, 1, 0, 0, 0, 0]


@given(cells, st.integers(0, 3))
def test_the_level_total_is_the_least_that_is_exact(pairs, low):
    before, weights = map(list, zip(*pairs, strict=True))
    assume(any(weights))
    total = level_total(before, target=weights, low=low)

    def exact(n):
        try:
            made = allocate(before, target=weights, total=n, low=low)
        except InfeasibleError:
            return False
        after = [b + m for b, m, w in zip(before, made, weights, strict=True) if w]
        kept = [w for w in weights if w]
        return all(a * kept[0] == after[0] * w for a, w in zip(after, kept, strict=True))

    assert exact(total)
    assert not any(exact(n) for n in range(total))


@pytest.mark.parametrize(
    ("before", "options", "words", "cells"),
    [
        (
            [5, 0, 1],
            {"total": 2, "low": 2},
            r"--total 2 is too small: 3 are needed .*b \(lacks 2\); c \(lacks 1\)",
            {1, 2},
        ),
        ([5, 0, 1], {"total": 9, "high": 4}, r"more already in 1 cell: a \(holds 5, may hold 4\)", {0}),
        ([1, 0, 1], {"total": 9, "high": 3}, r"--total 9 is too large: 3 cells have room for 7", {0, 1, 2}),
        ([1, 0, 1], {"total": 9, "low": 4, "high": 3}, r"--min is above --max", {0, 1, 2}),
    ],
)
def test_what_cannot_be_is_told_cell_by_cell(before, options, words, cells):
    with pytest.raises(InfeasibleError, match=words) as caught:
        allocate(before, target=[1, 1, 1], names=["a", "b", "c"], **options)
    assert set(caught.value.reasons) == cells
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "total", "words"),
    [([0, 0], 3, "no cell with a share"), ([1, -1], 3, "negative"), ([1, 1], -1, "--total must be 0")],
)
def test_arguments_that_mean_nothing(target, total, words):
    with pytest.raises(InputError, match=words):
        allocate([0, 0], target=target, total=total)
