"""Where the body is in a CT."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from synth.core.volume import AIR_HU

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.core.volume import Volume

__all__ = ["body_outline", "volume_corners", "without_couch"]

_BODY_HU = -400.0  # between air and fat, above foam and clothing
_COARSE_MM = 4.0
_OPENING = 2
_SMALLEST = 50  # of the largest part's size over that of the smallest that belongs to the body


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
    parts, _, step = _parts(volume)
    if not parts.any():
        return volume_corners(volume)
    body = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    surface = (body & ~ndimage.binary_erosion(body)).transpose()
    nx, ny, nz = surface.shape
    corners = np.zeros((nx + 1, ny + 1, nz + 1), bool)
    for x, y, z in np.ndindex(2, 2, 2):
        corners[x : x + nx, y : y + ny, z : z + nz] |= surface
    points = np.argwhere(corners)
    hull = points[ConvexHull(points).vertices] * step - 0.5
    outline: NDArray[np.float64] = hull @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return outline


def without_couch(volume: Volume) -> Volume:
    """The CT with air where nothing of the body is: couch, mattress, blankets and cables go.

    What counts as body is as in `body_outline`, and smaller parts, such as arms, of at least a fiftieth of its size;
    4 mm around it stay.
    """
    parts, dense, step = _parts(volume)
    if not parts.any():
        return volume
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept = np.isin(parts, np.flatnonzero(sizes * _SMALLEST >= sizes.max()))
    # Opening has rounded corners off; then one voxel more for those that are partly skin; air within is the body's.
    kept = ndimage.binary_dilation(kept, mask=dense, iterations=2 * _OPENING)
    kept = ndimage.binary_dilation(kept)
    kept = np.stack([ndimage.binary_fill_holes(plane) for plane in kept])
    for axis, n in enumerate(step[::-1]):
        kept = np.repeat(kept, n, axis)
    nz, ny, nx = volume.shape
    hu = np.where(kept[:nz, :ny, :nx], volume.hu, volume.hu.dtype.type(AIR_HU))
    return replace(volume, hu=hu)


def _parts(volume: Volume) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.int_]]:
    """Connected thick things, numbered, and all dense ones, on a coarse grid; its step in voxels along (x, y, z)."""
    step = np.clip(np.round(_COARSE_MM / volume.spacing), 1, max(volume.shape)).astype(int)
    coarse = volume.hu[:: step[2], :: step[1], :: step[0]] > _BODY_HU
    beyond = np.pad(coarse, _OPENING, mode="edge")  # the body goes on where the scan ends
    opened = ndimage.binary_opening(beyond, iterations=_OPENING)[(slice(_OPENING, -_OPENING),) * 3]
    return ndimage.label(opened)[0], coarse, step
