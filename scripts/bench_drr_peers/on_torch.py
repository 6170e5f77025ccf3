"""The differentiable projectors on torch: DiffDRR and nanodrr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench_drr_peers.measure import THREADS, Array
from bench_drr_peers.scene import PITCH, SDD, SIZE, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable


def make_diffdrr(scene: Scene, view: View) -> Callable[[], Array]:
    """DiffDRR's Siddon, in patches of 64² pixels: whole images need too much memory."""
    import torch
    from diffdrr.drr import DRR
    from torchio import ScalarImage, Subject

    torch.set_num_threads(THREADS)
    image = ScalarImage(tensor=torch.from_numpy(_xyz(scene.mu))[None], affine=scene.affine)
    parts = {"volume": image, "density": image, "mask": None, "orientation": None, "reorient": torch.eye(4)}
    drr = DRR(Subject(**parts), sdd=SDD, height=SIZE, delx=PITCH, renderer="siddon", patch_size=64)
    source = torch.tensor(view.source, dtype=torch.float32).view(1, 1, 3)
    target = torch.tensor(view.pixels, dtype=torch.float32).view(1, -1, 3)

    @torch.no_grad()
    def call() -> Array:
        return drr.render(drr.density, source, target).view(SIZE, SIZE).numpy()

    return call


def make_nanodrr(scene: Scene, view: View) -> Callable[[], Array]:
    """Projects with nanodrr on torch, in chunks of 64 rows: whole images need too much memory."""
    import torch
    from nanodrr.drr.renderer import render

    torch.set_num_threads(THREADS)
    subject, rows = nanodrr_subject(scene), 64
    inverse_intrinsics, pose, sdd = nanodrr_cameras([view])
    target = torch.tensor((view.pixels - view.source) @ np.stack([view.u, view.v, view.beam], 1), dtype=torch.float32)
    source = torch.zeros(1, 1, 3)

    @torch.no_grad()
    def call() -> Array:
        chunks = [
            render(
                subject, inverse_intrinsics, pose, sdd, rows, SIZE, n_samples=500, src=source,
                tgt=chunk.reshape(1, -1, 3), backend="torch",
            )[0, 0]
            for chunk in target.split(rows)
        ]  # fmt: skip
        return torch.cat(chunks).numpy()

    return call


def nanodrr_subject(scene: Scene):  # type: ignore[no-untyped-def]
    """The volume as nanodrr takes it, without its own conversion from HU."""
    import torch
    from nanodrr.data import Subject
    from torchio import ScalarImage

    image = ScalarImage(tensor=torch.from_numpy(_xyz(scene.mu))[None], affine=scene.affine)
    return Subject.from_images(image, convert_to_mu=False)


def nanodrr_cameras(views: list[View]):  # type: ignore[no-untyped-def]
    """Gives inverse intrinsics (n, 3, 3), camera → world poses (n, 4, 4) and distances (n,)."""
    import torch

    poses = np.tile(np.eye(4), (len(views), 1, 1))
    for pose, view in zip(poses, views, strict=True):
        pose[:3] = np.stack([view.u, view.v, view.beam, view.source], 1)
    step, half = PITCH / SDD, SIZE / 2 * PITCH / SDD
    inverse = torch.tensor([[step, 0, -half], [0, step, -half], [0, 0, 1]], dtype=torch.float32)
    distances = torch.full((len(views),), SDD)
    return inverse.expand(len(views), 3, 3), torch.tensor(poses, dtype=torch.float32), distances


def _xyz(volume: Array) -> Array:
    return np.ascontiguousarray(volume.transpose(2, 1, 0))
