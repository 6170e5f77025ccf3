"""Gas between chest wall and lung: the lung retracts towards its hilum, and gets denser as it loses gas.

Amount by the share of the hemithorax that the gas takes (Light 1990, Am Rev Respir Dis 142:1236). "small" leaves a rim
of less than 2 cm at the level of the hilum, more is large (MacDuff et al. 2010, BTS guideline, Thorax 65 Suppl 2:ii18).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.geometry import lungs
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.shift import shifted
from synth.anatomy.findings.tissue import TISSUE_HU, Patch, compressed, filled, grain, patched, ramp, replaced
from synth.anatomy.findings.warp import lattice_points, warp
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.core.volume import AIR_HU

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["pneumothorax"]

_SHARE = {"small": (0.07, 0.14), "moderate": (0.22, 0.36), "large": (0.5, 0.7)}
_TENSION = (0.66, 0.8)
_LEAST = 0.3  # of a ray's length that the most collapsed lung keeps
_PLEURA_MM = 1.0  # the visceral pleura as it shows: 0.2 to 0.4 mm, seen on edge
_ROWS, _COLUMNS = 30, 60  # directions: 6 degrees
_PUSH_MM, _DOWN_MM = 20.0, 22.0  # by tension
_LATTICE_MM = 5.0
_MODE: tuple[Literal["nearest"], Literal["wrap"]] = ("nearest", "wrap")  # over the poles, and around


@dataclass(frozen=True, eq=False)
class _Rays:
    """Directions from a point at the hilum.

    Attributes:
        anchor: (3,) world mm.
        table: (rows, columns) mm: how far the lung reaches; rows from the head down, columns around z.
    """

    anchor: NDArray[np.float64]
    table: NDArray[np.float64]

    def at(self, points: NDArray[np.float64], table: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Distance of points (..., 3) from the anchor, mm, and a table's values in their directions, bilinear."""
        from scipy import ndimage

        offset = points - self.anchor
        distance = np.linalg.norm(offset, axis=-1)
        row = np.arccos(np.clip(offset[..., 2] / np.maximum(distance, 1e-9), -1.0, 1.0)) / np.pi * _ROWS - 0.5
        column = np.arctan2(offset[..., 1], offset[..., 0]) / (2 * np.pi) * _COLUMNS - 0.5
        wrapped = np.pad(table, ((0, 0), (_COLUMNS, _COLUMNS)), "wrap")
        values = ndimage.map_coordinates(wrapped, [row, column + _COLUMNS], order=1, mode="nearest")
        return distance, np.asarray(values)


@editor("pneumothorax", "tension pneumothorax", needs=(LUNG_LEFT + LUNG_RIGHT,))
def pneumothorax(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Gas over the apex and the side when upright, in front and over the base when supine, and the pleural line.

    Under tension the mediastinum moves away and the diaphragm down. The mask is the gas; size_cm is the width of the
    rim at the level of the hilum, or over the apex where it is wider.
    """
    tension = finding.kind == "tension pneumothorax"
    side = str(finding.laterality)
    if tension:
        left = _PUSH_MM if side == "right" else -_PUSH_MM
        scan = shifted(scan, left_mm=left, lowered_mm={side: _DOWN_MM})
    lung = lungs(scan, side)[0]
    low, high = _TENSION if tension else _SHARE[finding.severity or "moderate"]
    rays = _rays(lung)
    gap = _gap(lung, rays, generator.uniform(low, high), generator)
    moved = _retracted(scan, lung, rays, gap)
    distance, reach = rays.at(lung.points, rays.table)
    _, width = rays.at(lung.points, gap)
    keep = np.maximum(1.0 - width / np.maximum(reach, 1e-6), _LEAST)
    edge = lung.fine(np.minimum(distance, reach) - reach + width)  # positive in the gas, mm
    free = ramp(lung.fine(width), 0.5, 2.0)
    inside = lung.inside()
    soft = float(np.prod(scan.volume.spacing) ** (1 / 3))
    gas = (np.clip(edge / soft + 0.5, 0.0, 1.0) * free * inside).astype(np.float32)
    hu = moved.volume.hu[lung.box].astype(np.float32)
    new = np.where(inside, compressed(hu, lung.fine(keep**-3.0)), hu)
    line = (
        np.exp(-0.5 * ((edge + 0.5 * soft) / np.hypot(_PLEURA_MM, 0.5 * soft)) ** 2) * _PLEURA_MM / (_PLEURA_MM + soft)
    )
    new = filled(new, np.asarray(line * free * inside, np.float32))
    air = np.maximum(AIR_HU + 5.0 + grain(scan, hu.shape, generator), -1024.0)
    new = replaced(new, gas, air + _wall_share(lung) * (TISSUE_HU - air))
    mask = inside & (gas >= 0.5)
    size = round(0.1 * float(gap.max()), 1)
    return patched(moved, [Patch(lung.box, new, mask, gone=mask)], replace(finding, size_cm=size))


def _wall_share(lung: Lung) -> NDArray[np.float32]:
    """Share of chest wall in the voxels at the surface of the lung, by their values."""
    edge = float(lung.scan.volume.spacing.max())
    surface = lung.fine(lung.depth) < 0.6 * edge
    usual = float(np.median(lung.hu()[lung.inside()]))
    return np.asarray(surface * np.clip((lung.hu() - usual) / (TISSUE_HU - usual), 0.0, 1.0), np.float32)


def _rays(lung: Lung) -> _Rays:
    """How far the lung reaches from a point a little lateral of its hilum, in every direction, smoothed."""
    from scipy import ndimage

    anchor = lung.hilum + np.array([12.0 * lung.outward, 0.0, 0.0])
    offset = lung.points[lung.mask] - anchor
    distance = np.linalg.norm(offset, axis=1)
    row = np.clip(np.arccos(np.clip(offset[:, 2] / distance, -1, 1)) / np.pi * _ROWS, 0, _ROWS - 1).astype(int)
    column = np.floor(np.arctan2(offset[:, 1], offset[:, 0]) / (2 * np.pi) * _COLUMNS).astype(int) % _COLUMNS
    table = np.zeros((_ROWS, _COLUMNS))
    np.maximum.at(table, (row, column), distance)
    known = (table > 0).astype(float)
    wide = ndimage.gaussian_filter(table, 3.0, mode=_MODE) / np.maximum(
        ndimage.gaussian_filter(known, 3.0, mode=_MODE), 1e-6
    )
    table = np.where(known > 0, table, wide)
    return _Rays(anchor, ndimage.gaussian_filter(table, 0.6, mode=_MODE))


def _gap(lung: Lung, rays: _Rays, share: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """(rows, columns) mm: the gas along every ray, in all `share` of the lung's volume."""
    from scipy import ndimage

    theta = (np.arange(_ROWS) + 0.5) * np.pi / _ROWS
    phi = (np.arange(_COLUMNS) + 0.5) * 2 * np.pi / _COLUMNS
    unit = np.stack(
        [
            np.sin(theta)[:, None] * np.cos(phi),
            np.sin(theta)[:, None] * np.sin(phi),
            np.repeat(np.cos(theta)[:, None], _COLUMNS, 1),
        ],
        axis=-1,
    )
    wall = rays.anchor + 0.95 * rays.table[..., None] * unit
    index = (wall - lung.affine[:3, 3]) @ np.linalg.inv(lung.affine[:3, :3]).T
    at = [index[..., 2], index[..., 1], index[..., 0]]
    costal, height = (
        ndimage.map_coordinates(field, at, order=1, mode="nearest") for field in (lung.costal, lung.height)
    )
    free = ramp(costal, 26.0, 8.0)
    if lung.scan.supine:
        front = ramp(unit[..., 1], 0.2, -0.8)
        where = free * (0.1 + 0.9 * front) + 0.5 * ramp(height, 0.4, 0.05) * ramp(unit[..., 1], 0.5, -0.2)
    else:
        where = free * (0.3 + 0.7 * ramp(height, 0.35, 0.95)) * ramp(unit[..., 2], -0.9, -0.45)
    # A collapsed lung leaves the diaphragm and the mediastinum too.
    where = np.maximum(where, np.interp(share, (0.2, 0.65), (0.0, 0.55)))
    bumps = noise(lung.affine, np.ones(lung.mask.shape, np.bool_), draw_seed(generator), 70.0, 1)
    where = where * (1.0 + 0.25 * ndimage.map_coordinates(bumps, at, order=1, mode="nearest"))
    where = ndimage.gaussian_filter(where, 1.6, mode=_MODE)
    distance, reach = rays.at(lung.points[lung.mask], rays.table)
    _, wide = rays.at(lung.points[lung.mask], where)
    least, most = 0.0, 400.0
    for _ in range(24):
        scale = 0.5 * (least + most)
        gap = np.minimum(scale * wide, (1.0 - _LEAST) * reach)
        taken = ((np.minimum(distance, reach) > reach - gap) & (gap > 1.0)).mean()
        least, most = (scale, most) if taken < share else (least, scale)
    return np.asarray(np.minimum(scale * where, (1.0 - _LEAST) * rays.table))


def _retracted(scan: Scan, lung: Lung, rays: _Rays, gap: NDArray[np.float64]) -> Scan:
    """The lung drawn in along the rays: what lay at r now lies at r (1 − gap/reach)."""
    points = lattice_points(scan, lung.box, _LATTICE_MM)
    _, reach = rays.at(points, rays.table)
    _, width = rays.at(points, gap)
    keep = np.maximum(1.0 - width / np.maximum(reach, 1e-6), _LEAST)
    displacement = (points - rays.anchor) * (1.0 / keep - 1.0)[..., None]
    return warp(scan, displacement, lung.box, within=lung.inside())
