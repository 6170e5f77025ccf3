"""The mediastinum pushed or pulled aside, the diaphragm raised or lowered: bending that leaves the chest wall still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.findings.distance import distance_to
from synth.anatomy.findings.geometry import LUNGS
from synth.anatomy.findings.tissue import ramp
from synth.anatomy.findings.warp import lattice_points, warp
from synth.anatomy.labels import LOBES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.findings.base import Box
    from synth.anatomy.scan import Scan

__all__ = ["shifted"]

_LATTICE_MM = 6.0
_STILL_MM = 8.0  # this near to wall and bones nothing moves
_SOFT_MM = 42.0  # from the chest wall to where the mediastinum moves fully
_RIM_MM = 36.0  # from the rim of the diaphragm to where it moves fully
_BELOW_MM, _ABOVE_MM = 75.0, 95.0  # how far under and over the diaphragm things move with it
_STILL = ("sternum", "costal_cartilages", "spinal_cord", "autochthon_left", "autochthon_right", "couch", "skin")


def shifted(scan: Scan, left_mm: float = 0.0, lowered_mm: Mapping[str, float] | None = None) -> Scan:
    """Moves the mediastinum sideways and the domes of the diaphragm down; the lungs follow, bones do not.

    Args:
        scan: The scan before.
        left_mm: How far the middle of the mediastinum goes to the patient's left; negative: to the right.
        lowered_mm: Side → how far the dome goes down; negative: up.

    Returns:
        The bent scan.
    """
    box = _box_of_lungs(scan)
    points = lattice_points(scan, box, _LATTICE_MM)
    field = np.zeros(points.shape)
    lobes = _at_nodes(scan, box, points.shape, LOBES)
    spacing = (
        np.abs(np.diff(points, axis=0)).max(),
        np.abs(np.diff(points, axis=1)).max(),
        np.abs(np.diff(points, axis=2)).max(),
    )
    if left_mm:
        still = _at_nodes(scan, box, points.shape, _bones(scan))
        field[..., 0] = -left_mm * _mediastinum(lobes & ~still, still, spacing)
    for side, down in (lowered_mm or {}).items():
        lung = _at_nodes(scan, box, points.shape, LUNGS[side])
        if down and lung.any():
            field[..., 2] += down * _dome(lung, points[..., 2], spacing)
    return warp(scan, field, box)


def _box_of_lungs(scan: Scan) -> Box:
    """All of the grid across, and along z from well below the lungs to their apex."""
    present = scan.where(*LOBES)
    box = []
    for axis, n in enumerate(scan.volume.shape):
        if np.abs(scan.volume.affine[2, 2 - axis]) < 0.5 * scan.volume.spacing[2 - axis]:
            box.append(slice(0, n))
            continue
        at = np.flatnonzero(present.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int((_BELOW_MM + 30.0) / scan.volume.spacing[2 - axis])
        box.append(slice(max(0, int(at[0]) - margin), min(n, int(at[-1]) + margin + 1)))
    return box[0], box[1], box[2]


def _bones(scan: Scan) -> tuple[str, ...]:
    names = scan.labels.names.values()
    return tuple(n for n in names if n.startswith(("vertebrae", "rib_", "scapula", "clavicula")) or n in _STILL)


def _at_nodes(scan: Scan, box: Box, shape: tuple[int, ...], names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Labels at the nodes of the lattice, of the nearest voxel."""
    at = [
        np.rint(np.linspace(part.start, part.stop - 1, n)).astype(int) for part, n in zip(box, shape[:3], strict=True)
    ]
    inside: NDArray[np.bool_] = np.isin(scan.labels.array[np.ix_(*at)], scan.values(names))
    return inside


def _mediastinum(
    lungs: NDArray[np.bool_], still: NDArray[np.bool_], spacing: tuple[float, ...]
) -> NDArray[np.floating[Any]]:
    """0 at the chest wall and at bones, 1 deep between them: what lies between lungs, row by row."""
    from scipy import ndimage

    first = np.logical_or.accumulate(lungs, axis=2)
    last = np.flip(np.logical_or.accumulate(np.flip(lungs, 2), axis=2), 2)
    depth = distance_to(np.pad(~(first & last & ~still), 1, constant_values=True), spacing)[1:-1, 1:-1, 1:-1]
    weight: NDArray[np.floating[Any]] = ndimage.gaussian_filter(ramp(depth, _STILL_MM, _SOFT_MM), 0.8)
    return weight


def _dome(lung: NDArray[np.bool_], z: NDArray[np.float64], spacing: tuple[float, ...]) -> NDArray[np.floating[Any]]:
    """1 on a dome of the diaphragm, 0 at its rim, far above and far below."""
    from scipy import ndimage

    covered = lung.any(axis=0)
    rim = ramp(ndimage.distance_transform_edt(np.pad(covered, 1), spacing[1:])[1:-1, 1:-1], _STILL_MM, _RIM_MM)
    lowest = np.where(lung, z, np.inf).min(axis=0)
    weight = np.where(covered, 1.0, 0.0)
    spread = (12.0 / spacing[1], 12.0 / spacing[2])
    smooth = ndimage.gaussian_filter(np.where(covered, lowest, 0.0), spread) / np.maximum(
        ndimage.gaussian_filter(weight, spread), 1e-6
    )
    over = z - smooth
    return np.asarray(rim * np.where(over > 0, ramp(over, _ABOVE_MM, 0.0), ramp(over, -_BELOW_MM, 0.0)))
