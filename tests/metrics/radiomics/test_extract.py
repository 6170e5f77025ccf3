"""Extraction: names and their order, laws that features obey, degenerate regions, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.core.errors import InputError
from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.levels import discretised
from synth.metrics.radiomics.settings import FEATURES, Settings, column_names, frd_settings, image_names, split_name

ALL = Settings(filters=("original", "wavelet", "log"), sigmas=(1.5,), bin_width=5)
CLASSES = ("firstorder", "glcm", "glrlm", "gldm", "glszm", "ngtdm")
TEXTURE = tuple(f"{kind}_{name}" for kind in CLASSES for name in FEATURES[kind])


def scene(shape: Any, seed: int = 0) -> tuple[Any, Any]:
    """A smooth image from 0 to 200 and an irregular mask."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    image = 200 * (image - image.min()) / np.ptp(image)
    return image, ndimage.gaussian_filter(rng.normal(size=shape), 2) > 0


@pytest.mark.parametrize("shape", [(40, 33), (14, 17, 12)])
def test_columns_are_complete_and_in_order(shape: Any) -> None:
    found = extract(*scene(shape), ALL)
    assert tuple(found) == column_names(ALL, len(shape))
    assert all(map(math.isfinite, found.values()))
    images = image_names(ALL, len(shape))
    assert {split_name(name)[0] for name in found} == set(images)
    assert len(images) == 2 ** len(shape) + 2
    if len(shape) == 2:
        assert images == ("original", "wavelet-LH", "wavelet-HL", "wavelet-HH", "wavelet-LL", "log-sigma-1-5-mm-3D")
    else:
        bands = ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL")
        assert images[1:9] == tuple(f"wavelet-{band}" for band in bands)


def test_frd_columns() -> None:
    sizes = {("v0", 2): 102, ("v0", 3): 107, ("v1", 2): 13 + 77 * 5, ("v1", 3): 13 + 77 * 13}
    for (version, dimension), size in sizes.items():
        assert len(set(column_names(frd_settings(version, dimension), dimension))) == size  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"version, dimension: .* 'v2', 2"):
        frd_settings("v2", 2)  # type: ignore[arg-type]


def test_split_names() -> None:
    assert split_name("glcm_Idn") == ("original", "glcm", "Idn")
    filtered = ("log-sigma-2-0-mm-3D", "firstorder", "10Percentile")
    assert split_name("_".join(filtered)) == filtered
    assert split_name("diagnostics_Image-original_Mean") == ("original", "diagnostics", "Image-original_Mean")


def test_some_features_alone_are_the_same() -> None:
    image, mask = scene((40, 33))
    wanted = ("glszm_ZoneEntropy", "shape2D_Perimeter", "glcm_MCC", "firstorder_Mean")
    found, whole = extract(image, mask, Settings(features=wanted)), extract(image, mask)
    assert list(found) == ["shape2D_Perimeter", "glszm_ZoneEntropy", "glcm_MCC", "firstorder_Mean"]
    assert found == {name: whole[name] for name in found}


@given(st.integers(0, 3), st.booleans(), st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_turned_and_mirrored_images_have_the_same_features(turns: int, mirrored: bool, seed: int) -> None:
    image, mask = scene((19, 24), seed)
    mask[5, 4:9] = True
    turned = [np.rot90(array[::-1] if mirrored else array, turns) for array in (image, mask)]
    assert extract(*turned) == pytest.approx(extract(image, mask), rel=1e-9, abs=1e-9)


def test_a_volume_with_its_axes_swapped() -> None:
    image, mask = scene((9, 12, 11))
    plain = extract(image, mask, spacing=(1.0, 1.5, 2.0))
    turned = extract(image.transpose(2, 0, 1), mask.transpose(2, 0, 1), spacing=(1.5, 2.0, 1.0))
    diameters = [f"shape_Maximum2DDiameter{name}" for name in ("Row", "Slice", "Column")]
    assert sorted(plain[name] for name in diameters) == pytest.approx(sorted(turned[name] for name in diameters))
    same = [name for name in plain if name not in diameters]
    assert {name: turned[name] for name in same} == pytest.approx({name: plain[name] for name in same}, rel=1e-9)


def test_texture_does_not_see_values_move_by_whole_bins() -> None:
    image, mask = scene((40, 33))
    textures = Settings(features=tuple(name for name in TEXTURE if not name.startswith("firstorder")), bin_width=10)
    assert extract(image + 70, mask, textures) == pytest.approx(extract(image, mask, textures), rel=1e-12)
    counts = replace(textures, bin_count=16)
    assert extract(7 * image - 3, mask, counts) == pytest.approx(extract(image, mask, counts), rel=1e-12)


def test_what_lies_outside_the_mask_does_not_count() -> None:
    image, mask = scene((14, 17, 12))
    other = np.where(mask, image, 1e4)
    assert extract(other, mask) == extract(image, mask)


def test_a_slice_is_a_picture() -> None:
    image, mask = scene((40, 33))
    flat = Settings(features=TEXTURE)
    assert extract(image[None], mask[None], flat, (1, 1, 1)) == pytest.approx(extract(image, mask, flat), rel=1e-12)


def test_a_checkerboard() -> None:
    image = 25.0 * (np.indices((8, 8)).sum(0) % 2)
    found = extract(image)
    assert found["firstorder_Entropy"] == pytest.approx(1)
    assert found["glszm_ZonePercentage"] == 2 / 64
    # Along rows and columns neighbours differ always, along diagonals never.
    diagonals = np.mean([1.0 / (8 - abs(k)) ** 2 for k in range(-7, 8)])
    assert found["glrlm_ShortRunEmphasis"] == pytest.approx((1 + diagonals) / 2)
    assert found["glcm_Contrast"] == pytest.approx(0.5)
    assert found["glcm_Correlation"] == pytest.approx(0, abs=1e-12)
    assert found["glcm_MCC"] == pytest.approx(1)
    assert found["glcm_Imc2"] == pytest.approx(np.sqrt(1 - np.exp(-2)), rel=1e-4)


def test_a_constant_region_as_pyradiomics_defines_it() -> None:
    image = np.full((9, 9), 80.0)
    found = extract(image)
    expected = {
        "firstorder_Entropy": 0, "firstorder_Kurtosis": 0, "firstorder_Skewness": 0, "firstorder_Uniformity": 1,
        "glcm_Correlation": 1, "glcm_MCC": 1, "glcm_Imc1": 0, "glcm_Imc2": 0, "glcm_JointEnergy": 1,
        "glcm_Contrast": 0, "ngtdm_Coarseness": 1e6, "ngtdm_Contrast": 0, "ngtdm_Busyness": 0, "ngtdm_Strength": 0,
        "ngtdm_Complexity": 0, "glszm_ZonePercentage": 1 / 81, "glrlm_GrayLevelNonUniformityNormalized": 1,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert all(map(math.isfinite, found.values()))


def test_voxels_without_neighbours_have_no_pairs() -> None:
    image, mask = np.arange(81.0).reshape(9, 9), np.zeros((9, 9), bool)
    mask[::2, ::3] = True
    found = extract(image, mask)
    assert all(math.isnan(found[f"glcm_{name}"]) for name in FEATURES["glcm"])
    # Rows and columns hold several voxels, and so their runs count.
    assert found["glrlm_ShortRunEmphasis"] == 1
    assert found["glszm_ZonePercentage"] == 1
    assert found["ngtdm_Coarseness"] == 1e6


def test_two_voxels_in_no_line() -> None:
    mask = np.zeros((9, 9), bool)
    mask[0, 0] = mask[8, 3] = True
    found = extract(np.zeros((9, 9)), mask)
    assert all(math.isnan(found[f"{kind}_{name}"]) for kind in ("glcm", "glrlm") for name in FEATURES[kind])
    assert found["gldm_SmallDependenceEmphasis"] == 1


def test_rounding_noise_picks_no_level() -> None:
    rng = np.random.default_rng(0)
    values = np.array([0.0, 5.0, 10.0, 7.0])[rng.integers(0, 4, 500)]
    ranks, grey = discretised(values + rng.normal(0, 1e-13, 500), Settings(bin_width=5))
    assert np.array_equal(ranks, np.searchsorted([5, 10], values, "right") + 1)
    assert grey.tolist() == [1, 2, 3]
    ranks, grey = discretised(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), Settings(bin_count=4))
    assert ranks.tolist() == [1, 2, 3, 4, 4]
    assert discretised(np.full(3, 7.0), Settings(bin_count=32))[1].tolist() == [17]


def test_level_one_may_be_told() -> None:
    values = np.array([60.0, 110.0, 84.9])
    assert discretised(values, Settings())[1].tolist() == [1, 2, 3]
    assert discretised(values, Settings(bin_origin=0.0))[1].tolist() == [3, 4, 5]
    with pytest.raises(InputError, match="bin_origin: 70 is above"):
        discretised(values, Settings(bin_origin=70.0))


def test_resegmentation_keeps_shape() -> None:
    image, mask = scene((40, 33))
    kept = extract(image, mask, Settings(resegment=(50, 120)))
    assert kept["firstorder_Minimum"] >= 50
    assert kept["firstorder_Maximum"] <= 120
    assert kept["shape2D_PixelSurface"] == mask.sum()
    inside = extract(image, mask & (image >= 50) & (image <= 120))
    textures = [name for name in kept if not name.startswith("shape")]
    assert {name: kept[name] for name in textures} == {name: inside[name] for name in textures}
    few = extract(image, mask, Settings(outliers=1.0))
    values = image[mask]
    assert few["firstorder_Maximum"] == values[values <= values.mean() + values.std()].max()


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros(5), {}, r"image: expected a picture .* shape \(5,\)"),
        (np.zeros((0, 5)), {}, "image: expected a picture"),
        (np.zeros((5, 5), complex), {}, "image: expected real numbers, got complex128"),
        (np.full((5, 5), np.nan), {}, "image: it holds NaN"),
        (np.ones((5, 5)), {"settings": Settings(normalise=True)}, "image: it is constant"),
        (np.ones((5, 5)), {"mask": np.zeros((5, 5))}, "mask: it holds no voxel"),
        (np.ones((5, 5)), {"mask": np.eye(5)[:4]}, r"mask: its shape \(4, 5\) is not the image's, \(5, 5\)"),
        (np.ones((5, 5)), {"mask": np.diag([1, 0, 0, 0, 0])}, "mask: it is a single voxel"),
        (np.ones((5, 5)), {"mask": np.eye(5)[[0] * 5]}, "mask: it is a line"),
        (np.ones((5, 5)), {"spacing": (1, 0)}, "spacing: expected 2 numbers above 0"),
        (np.ones((5, 5)), {"spacing": (1, 1, 1)}, "spacing: expected 2 numbers above 0"),
        (np.ones((5, 5)), {"settings": Settings(spacing=(1, 1, 1))}, "spacing: expected 2 numbers for a 2D image"),
        (np.ones((5, 5)), {"settings": Settings(features=("shape_Flatness",))}, "shape_Flatness is not of 2D images"),
        (np.ones((3, 9)), {"settings": Settings(filters=("log",), sigmas=(2,))}, "Laplacian of Gaussian of 2 mm needs"),
        (np.arange(25.0).reshape(5, 5), {"settings": Settings(resegment=(50, 60))}, "resegment: no voxel"),
        (1e9 * np.eye(5), {}, "bin_width: 25 cuts 0 … 1e[+]09 into over 65535 levels"),
        (np.arange(90000.0).reshape(300, 300), {"settings": Settings(bin_width=2)}, "45000 grey levels are too many"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(image: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        extract(image, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ("glcm_Contrasts",)}, "features: 'glcm_Contrasts' is unknown"),
        ({"filters": ("square",)}, "filters: 'square' is unknown; give one of log, original, wavelet"),
        ({"bin_width": 0}, "bin_width"),
        ({"sigmas": (2.0,)}, "sigmas: expected widths above 0 where filters has 'log'"),
        ({"filters": ("log",)}, "sigmas"),
        ({"spacing": (-1.0, 1.0)}, "spacing"),
        ({"padding": -1}, "padding"),
        ({"clip": 0.0}, "clip"),
        ({"resegment": (3, 2)}, "resegment: expected"),
        ({"outliers": 0.0}, "outliers"),
        ({"interpolation": "sinc"}, "interpolation: 'sinc'"),
        ({"mask_interpolation": "cubic"}, "mask_interpolation: 'cubic'"),
        ({"alignment": "left"}, "alignment: 'left'"),
    ],
)
def test_bad_settings_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings(**options)


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=60))
@settings(deadline=None, max_examples=50)
def test_percentiles_are_numpys(values: list[float]) -> None:
    image = np.resize(values, (2, len(values)))
    found = extract(image, None, Settings(features=TEXTURE[:18], bin_count=8))
    names = ("10Percentile", "Median", "90Percentile")
    assert [found[f"firstorder_{name}"] for name in names] == np.percentile(image, (10, 50, 90)).tolist()
