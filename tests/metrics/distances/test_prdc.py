from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.metrics.distances import prdc as module
from synth.metrics.distances.prdc import Prdc, prdc
from synth.metrics.distances.prdc_score import prdc_scores
from tests.metrics.feature_sets import PEER_SETS, Features, gaussian_sets, peer_set


def by_definition(x: Features, y: Features, k: int) -> Prdc:
    """From all distances by differences in float64."""

    def squares(a: Features, b: Features) -> Features:
        return np.array([[np.square(p - q).sum() for q in b] for p in a])

    real, fake = (np.sort(squares(one, one), 1)[:, k] for one in (x, y))
    between = squares(x, y)
    in_real, in_fake = between < real[:, None], between < fake
    return Prdc(in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum() / (k * len(y)), in_real.any(1).mean())


@pytest.mark.parametrize("name", PEER_SETS)
def test_equals_the_peers(name: str) -> None:
    x, y, values = peer_set(name)
    assert prdc(x, y)._asdict() == pytest.approx(values["prdc(k=5)"], abs=1e-15)
    fidelity = values["torch_fidelity_prc(k=3)"]  # its first set is the generated one
    found = prdc(x, y, k=3)
    assert (found.recall, found.precision) == pytest.approx((fidelity["precision"], fidelity["recall"]), abs=1e-6)


@given(st.integers(0, 999), st.integers(7, 25), st.integers(7, 25), st.integers(1, 6), st.sampled_from([0, 1, 1e8]))
@settings(max_examples=40, deadline=None)
def test_counts_are_exact_with_ties_and_far_from_the_origin(seed: int, n: int, m: int, k: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 3, (count, 2)) + offset for count in (n, m))  # a grid: most distances tie
    assert prdc(x, y, k=k) == pytest.approx(by_definition(x, y, k), abs=1e-15)


@given(st.integers(0, 999), st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_counts_are_exact_beyond_float32(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((30, 40)), rng.standard_normal((25, 40))
    x[:20] = x[0] + 1e-9 * rng.standard_normal((20, 40))  # all one point to float32
    y[:9] = x[0] + 1e-9 * rng.standard_normal((9, 40))
    assert prdc(x, y, k=k) == pytest.approx(by_definition(x, y, k), abs=1e-15)


def test_an_outlier_does_not_blur_the_rest() -> None:
    x, y = gaussian_sets(6, 30, 25, 8)
    x, y = 1e-22 * x, 1e-22 * y
    x[0] = 1e3
    assert prdc(x, y) == pytest.approx(by_definition(x, y, 5), abs=1e-15)


def test_blocks_count_what_one_block_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian_sets(0, 61, 47, 5, 0.5)
    whole = prdc(x, y)
    monkeypatch.setattr(module, "_CELLS", 4 * 7**2)
    monkeypatch.setattr(module, "_PAIR_CELLS", 5 * 13)
    assert prdc(x, y) == whole == pytest.approx(by_definition(x, y, 5), abs=1e-15)


def test_laws() -> None:
    x, y = gaussian_sets(1, 40, 35, 4, 0.5)
    found, turned = prdc(x, y), prdc(y, x)
    assert (found.precision, found.recall) == (turned.recall, turned.precision)
    assert prdc(4 * x + 8, 4 * y + 8) == found
    assert prdc(x, y + 100) == Prdc(0, 0, 0, 0)
    assert prdc(x, x) == Prdc(
        1, 1, pytest.approx(1), 1
    )  # every point is in its own ball and in k − 1 others on average
    assert prdc(np.ones((9, 3)), np.ones((9, 3))) == Prdc(0, 0, 0, 0)  # balls of radius 0 hold nothing


def test_scores_say_how_far_to_trust_them() -> None:
    x, y = gaussian_sets(2, 120, 100, 6, 1.5)
    scores = prdc_scores(x, y, rng=np.random.default_rng(0), permutations=39, repeats=10)
    assert list(scores) == ["precision", "recall", "density", "coverage"]
    assert [score.value for score in scores.values()] == list(prdc(x, y))
    for name, score in scores.items():
        assert score.low is not None
        assert score.high is not None
        assert score.floor is not None
        assert 0 <= score.low < score.value < score.high, name
        assert score.high <= 1 or name == "density"
        assert score.floor > score.value
        assert score.p_value is not None
        assert score.p_value <= 0.1
    same = prdc_scores(*gaussian_sets(3, 60, 60, 6), rng=np.random.default_rng(0), permutations=39, repeats=4)
    assert all((score.p_value or 0) > 0.02 for score in same.values())
    assert same["density"].floor == pytest.approx(1, abs=0.25)


def test_intervals_cover() -> None:
    scores = [
        prdc_scores(*gaussian_sets(seed, 60, 60, 8, 1.0), rng=np.random.default_rng(seed), permutations=0, repeats=20)
        for seed in range(50)
    ]
    for name in scores[0]:
        truth = np.mean([one[name].value for one in scores])
        held = sum((one[name].low or 0) <= truth <= (one[name].high or 0) for one in scores)
        assert held >= 42, name


def test_a_full_share_has_an_interval() -> None:
    x, y = gaussian_sets(4, 40, 400, 2)
    coverage = prdc_scores(x, y, rng=np.random.default_rng(0), permutations=0, repeats=4)["coverage"]
    assert coverage.value == 1
    assert 0.8 < (coverage.low or 0) < 0.95
    assert coverage.high == 1


def test_too_few_for_an_interval_say_so() -> None:
    x, y = gaussian_sets(5, 10, 30, 3)
    score = prdc_scores(x, y, rng=np.random.default_rng(0))["recall"]
    assert (score.low, score.high, score.floor, score.p_value) == (None, None, None, None)
    assert "use at least 24" in score.warnings[0]
    assert "the same set twice" in prdc_scores(x, x, rng=np.random.default_rng(0))["recall"].warnings[0]


def test_refuses_in_one_line() -> None:
    x, y = gaussian_sets(0, 8, 8, 3)
    with pytest.raises(InputError, match=r"generated features: 5 image\(s\); this score needs at least 6"):
        prdc(x, y[:5])
    with pytest.raises(InputError, match="k = 0"):
        prdc(x, y, k=0)
