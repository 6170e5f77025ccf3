"""Parts of a grid around places in the world."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.findings.geometry import box_affine

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.scan import Scan

__all__ = ["box_around", "grid_ends", "positions", "still_faces"]


def grid_ends(scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest world coordinates of the grid, (3,) each, to the faces of its outermost voxels."""
    ends = np.array(list(itertools.product(*[(-0.5, n - 0.5) for n in scan.volume.shape[::-1]])))
    world = ends @ scan.volume.affine[:3, :3].T + scan.volume.affine[:3, 3]
    return world.min(0), world.max(0)


def box_around(scan: Scan, low: ArrayLike, high: ArrayLike) -> Box:
    """The part of the grid that holds a box of the world; at least two voxels along each axis.

    Args:
        scan: Whose grid.
        low: (3,) lowest corner, world mm; −inf reaches to the grid's end.
        high: (3,) highest corner.
    """
    ends = grid_ends(scan)
    corners = np.array(list(itertools.product(*np.clip([low, high], *ends).T)))
    inverse = np.linalg.inv(scan.volume.affine[:3, :3])
    index = ((corners - scan.volume.affine[:3, 3]) @ inverse.T)[:, ::-1]
    shape = np.array(scan.volume.shape)
    first = np.clip(np.floor(index.min(0)).astype(int), 0, shape - 2)
    last = np.clip(np.ceil(index.max(0)).astype(int) + 1, first + 2, shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x


def positions(scan: Scan, box: Box) -> NDArray[np.float64]:
    """(z, y, x, 3): world mm of the voxels of a box."""
    affine = box_affine(scan, box)
    index = np.stack(np.meshgrid(*(np.arange(part.stop - part.start) for part in box), indexing="ij"), axis=-1)
    points: NDArray[np.float64] = index[..., ::-1] @ affine[:3, :3].T + affine[:3, 3]
    return points


def still_faces(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """A displacement that is 0 on the faces of its box, as `warp` wants it: the outermost nodes are made so."""
    still = field.copy()
    for axis in range(3):
        for end in (0, -1):
            face: list[Any] = [slice(None)] * 3
            face[axis] = end
            still[tuple(face)] = 0
    return still
