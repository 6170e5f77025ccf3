"""Path length in every label of a label map, all labels in one walk along each ray: on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.kernels.exact import ROWS
from synth.kernels.threads import run_parallel
from synth.kernels.traversal import clip, enter, first_crossing, pixel_ray, ray_length, reciprocal

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["label_lengths"]


def label_lengths(
    labels: NDArray[np.uint8] | NDArray[np.uint16],
    cameras: NDArray[np.float64],
    metric: NDArray[np.float64],
    shape: tuple[int, int],
    n_labels: int,
) -> NDArray[np.float32]:
    """Length of every ray in every label, from source to pixel; voxels are boxes.

    Args:
        labels: (z, y, x); 0 is background and is not measured, labels ≥ n_labels are ignored.
        cameras: (V, 4, 3), voxel index coordinates (x, y, z): source, centre of pixel (0, 0), step along u, along v.
        metric: (3, 3), linear part of index → world, mm.
        shape: (h, w) of the detector, pixels.
        n_labels: Number of labels L, the background counted.

    Returns:
        (V, L, h, w), mm.
    """
    out = np.zeros((len(cameras), n_labels, *shape), np.float32)
    for camera, image in zip(cameras, out, strict=True):
        run_parallel(
            lambda v0, v1, camera=camera, image=image: _label_rows(labels, camera, metric, image, v0, v1),  # type: ignore[misc]
            shape[0],
            ROWS,
        )
    return out


@njit(nogil=True, cache=True)
def _label_rows(labels, camera, metric, out, v0, v1):  # type: ignore[no-untyped-def]
    nz, ny, nx = labels.shape
    n_labels = out.shape[0]
    sx, sy, sz = camera[0] + 0.5  # voxel i spans [i − ½, i + ½]
    for v in range(v0, v1):
        for u in range(out.shape[2]):
            dx, dy, dz = pixel_ray(camera, u, v)
            ix, iy, iz = reciprocal(dx), reciprocal(dy), reciprocal(dz)
            t, t1 = clip(sx, sy, sz, ix, iy, iz, nx, ny, nz)
            if t >= t1:
                continue
            length = ray_length(metric, dx, dy, dz)
            x, y, z = enter(sx, dx, t, nx), enter(sy, dy, t, ny), enter(sz, dz, t, nz)
            tx, step_x, face_x = first_crossing(x, sx, ix)
            ty, step_y, face_y = first_crossing(y, sy, iy)
            tz, step_z, face_z = first_crossing(z, sz, iz)
            current, since = 0, t  # runs of one label are written once
            while t < t1:
                label = labels[z, y, x]
                if label != current:
                    if 0 < current < n_labels:
                        out[current, v, u] += (t - since) * length
                    current, since = label, t
                t = min(min(tx, ty), min(tz, t1))
                if tx <= ty and tx <= tz:
                    x += step_x
                    tx = (x + face_x - sx) * ix
                elif ty <= tz:
                    y += step_y
                    ty = (y + face_y - sy) * iy
                else:
                    z += step_z
                    tz = (z + face_z - sz) * iz
            if 0 < current < n_labels:
                out[current, v, u] += (t1 - since) * length
