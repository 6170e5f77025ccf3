"""The CUDA sources, compiled for the host, against float64 brute force: their arithmetic without a GPU."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.kernels import host_cuda, reference, scenes
from tests.kernels.kernel_checks import KernelChecks, filtering_bound


@pytest.fixture(scope="module", autouse=True)
def _compiler() -> None:
    if reason := host_cuda.unavailable():
        pytest.skip(reason)


class TestHost(KernelChecks):
    """Texture weights in float32."""

    @pytest.fixture
    def kernels(self) -> Any:
        return SimpleNamespace(
            joseph=host_cuda.joseph,
            exact=host_cuda.exact,
            label_lengths=host_cuda.label_lengths,
            quantised=False,
        )


class TestHostQuantised(KernelChecks):
    """Texture weights as hardware has them."""

    @pytest.fixture
    def kernels(self) -> Any:
        return SimpleNamespace(
            joseph=functools.partial(host_cuda.joseph, quantised=True),
            exact=host_cuda.exact,
            label_lengths=host_cuda.label_lengths,
            quantised=True,
        )


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_the_bound_on_filtering_is_not_idle(dtype: str) -> None:
    volume, views = scenes.volume(1, dtype), scenes.cameras()
    axes = scenes.main_axes(views)
    image = host_cuda.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE, quantised=True)
    error = np.abs(image - reference.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE))
    assert error.max() > 0.02 * filtering_bound(volume, axes, views).max()


def test_filtering_of_a_smooth_volume() -> None:
    # What the rounding of weights costs a picture: errors of neighbouring slices average out.
    z, y, x = np.mgrid[-1:1:40j, -1:1:40j, -1:1:40j]
    volume = np.exp(-6 * (x**2 + 1.5 * y**2 + 2 * z**2))[None].astype(np.float32)
    view = np.array([[[15.0, -90.0, 22.0], [0.0, 60.0, 0.0], [2.0, 0.3, 0.0], [0.0, 0.0, 2.0]]])
    axes = np.array([1], np.int32)
    exact = host_cuda.joseph(volume, axes, view, np.eye(3), (20, 20), precise=True)
    image = host_cuda.joseph(volume, axes, view, np.eye(3), (20, 20), quantised=True)
    assert np.linalg.norm(image - exact) < 1e-4 * np.linalg.norm(exact)
