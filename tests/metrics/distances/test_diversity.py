from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d, gaussian_filter

from synth.core.errors import InputError
from synth.metrics.distances.diversity import (
    SCALE_WEIGHTS,
    ms_ssim,
    ms_ssim_diversity,
    ms_ssim_matrix,
    vendi_influence,
    vendi_score,
)
from synth.metrics.distances.diversity_score import ms_ssim_diversity_score, vendi_diversity_score
from tests.metrics.feature_sets import gaussian_sets


def textures(count: int, side: int = 64, seed: int = 0, contrast: float = 0.2) -> list[Any]:
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal((side, side)), 3) for _ in range(count)]
    return [np.clip(255 * (0.5 + contrast * field / field.std()), 0, 255).astype(np.uint8) for field in fields]


def by_definition(x: Any, y: Any, scales: int) -> float:
    """MS-SSIM of values 0 to 1 in float64, scale by scale."""
    window = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window /= window.sum()

    def blurred(image: Any) -> Any:
        return correlate1d(correlate1d(image, window, 0), window, 1)[5:-5, 5:-5]

    weights, product = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales]), 1.0
    for scale, weight in enumerate(weights):
        mx, my = blurred(x), blurred(y)
        vx, vy, cov = blurred(x * x) - mx**2, blurred(y * y) - my**2, blurred(x * y) - mx * my
        local = (2 * cov + 9e-4) / (vx + vy + 9e-4)
        if scale == scales - 1:
            local = local * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
        product *= max(local.mean(), 0) ** weight
        x, y = (z[: len(z) // 2 * 2, : z.shape[1] // 2 * 2] for z in (x, y))
        x, y = (z.reshape(len(z) // 2, 2, -1, 2).mean((1, 3)) for z in (x, y))
    return float(product)


@pytest.mark.parametrize(("shape", "scales"), [((176, 190), 5), ((175, 200), 4), ((45, 47), 3), ((11, 50), 1)])
def test_ms_ssim_is_the_definition(shape: tuple[int, int], scales: int) -> None:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.random(shape), 2)
    x = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    y = np.clip(x * 0.8 + 20 + 15 * rng.standard_normal(shape), 0, 255).astype(np.uint8)
    assert ms_ssim(x, y) == pytest.approx(by_definition(x / 255, y / 255, scales), abs=1e-5)


def test_ms_ssim_laws() -> None:
    x, y = textures(2)
    assert ms_ssim(x, y) == ms_ssim(y, x)
    assert ms_ssim(x, x) == pytest.approx(1, abs=1e-6)
    assert ms_ssim(x.astype(np.uint16) * 257, y.astype(np.uint16) * 257) == pytest.approx(ms_ssim(x, y), abs=1e-5)
    assert ms_ssim(x, x.astype(np.uint16) * 257) == pytest.approx(1, abs=1e-5)
    flat = np.full((32, 32), 100, np.uint8)
    assert ms_ssim(flat, flat) == pytest.approx(1, abs=1e-6)
    noisy = [
        np.clip(x + s * np.random.default_rng(0).standard_normal(x.shape), 0, 255).astype(np.uint8) for s in (5, 20, 60)
    ]
    assert sorted((ms_ssim(x, image) for image in noisy), reverse=True) == [ms_ssim(x, image) for image in noisy]


def test_matrix_is_symmetric_and_diversity_its_mean_off_the_diagonal() -> None:
    images = textures(5)
    matrix = ms_ssim_matrix(images)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert ms_ssim_diversity(images) == pytest.approx(matrix[~np.eye(5, dtype=bool)].mean())
    assert matrix[1, 3] == pytest.approx(ms_ssim(images[1], images[3]), abs=1e-7)
    assert ms_ssim_diversity([images[0]] * 3) == pytest.approx(1, abs=1e-6)


def test_a_collapsed_generator_is_seen() -> None:
    real = textures(12, seed=1)
    same = ms_ssim_diversity_score(real, textures(12, seed=2), rng=np.random.default_rng(0), permutations=99)
    collapsed = ms_ssim_diversity_score(real, real[:2] * 6, rng=np.random.default_rng(0), permutations=99)
    assert (same.p_value or 0) > 0.05
    assert (collapsed.p_value or 1) <= 0.02
    assert collapsed.value > 0.4 > (collapsed.floor or 0)
    assert (same.low or 0) <= same.value <= (same.high or 0)
    assert "3 of MS-SSIM's 5 scales" in same.warnings[0]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([np.zeros((32, 32), np.uint8)], r"1 image\(s\)"),
        ([], r"0 image\(s\)"),
        ([np.zeros((32, 32))] * 2, r"image 0: float64 .* uint8 or uint16"),
        ([np.zeros((32, 32, 3), np.uint8)] * 2, r"image 0: uint8 \(32, 32, 3\)"),
        ([np.zeros((32, 32), np.uint8), np.zeros((32, 33), np.uint8)], "image 1 is"),
        ([np.zeros((10, 32), np.uint8)] * 2, "at least 11 a side"),
    ],
)
def test_refuses_images_in_one_line(images: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ms_ssim_matrix(images)


def test_refuses_too_few_images_for_a_score() -> None:
    with pytest.raises(InputError, match=r"generated: 3 image\(s\)"):
        ms_ssim_diversity_score(textures(4), textures(3), rng=np.random.default_rng(0))


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 2.0, np.inf])
def test_vendi_counts_different_images(order: float) -> None:
    assert vendi_score(np.eye(6), order=order) == pytest.approx(6)
    assert vendi_score(np.ones((6, 3)), order=order) == pytest.approx(1)
    assert vendi_score(np.repeat(np.eye(3), 4, 0) * 7, order=order) == pytest.approx(3)
    assert vendi_score([[1.0, 2.0]], order=order) == pytest.approx(1)


def test_vendi_is_the_entropy_of_the_kernel_whichever_way_it_is_computed() -> None:
    for n, d in ((9, 20), (20, 9)):
        x = np.random.default_rng(0).standard_normal((n, d))
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        values = np.clip(np.linalg.eigvalsh(unit @ unit.T / n), 1e-300, None)
        assert vendi_score(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()))
        orders = [vendi_score(x, order=q) for q in (0, 0.5, 1, 2, np.inf)]
        assert orders == sorted(orders, reverse=True)
        assert vendi_score(x, order=1 + 1e-7) == pytest.approx(orders[2], rel=1e-6)


@given(st.integers(0, 99), st.sampled_from([(12, 5), (6, 30)]), st.sampled_from([0.5, 1.0, 2.0, np.inf]))
@settings(max_examples=25, deadline=None)
def test_vendi_influence_is_the_derivative_by_an_images_weight(seed: int, shape: tuple[int, int], order: float) -> None:
    x, _ = gaussian_sets(seed, shape[0], 1, shape[1])
    n, step = len(x), 1e-6
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    weights = np.full(n, (1 - step) / n)
    weights[0] += step
    values = np.linalg.eigvalsh((unit * weights[:, None]).T @ unit)
    values = values[values > 1e-12]
    moved = {1.0: np.exp(-(values * np.log(values)).sum()), np.inf: 1 / values.max()}.get(order)
    if moved is None:
        moved = (values**order).sum() ** (1 / (1 - order))
    influence = vendi_influence(x, order=order)
    assert influence[0] == pytest.approx((moved - vendi_score(x, order=order)) / step, rel=1e-3, abs=1e-3)
    assert influence.mean() == pytest.approx(0, abs=1e-9)


def test_vendi_interval_covers_its_mean() -> None:
    scores = []
    for seed in range(60):
        x, y = gaussian_sets(seed, 40, 40, 10)
        scores.append(vendi_diversity_score(x + 0.5, y + 0.5, rng=np.random.default_rng(seed), permutations=0))
    truth = np.mean([score.value for score in scores])
    assert sum((score.low or 0) <= truth <= (score.high or 0) for score in scores) >= 51
    assert np.mean([score.floor or 0 for score in scores]) == pytest.approx(truth, rel=0.05)


def test_vendi_sees_collapse_and_names_unequal_sizes() -> None:
    x, y = gaussian_sets(0, 40, 60, 20)
    y[10:] = y[np.arange(50) % 10]
    score = vendi_diversity_score(x, y, rng=np.random.default_rng(0), permutations=39)
    assert score.value < 0.8 * (score.floor or 0)
    assert score.p_value == 0.025
    assert "of 40 images, the score of 60" in score.warnings[0]


def test_vendi_refuses_in_one_line() -> None:
    with pytest.raises(InputError, match="row 1 is all zeros"):
        vendi_score([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(InputError, match="order = -1"):
        vendi_score(np.eye(2), order=-1)
    with pytest.raises(InputError, match="order = nan"):
        vendi_score(np.eye(2), order=np.nan)
