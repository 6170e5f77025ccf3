from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.metrics.distances import kernel_sums as sums_of_blocks
from synth.metrics.distances.kernel_sums import kernel_sums
from synth.metrics.distances.mmd import (
    Polynomial,
    Rbf,
    cmmd,
    kid,
    kid_subsets,
)
from synth.metrics.distances.mmd_score import cmmd_score, kid_score
from synth.metrics.distances.pair_variance import mmd_variance, pair_variance
from tests.metrics.feature_sets import PEER_SETS, Features, gaussian_sets, peer_set

PEERS_FLOAT32 = 1e-6
"""What the peers' float32 kernel sums cost, absolute."""


def cubic(x: Features, y: Features) -> Features:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


@pytest.mark.parametrize("name", PEER_SETS)
def test_equals_the_peers(name: str) -> None:
    x, y, values = peer_set(name)
    assert kid(x, y) == pytest.approx(values["kid_ustat_all_float64"], abs=1e-12)
    assert cmmd(x, y) == pytest.approx(values["cmmd_biased_x1000_sigma10_unitnorm"], abs=1e-9)
    clean = kid_subsets(y, x, rng=np.random.RandomState(0))
    assert clean.mean() == pytest.approx(values["cleanfid_kernel_distance(seed0,100x1000)"], abs=PEERS_FLOAT32)
    one = kid_subsets(y, x, rng=np.random.RandomState(0), subsets=1, size=10**9)
    assert one[0] == pytest.approx(values["cleanfid_kernel_distance_one_full_subset(seed0)"], abs=PEERS_FLOAT32)
    fidelity = kid_subsets(x, y, rng=np.random.RandomState(2020), size=min(len(x), len(y), 100))
    wanted = values["torch_fidelity_kid(100 subsets, size min(n,100), seed 2020)"]
    assert fidelity.mean() == pytest.approx(wanted["kernel_inception_distance_mean"], abs=PEERS_FLOAT32)
    assert fidelity.std() == pytest.approx(wanted["kernel_inception_distance_std"], abs=PEERS_FLOAT32)


@given(st.integers(0, 99), st.integers(4, 40), st.integers(4, 40), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_blocks_add_up_to_the_whole_matrix(seed: int, n: int, m: int, cells: int) -> None:
    x, y = gaussian_sets(seed, n, m, 3)
    z = np.concatenate([x, y])
    masks = np.random.default_rng(seed).integers(0, 2, (n + m, 4)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums_of_blocks, "_CELLS", cells**2)
        sums = kernel_sums(x, y, Rbf(1.5), masks)
    whole = np.exp(-((z[:, None] - z) ** 2).sum(-1) / (2 * 1.5**2))
    np.testing.assert_allclose(sums.diagonal, 1)
    np.fill_diagonal(whole, 0)
    np.testing.assert_allclose(sums.rows, np.stack([whole[:, :n].sum(1), whole[:, n:].sum(1)], 1), atol=1e-10)
    squares = whole**2
    np.testing.assert_allclose(sums.squares, np.stack([squares[:, :n].sum(1), squares[:, n:].sum(1)], 1), atol=1e-10)
    np.testing.assert_allclose(sums.within, [mask @ whole @ mask for mask in masks.T], atol=1e-10)


def test_is_right_on_average_and_so_is_its_variance() -> None:
    d, shift = 3, 0.6
    runs = [gaussian_sets(seed, 12, 17, d, shift) for seed in range(1500)]
    sums = [kernel_sums(x, y, Polynomial(d)) for x, y in runs]
    found = np.array([kid(x, y) for x, y in runs])
    base = 1 + np.array([0, shift**2]) / d  # E (a + s)³ with s of variance v is a³ + 3av
    product_variance = np.array([d, d + 2 * shift**2]) / d**2
    third = np.array([0, 6 * shift**2]) / d**3  # E of the cube of x·y less its mean: pairs of the shifted set only
    within = base**3 + 3 * base * product_variance + third
    across = 1 + 3 * (d + shift**2) / d**2
    truth = within.sum() - 2 * across
    assert found.mean() == pytest.approx(truth, abs=4 * found.std() / np.sqrt(len(found)))
    assert np.mean([mmd_variance(one) for one in sums]) == pytest.approx(found.var(), rel=0.25)


def test_variance_of_a_mean_over_pairs_is_exact_for_sums() -> None:
    values = np.random.default_rng(0).standard_normal((4000, 8))
    found, variances = [], []
    for row in values:  # k(i, j) = v_i + v_j: the mean over pairs is twice the mean of v
        pairs = row[:, None] + row
        np.fill_diagonal(pairs, 0)
        variances.append(pair_variance(pairs.sum(1), float((pairs**2).sum())))
        found.append(pairs.sum() / (8 * 7))
    assert np.mean(variances) == pytest.approx(4 / 8, rel=0.05)
    assert np.var(found) == pytest.approx(4 / 8, rel=0.1)


def test_scores_say_how_far_to_trust_them() -> None:
    x, y = gaussian_sets(0, 80, 60, 10, 1.5)
    score = kid_score(x, y, rng=np.random.default_rng(0), permutations=99)
    assert score.value == pytest.approx(kid(x, y), abs=1e-12)
    assert score.low is not None
    assert score.high is not None
    assert score.floor is not None
    assert score.low < score.value < score.high
    assert score.p_value == 0.01
    assert 0 < score.floor < score.value
    published = cmmd_score(x, y, rng=np.random.default_rng(0), permutations=99)
    unbiased = cmmd_score(x, y, rng=np.random.default_rng(0), permutations=99, unbiased=True)
    assert published.value == pytest.approx(cmmd(x, y), rel=1e-9)
    assert published.floor == pytest.approx(published.value - unbiased.value, rel=0.2)
    assert published.p_value == unbiased.p_value == 0.01


def test_floor_is_the_spread_of_fresh_real_sets() -> None:
    floors, values = [], []
    for seed in range(200):
        x, y = gaussian_sets(seed, 40, 20, 5)
        score = kid_score(x, y, rng=np.random.default_rng(seed), permutations=0)
        floors.append(score.floor or 0)
        values.append(score.value)
    assert np.mean(floors) == pytest.approx(np.std(values), rel=0.2)


def test_p_values_are_level() -> None:
    p = [
        kid_score(*gaussian_sets(seed, 15, 20, 4), rng=np.random.default_rng(seed), permutations=19, repeats=0).p_value
        for seed in range(100)
    ]
    assert np.mean([value or 0 for value in p]) == pytest.approx(0.525, abs=0.1)


def test_the_same_set_twice_is_0_with_a_warning() -> None:
    x, _ = gaussian_sets(0, 20, 20, 4)
    for score in (kid_score(x, x, rng=np.random.default_rng(0)), cmmd_score(x, x[::-1], rng=np.random.default_rng(0))):
        assert (score.value, score.p_value) == (0, 1)
        assert "the same set twice" in score.warnings[0]
    assert cmmd(x, x) == pytest.approx(0, abs=1e-9)


def test_refuses_in_one_line() -> None:
    x, y = gaussian_sets(0, 8, 8, 3)
    y[2] = 0
    with pytest.raises(InputError, match="generated features: row 2 is all zeros"):
        cmmd(x, y)
    with pytest.raises(InputError, match="needs at least 4"):
        kid_score(x, y[:3], rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="at least one subset"):
        kid_subsets(x, y, rng=np.random.default_rng(0), subsets=0)
    with pytest.raises(InputError, match="at least 2"):
        kid(x[:1], y)
