"""Emphysema: holes in the lobules, more in the upper lobes, bullae at the apex, and lungs that push the domes down.

Extent as the share of lung below −950 HU: under 5 % in health, 6 to 14 % mild, above 14 % moderate and more (Schroeder
et al. 2013, AJR 201:W460; Lynch et al. 2015, Radiology 277:192 for the visual grades).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.geometry import extent_cm, lungs, sides_of
from synth.anatomy.findings.noise import cells, draw_seed, noise
from synth.anatomy.findings.shift import shifted
from synth.anatomy.findings.tissue import Patch, patched, ramp, replaced
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["emphysema"]

_SHARE = {"mild": 0.1, "moderate": 0.2, "severe": 0.36}
_LOST = {"mild": 0.04, "moderate": 0.1, "severe": 0.18}  # share of the tissue that is gone everywhere
_BULLAE = {"mild": 0, "moderate": 2, "severe": 6}
_FLAT_MM = {"mild": 2.0, "moderate": 9.0, "severe": 18.0}
_HOLE_MM = 9.0  # centrilobular holes measure several millimetres; they run together as they grow
_HOLE_HU = -985.0
_LEAST_HU = 25.0


@editor("emphysema", needs=(LUNG_LEFT + LUNG_RIGHT,))
def emphysema(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Low-attenuation holes in 10, 20 or 36 % of the lung, bullae, thinner parenchyma; the diaphragm is flattened.

    The mask is the holes: where HU have fallen by at least 25 to below −940; size_cm is the largest bulla or hole.
    """
    grade = finding.severity or "moderate"
    sides = sides_of(finding.laterality)
    moved = shifted(scan, lowered_mm=dict.fromkeys(sides, _FLAT_MM[grade]))
    patches = []
    largest = _HOLE_MM
    for lung in lungs(moved, finding.laterality):
        patch, widest = _patch(lung, grade, generator)
        largest = max(largest, widest)
        patches.append(patch)
    return patched(moved, patches, replace(finding, size_cm=round(0.1 * largest, 1)))


def _patch(lung: Lung, grade: str, generator: np.random.Generator) -> tuple[Patch, float]:
    inside, hu = lung.inside(), lung.hu()
    near, _ = cells(lung.fine_affine, inside, draw_seed(generator), _HOLE_MM)
    patches = noise(lung.fine_affine, inside, draw_seed(generator), 38.0, 2)
    upper = lung.fine(lung.height)
    # Small where a hole is likely: near a point of the lattice, high in the lung, in an affected region.
    score = near / _HOLE_MM - 0.75 * upper - 0.7 * patches
    parenchyma = inside & (hu < -600)
    if not parenchyma.any():
        return Patch(lung.box, hu, np.zeros_like(inside)), 0.0
    level = float(np.quantile(score[parenchyma], _SHARE[grade]))
    soft = 0.6 / _HOLE_MM + 0.3 * float(lung.scan.volume.spacing.mean()) / _HOLE_MM
    hole = ramp(score, level + soft, level - soft) * inside
    bulla, wall, widest = _bullae(lung, _BULLAE[grade], generator)
    vessels = 1.0 - ramp(hu, -700.0, -450.0)  # they are thinned, not eaten
    new = np.where(hu < -500, -1000.0 + (hu + 1000.0) * (1.0 - _LOST[grade] * inside), hu)
    new = replaced(new, hole * vessels, np.minimum(hu, _HOLE_HU))
    new = replaced(new, bulla * inside * (0.4 + 0.6 * vessels), np.minimum(hu, _HOLE_HU))
    new = replaced(new, (wall * inside * (hu < -500)).astype(np.float32), np.maximum(hu, -550.0))
    mask = inside & (hu - new >= _LEAST_HU) & (new < -940.0)
    widest = max(widest, min(extent_cm(mask, lung.fine_affine), 0.1 * _HOLE_MM) * 10.0)
    return Patch(lung.box, np.asarray(new, np.float32), mask), widest


def _bullae(
    lung: Lung, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Share of bullae and of their thin walls in each voxel, under the upper pleura; the largest's diameter in mm."""
    bulla = np.zeros(lung.mask.shape, np.float32)
    inner = np.full(lung.mask.shape, -1e3, np.float32)
    zone = np.argwhere(lung.mask & (lung.height > 0.6) & (lung.depth < 14.0) & (lung.costal < 22.0))
    if not count or not len(zone):
        empty = lung.fine(bulla)
        return empty, empty, 0.0
    bumps = noise(lung.affine, lung.mask, draw_seed(generator), 22.0, 2)
    radii = generator.uniform(6.0, 17.0, count)
    for radius in radii:
        centre = lung.points[tuple(zone[generator.integers(len(zone))])]
        away = np.linalg.norm((lung.points - centre) * [1.0, 1.0, 0.85], axis=-1)
        inner = np.maximum(inner, (radius - away + 0.3 * radius * bumps).astype(np.float32))
    depth = lung.fine(inner)
    edge = float(lung.scan.volume.spacing.mean())
    wall = 0.8 / (0.8 + edge) * np.exp(-0.5 * (depth / np.hypot(0.5, 0.45 * edge)) ** 2)
    return np.clip(0.5 + depth / edge, 0.0, 1.0), np.asarray(wall, np.float32), float(2.0 * radii.max())
