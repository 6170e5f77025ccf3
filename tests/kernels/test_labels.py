"""Path lengths in labels on the CPU against float64 brute force."""

from __future__ import annotations

import numpy as np
import pytest

from synth.kernels.exact import exact
from synth.kernels.labels import label_lengths
from synth.kernels.padded import PaddedVolume
from tests.kernels import reference, scenes
from tests.kernels.kernel_checks import OUTPUT, assert_close


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_scenes(dtype: str) -> None:
    labels, views = scenes.labels(6, dtype), scenes.cameras(random=12)
    image = label_lengths(labels, views, scenes.METRIC, scenes.SHAPE, 4)
    assert not image[:, 0].any()
    assert_close(image, reference.label_lengths(labels, views, scenes.METRIC, scenes.SHAPE, 4), OUTPUT)


@pytest.mark.parametrize("grid", [(1, 1, 1), (1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_tiny_maps(grid: tuple[int, int, int]) -> None:
    labels = np.arange(np.prod(grid), dtype=np.uint8).reshape(grid) + np.uint8(1)
    views, n = scenes.cameras(random=20)[-20:], 7
    views[:, :2] += (np.array(grid[::-1]) - scenes.GRID[::-1]) / 2  # around the middle of this map
    image = label_lengths(labels, views, scenes.METRIC, scenes.SHAPE, n)
    expected = reference.label_lengths(labels, views, scenes.METRIC, scenes.SHAPE, n)
    np.testing.assert_allclose(image, expected, rtol=3e-7, atol=1e-6)


def test_labels_from_n_labels_on_are_left_out() -> None:
    labels = scenes.labels(2, np.uint16) * np.uint16(300)
    few, many = (label_lengths(labels, scenes.cameras(), scenes.METRIC, scenes.SHAPE, n) for n in (300, 301))
    assert not few.any()
    assert not many[:, :300].any()
    expected = reference.siddon((labels == 300)[None], scenes.cameras(), scenes.METRIC, scenes.SHAPE)
    assert_close(many[:, 300:], expected, OUTPUT)


def test_all_labels_together_are_the_box_projection_of_what_is_labelled() -> None:
    labels, views = scenes.labels(5), scenes.cameras()
    lengths = label_lengths(labels, views, scenes.METRIC, scenes.SHAPE, 5).sum(axis=1, keepdims=True)
    labelled = PaddedVolume((labels > 0)[None].astype(np.float32))
    whole = exact(labelled, views, scenes.METRIC, scenes.SHAPE, "box")
    np.testing.assert_allclose(lengths, whole, rtol=1e-6, atol=1e-6)
