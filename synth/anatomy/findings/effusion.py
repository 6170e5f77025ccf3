"""Fluid in the pleural space: it gathers where gravity takes it, climbs the chest wall, and lifts the lung.

Amounts: 200 ml blunt the lateral costophrenic angle on a frontal radiograph, 500 ml hide the hemidiaphragm (Blackmore
et al. 1996, Acad Radiol 3:103); small, moderate and large are below 300, 300 to 800 and above 800 ml here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.geometry import lungs, sides_of
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.shift import shifted
from synth.anatomy.findings.tissue import Patch, compressed, filled, grain, patched, ramp, replaced
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["effusion", "fluid"]

_AMOUNT_ML = {"small": (150.0, 290.0), "moderate": (350.0, 780.0), "large": (900.0, 1700.0)}
_MOST = 0.8  # of a lung's volume
_CLIMB_MM, _FILM_MM = 62.0, 15.0  # the meniscus: how high it climbs, how thick it still is at 1/e of that
_SHIFT_MM = 14.0  # of the mediastinum by a very large effusion


@editor("pleural effusion", needs=(LUNG_LEFT + LUNG_RIGHT,))
def effusion(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Free fluid, as much as the severity says; bilateral: on the right somewhat more.

    The mask is the fluid; size_cm is its greatest depth along gravity.
    """
    low, high = _AMOUNT_ML[finding.severity or "moderate"]
    amount = float(np.exp(generator.uniform(np.log(low), np.log(high))))
    sides = sides_of(finding.laterality)
    amounts = dict.fromkeys(sides, amount)
    if len(sides) == 2:
        amounts["left"] *= generator.uniform(0.6, 0.95)
    return fluid(scan, finding, amounts, generator)


def fluid(scan: Scan, finding: Finding, amounts_ml: dict[str, float], generator: np.random.Generator) -> Scan:
    """Pleural fluid of given volumes.

    Args:
        scan: The scan before; `scan.supine` says where down is.
        finding: What to call it.
        amounts_ml: Side → ml, at most 80 % of that lung.
        generator: Randomness of the surface.

    Returns:
        The scan with fluid in place of lung; the lung that is left lies above it, and holds what the whole one did.
    """
    push = max(0.0, amounts_ml.get("right", 0.0) - 700.0) - max(0.0, amounts_ml.get("left", 0.0) - 700.0)
    moved = shifted(scan, left_mm=_SHIFT_MM * np.clip(push / 900.0, -1.0, 1.0)) if push else scan
    patches, depth = [], 0.0
    for lung in [found for side in amounts_ml for found in lungs(moved, side)]:
        lifted, patch, deepest = _layered(moved, lung, amounts_ml[lung.side], generator)
        moved, depth = lifted, max(depth, deepest)
        patches.append(patch)
    return patched(moved, patches, replace(finding, size_cm=round(0.1 * depth, 1)))


def _layered(scan: Scan, lung: Lung, amount_ml: float, generator: np.random.Generator) -> tuple[Scan, Patch, float]:
    """One side: labels and masks lifted in the scan, values and fluid in the patch, and the fluid's depth in mm."""
    inside = lung.sealed()
    axis, edge, flip = _gravity(scan)
    voxel_ml = float(np.prod(scan.volume.spacing)) / 1000.0
    target = min(amount_ml / voxel_ml, _MOST * float(inside.sum()))
    score = lung.fine(_potential(lung, amount_ml, generator))
    level = float(np.partition(score[inside], int(target))[int(target)])
    wet = np.clip((level - score) / edge + 0.5, 0.0, 1.0) * inside

    columns = _upwards(inside, axis, flip)
    height = _smooth(_upwards(wet, axis, flip).sum(axis=-1), columns, target, edge, scan, axis)
    source, cover, ratio, above = _lift(np.ascontiguousarray(columns), height)
    hu = _upwards(lung.hu(), axis, flip)
    low = np.clip(np.floor(source).astype(np.int64), 0, columns.shape[-1] - 1)
    high = np.minimum(low + 1, columns.shape[-1] - 1)
    high = np.where(np.take_along_axis(columns, high, -1), high, low)
    part = np.clip(source - low, 0.0, 1.0)
    lifted = np.take_along_axis(hu, low, -1) * (1 - part) + np.take_along_axis(hu, high, -1) * part
    lifted = compressed(lifted, ratio)
    squeezed = float(np.interp(amount_ml, (150.0, 500.0, 1200.0), (0.15, 0.45, 0.8)))
    lifted = filled(
        lifted, squeezed * ramp(above * edge, 6.0 + 26.0 * squeezed, 0.0) * (above > -0.5) * (height > 0)[..., None]
    )
    wetness = np.asarray(10.0 + grain(scan, hu.shape, generator), np.float32)
    new = np.where(columns & (height > 0)[..., None], replaced(lifted, cover, wetness), hu)
    mask = columns & (cover >= 0.5)

    def back(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(np.moveaxis(array[..., ::-1] if flip else array, -1, axis))

    nearest = np.where(part < 0.5, low, high)
    moves = back(columns & (height > 0)[..., None] & (cover < 0.5))

    def moved(array: NDArray[Any]) -> NDArray[Any]:
        out = array.copy()
        lung_part = back(np.take_along_axis(_upwards(array[lung.box], axis, flip), nearest, -1))
        np.copyto(out[lung.box], lung_part, where=moves)
        return out

    lifted_scan = replace(
        scan,
        labels=replace(scan.labels, array=moved(scan.labels.array)),
        parts=None if scan.parts is None else replace(scan.parts, array=moved(scan.parts.array)),
        seen=tuple(replace(seen, mask=moved(seen.mask)) for seen in scan.seen),
    )
    fluid_mask = back(mask)
    return lifted_scan, Patch(lung.box, back(new), fluid_mask, gone=fluid_mask), float(height.max() * edge)


def _gravity(scan: Scan) -> tuple[int, float, bool]:
    """The array axis along which fluid falls, its voxel edge in mm, and whether its index grows downwards."""
    down = np.array([0.0, 1.0, 0.0]) if scan.supine else np.array([0.0, 0.0, -1.0])
    along = down @ scan.volume.affine[:3, :3] / scan.volume.spacing
    column = int(np.abs(along).argmax())
    return 2 - column, float(scan.volume.spacing[column]), bool(along[column] > 0)


def _upwards(array: NDArray[Any], axis: int, flip: bool) -> NDArray[Any]:
    """The array with gravity's axis last, its lowest voxel first."""
    moved = np.moveaxis(array, axis, -1)
    return moved[..., ::-1] if flip else moved


def _potential(lung: Lung, amount_ml: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Height of every point, lowered at the chest wall by what fluid climbs there: fluid fills it from below."""
    points = lung.points
    height = -points[..., 1] + 0.12 * points[..., 2] if lung.scan.supine else points[..., 2]
    climb = _CLIMB_MM * (0.5 if lung.scan.supine else 1.0) * np.clip(amount_ml / 500.0, 0.5, 1.3)
    wavy = noise(lung.affine, np.ones(lung.mask.shape, np.bool_), draw_seed(generator), 60.0, 1)
    near = np.maximum(lung.costal - 0.5 * float(lung.spacing.mean()), 0.0)
    return np.asarray(height - climb * np.exp(-near / _FILM_MM) + 4.0 * wavy, np.float32)


def _smooth(
    height: NDArray[np.floating[Any]],
    columns: NDArray[np.bool_],
    target: float,
    edge: float,
    scan: Scan,
    axis: int,
) -> NDArray[np.float32]:
    """Fluid in each column, voxels, smoothed over 2 mm between columns and scaled to the wanted sum."""
    from scipy import ndimage

    across = [scan.volume.spacing[2 - a] for a in range(3) if a != axis]
    room = columns.sum(axis=-1).astype(np.float64)
    there = (room > 0).astype(np.float64)
    spread = [2.0 / mm for mm in across]
    even = ndimage.gaussian_filter(np.asarray(height, np.float64), spread) / np.maximum(
        ndimage.gaussian_filter(there, spread), 1e-6
    )
    even = np.where((even * edge < 0.4) | (height < 0.05), 0.0, even)  # no fluid on ledges above the level
    for _ in range(8):
        even *= target / max(float(np.minimum(even, room).sum()), 1e-9)
    return np.asarray(np.minimum(even, room), np.float32)


@njit(nogil=True, cache=True)
def _lift(columns, height):  # type: ignore[no-untyped-def]
    """Each column's lung raised onto its fluid.

    Lung that lay at fraction t of the way from the old base to the top, counted in voxels of lung, now lies between
    the surface of the fluid and the top: old = new − h(1 − t)², so the lung is squeezed at the surface, and unmoved at
    the top.

    Returns the old index of every voxel, the share of fluid, old length over new, and voxels above the surface.
    """
    a, b, n = columns.shape
    source = np.zeros((a, b, n), np.float32)
    cover = np.zeros((a, b, n), np.float32)
    ratio = np.ones((a, b, n), np.float32)
    above = np.full((a, b, n), np.float32(1e6))
    at = np.empty(n + 1, np.int64)
    for i in range(a):
        for j in range(b):
            count = 0
            for k in range(n):
                if columns[i, j, k]:
                    at[count] = k
                    count += 1
            h = min(height[i, j], count)
            if count == 0 or h <= 0:
                continue
            at[count] = at[count - 1]
            free = max(count - h, 1e-3)
            for m in range(count):
                k = at[m]
                cover[i, j, k] = min(max(h - m, 0.0), 1.0)
                t = min(max((m + 0.5 - h) / free, 0.0), 1.0)
                old = min(max(m - h * (1.0 - t) ** 2, 0.0), count - 1.0)
                low = int(old)
                source[i, j, k] = at[low] + (old - low if at[low + 1] == at[low] + 1 else 0.0)
                ratio[i, j, k] = 1.0 + 2.0 * h * (1.0 - t) / free
                above[i, j, k] = m + 0.5 - h
    return source, cover, ratio, above
