from __future__ import annotations

import numpy as np
import pytest

from synth.metrics.readers.scores import Layout, probabilities

LAYOUT = Layout((("Edema", "right"), ("Edema", "left"), ("Hernia", None)), ("18-39", "40-59", "60-79"))
TOLD = (np.array([[2.0, -1.0, 0.5], [-3.0, 4.0, -2.0]]), np.array([1.5, -0.5]), np.arange(6.0).reshape(2, 3))


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def chances(attribute: str, *values: str) -> np.ndarray:
    return probabilities(LAYOUT.scores(attribute, values, TOLD), 1.0, [0.0] * len(values))


def test_two_values_are_the_logistic_function_of_their_log_odds() -> None:
    assert chances("sex", "F", "M")[:, 1] == pytest.approx([sigmoid(1.5), sigmoid(-0.5)])
    assert chances("sex", "M", "F")[:, 0] == pytest.approx([sigmoid(1.5), sigmoid(-0.5)])
    assert chances("finding:Hernia", "no", "yes")[:, 1] == pytest.approx([sigmoid(0.5), sigmoid(-2.0)])


def test_a_finding_has_the_odds_of_both_sides_together() -> None:
    odds = np.exp(2.0) + np.exp(-1.0)
    assert chances("finding:Edema", "no", "yes")[0, 1] == pytest.approx(odds / (1 + odds))


def test_sides_are_those_of_independent_signs_of_which_one_is_there() -> None:
    right, left = sigmoid(2.0), sigmoid(-1.0)
    joint = np.array([right * (1 - left), left * (1 - right), right * left])
    assert chances("side:Edema", "right", "left", "bilateral")[0] == pytest.approx(joint / joint.sum())


def test_age_groups_keep_the_order_that_is_asked_for() -> None:
    raw = LAYOUT.scores("age_group", ("60-79", "18-39"), TOLD)
    np.testing.assert_array_equal(raw, [[2, 0], [5, 3]])


def test_scale_and_offsets() -> None:
    found = probabilities(np.array([[0.0, 2.0]]), 0.5, [0.0, np.log(3)])
    assert found[0, 1] == pytest.approx(3 * np.e / (1 + 3 * np.e))
    assert probabilities(np.array([[0.0, 5000.0]]), 1.0, [0.0, 0.0])[0].tolist() == [0, 1]


def test_a_finding_that_is_not_told_is_an_error() -> None:
    with pytest.raises(KeyError):
        LAYOUT.scores("finding:Pneumonia", ("no", "yes"), TOLD)
