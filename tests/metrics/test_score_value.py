from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.score_value import Score, check_features, check_pair, overlap_warnings, same_set, size_warnings


def test_says_what_it_knows_and_nothing_else() -> None:
    bare, full = Score(1.5, n_reference=3, n_generated=4), Score(1.5, 1.0, 2.0, 0.25, 0.01, 3, 4, ("few",))
    assert str(bare) == "1.5 (3 reference, 4 generated)"
    assert str(full) == "1.5 (95 % interval 1 to 2; floor 0.25; p 0.01; 3 reference, 4 generated)"
    assert json.loads(json.dumps(full.as_dict()))["warnings"] == ["few"]
    assert float(full) == 1.5


def test_a_warning_is_said_once() -> None:
    assert Score(1.0, warnings=("a",)).with_warnings("b", "a", "b").warnings == ("a", "b")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([[1.0, np.nan], [1.0, 2.0]], r"generated: 1 of 2 rows hold NaN or infinity, first row 0 column 1"),
        ([[1.0, 2.0], [1.0, 2.0], [np.inf, 2.0]], r"1 of 3 rows .* row 2 column 0"),
        ([[1.0, 2.0]], r"generated: 1 image\(s\); this score needs at least 2"),
        (np.empty((0, 4)), r"generated: 0 image\(s\)"),
        ([1.0, 2.0], r"shape \(2,\); give an \(images, features\) array"),
        (np.empty((4, 0)), r"shape \(4, 0\)"),
        ([["a", "b"], ["c", "d"]], r"not an array of numbers"),
        ([[1.0], [1.0, 2.0]], r"not an array of numbers"),
    ],
)
def test_refuses_what_is_no_feature_set_in_one_line(features: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        check_features(features, "generated")
    assert "\n" not in str(caught.value)


def test_names_both_numbers_of_features() -> None:
    with pytest.raises(InputError, match="reference has 3 features an image, generated 4"):
        check_pair(np.zeros((5, 3)), np.zeros((5, 4)))


def test_sees_the_same_set_in_another_order_and_copies() -> None:
    x = np.random.default_rng(0).standard_normal((6, 3))
    y = np.random.default_rng(1).standard_normal((6, 3))
    assert same_set(x, x[::-1])
    assert not same_set(x, y)
    assert not same_set(np.array([[1.0], [1.0], [2.0]]), np.array([[1.0], [2.0], [2.0]]))
    assert "the same set twice" in overlap_warnings(x, x[::-1])[0]
    y[:2] = x[3]
    assert overlap_warnings(x, y)[0].startswith("2 of 6 generated images")
    assert overlap_warnings(x, y[2:]) == ()
    assert same_set(np.zeros((1, 1)), -np.zeros((1, 1)))


def test_warns_below_two_images_a_feature() -> None:
    assert size_warnings(20, 100, 10) == ()
    (note,) = size_warnings(100, 19, 10)
    assert note.startswith("19 images for 10 features")
