"""Windows, shutters and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.presentation import Collimation, Processing, Window, present, process

if TYPE_CHECKING:
    from numpy.typing import NDArray

RAMP = np.linspace(0, 4, 60, dtype=np.float32).reshape(6, 10)


def test_a_window_maps_low_to_black_and_high_to_white() -> None:
    values = np.array([[0, 1, 1.5, 2, 3, 9]], np.float32)
    picture, window = present(values, Window(1, 3))
    assert picture.dtype == np.uint16
    assert window == Window(1, 3)
    np.testing.assert_array_equal(picture, [[0, 0, 16384, 32768, 65535, 65535]])


def test_brighter_is_more_attenuation_over_all_16_bits() -> None:
    picture, window = present(RAMP)
    assert picture.min() == 0
    assert picture.max() == 65535
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()
    met = RAMP[RAMP > 0.05]
    assert (window.low, window.high) == pytest.approx(tuple(np.percentile(met, (2, 99.7))))


def test_beam_that_met_nothing_does_not_decide_the_window() -> None:
    half = np.where(np.arange(10) < 8, 0, RAMP + 1).astype(np.float32)
    assert present(half)[1] == present(np.ascontiguousarray(half[:, 8:]))[1]


@pytest.mark.parametrize("value", [0.0, 0.3, 2.0, 40.0])
def test_a_constant_image(value: float) -> None:
    picture, window = present(np.full((4, 5), value, np.float32))
    assert len(np.unique(picture)) == 1
    assert window.low < window.high


def test_a_field_is_black_outside_and_alone_decides_the_window() -> None:
    field = np.zeros(RAMP.shape, bool)
    field[2:4, 3:8] = True
    picture, window = present(RAMP, field=field)
    assert not picture[~field].any()
    assert window == present(np.ascontiguousarray(RAMP[2:4, 3:8]))[1]
    assert picture[field].max() == 65535


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_windows_that_are_none(ends: Any) -> None:
    with pytest.raises(InputError, match="window must be two finite numbers, low < high"):
        Window(*ends)


def test_blades_cover_millimetres_of_each_side() -> None:
    field = Collimation(left=2, right=4, top=3, bottom=0).open_field((5, 8), (3.0, 2.0))
    expected = np.zeros((5, 8), bool)
    expected[1:, 1:6] = True
    np.testing.assert_array_equal(field, expected)
    assert Collimation().open_field((5, 8), (3.0, 2.0)).all()


def test_a_pixel_is_open_where_its_middle_is() -> None:
    assert Collimation(left=0.9).open_field((1, 4), (2.0, 2.0)).tolist() == [[True] * 4]
    assert Collimation(left=1.1).open_field((1, 4), (2.0, 2.0)).tolist() == [[False, True, True, True]]


def test_blades_that_cover_everything_or_less_than_nothing() -> None:
    with pytest.raises(InputError, match="cover the whole 16×15 mm detector"):
        Collimation(left=9, right=8).open_field((5, 8), (3.0, 2.0))
    with pytest.raises(InputError, match="not negative"):
        Collimation(top=-1).open_field((5, 8), (3.0, 2.0))


# From a raw image.

SHADOW = np.ones((50, 60), bool)
SLOPE = np.linspace(1, 4, 3000, dtype=np.float32).reshape(50, 60)


def plain(**more: Any) -> Processing:
    return Processing(**{"curve": "linear", "contrast": 0.0, "percentiles": (0.0, 100.0)} | more)


def test_percentiles_behind_the_body_are_black_and_white() -> None:
    shadow = SLOPE > 2
    picture = process(SLOPE, shadow, plain(percentiles=(10.0, 90.0)), pitch_mm=1.0)
    low, high = np.percentile(SLOPE[shadow], (10, 90))
    assert picture.dtype == np.uint16
    expected = np.clip((SLOPE - low) / (high - low), 0, 1) * 65535
    np.testing.assert_allclose(picture, expected, atol=1)
    assert not picture[SLOPE < low].any()
    assert (picture[SLOPE > high] == 65535).all()


def test_the_sigmoid_has_a_tenth_and_nine_tenths_there() -> None:
    window = Window(1.5, 3.5)
    values = np.array([[-50, 1.5, 2.5, 3.5, 50]], np.float32)
    every = np.ones(values.shape, bool)
    picture = process(values, every, plain(curve="sigmoid"), pitch_mm=1.0, window=window)
    np.testing.assert_allclose(picture / 65535, [[0, 0.1, 0.5, 0.9, 1]], atol=2e-5)
    # DICOM PS3.3 C.11.2.1.3.1: 1/(1 + exp(−4·(x − centre)/width)), of a width of 2·(high − low)/ln 9.
    width = 2 * 2 / np.log(9)
    dicom = 1 / (1 + np.exp(-4 * (SLOPE - 2.5) / width))
    ours = process(SLOPE, SHADOW, plain(curve="sigmoid"), pitch_mm=1.0, window=window)
    np.testing.assert_allclose(ours / 65535, dicom, atol=2e-5)


@pytest.mark.parametrize("curve", ["linear", "sigmoid"])
def test_gamma_is_a_power_and_above_one_darkens(curve: str) -> None:
    straight = process(SLOPE, SHADOW, plain(curve=curve), pitch_mm=1.0) / 65535
    dark, light = (process(SLOPE, SHADOW, plain(curve=curve, gamma=g), pitch_mm=1.0) / 65535 for g in (2.0, 0.5))
    np.testing.assert_allclose(dark, straight**2, atol=3e-5)
    np.testing.assert_allclose(light**2, straight, atol=3e-5)
    assert dark.mean() < straight.mean() < light.mean()


def test_the_window_decides_instead_of_the_percentiles() -> None:
    picture = process(SLOPE, SHADOW, plain(), pitch_mm=1.0, window=Window(2, 3))
    np.testing.assert_array_equal(picture, present(SLOPE, Window(2, 3))[0])


def test_no_contrast_leaves_the_image() -> None:
    rough = SLOPE + np.random.default_rng(1).normal(0, 0.2, SLOPE.shape).astype(np.float32)
    before = rough.copy()
    picture = process(rough, SHADOW, plain(), pitch_mm=1.0)
    expected, _ = present(rough, Window(float(rough.min()), float(rough.max())))
    np.testing.assert_allclose(picture, expected.astype(float), atol=1)
    process(rough, SHADOW, Processing(contrast=1.0, gamma=2.0), pitch_mm=1.0)
    np.testing.assert_array_equal(rough, before)


def test_a_field_is_black_outside_whatever_the_curve() -> None:
    field = np.zeros(SLOPE.shape, bool)
    field[20:40, 10:50] = True
    for curve in ("linear", "sigmoid"):
        picture = process(SLOPE, SHADOW, plain(curve=curve), pitch_mm=1.0, field=field)
        assert not picture[~field].any()
        inside = process(SLOPE[20:40, 10:50].copy(), SHADOW[20:40, 10:50], plain(curve=curve), pitch_mm=1.0)
        np.testing.assert_array_equal(picture[20:40, 10:50], inside)


@pytest.mark.parametrize("processing", [Processing(), plain(), Processing(contrast=1.0)])
def test_an_image_without_a_body_or_without_any_contrast(processing: Processing) -> None:
    empty = process(np.zeros((40, 50), np.float32), np.zeros((40, 50), bool), processing, pitch_mm=1.0)
    assert len(np.unique(empty)) == 1
    assert empty[0, 0] < 0.2 * 65535
    flat = process(np.full((40, 50), 2.5, np.float32), np.ones((40, 50), bool), processing, pitch_mm=1.0)
    assert len(np.unique(flat)) == 1


def body(pitch: float) -> NDArray[np.float32]:
    """−ln of a field of 240 × 300 mm: a wide hump, with waves of 6 mm on it."""
    v, u = (np.arange(round(n / pitch)) + 0.5 for n in (240, 300))
    x, y = np.meshgrid(u * pitch - 150, v * pitch - 120)
    return (2 + 2 * np.exp(-(x**2 + y**2) / 60**2) + 0.1 * np.sin(2 * np.pi * x / 6)).astype(np.float32)


def unwindowed(image: NDArray[np.float32], contrast: float, pitch: float) -> NDArray[np.float64]:
    picture = process(image, np.ones(image.shape, bool), plain(contrast=contrast), pitch_mm=pitch, window=Window(0, 8))
    return picture / 65535 * 8


def test_contrast_lowers_what_is_wide_and_raises_what_is_fine() -> None:
    image = body(1.0)
    flat = image - np.float32(0.1) * np.sin(2 * np.pi * (np.arange(300) - 149.5) / 6).astype(np.float32)
    ranges, waves = [], []
    for strength in (0.0, 0.5, 1.0):
        smooth = unwindowed(flat, strength, 1.0)
        ranges.append(float(smooth[120, 150] - smooth[5, 5]))
        waves.append(float((unwindowed(image, strength, 1.0) - smooth)[20:-20, 20:-20].std()))
    assert ranges[0] > 1.1 * ranges[1] > 1.2 * ranges[2] > 1.0
    assert waves[1] > 1.3 * waves[0]
    assert waves[2] - waves[1] == pytest.approx(waves[1] - waves[0], rel=0.02)
    assert waves[2] < 2.6 * waves[0]  # the detail and its one and a half


def test_contrast_is_of_millimetres_not_of_pixels() -> None:
    coarse, fine = (unwindowed(body(pitch), 0.8, pitch) for pitch in (1.0, 0.5))
    averaged = fine.reshape(240, 2, 300, 2).mean((1, 3))
    inner = (slice(20, -20), slice(20, -20))
    assert np.sqrt(np.mean((averaged - coarse)[inner] ** 2)) < 0.03
    plainly = body(1.0)
    assert np.sqrt(np.mean((coarse - plainly)[inner] ** 2)) > 0.15  # of what it does


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (7, 300)])
def test_small_pictures(shape: tuple[int, int]) -> None:
    image = np.linspace(1, 2, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    picture = process(image, np.ones(shape, bool), Processing(), pitch_mm=0.5)
    assert picture.shape == shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curve": "gamma"}, "curve must be sigmoid or linear, got 'gamma'"),
        ({"percentiles": (50.0, 50.0)}, "percentiles must be two numbers, 0 ≤ low < high ≤ 100"),
        ({"percentiles": (-1.0, 50.0)}, "percentiles must be two numbers"),
        ({"percentiles": (1.0, 2.0, 3.0)}, "percentiles must be two numbers"),
        ({"contrast": 1.01}, "contrast must be 0 to 1 and gamma 0.1 to 10; got 1.01, 1.0"),
        ({"gamma": 0.0}, "contrast must be 0 to 1 and gamma 0.1 to 10"),
    ],
)
def test_processing_that_is_none(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Processing(**change)
