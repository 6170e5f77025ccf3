"""The comparisons that every way of running the CUDA kernels must pass, against float64 brute force.

A test module derives a class from `KernelChecks` and supplies the fixture `kernels`: an object with the functions
of `synth.kernels._cuda` on numpy arrays, and `quantised`, whether linear filtering rounds its weights.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tests.kernels import reference, scenes

ROUNDING = 5e-6
"""Of the largest value of a view: float32 sample positions, samples and sums."""

OUTPUT = 2e-7
"""Of the largest value of a view: exact in double, rounded once to float32."""


class KernelChecks:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("dtype", ["float32", "uint16"])
    def test_joseph_precise(self, kernels: Any, channels: int, dtype: str) -> None:
        views, axes = scenes.cameras(), scenes.main_axes(scenes.cameras())
        volume = scenes.volume(channels, dtype)
        image = kernels.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE, precise=True)
        assert_close(image, _joseph(dtype)[:, :channels], ROUNDING)

    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("dtype", ["float32", "uint16"])
    def test_joseph(self, kernels: Any, channels: int, dtype: str) -> None:
        views, axes = scenes.cameras(), scenes.main_axes(scenes.cameras())
        volume = scenes.volume(channels, dtype)
        image = kernels.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE)
        expected = _joseph(dtype)[:, :channels]
        if not kernels.quantised:
            assert_close(image, expected, ROUNDING)
            return
        bound = filtering_bound(volume, axes, views) + ROUNDING * largest(expected)
        assert np.all(np.abs(image - expected) <= bound)

    @pytest.mark.parametrize("turn", [1, 2])
    def test_joseph_along_another_axis(self, kernels: Any, turn: int) -> None:
        # Rays far from the slicing axis take long strides in the slice; some lie in a slice and cross none.
        views = scenes.cameras()
        axes = (scenes.main_axes(views) + turn).astype(np.int32) % 3
        volume = scenes.volume(2)
        image = kernels.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE, precise=True)
        expected = reference.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE)
        np.testing.assert_allclose(image, expected, rtol=2e-4, atol=1e-4)

    def test_joseph_far_source_and_long_volume(self, kernels: Any) -> None:
        volume = np.random.default_rng(0).normal(size=(1, 3, 700, 4)).astype(np.float32)
        views = np.array([[[1.6, -9000.0, 1.1], [-2.0, 900.0, -1.0], [0.8, 0.0, 0.0], [0.0, 0.0, 0.6]]])
        axes = np.array([1], np.int32)
        image = kernels.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE, precise=True)
        assert_close(image, reference.joseph(volume, axes, views, scenes.METRIC, scenes.SHAPE), ROUNDING)

    @pytest.mark.parametrize("channels", [1, 3, 4, 6])
    @pytest.mark.parametrize("dtype", ["float32", "uint16"])
    @pytest.mark.parametrize("model", ["box", "trilinear"])
    def test_exact(self, kernels: Any, model: str, dtype: str, channels: int) -> None:
        image = kernels.exact(scenes.volume(channels, dtype), scenes.cameras(), scenes.METRIC, scenes.SHAPE, model)
        assert_close(image, _exact(model, dtype)[:, :channels], OUTPUT)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_label_lengths(self, kernels: Any, dtype: str) -> None:
        labels = scenes.labels(6, dtype)
        image = kernels.label_lengths(labels, scenes.cameras(), scenes.METRIC, scenes.SHAPE, 4)
        expected = reference.label_lengths(labels, scenes.cameras(), scenes.METRIC, scenes.SHAPE, 4)
        assert not image[:, 0].any()
        assert_close(image, expected, OUTPUT)

    def test_labels_above_255_and_from_n_labels_on(self, kernels: Any) -> None:
        labels = scenes.labels(2, np.uint16) * np.uint16(300)
        few, many = (
            kernels.label_lengths(labels, scenes.cameras(), scenes.METRIC, scenes.SHAPE, n) for n in (300, 301)
        )
        assert not few.any()
        expected = reference.siddon((labels == 300)[None], scenes.cameras(), scenes.METRIC, scenes.SHAPE)
        assert_close(many[:, 300:], expected, OUTPUT)

    def test_lengths_are_lengths(self, kernels: Any) -> None:
        # Straight through a box of one label or value: its thickness, whatever the source's distance.
        views = np.array([[[1.0, -1000.0, 1.0], [1.0, 1000.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
        ones = np.ones((1, 3, 8, 3), np.float32)
        metric = np.diag([9.0, 0.5, 9.0])
        axes = np.array([1], np.int32)
        for image in (
            kernels.exact(ones, views, metric, (1, 1), "box"),
            kernels.exact(ones, views, metric, (1, 1), "trilinear"),
            kernels.joseph(ones, axes, views, metric, (1, 1)),
            kernels.label_lengths(ones[0].astype(np.uint8), views, metric, (1, 1), 2)[:, 1:],
        ):
            np.testing.assert_allclose(image, 4.0, rtol=1e-6)

    @pytest.mark.parametrize(("views", "shape"), [(0, (3, 4)), (2, (0, 4)), (2, (3, 0))])
    def test_no_rays(self, kernels: Any, views: int, shape: tuple[int, int]) -> None:
        volume, cameras, axes = scenes.volume(3), scenes.cameras()[:views], np.ones(views, np.int32)
        assert kernels.joseph(volume, axes, cameras, scenes.METRIC, shape).shape == (views, 3, *shape)
        assert kernels.exact(volume, cameras, scenes.METRIC, shape, "box").shape == (views, 3, *shape)
        assert kernels.label_lengths(scenes.labels(2), cameras, scenes.METRIC, shape, 2).shape == (views, 2, *shape)

    def test_source_on_the_pixel(self, kernels: Any) -> None:
        views = np.array([[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
        volume, metric = scenes.volume(1), scenes.METRIC
        assert kernels.joseph(volume, np.zeros(1, np.int32), views, metric, (1, 1)) == 0
        assert kernels.exact(volume, views, metric, (1, 1), "box") == 0
        assert kernels.exact(volume, views, metric, (1, 1), "trilinear") == 0
        assert not kernels.label_lengths(scenes.labels(3), views, metric, (1, 1), 3).any()

    def test_refuses_what_it_cannot_read(self, kernels: Any) -> None:
        views, metric, shape = scenes.cameras()[:2], scenes.METRIC, (2, 2)
        volume, axes = scenes.volume(1), np.zeros(2, np.int32)
        with pytest.raises(ValueError, match=r"volume: .* float64"):
            kernels.exact(volume.astype(np.float64), views, metric, shape, "box")
        with pytest.raises(ValueError, match=r"model: .* 'cubic'"):
            kernels.exact(volume, views, metric, shape, "cubic")
        with pytest.raises(ValueError, match=r"axes: .*\(2,\).*\(1,\)"):
            kernels.joseph(volume, axes[:1], views, metric, shape)
        with pytest.raises(ValueError, match=r"cameras: .*\(4, 3\)"):
            kernels.joseph(volume, axes, views[0], metric, shape)
        with pytest.raises(ValueError, match=r"metric: .*\(3,\)"):
            kernels.joseph(volume, axes, views, metric[0], shape)
        with pytest.raises(ValueError, match=r"labels: .* int64"):
            kernels.label_lengths(scenes.labels(2).astype(np.int64), views, metric, shape, 2)
        with pytest.raises(ValueError, match=r"n_labels: .* -1"):
            kernels.label_lengths(scenes.labels(2), views, metric, shape, -1)


def largest(expected: Any) -> Any:
    """Largest magnitude of each view and channel, for tolerances."""
    return np.abs(expected).max(axis=(-2, -1), keepdims=True)


def assert_close(image: Any, expected: Any, tolerance: float) -> None:
    """Compare images, to `tolerance` of the largest value of each view and channel."""
    assert image.shape == expected.shape
    assert image.dtype == np.float32
    error = np.abs(image - expected) / np.maximum(largest(expected), 1e-30)
    worst = np.unravel_index(error.argmax(), error.shape)
    view = scenes.NAMES[worst[0]] if worst[0] < len(scenes.NAMES) else "random"
    assert error.max() <= tolerance, f"error {error.max():.2e} at view, channel, v, u = {worst} ({view})"


def filtering_bound(volume: Any, axes: Any, views: Any) -> Any:
    """Largest error that hardware filtering may cause: (V, 1, h, w).

    A weight is off by at most 1/512, and so a sample by 1/512 of the largest step to a neighbour along each of two
    axes; a filtered 16-bit sample is also off by half a stored unit.
    """
    padded = np.pad(volume.astype(np.float64), ((0, 0), (1, 1), (1, 1), (1, 1)))
    step = max(np.abs(np.diff(padded, axis=axis)).max() for axis in (1, 2, 3))
    off = 2 * step / 512 + (0.5 if volume.dtype == np.uint16 else 0)
    everywhere = np.full_like(padded, off)[:1]  # a voxel wider on every side: no ray of the volume leaves it
    return reference.joseph(everywhere, axes, _shifted(views, 1.0), scenes.METRIC, scenes.SHAPE)


def _shifted(views: Any, by: float) -> Any:
    shifted = views.copy()
    shifted[:, :2] += by
    return shifted


@functools.cache
def _joseph(dtype: str) -> Any:
    views = scenes.cameras()
    return reference.joseph(scenes.volume(5, dtype), scenes.main_axes(views), views, scenes.METRIC, scenes.SHAPE)


@functools.cache
def _exact(model: str, dtype: str) -> Any:
    integrate = {"box": reference.siddon, "trilinear": reference.trilinear}[model]
    return integrate(scenes.volume(6, dtype), scenes.cameras(), scenes.METRIC, scenes.SHAPE)
