"""Joseph's sum over slices on the CPU: as Joseph defines it, where no intermediate plane is needed; near the exact
trilinear integral elsewhere; and what "auto" hands to it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from synth.kernels import joseph as joseph_module
from synth.kernels.joseph import joseph
from synth.kernels.lerp import MAX_STEP
from synth.kernels.padded import PaddedVolume
from synth.kernels.project import MAX_SLOPE, _slopes, prepare, project, slicing_axes
from tests.kernels import reference, scenes
from tests.kernels.kernel_checks import ROUNDING, assert_close

SHAPE = (11, 19)


def facing(axis: int, *, pitch: tuple[float, float] = (0.6, 0.5), grid: Any = scenes.GRID, flip: str = "") -> Any:
    """A camera (4, 3) whose detector is parallel to the slices across `axis`, off centre, in index coordinates.

    pitch: steps along rows and columns of the slice, voxels at the detector; flip: "u", "v", "source".
    """
    middle = (np.array(grid[::-1]) - 1) / 2
    across, first, second = np.eye(3)[[axis, *((axis + k) % 3 for k in (1, 2))]]
    row, column = (first, second) if axis in (0, 2) else (second, first)  # rows of y slices run along x
    side = -1 if "source" in flip else 1
    du, dv = pitch[0] * row, pitch[1] * column
    du, dv = du * (-1 if "u" in flip else 1), dv * (-1 if "v" in flip else 1)
    source = middle - side * 23.3 * across + 0.37 * first - 0.21 * second
    centre = middle + side * 14.1 * across - 0.11 * first + 0.42 * second
    return np.stack([source, centre - du * (SHAPE[1] - 1) / 2 - dv * (SHAPE[0] - 1) / 2, du, dv])


def through_plane(camera: Any, axis: int) -> bool:
    """Whether the view needs an intermediate plane."""
    frame = joseph_module._slice_frame(axis)
    counts = {0: (7, 8, 6), 1: (8, 7, 6), 2: (6, 7, 8)}[axis]
    return joseph_module._plane(camera[:, frame], counts, SHAPE)[1] is not None


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("flip", ["", "u", "v", "source", "u v source"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_parallel_views_are_josephs_sum(axis: int, flip: str, dtype: str) -> None:
    volume, view = scenes.volume(2, dtype), facing(axis, flip=flip)[None]
    assert not through_plane(view[0], axis)
    axes = np.array([axis], np.int32)
    image = joseph(PaddedVolume(volume), axes, view, scenes.METRIC, SHAPE)
    assert_close(image, reference.joseph(volume, axes, view, scenes.METRIC, SHAPE), ROUNDING)


@pytest.mark.parametrize("step", [0.05, 0.9, 1.88])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pixels_narrower_and_wider_than_voxels(axis: int, step: float) -> None:
    # The row's step at the slice next to the detector, just below where an intermediate plane takes over.
    volume, last = scenes.volume(1), (scenes.GRID[2 - axis] - 1) / 2
    pitch = step * (23.3 + 14.1) / (23.3 + last)
    view = facing(axis, pitch=(pitch, 3 * pitch))[None]
    assert not through_plane(view[0], axis)
    axes = np.array([axis], np.int32)
    image = joseph(PaddedVolume(volume), axes, view, scenes.METRIC, SHAPE)
    assert_close(image, reference.joseph(volume, axes, view, scenes.METRIC, SHAPE), ROUNDING)


@pytest.mark.parametrize("grid", [(1, 1, 1), (1, 2, 3), (3, 1, 2), (2, 3, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tiny_volumes(axis: int, grid: tuple[int, int, int]) -> None:
    volume = np.random.default_rng(axis).normal(size=(2, *grid)).astype(np.float32)
    view, axes = facing(axis, grid=grid)[None], np.array([axis], np.int32)
    image = joseph(PaddedVolume(volume), axes, view, scenes.METRIC, SHAPE)
    assert_close(image, reference.joseph(volume, axes, view, scenes.METRIC, SHAPE), ROUNDING)


def test_long_rows_cross_many_runs_of_lanes() -> None:
    volume = np.random.default_rng(3).normal(size=(1, 5, 4, 333)).astype(np.float32)
    view = np.array([[[160.0, -400.0, 2.0], [-3.0, 60.0, -1.0], [0.88, 0.0, 0.0], [0.0, 0.0, 0.7]]])
    axes, shape = np.array([1], np.int32), (9, 411)
    image = joseph(PaddedVolume(volume), axes, view, scenes.METRIC, shape)
    assert_close(image, reference.joseph(volume, axes, view, scenes.METRIC, shape), ROUNDING)


@pytest.mark.parametrize("step", [0.11, 0.83, -0.37])
def test_tall_detectors_cross_many_tiles(step: float) -> None:
    volume = np.random.default_rng(4).normal(size=(1, 60, 14, 5)).astype(np.float32)
    shape = (200, 6)
    view = np.array([[[2.0, -60.0, 29.3], [0.3, 40.0, 30.1 - 99.5 * step], [0.6, 0.0, 0.0], [0.0, 0.0, step]]])
    axes = np.array([1], np.int32)
    image = joseph(PaddedVolume(volume), axes, view, scenes.METRIC, shape)
    assert_close(image, reference.joseph(volume, axes, view, scenes.METRIC, shape), ROUNDING)


def test_partly_outside_the_field_and_far_outside() -> None:
    volume = scenes.volume(1)
    for axis in (0, 1, 2):
        axes = np.array([axis], np.int32)
        aside = facing(axis)[None]
        aside[:, 1, (axis + 1) % 3] += 6.0
        aside[:, 1, (axis + 2) % 3] -= 5.0
        image = joseph(PaddedVolume(volume), axes, aside, scenes.METRIC, SHAPE)
        expected = reference.joseph(volume, axes, aside, scenes.METRIC, SHAPE)
        assert (expected == 0).any()
        assert (expected != 0).any()
        assert_close(image, expected, ROUNDING)
        for shift in (900.0, -900.0):
            away = aside.copy()
            away[:, :2, (axis + 1) % 3] += shift
            assert not joseph(PaddedVolume(volume), axes, away, scenes.METRIC, SHAPE).any()
            oblique = np.add(away, [[[0, 0, 0]] * 2 + [[0.01, 0.02, 0.03]] * 2])
            assert not joseph(PaddedVolume(volume), axes, oblique, scenes.METRIC, SHAPE).any()


@functools.cache
def smooth() -> Any:
    """Smooth noise (1, z, y, x), positive, falling to 0 at the edges, with features of about five voxels."""
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(size=(34, 40, 44)), 2)
    taper = np.einsum("z,y,x->zyx", *(np.hanning(n) for n in noise.shape))
    return ((noise - noise.min()) * taper).astype(np.float32)[None]


def tilted(turn: float, tilt: float, roll: float = 0.0, pitch: float = 2.0, shape: Any = (26, 32)) -> Any:
    """A camera (4, 3) around the smooth volume: turned about z from the y axis, tilted, rolled in its plane; °."""
    a, b, c = np.deg2rad([turn, tilt, roll])
    towards = np.array([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)])
    right = np.array([np.cos(a), -np.sin(a), 0.0])
    down = np.cross(towards, right)
    right, down = np.cos(c) * right + np.sin(c) * down, np.cos(c) * down - np.sin(c) * right
    middle = (np.array(smooth().shape[:0:-1]) - 1) / 2
    du, dv = pitch * right, pitch * down
    centre = middle + 60 * towards
    return np.stack([middle - 160 * towards, centre - du * (shape[1] - 1) / 2 - dv * (shape[0] - 1) / 2, du, dv])


def relative_error(camera: Any, shape: Any = (26, 32)) -> float:
    """Relative L2 distance of slices from the exact trilinear integral."""
    volume = prepare(smooth(), np.eye(4))
    slices, rays = (project(volume, camera[None], shape, method=method) for method in ("slices", "rays"))
    return float(np.linalg.norm(slices - rays) / np.linalg.norm(rays))


# Measured: 2e-5 straight on; 5e-4 to 7e-4 through the intermediate plane, rotated detectors included; 2e-3 at the
# steepest, where slices lie farthest apart along the ray.
@pytest.mark.parametrize(
    ("turn", "tilt", "roll", "most"),
    [
        (0, 0, 0, 3e-5),
        (90, 0, 0, 3e-5),
        (180, 0, 90, 1e-3),
        (3, 0, 0, 1e-3),
        (0, 0, 20, 1e-3),
        (0, 10, 0, 1e-3),
        (20, 0, 0, 1e-3),
        (-30, 15, 5, 1.5e-3),
        (0, -38, 0, 1.5e-3),
        (44, 0, 0, 2e-3),
        (135, 20, -60, 2e-3),
        (0, 80, 0, 1e-3),
        (44, 33, 0, 2.5e-3),
    ],
)
def test_near_the_exact_integral(turn: float, tilt: float, roll: float, most: float) -> None:
    assert relative_error(tilted(turn, tilt, roll)) < most


@pytest.mark.parametrize("pitch", [0.3, 1.0, 4.2])
def test_oblique_views_of_any_pixel_size(pitch: float) -> None:
    assert relative_error(tilted(25, 8, 3, pitch=pitch)) < 1.5e-3
    assert relative_error(tilted(0, 0, 0, pitch=pitch)) < 1.5e-3


def test_steps_above_the_largest_take_the_intermediate_plane() -> None:
    camera = tilted(0, 0, 0, pitch=4.2, shape=SHAPE)
    frame = joseph_module._slice_frame(1)
    assert joseph_module._row_advance(camera[0, 1], camera[1, 1], 4.2, 40) > MAX_STEP
    assert joseph_module._plane(camera[:, frame], (40, 44, 34), SHAPE)[1] is not None


@pytest.mark.parametrize("slope", [1.2, 1.5, 1.8, 1.99])
def test_error_up_to_the_steepest_ray_of_auto(slope: float) -> None:
    # Voxels flattened along the beam make index-space rays steeper: up to MAX_SLOPE auto takes slices, to 1 %.
    camera = tilted(30, 10)
    grid, shape = smooth().shape[1:], (26, 32)
    axes = slicing_axes(camera[None], grid, shape)
    assert axes[0] == 1
    low, high = 0.2, 1.0  # how far the y axis is squeezed about the middle
    for _ in range(40):
        squeeze = (low + high) / 2
        squeezed = camera * [1, squeeze, 1] + np.array([[0, 19.5 * (1 - squeeze), 0]] * 2 + [[0, 0, 0]] * 2)
        steepest = _slopes(squeezed[None], axes, shape)[0]
        low, high = (low, squeeze) if steepest < slope else (squeeze, high)
    assert steepest == pytest.approx(slope, abs=1e-6)
    volume = prepare(smooth(), np.eye(4))
    auto, rays = (project(volume, squeezed[None], shape, method=method) for method in ("auto", "rays"))
    error = np.linalg.norm(auto - rays) / np.linalg.norm(rays)
    assert 0 < error < 0.01


def test_slopes_are_of_the_steepest_corner() -> None:
    view = np.array([[[0.0, 0.0, 0.0], [-10.0, 10.0, -2.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    assert _slopes(view, np.array([1], np.int32), (5, 13)) == pytest.approx(1.4)  # (14, 10, ·) is the far corner
    assert MAX_SLOPE == 2.0
