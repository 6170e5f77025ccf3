from __future__ import annotations

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.frechet_infinity import frechet_infinity
from synth.metrics.distances.frechet_score import frechet_infinity_score, frechet_score, same_distribution
from tests.metrics.feature_sets import gaussian_sets

TRUTH = 1.06


def test_infinity_is_right_where_the_plain_distance_is_not() -> None:
    runs = [gaussian_sets(seed, 128, 128, 64, np.sqrt(TRUTH)) for seed in range(12)]
    found = [frechet_infinity(x, y, rng=np.random.default_rng(i), splits=2) for i, (x, y) in enumerate(runs)]
    assert np.mean(found) == pytest.approx(TRUTH, abs=0.6)  # three standard errors
    assert np.mean([frechet_distance(x, y) for x, y in runs]) > 17


def test_infinity_is_right_for_sets_of_different_sizes() -> None:
    runs = [gaussian_sets(seed, 64, 300, 32, np.sqrt(TRUTH)) for seed in range(15)]
    found = [frechet_infinity(x, y, rng=np.random.default_rng(i), splits=4) for i, (x, y) in enumerate(runs)]
    assert np.mean(found) == pytest.approx(TRUTH, abs=0.45)


def test_intervals_cover() -> None:
    truth, held, held_mean, values = TRUTH + 16 * 0.04, 0, 0, []
    scores = []
    for seed in range(60):
        x, y = gaussian_sets(seed, 64, 64, 16, np.sqrt(TRUTH), 1.2)
        rng = np.random.default_rng(seed)
        score = frechet_infinity_score(x, y, rng=rng, splits=4, permutations=0, repeats=0)
        assert score.low is not None
        assert score.high is not None
        held += score.low <= truth <= score.high
        scores.append(frechet_score(x, y, rng=rng, permutations=0, repeats=0))
        values.append(scores[-1].value)
    held_mean = sum((score.low or 0) <= np.mean(values) <= (score.high or 0) for score in scores)
    assert 51 <= held <= 60
    assert 51 <= held_mean <= 60


def test_floor_is_what_fresh_real_images_score() -> None:
    for n, m, d in ((64, 64, 16), (60, 15, 8), (24, 24, 24)):
        floors, truths = [], []
        for seed in range(8):
            x, y = gaussian_sets(seed, n, m, d)
            score = frechet_score(x, y, rng=np.random.default_rng(seed), permutations=0)
            floors.append(score.floor)
            truths.append(score.value)
        assert np.mean([floor or 0 for floor in floors]) == pytest.approx(np.mean(truths), rel=0.2)


def test_p_value_is_small_for_different_and_level_for_equal_distributions() -> None:
    rng = np.random.default_rng(0)
    x, y = gaussian_sets(0, 60, 50, 80, 1.5)
    assert same_distribution(x, y, rng=rng, permutations=99) <= 0.02
    p = [same_distribution(*gaussian_sets(seed, 25, 20, 30), rng=rng, permutations=19) for seed in range(60)]
    assert np.mean(p) == pytest.approx(0.525, abs=0.12)
    assert np.mean(np.array(p) <= 0.05) < 0.15


def test_the_same_set_twice_is_0_with_a_warning() -> None:
    x, _ = gaussian_sets(0, 30, 30, 40)
    for score in (
        frechet_score(x, x[::-1], rng=np.random.default_rng(0)),
        frechet_infinity_score(x, x[::-1], rng=np.random.default_rng(0)),
    ):
        assert (score.value, score.low, score.high, score.p_value) == (0, 0, 0, 1)
        assert "the same set twice" in score.warnings[0]
        assert "30 images for 40 features" in score.warnings[1]


def test_infinity_of_too_few_has_no_interval() -> None:
    x, y = gaussian_sets(0, 19, 40, 10)
    score = frechet_infinity_score(x, y, rng=np.random.default_rng(0), permutations=9)
    assert (score.low, score.high, score.floor) == (None, None, None)
    assert "no interval" in score.warnings[-1]
    assert frechet_infinity_score(*gaussian_sets(0, 20, 40, 10), rng=np.random.default_rng(0)).low is not None


def test_small_and_flat_sets_give_numbers() -> None:
    for n, m in ((2, 2), (3, 5), (6, 4)):
        x, y = gaussian_sets(0, n, m, 5)
        score = frechet_score(x, y, rng=np.random.default_rng(0), permutations=9)
        assert np.isfinite([score.value, score.low, score.high, score.p_value]).all()
        assert score.warnings
    flat = frechet_score(np.ones((8, 3)), np.full((8, 3), 2.0), rng=np.random.default_rng(0), permutations=9)
    assert flat.value == pytest.approx(3)
    assert flat.floor == 0


def test_is_the_same_with_the_same_generator() -> None:
    x, y = gaussian_sets(0, 40, 40, 8, 1.0)
    scores = [frechet_infinity_score(x, y, rng=np.random.default_rng(5), permutations=9) for _ in range(2)]
    assert scores[0] == scores[1]


def test_refuses_too_few() -> None:
    x, y = gaussian_sets(0, 8, 5, 3)
    with pytest.raises(InputError, match=r"generated features: 5 image\(s\); this score needs at least 6"):
        frechet_infinity(x, y, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match=r"1 image\(s\)"):
        frechet_score(x, y[:1], rng=np.random.default_rng(0))
