from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth.metrics.frd.contrast import grey_shift
from synth.metrics.frd.uncertainty import as_value, frd_floor, frd_interval, frd_p_value, normalised_distance


def features(rng: np.random.Generator, n: int, shift: float = 0.0, d: int = 24) -> Any:
    """Correlated columns, half of them with long tails, as radiomic ones are."""
    mixing = np.random.default_rng(99).standard_normal((5, d)) / 2
    z = rng.standard_normal((n, 5)) @ mixing + 0.5 * rng.standard_normal((n, d)) + shift
    z[:, ::2] = np.exp(0.5 * z[:, ::2])
    return z


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_intervals_cover_the_mean(version: Any) -> None:
    ends, values = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = features(rng, 40), features(rng, 50, 0.3)
        value = as_value(normalised_distance(x, y, version), version, 1.0)
        values.append(value)
        ends.append(frd_interval(x, y, version, rng, value))
    held = np.mean([low <= np.mean(values) <= high for low, high in ends])
    assert held >= 0.87
    widths = [high - low for low, high in ends]
    assert np.mean(widths) < 3 * 2 * 1.96 * np.std(values)


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_floor_is_what_fresh_real_images_score(version: Any) -> None:
    for n, m in ((40, 40), (60, 15)):
        floors, truths = [], []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            x = features(rng, n)
            floors.append(frd_floor(x, m, version, rng, 5))
            truths.append(as_value(normalised_distance(x, features(rng, m), version), version, 1.0))
        allowed = 0.35 if version == "v1" else 0.35 * np.mean(truths)
        assert np.mean([floor or 0 for floor in floors]) == pytest.approx(np.mean(truths), abs=allowed)
    assert frd_floor(features(np.random.default_rng(0), 7), 7, version, np.random.default_rng(0), 2) is None


def test_p_values_are_level_for_one_distribution_and_small_for_two() -> None:
    p = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        p.append(frd_p_value(features(rng, 20), features(rng, 25), rng, 19))
    assert np.mean(np.array(p) <= 0.05) < 0.13
    assert np.mean(p) == pytest.approx(0.525, abs=0.1)
    rng = np.random.default_rng(0)
    assert frd_p_value(features(rng, 40), features(rng, 40, 0.8), rng, 99) <= 0.02
    assert frd_p_value(np.ones((5, 2)), np.ones((5, 2)), rng, 9) == 1


def test_the_distance_is_what_normalising_gives() -> None:
    rng = np.random.default_rng(0)
    x, y = features(rng, 40), features(rng, 30)
    plain = normalised_distance(x, y, "v1")
    assert normalised_distance(x * 5 - 3, y * 5 - 3, "v1") == pytest.approx(plain)
    constant = np.column_stack([x, np.full(40, 2.0)]), np.column_stack([y, np.full(30, 9.0)])
    assert normalised_distance(*constant, "v1") == pytest.approx(plain)
    assert normalised_distance(np.ones((4, 2)), np.ones((4, 2)), "v0") == 0
    assert as_value(np.e, "v1", 1.0) == pytest.approx(1)
    assert as_value(1e-12, "v1", 1.0) == as_value(1e-12, "v0", 1.0) == 0
    assert as_value(5.0, "v0", 1.0) == 5


def test_grey_values_are_compared_in_the_references_deviations() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(100, 10, 50), np.exp(rng.normal(3, 0.2, 50))])
    y = x * [1, 1.5]
    y[:, 0] += 20
    found = grey_shift(x, y, rng)
    assert found.brightness == pytest.approx(20 / x[:, 0].std())
    assert found.contrast == pytest.approx(1.5)
    assert found.notable
    assert "contrast ×1.5" in str(found)
    same = grey_shift(x, x[::-1], rng)
    assert (same.brightness, same.contrast_shift) == (0, 0)
    assert not same.notable
    flat = grey_shift(np.ones((5, 2)), np.ones((5, 2)), rng)
    assert not flat.notable
    assert flat.as_dict()["p_value"] == 1
