"""Normalisation, resampling and filters: SimpleITK's own, and laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK

from synth.metrics.radiomics.filters import stationary_wavelet
from synth.metrics.radiomics.preparation import Region, normalised, resampled
from synth.metrics.radiomics.settings import Settings


def region(shape: Any, spacing: Any = (1.0, 1.0, 1.0), seed: int = 0) -> Region:
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    mask[tuple(slice(size // 4, -(size // 4) or None) for size in shape)] = True
    return Region(rng.normal(0, 50, shape), mask, spacing, 3)


def itk(values: Any, spacing: Any, out: Region, first: Any, method: Any) -> Any:
    """The same grid by SimpleITK: spacing (z, y, x), first voxel in old voxels."""
    source = SimpleITK.GetImageFromArray(values)
    source.SetSpacing(spacing[::-1])
    grid = SimpleITK.ResampleImageFilter()
    grid.SetOutputSpacing(out.spacing[::-1])
    grid.SetSize(out.image.shape[::-1])
    grid.SetOutputOrigin([float(k * size) for k, size in zip(first, spacing, strict=True)][::-1])
    grid.SetInterpolator(method)
    return SimpleITK.GetArrayFromImage(grid.Execute(source))


def test_normalised_is_itks() -> None:
    image = np.random.default_rng(0).uniform(-1000, 400, (5, 9, 8))
    expected = SimpleITK.GetArrayFromImage(SimpleITK.Normalize(SimpleITK.GetImageFromArray(image)))
    np.testing.assert_allclose(normalised(image, 100.0, None), 100 * expected, rtol=1e-12, atol=1e-12)
    assert np.abs(normalised(image, 10.0, 1.5)).max() == 15.0


@pytest.mark.parametrize("method", ["bspline", "linear", "nearest"])
@pytest.mark.parametrize(("shape", "spacing"), [((24, 21, 18), (1.5, 0.8, 2.3)), ((9, 40, 33), (2.0, 1.0, 1.0))])
def test_resampled_is_itks(shape: Any, spacing: Any, method: Any) -> None:
    whole = region(shape, spacing)
    whole = Region(whole.image, np.ones(shape, bool), spacing, 3)
    out = resampled(whole, Settings(spacing=(2.0, 2.0, 2.0), interpolation=method))
    first = [0.5 * (2 - size) / size for size in spacing]
    name = {"bspline": "sitkBSpline", "linear": "sitkLinear", "nearest": "sitkNearestNeighbor"}[method]
    expected = itk(whole.image, spacing, out, first, getattr(SimpleITK, name))
    np.testing.assert_allclose(out.image, expected, atol=1e-10)
    mask = itk(whole.mask.astype(np.uint8), spacing, out, first, SimpleITK.sitkNearestNeighbor)
    assert np.array_equal(out.mask, mask > 0)


def test_resampled_keeps_the_mask_and_its_padding() -> None:
    whole = region((40, 40, 40))
    out = resampled(whole, Settings(spacing=(2.0, 2.0, 2.0), padding=3))
    assert out.mask.sum() * 8 == whole.mask.sum()
    assert out.image.shape == (18, 18, 18)  # 10 of the mask, 3 each side, and what rounding adds
    same = resampled(whole, Settings(spacing=(1.0, 0.0, 1.0), padding=3))
    assert same.image.shape == (26, 26, 26)
    assert np.array_equal(same.image, whole.image[7:33, 7:33, 7:33])
    flat = Region(whole.image, whole.mask & (np.arange(40) == 20)[:, None, None], (1.0, 1.0, 1.0), 3)
    assert resampled(flat, Settings(spacing=(2.0, 2.0, 2.0))).spacing == (1.0, 2.0, 2.0)


def test_centred_grids_interpolate_ramps() -> None:
    z, y, x = np.mgrid[:12, :15, :20].astype(float)
    ramp = Region(3 * z + 2 * y - x, np.ones(z.shape, bool), (1.0, 1.0, 1.0), 3)
    linear = Settings(interpolation="linear", mask_interpolation="linear", alignment="centre")
    out = resampled(ramp, replace(linear, spacing=(1.6, 1.6, 1.6)))
    assert out.image.shape == (8, 10, 13)
    assert out.mask.all()
    inner = out.image[1:-1, 1:-1, 1:-1]
    assert inner.mean() == pytest.approx(ramp.image.mean())
    for axis, slope in enumerate((3, 2, -1)):
        np.testing.assert_allclose(np.diff(inner, axis=axis), 1.6 * slope, atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 20), (8, 6, 10)])
def test_wavelet_bands_keep_the_energy(shape: Any) -> None:
    # An undecimated orthogonal transform holds every sample twice along each axis.
    image = np.random.default_rng(0).normal(size=shape)
    bands = stationary_wavelet(image)
    assert len(bands) == 2 ** len(shape)
    energy = sum((band**2).sum() for band in bands.values())
    assert energy == pytest.approx(2 ** len(shape) * (image**2).sum())


def test_wavelets_of_flat_images_and_ramps() -> None:
    y, x = np.mgrid[:24, :30].astype(float)
    bands = stationary_wavelet(5 + 2 * y + 3 * x)
    inner = (slice(6, -6), slice(6, -6))
    assert max(np.abs(bands[name][inner]).max() for name in ("LH", "HL", "HH")) < 1e-12
    np.testing.assert_allclose(np.diff(bands["LL"][inner], axis=1), 2 * 3)
    flat = stationary_wavelet(np.full((7, 9), 5.0))
    np.testing.assert_allclose(flat["LL"], 10)
    assert flat["LL"].shape == (7, 9)


def test_the_first_letter_is_x() -> None:
    x = np.tile([1.0, -1.0], (8, 8))  # changes along x alone
    bands = stationary_wavelet(x)
    assert np.abs(bands["HL"]).max() > 1
    assert max(np.abs(bands[name]).max() for name in ("LH", "HH", "LL")) < 1e-12


def test_wavelets_are_pywavelets() -> None:
    pywt = pytest.importorskip("pywt")
    image = np.random.default_rng(0).normal(size=(16, 12, 10))
    expected = pywt.swtn(image, "coif1", 1, axes=(2, 1, 0))[0]
    for name, band in stationary_wavelet(image).items():
        np.testing.assert_allclose(band, expected[name.replace("L", "a").replace("H", "d")], atol=1e-12)
