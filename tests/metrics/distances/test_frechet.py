from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from synth.core.errors import InputError
from synth.metrics.distances.frechet import frechet_distance, transport
from synth.metrics.distances.gaussian import GaussianStatistics
from tests.metrics.feature_sets import PEER_SETS, Features, gaussian_sets, peer_set

PEERS_MEANS = 1e-7
"""What the peers' float32 means and square root cost, relative."""


def by_definition(x: Features, y: Features) -> float:
    """Singular values of the centred product, in full."""
    a, b = ((one - one.mean(0)) / np.sqrt(len(one) - 1) for one in (x, y))
    norm = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + (a * a).sum() + (b * b).sum() - 2 * norm)


@pytest.mark.parametrize("name", PEER_SETS)
def test_equals_the_peers(name: str) -> None:
    x, y, values = peer_set(name)
    found = frechet_distance(x, y)
    assert found == pytest.approx(values["frechet_exact_float64"], rel=1e-12)
    assert found == pytest.approx(values["cleanfid_frechet_distance"], rel=PEERS_MEANS)
    assert found == pytest.approx(values["pytorch_fid_frechet_distance"], rel=PEERS_MEANS)
    assert found == pytest.approx(values["torch_fidelity_fid"], rel=PEERS_MEANS)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(5, 9, 20), (9, 5, 20), (20, 21, 20), (22, 300, 20), (60, 50, 20), (3, 200, 20)]
)
def test_every_way_gives_the_definition(n: int, m: int, d: int) -> None:
    x, y = gaussian_sets(0, n, m, d, 1.0, 1.3)
    x[:, 0] += 3
    truth = by_definition(x, y)
    one, other = GaussianStatistics.of(x), GaussianStatistics.of(y)
    assert frechet_distance(x, y) == pytest.approx(truth, rel=1e-12)
    assert frechet_distance(one, other) == pytest.approx(truth, rel=1e-9)
    assert frechet_distance(x, other) == pytest.approx(truth, rel=1e-9)
    assert frechet_distance(y, x) == pytest.approx(truth, rel=1e-12)
    assert transport(x, y).distance == pytest.approx(truth, rel=1e-7)


def test_equals_the_matrix_square_root_where_that_exists() -> None:
    x, y = gaussian_sets(1, 80, 90, 6, 0.5, 0.8)
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.asarray(linalg.sqrtm(first @ second)).real
    gap = x.mean(0) - y.mean(0)
    assert frechet_distance(x, y) == pytest.approx(gap @ gap + np.trace(first + second - 2 * root), rel=1e-10)


def test_is_known_for_one_feature() -> None:
    x, y = np.array([[0.0], [2.0]]), np.array([[5.0], [5.0], [11.0]])
    deviations = np.sqrt(2.0), np.sqrt(12.0)
    assert frechet_distance(x, y) == pytest.approx(36 + (deviations[1] - deviations[0]) ** 2)
    assert frechet_distance(x, y, ddof=0) == pytest.approx(36 + (np.sqrt(8.0) - 1) ** 2)


@given(st.integers(0, 999), st.integers(2, 30), st.integers(2, 30), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_obeys_the_laws_of_a_squared_distance(seed: int, n: int, m: int, d: int) -> None:
    x, y = gaussian_sets(seed, n, m, d, 0.7, 1.5)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    found = frechet_distance(x, y)
    assert found == pytest.approx(frechet_distance(y, x), rel=1e-7, abs=1e-7)
    assert found == pytest.approx(frechet_distance(x @ turn + 5, y @ turn + 5), rel=1e-6, abs=1e-6)
    assert 9 * found == pytest.approx(frechet_distance(3 * x, 3 * y), rel=1e-7, abs=1e-6)
    assert frechet_distance(x, x + 2) == pytest.approx(4 * d, abs=1e-6)
    assert 0 <= frechet_distance(x, x[::-1]) < 1e-6


def test_constant_features_and_constant_sets_are_no_trouble() -> None:
    x, y = gaussian_sets(2, 50, 60, 5)
    flat = np.zeros((50, 1)), np.ones((60, 1))
    assert frechet_distance(np.hstack([x, flat[0]]), np.hstack([y, flat[1]])) == pytest.approx(
        frechet_distance(x, y) + 1, rel=1e-7
    )
    assert frechet_distance(np.ones((9, 3)), np.full((7, 3), 3.0)) == pytest.approx(12)
    assert frechet_distance(np.ones((9, 3)), np.ones((9, 3))) == 0


@pytest.mark.parametrize(("n", "m", "d"), [(12, 15, 30), (15, 12, 30), (40, 50, 6)])
def test_influence_is_the_derivative_by_an_images_weight(n: int, m: int, d: int) -> None:
    x, y = gaussian_sets(3, n, m, d, 1.0, 1.4)
    parts, step = transport(x, y), 1e-5

    def weighted(at: int) -> float:
        """The distance with more weight on one reference image."""
        weights = np.full(n, (1 - step) / n)
        weights[at] += step
        mean = weights @ x
        a = np.sqrt(weights * n / (n - 1))[:, None] * (x - mean)
        b = (y - y.mean(0)) / np.sqrt(m - 1)
        norm = np.linalg.svd(a @ b.T, compute_uv=False).sum()
        return float(((mean - y.mean(0)) ** 2).sum() + (a * a).sum() + (b * b).sum() - 2 * norm)

    for at in (0, 5):
        slope = (weighted(at) - parts.distance) / step
        assert parts.influence_reference[at] == pytest.approx(slope, rel=2e-3, abs=2e-3)
    assert parts.influence_reference.mean() == pytest.approx(0, abs=1e-9)
    assert parts.pull_reference.sum() / (n - 1) == pytest.approx(parts.nuclear)
    assert parts.pull_generated.sum() / (m - 1) == pytest.approx(parts.nuclear, rel=1e-6)
    mirrored = transport(y, x)
    np.testing.assert_allclose(mirrored.influence_generated, parts.influence_reference, atol=1e-6)


def test_refuses_in_one_line() -> None:
    x, y = gaussian_sets(4, 5, 6, 3)
    with pytest.raises(InputError, match="reference has 3 features an image, generated 2"):
        frechet_distance(x, y[:, :2])
    with pytest.raises(InputError, match="reference has 3 features an image, generated 2"):
        frechet_distance(x, GaussianStatistics.of(y[:, :2]))
    with pytest.raises(InputError, match=r"1 image\(s\)"):
        frechet_distance(x, y[:1])
    with pytest.raises(InputError, match=r"1 image\(s\)"):
        frechet_distance(x, GaussianStatistics.of(y[:1]))
    with pytest.raises(InputError, match="generated features: 1 of 6 rows hold NaN"):
        frechet_distance(x, np.where(np.arange(6)[:, None] == 2, np.nan, y))
