from __future__ import annotations

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.frd.distance import frd
from synth.metrics.frd.outliers import find_outliers
from tests.metrics.frd.frd_images import table

NAMES = tuple(f"glcm_{k}" for k in range(8))


def images(m: int) -> tuple[str, ...]:
    return tuple(f"{k}.png" for k in range(m))


def test_scores_are_distances_in_the_references_deviations() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 8)) * 5 + 3, rng.standard_normal((4, 8))
    found = find_outliers(x, y, NAMES, images(4))
    assert found.scores == pytest.approx(np.linalg.norm((y - x.mean(0)) / x.std(0), axis=1))
    for k in (0, 29):
        rest = np.delete(x, k, 0)
        own = np.linalg.norm((x[k] - rest.mean(0)) / rest.std(0))
        assert found.reference_scores[k] == pytest.approx(own)
    counted = [(1 + (found.reference_scores >= score).sum()) / 31 for score in found.scores]
    assert found.p_values == pytest.approx(counted)
    moved = find_outliers(x * 7 - 2, y * 7 - 2, NAMES, images(4))
    assert moved.scores == pytest.approx(found.scores)


def test_flags_as_many_fresh_images_as_it_says() -> None:
    rates, p = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = (np.exp(0.7 * rng.standard_normal((n, 8))) for n in (60, 50))
        found = find_outliers(x, y, NAMES, images(50), level=0.1)
        assert (found.flagged == (found.scores > found.threshold)).all()
        rates.append(found.flagged.mean())
        p += found.p_values.tolist()
    assert np.mean(rates) == pytest.approx(0.1, abs=0.025)
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_finds_the_odd_one_and_says_why() -> None:
    x, y = table(0, 60, name="real"), table(1, 10, name="fake")
    y.values[7, 2] -= 20
    found = frd(x, y, permutations=0, repeats=0, intervals=False).outliers()
    assert int(found.scores.argmax()) == 7
    assert found.p_values[7] == pytest.approx(1 / 61)
    assert found.reasons(7, 1)[0].startswith(f"{x.names[2]} -2")
    assert "image 7: " + x.names[2] in str(found).splitlines()[2]
    assert found.as_dict()["images"][7]["flagged"]


def test_the_set_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 8))
    assert find_outliers(x, x + 30, NAMES, images(200)).nfrd == 1
    assert find_outliers(x, np.zeros((5, 8)), NAMES, images(5)).nfrd == -1
    assert abs(find_outliers(x, rng.standard_normal((200, 8)), NAMES, images(200)).nfrd) < 0.15


def test_a_column_that_one_reference_image_makes_does_not_count_for_it() -> None:
    x = np.random.default_rng(0).standard_normal((20, 2))
    x[:, 1] = np.arange(20) == 4
    found = find_outliers(x, x[:2], NAMES[:2], images(2))
    assert np.isfinite(found.reference_scores).all()
    assert found.reference_scores[4] < 4


def test_too_few_reference_images_are_said() -> None:
    rng = np.random.default_rng(0)
    few = find_outliers(rng.standard_normal((10, 8)), np.full((1, 8), 99.0), NAMES, images(1))
    assert "19 are needed to flag at 0.05" in few.warnings[0]
    assert not few.flagged.any()
    assert few.threshold == np.inf
    enough = find_outliers(rng.standard_normal((19, 8)), np.full((1, 8), 99.0), NAMES, images(1))
    assert enough.warnings == ()
    assert enough.flagged.all()
    with pytest.raises(InputError, match="at least 3"):
        find_outliers(np.eye(2), np.eye(2), NAMES[:2], images(2))
    with pytest.raises(InputError, match="level must lie"):
        find_outliers(np.eye(4), np.eye(4), NAMES[:4], images(4), level=0)
