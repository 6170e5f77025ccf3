"""The exact integrals on the CPU against float64 brute force, on every kind of ray."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from synth.kernels.exact import exact
from synth.kernels.padded import PaddedVolume
from tests.kernels import reference, scenes
from tests.kernels.kernel_checks import OUTPUT, assert_close

REFERENCE = {"box": reference.siddon, "trilinear": reference.trilinear}
ONE_RAY = (1, 1)


def rays(sources: Any, targets: Any) -> Any:
    """One view of one pixel for every pair of points (n, 3)."""
    views = np.zeros((len(sources), 4, 3))
    views[:, 0], views[:, 1] = sources, targets
    return views


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("model", ["box", "trilinear"])
def test_scenes(model: Any, dtype: str, channels: int) -> None:
    volume, views = scenes.volume(channels, dtype), scenes.cameras(random=12)
    image = exact(PaddedVolume(volume), views, scenes.METRIC, scenes.SHAPE, model)
    assert_close(image, REFERENCE[model](volume, views, scenes.METRIC, scenes.SHAPE), OUTPUT)


@pytest.mark.parametrize("grid", [(1, 1, 1), (1, 2, 3), (3, 1, 1), (1, 3, 1), (2, 2, 2), (3, 2, 1)])
@pytest.mark.parametrize("model", ["box", "trilinear"])
def test_tiny_volumes(model: Any, grid: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(grid))
    volume = rng.normal(size=(2, *grid)).astype(np.float32)
    middle = (np.array(grid[::-1]) - 1) / 2
    away = rng.normal(size=(40, 3)) * 8
    views = rays(middle + away, middle - away + rng.normal(size=(40, 3)))
    image = exact(PaddedVolume(volume), views, scenes.METRIC, ONE_RAY, model)
    expected = REFERENCE[model](volume, views, scenes.METRIC, ONE_RAY)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(image, expected, rtol=3e-7, atol=1e-6)


@pytest.mark.parametrize("model", ["box", "trilinear"])
def test_diagonals_through_corners_and_edges(model: Any) -> None:
    # Rays that change two or three voxels at once, and rays that run along faces between voxels.
    volume = scenes.volume(1)
    ways = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)])
    for through in ([2.5, 3.5, 1.5], [2.0, 4.0, 3.0], [3.5, 3.0, 2.25]):
        views = rays(through - 32.0 * ways, through + 32.0 * ways)
        image = exact(PaddedVolume(volume), views, scenes.METRIC, ONE_RAY, model)
        expected = REFERENCE[model](volume, views, scenes.METRIC, ONE_RAY)
        np.testing.assert_allclose(image, expected, rtol=3e-7, atol=1e-6)


@pytest.mark.parametrize("model", ["box", "trilinear"])
def test_far_outside_is_zero(model: Any) -> None:
    view = np.array([[[-50.0, 200.0, 0.0], [60.0, 190.0, -9.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]])
    assert not exact(PaddedVolume(scenes.volume(2)), view, scenes.METRIC, scenes.SHAPE, model).any()


def test_a_ray_and_its_reverse_agree() -> None:
    rng = np.random.default_rng(2)
    here, there = rng.normal(size=(2, 50, 3)) * 9 + 3
    volume = PaddedVolume(scenes.volume(1))
    for model in ("box", "trilinear"):
        forth = exact(volume, rays(here, there), scenes.METRIC, ONE_RAY, model)
        back = exact(volume, rays(there, here), scenes.METRIC, ONE_RAY, model)
        np.testing.assert_allclose(forth, back, rtol=1e-6, atol=1e-6)


WALKS = """
import numpy as np
from synth.kernels.exact import exact
from synth.kernels.labels import label_lengths
from synth.kernels.padded import PaddedVolume

rng = np.random.default_rng(0)
grid = np.array([3, 4, 5])  # (z, y, x)
lattice = lambda n: rng.integers(-1, 7, (n, 3)) - rng.choice([0.0, 0.5], (n, 1))  # corners, edges and faces
views = np.zeros((600, 4, 3))
views[:300, 0], views[:300, 1] = lattice(300), lattice(300)
views[300:500, 0], views[300:500, 1] = rng.normal(size=(2, 200, 3)) * 6 + 2
views[500:, 0] = lattice(100)
views[500:, 1] = views[500:, 0] + 9 * np.eye(3)[rng.integers(0, 3, 100)] * rng.choice([-1, 1], (100, 1))
views[::3, 1] += rng.normal(size=(200, 3)) * 1e-15  # almost along them
ones = np.ones((1, *grid), np.float32)
for model in ("box", "trilinear"):
    image = exact(PaddedVolume(ones), views, np.eye(3), (1, 1), model)
    assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 9, model
lengths = label_lengths(ones[0].astype(np.uint8), views, np.eye(3), (1, 1), 2)
assert lengths.min() >= 0 and lengths.max() <= 8, "labels"
assert not label_lengths(np.zeros((0, 4, 5), np.uint8), views, np.eye(3), (1, 1), 2).any()
print("done")
"""


def test_no_walk_reads_outside(pytestconfig: pytest.Config) -> None:
    # Checked code is cached apart from the other, and kept from run to run.
    cache = pytestconfig.cache.mkdir("numba_boundscheck")
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache), "SYNTH_THREADS": "1"}
    command = [sys.executable, "-c", WALKS]
    done = subprocess.run(
        command, env=environment, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"
