"""Where the body is in a CT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.core.volume import Volume

__all__ = ["body_outline", "volume_corners"]

_BODY_HU = -400.0  # between air and fat, above foam and clothing
_COARSE_MM = 4.0


def volume_corners(volume: Volume) -> NDArray[np.float64]:
    """The 8 outer corners of the grid, (8, 3), world mm."""
    ends = np.stack([np.zeros(3), np.array(volume.shape[::-1], float)]) - 0.5
    corners = np.array([[ends[i, 0], ends[j, 1], ends[k, 2], 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    world: NDArray[np.float64] = (corners @ volume.affine.T)[:, :3]
    return world


def body_outline(volume: Volume) -> NDArray[np.float64]:
    """Points whose convex hull holds the body, (n, 3), world mm; the grid's corners where no body is found.

    The body is the largest connected thing denser than −400 HU once thin parts (couch, blanket) are opened away, seen
    on a grid of about 4 mm.
    """
    step = np.clip(np.round(_COARSE_MM / volume.spacing), 1, max(volume.shape)).astype(int)
    coarse = volume.hu[:: step[2], :: step[1], :: step[0]] > _BODY_HU
    parts, n = ndimage.label(ndimage.binary_opening(coarse, iterations=2))
    if n == 0:
        return volume_corners(volume)
    body = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    surface = np.argwhere(body & ~ndimage.binary_erosion(body))[:, ::-1]
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    points = np.unique((surface[:, None] + corners).reshape(-1, 3), axis=0)
    hull = points[ConvexHull(points).vertices] * step - 0.5
    outline: NDArray[np.float64] = hull @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return outline
