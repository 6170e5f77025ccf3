"""Small scenes for the kernels: volumes of noise, and one camera for each thing that can go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (5, 7)
"""Image (h, w) of the scenes: neither a multiple of a block."""

GRID = (6, 8, 7)
"""Volume (z, y, x) of the scenes."""

METRIC = np.array([[0.7, 0.0, 0.4], [0.1, 0.9, 0.0], [0.0, -0.2, 2.5]])
"""Anisotropic and sheared, so that a forgotten term shows."""

CAMERAS: dict[str, list[list[float]]] = {
    # source, centre of pixel (0, 0), step along u, step along v; volume centre at x 3, y 3.5, z 2.5
    "along x": [[-31.0, 3.3, 2.1], [22.0, -2.0, -1.0], [0.1, 1.7, 0.0], [0.0, 0.2, 1.6]],
    "along y, flipped": [[2.9, 40.0, 2.6], [9.0, -12.0, 7.0], [-2.0, 0.0, 0.0], [0.0, 0.0, -2.2]],
    "along z": [[3.1, 3.6, -25.0], [-2.0, -1.5, 14.0], [1.6, 0.1, 0.0], [0.0, 2.1, 0.1]],
    "oblique": [[-14.0, -17.0, -9.0], [11.0, 18.0, 7.0], [1.3, -1.1, 0.0], [-0.5, -0.6, 1.4]],
    "source in the volume": [[3.2, 2.7, 2.4], [-3.0, 15.0, -4.0], [2.1, 0.0, 0.3], [0.2, 0.1, 2.0]],
    "pixels in the volume": [[-9.0, 2.2, 1.0], [3.0, 0.5, 0.25], [0.2, 0.9, 0.0], [0.1, 0.0, 0.9]],
    "both in the volume": [[1.2, 1.1, 1.3], [4.1, 2.0, 1.0], [0.2, 0.6, 0.0], [0.0, 0.1, 0.7]],
    "in the slab, grazing": [[-20.0, 3.4, 2.3], [30.0, 3.0, 2.0], [0.0, 0.13, 0.0], [0.0, 0.0, 0.17]],
    "some rays parallel to y": [[1.25, -9.0, 2.75], [-1.75, 12.0, 0.75], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    "a ray in the rim": [[-0.75, -9.0, 5.75], [-0.75, 19.0, 5.75], [0.3, 0.0, 0.0], [0.0, 0.0, -0.4]],
    "misses": [[100.0, 90.0, 80.0], [120.0, 95.0, 85.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    "behind the source": [[-4.0, 3.0, 2.0], [-9.0, -2.0, -1.0], [0.0, 1.5, 0.0], [0.0, 0.0, 1.5]],
}

NAMES = list(CAMERAS)


def cameras(random: int = 6, seed: int = 3) -> NDArray[np.float64]:
    """Return the cameras above, then `random` ones around the volume: (V, 4, 3)."""
    rng = np.random.default_rng(seed)
    named = np.array(list(CAMERAS.values()))
    centre = (np.array(GRID[::-1]) - 1) / 2
    away = rng.normal(size=(random, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    steps = rng.normal(size=(random, 2, 3)) * 0.8
    source = centre + away * rng.uniform(2, 60, (random, 1))
    middle = centre - away * rng.uniform(1, 20, (random, 1))
    origin = middle - steps[:, 0] * (SHAPE[1] / 2) - steps[:, 1] * (SHAPE[0] / 2)
    return np.concatenate([named, np.concatenate([np.stack([source, origin], axis=1), steps], axis=1)])


def main_axes(views: NDArray[np.float64]) -> NDArray[np.int32]:
    """Axis along which the central ray of each view advances most: (V,)."""
    rays = views[:, 1] + views[:, 2] * (SHAPE[1] // 2) + views[:, 3] * (SHAPE[0] // 2) - views[:, 0]
    axes: NDArray[np.int32] = np.abs(rays).argmax(axis=1).astype(np.int32)
    return axes


def volume(channels: int, dtype: Any = np.float32, seed: int = 5) -> NDArray[Any]:
    """Noise (C, z, y, x): of both signs as float32, over the full range as uint16."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype) == np.uint16:
        return rng.integers(0, 65536, (channels, *GRID), dtype=np.uint16)
    return rng.normal(size=(channels, *GRID)).astype(dtype)


def labels(n_labels: int, dtype: Any = np.uint8, seed: int = 7) -> NDArray[Any]:
    """Label map (z, y, x) with runs of equal labels: every voxel repeated along x and y."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, n_labels, (GRID[0], 4, 4))
    return np.ascontiguousarray(coarse.repeat(2, axis=1).repeat(2, axis=2)[:, : GRID[1], : GRID[2]], dtype)
