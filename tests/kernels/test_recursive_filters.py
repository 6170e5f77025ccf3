"""Recursive filters: the Laplacian of Gaussian of ITK to its rounding, splines through their values, an eigenvalue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage

from synth.kernels.eigenvalue import largest_eigenvalue
from synth.kernels.recursive_gaussian import laplacian_of_gaussian
from synth.kernels.spline import spline_coefficients


def itk(image: Any, sigma: float, spacing: Any) -> Any:
    source = SimpleITK.GetImageFromArray(image)
    source.SetSpacing(spacing[::-1])
    log = SimpleITK.LaplacianRecursiveGaussianImageFilter()
    log.SetNormalizeAcrossScale(True)
    log.SetSigma(sigma)
    return SimpleITK.GetArrayFromImage(log.Execute(source))


@pytest.mark.parametrize("sigma", [0.7, 2.0, 5.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((9, 13, 11), (2.5, 1.5, 1.0)), ((4, 5, 30), (2.0, 2.0, 2.0)), ((17, 12), (0.7, 1.3))],
)
def test_laplacian_of_gaussian_is_itks(shape: Any, spacing: Any, dtype: str, sigma: float) -> None:
    image = np.random.default_rng(0).normal(0, 100, shape).astype(dtype)
    ours, theirs = laplacian_of_gaussian(image, sigma, spacing), itk(image, sigma, spacing)
    assert ours.dtype == theirs.dtype
    assert np.abs(ours - theirs).max() <= 2e-7 * np.abs(theirs).max()
    assert (ours != theirs).mean() < 0.02  # float32 rounds away what the coefficients differ by


def test_laplacian_of_gaussian_is_one() -> None:
    # Of a wide Gaussian blob: the variances add up, and so its Laplacian is known.
    z, y, x = np.mgrid[-30:31, -30:31, -30:31].astype(float)
    square, blob, sigma = x * x + y * y + z * z, 36.0, 3.0
    image = np.exp(-square / 2 / blob) / (2 * np.pi * blob) ** 1.5
    total = blob + sigma**2
    smooth = np.exp(-square / 2 / total) / (2 * np.pi * total) ** 1.5
    expected = sigma**2 * smooth * (square / total**2 - 3 / total)
    found = laplacian_of_gaussian(image, sigma, (1.0, 1.0, 1.0))
    assert np.abs(found - expected).max() < 0.012 * np.abs(expected).max()  # what four coefficients can


def test_laplacian_of_gaussian_wants_four_voxels() -> None:
    with pytest.raises(ValueError, match="at least 4 voxels"):
        laplacian_of_gaussian(np.zeros((3, 8)), 1.0, (1.0, 1.0))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("length", [2, 3, 9, 17, 18, 19, 20, 60])
def test_splines_go_through_their_values(length: int, axis: int) -> None:
    shape = [3, 4, 2]
    shape[axis] = length
    values = np.random.default_rng(0).normal(size=shape)
    found = spline_coefficients(values, axis)
    mirrored = ndimage.correlate1d(found, [1 / 6, 4 / 6, 1 / 6], axis, mode="mirror")
    np.testing.assert_allclose(mirrored, values, atol=3e-10)


def test_splines_of_one_voxel() -> None:
    values = np.ones((1, 3))
    assert np.array_equal(spline_coefficients(values, 0), values)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("sign", [1, -1])
def test_largest_eigenvalue(n: int, sign: int) -> None:
    a = np.random.default_rng(n).normal(size=(n, n))
    symmetric = sign * (a + a.T + 3 * np.eye(n))
    assert largest_eigenvalue(symmetric) == pytest.approx(np.abs(np.linalg.eigvalsh(symmetric)).max(), rel=1e-13)


@pytest.mark.parametrize("diagonal", [(0.0, 0.0, 0.0), (2.0, -5.0, 1.0), (1.0, 1.0, 1.0, 1.0)])
def test_largest_eigenvalue_of_diagonals(diagonal: Any) -> None:
    assert largest_eigenvalue(np.diag(diagonal)) == pytest.approx(np.abs(diagonal).max(), abs=1e-15)
