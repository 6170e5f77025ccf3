"""A hundred views in one call on a GPU: ours beside nanodrr. Times include copying one view back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench_drr_peers.measure import Array, measure
from bench_drr_peers.on_torch import nanodrr_cameras, nanodrr_subject
from bench_drr_peers.ours import SHAPE, voxels
from bench_drr_peers.scene import SIZE, VIEWS, Scene, View, rotation

if TYPE_CHECKING:
    from collections.abc import Callable

N_VIEWS = 100


def cuda_rows(
    scene: Scene, repeat: int, label: str, make: Callable[[Scene, list[View]], Callable[[], Array]]
) -> list[Any]:
    """The row of one projector, turned about the patient in `N_VIEWS` steps; its error is the frontal view's."""
    views = [View.turned(str(n), rotation("z", 360 / N_VIEWS * n)) for n in range(N_VIEWS)]
    row = measure(lambda: make(scene, views), repeat, N_VIEWS)
    error = scene.error(row["image"], VIEWS[0], "trilinear")
    return [{"section": "cuda", "label": label, "model": "trilinear", **row, "error": error}]


def ours(dtype: str) -> Callable[[Scene, list[View]], Callable[[], Array]]:
    def make(scene: Scene, views: list[View]) -> Callable[[], Array]:
        import cupy

        from synth.kernels.project import prepare, project

        values, unit = voxels(scene, dtype)
        prepared = prepare(cupy.asarray(values), scene.affine)
        cameras = np.stack([view.camera for view in views])

        def call() -> Array:
            images = project(prepared, cameras, SHAPE, method="slices")
            cupy.cuda.get_current_stream().synchronize()
            return images[0, 0].get() * np.float32(unit)

        return call

    return make


def nanodrr(scene: Scene, views: list[View]) -> Callable[[], Array]:
    """The fused kernel of nanodrr, 500 samples."""
    import torch
    from nanodrr.drr.renderer import render

    subject = nanodrr_subject(scene).to("cuda")
    inverse_intrinsics, poses, sdd = (tensor.to("cuda") for tensor in nanodrr_cameras(views))

    @torch.no_grad()
    def call() -> Array:
        images = render(subject, inverse_intrinsics, poses, sdd, SIZE, SIZE, n_samples=500)
        torch.cuda.synchronize()
        return images[0, 0].cpu().numpy()

    return call


CUDA = {
    "cuda-ours-uint16": ("ours, slices, uint16", ours("uint16")),
    "cuda-ours-float32": ("ours, slices, float32", ours("float32")),
    "cuda-nanodrr": ("nanodrr, 500 samples", nanodrr),
}
