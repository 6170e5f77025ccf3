"""LEAP: its threads take a view each, so that a call of several keeps the cores busy; its voxels must be cubes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from bench_drr_peers.measure import THREADS, Array
from bench_drr_peers.projector import package
from bench_drr_peers.scene import PITCH, SIZE, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable

VIEWS_PER_CALL = 2 * THREADS


def version() -> str | None:
    return (package("leapct")() or "(built from source)") if find_spec("leapctype") else None


def make_leap(scene: Scene, view: View) -> Callable[[], Array]:
    from leapctype import tomographicModels

    model, cubic, n = tomographicModels(), _cubic(scene), VIEWS_PER_CALL
    source, centre, v, u = (np.tile(np.float32(one), (n, 1)) for one in (view.source, view.centre, view.v, view.u))
    model.set_GPU(-1)
    model.set_modularbeam(n, SIZE, SIZE, PITCH, PITCH, source, centre, v, u)
    depth, height, width = cubic.shape
    model.set_volume(width, height, depth, scene.spacing[0], scene.spacing[0])
    model.set_diameterFOV(1e16)
    views = np.zeros((n, SIZE, SIZE), np.float32)

    def call() -> Array:
        model.project_cpu(views, cubic)
        return views[0]

    return call


def _cubic(scene: Scene) -> Array:
    """The volume resampled linearly along z to the spacing of x and y."""
    depth, ratio = scene.shape[0], scene.spacing[0] / scene.spacing[2]
    half = int(np.ceil((depth - 1) / 2 / ratio))
    cubic = np.zeros((2 * half + 1, *scene.shape[1:]), np.float32)
    for plane, offset in zip(cubic, np.arange(-half, half + 1), strict=True):
        z = offset * ratio + (depth - 1) / 2
        below = int(np.floor(z))
        if 0 <= below < depth - 1:
            plane[:] = scene.mu[below] + np.float32(z - below) * (scene.mu[below + 1] - scene.mu[below])
    return cubic
