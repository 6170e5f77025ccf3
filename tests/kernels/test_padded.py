"""The margin of zeros, and slices along every axis."""

from __future__ import annotations

import numpy as np
import pytest

from synth.kernels.lerp import SLACK
from synth.kernels.padded import PaddedVolume
from tests.kernels import scenes

GRIDS = [(1, 1, 1), (2, 3, 1), (9, 8, 7), (3, 70, 66)]


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("grid", GRIDS)
def test_margin(grid: tuple[int, int, int], dtype: str) -> None:
    values = np.random.default_rng(1).integers(1, 99, (2, *grid)).astype(dtype)
    padded = PaddedVolume(values)
    assert padded.array.dtype == values.dtype
    assert padded.shape == grid
    np.testing.assert_array_equal(padded.array, np.pad(values, ((0, 0), (1, 1), (1, 1), (1, 1))))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_slices(grid: tuple[int, int, int], axis: int) -> None:
    values = np.random.default_rng(2).normal(size=(3, *grid)).astype(np.float32)
    stack = PaddedVolume(values).stack(axis)
    along_row, along_column = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[axis]
    counts = grid[::-1]
    assert stack.counts == (counts[axis], counts[along_row], counts[along_column])
    for channel, start in enumerate(stack.starts):
        padded = np.pad(values[channel], 1)
        turned = padded.transpose(2 - axis, 2 - along_column, 2 - along_row)[1:-1]  # (slice, column, row)
        j, c, r = np.indices(turned.shape)
        np.testing.assert_array_equal(stack.flat[start + j * stack.strides[0] + c * stack.strides[1] + r], turned)


def test_zeros_beyond_the_last_voxel() -> None:
    padded = PaddedVolume(scenes.volume(2))
    for axis in (0, 1, 2):
        flat = padded.stack(axis).flat
        assert flat.size == padded.array.size + SLACK
        assert not flat[-SLACK:].any()


def test_the_volume_is_copied() -> None:
    values = scenes.volume(1)
    padded = PaddedVolume(values)
    values[:] = 0
    assert padded.array.any()
