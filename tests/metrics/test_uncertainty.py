from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.metrics.uncertainty import (
    disjoint_variance,
    group_jackknife,
    influence_variance,
    interval,
    p_value,
    permuted,
    real_floor,
    share_interval,
    split_masks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Indices = NDArray[np.intp]


def gap_of_means(x: NDArray[np.float64], y: NDArray[np.float64]) -> Callable[[Indices, Indices], float]:
    return lambda i, j: float(x[i].mean() - y[j].mean())


def test_all_variances_are_that_of_a_difference_of_means() -> None:
    rng = np.random.default_rng(0)
    truth, found = 4 / 40 + 1 / 60, []
    for _ in range(40):
        x, y = 2 * rng.standard_normal(40), rng.standard_normal(60)
        statistic = gap_of_means(x, y)
        found.append(
            (
                influence_variance(x - x.mean(), y - y.mean()),
                float(group_jackknife(statistic, 40, 60, rng)),
                float(group_jackknife(statistic, 40, 60, rng, groups=99)),
                float(disjoint_variance(statistic, 40, 60, rng)),
                float(disjoint_variance(statistic, 40, 60, rng, most=9)),
            )
        )
    np.testing.assert_allclose(np.mean(found, 0), truth, rtol=0.15)


def test_leaving_out_each_image_is_the_textbook_variance_of_a_mean() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 12))
    found = group_jackknife(gap_of_means(x, y), 12, 12, np.random.default_rng(1), groups=12)
    assert float(found) == pytest.approx((x.var(ddof=1) + y.var(ddof=1)) / 12)


def test_no_image_is_drawn_twice() -> None:
    def statistic(i: Indices, j: Indices) -> float:
        assert len(set(i.tolist())) == len(i)
        assert len(set(j.tolist())) == len(j)
        return 0.0

    rng = np.random.default_rng(0)
    for function in (disjoint_variance, group_jackknife):
        function(statistic, 21, 10, rng)
    permuted(statistic, 21, 10, 5, rng)

    def apart(i: Indices, j: Indices) -> float:
        assert not set(i.tolist()) & set(j.tolist())
        return 1.0

    for m in (4, 21, 500):
        real_floor(apart, 21, m, rng)


def test_several_scores_at_once_have_an_entry_each() -> None:
    x = np.random.default_rng(0).standard_normal(30)

    def both(i: Indices, j: Indices) -> NDArray[np.float64]:
        return np.array([x[i].mean(), x[j].mean() * 3])

    rng = np.random.default_rng(0)
    for function in (disjoint_variance, group_jackknife):
        variance = function(both, 30, 30, rng)
        assert variance.shape == (2,)
        assert variance[1] == pytest.approx(9 * variance[0], rel=0.5)


@pytest.mark.parametrize("m", [5, 20, 40, 400])
@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
def test_floor_follows_a_law_of_the_sizes(m: int, exponent: float) -> None:
    def statistic(i: Indices, j: Indices) -> float:
        return float((1 / len(i) + 1 / len(j)) ** exponent)

    found = real_floor(statistic, 40, m, np.random.default_rng(0), exponent=exponent)
    assert float(found) == pytest.approx((1 / 40 + 1 / m) ** exponent, rel=0.1)


def test_floor_measures_how_a_score_falls() -> None:
    def statistic(i: Indices, j: Indices) -> float:
        return float(1 / len(i))

    assert float(real_floor(statistic, 64, 64, np.random.default_rng(0), exponent=None)) == pytest.approx(1 / 64)
    assert float(real_floor(lambda i, j: 0.0, 64, 64, np.random.default_rng(0), exponent=None)) == 0
    assert float(real_floor(lambda i, j: 7.0, 64, 64, np.random.default_rng(0), spread=True)) == 0


def test_p_value_counts_the_observed_and_what_equals_it() -> None:
    values = np.array([1.0, 2.0, 3.0])
    assert p_value(4, values) == 0.25
    assert p_value(3 * (1 + 1e-15), values) == 0.5
    assert p_value(0, values) == 1
    assert p_value(0, np.zeros(9)) == 1
    assert p_value(-9, values, two_sided=True) == 0.25
    assert p_value(9, values, two_sided=True) == 0.25


def test_permutation_test_is_level() -> None:
    rng, p = np.random.default_rng(0), []
    for _ in range(200):
        z = rng.exponential(size=15)
        values = permuted(lambda i, j, z=z: float(abs(z[i].mean() - z[j].mean())), 8, 7, 19, rng)  # type: ignore[misc]
        p.append(p_value(float(abs(z[:8].mean() - z[8:].mean())), values))
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(p) == pytest.approx(0.525, abs=0.06)


@given(st.floats(0, 1), st.floats(0, 0.3), st.integers(1, 1000))
def test_share_interval_holds_the_share_and_stays_within_0_and_1(share: float, variance: float, count: int) -> None:
    low, high = share_interval(share, variance, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    assert high - low > 0


def test_share_interval_is_wilsons() -> None:
    low, high = share_interval(0.1, 0.1 * 0.9 / 50, 50)
    assert (low, high) == pytest.approx((0.0435, 0.2136), abs=1e-4)  # Wilson's interval of 5 in 50
    assert share_interval(0.0, 0.0, 10) == pytest.approx((0, 0.2775), abs=1e-4)


def test_interval_is_cut_to_what_a_score_can_be() -> None:
    assert interval(1, 1, least=0) == (0, pytest.approx(2.96, abs=1e-3))
    assert interval(1, -1e-9) == (1, 1)


def test_masks_mark_n_of_all() -> None:
    masks = split_masks(3, 4, 50, np.random.default_rng(0))
    assert masks.shape == (7, 50)
    np.testing.assert_array_equal(masks.sum(0), 3)
    assert masks.mean(1) == pytest.approx(3 / 7, abs=0.25)
