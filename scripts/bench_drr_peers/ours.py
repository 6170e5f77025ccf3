"""Our projector, as users call it: prepared once, then projected; and all masks of a label map in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench_drr_peers.measure import Array, measure
from bench_drr_peers.projector import Projector, package
from bench_drr_peers.scene import SIZE, UNIT, VIEWS, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (SIZE, SIZE)


def voxels(scene: Scene, dtype: str) -> tuple[Array, float]:
    """The volume as float32 or uint16, and the attenuation (1/mm) of one of its units."""
    return (scene.stored, UNIT) if dtype == "uint16" else (scene.mu, 1.0)


def _ours(dtype: str, method: str, model: str) -> Projector:
    def make(scene: Scene, view: View) -> Callable[[], Array]:
        from synth.kernels.project import prepare, project

        values, unit = voxels(scene, dtype)
        prepared, cameras = prepare(values, scene.affine), view.camera[None]
        options: dict[str, Any] = {"method": method, "model": model}
        return lambda: project(prepared, cameras, SHAPE, **options)[0, 0] * np.float32(unit)

    slices = method == "slices"
    return Projector(f"ours, {method}, {dtype}", model, make, package("numba"), dtype=dtype if slices else "")


OURS = {
    "ours-slices-uint16": _ours("uint16", "slices", "trilinear"),
    "ours-slices-float32": _ours("float32", "slices", "trilinear"),
    "ours-rays-trilinear": _ours("float32", "rays", "trilinear"),
    "ours-rays-box": _ours("float32", "rays", "box"),
}


def preparation_rows(scene: Scene, repeat: int) -> list[dict[str, Any]]:
    """What a new volume costs before its first view."""
    return [
        {
            "section": "preparation",
            "label": f"ours, preparation, {dtype}",
            **measure(_preparation(scene, dtype), repeat),
        }
        for dtype in ("uint16", "float32")
    ]


def _preparation(scene: Scene, dtype: str) -> Callable[[], Callable[[], Array]]:
    def make() -> Callable[[], Array]:
        from synth.kernels.project import prepare

        values, nothing = voxels(scene, dtype)[0], np.empty(0)

        def call() -> Array:
            prepare(values, scene.affine)
            return nothing

        return call

    return make


def label_rows(scene: Scene, repeat: int) -> list[dict[str, Any]]:
    """Path lengths in every label of the label map."""
    if not scene.has_labels:
        return []
    n = len(np.unique(scene.labels)) - 1
    rows = []
    for view in VIEWS:
        row = measure(lambda view=view: _label_call(scene, view), repeat)
        rows.append({"section": "labels", "label": f"ours, {n} labels in one pass", "view": view.name, **row})
    return rows


def _label_call(scene: Scene, view: View) -> Callable[[], Array]:
    from synth.kernels.project import project_labels

    labels, cameras = scene.labels, view.camera[None]
    n = int(labels.max()) + 1
    return lambda: project_labels(labels, scene.affine, cameras, SHAPE, n)[0]
