"""Pleura that is thick: apical caps, rinds over the base, and plaques after asbestos, mostly calcified.

Plaques lie on the parietal pleura of the lateral and posterior wall between the sixth and ninth ribs and on the
diaphragm, and spare apices and costophrenic angles (Roach et al. 2002, AJR 178:1309; Nishimura & Broaddus 1998, Clin
Chest Med 19:311).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.geometry import lungs
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.tissue import Patch, grain, patched, ramp, replaced
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["plaque", "thickening"]

_RIND_MM = {"mild": (2.5, 4.0), "moderate": (4.5, 7.0), "severe": (8.0, 11.0)}
_RIND_HU = 40.0


@editor("pleural thickening", needs=(LUNG_LEFT + LUNG_RIGHT,))
def thickening(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A rind of soft tissue over the apex (a cap with a ragged lower border) or along the wall of the base.

    The mask is the rind, which is no lung any more; size_cm is its greatest thickness.
    """
    patches, thickest = [], 0.0
    for lung in lungs(scan, finding.laterality):
        thick = float(generator.uniform(*_RIND_MM[finding.severity or "moderate"]))
        uneven = 1.0 + 0.45 * noise(lung.affine, np.ones(lung.mask.shape, np.bool_), draw_seed(generator), 24.0, 3)
        if finding.location == "apex":
            where, depth = ramp(lung.height, 0.83, 0.95), lung.depth
        else:
            where, depth = ramp(lung.height, 0.5, 0.25), lung.costal - 0.5 * float(lung.spacing.mean())
        rind = thick * uneven * where
        patches.append(_rind(lung, lung.fine(depth), lung.fine(rind), _RIND_HU, generator))
        thickest = max(thickest, float(rind[lung.mask].max()))
    return patched(scan, patches, replace(finding, size_cm=round(0.1 * thickest, 1)))


@editor("pleural plaque", needs=(LUNG_LEFT + LUNG_RIGHT,))
def plaque(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Flat calcified patches with steep rims, 1.5 to 5 cm wide and 1.5 to 3.5 mm thick, on wall and diaphragm.

    The mask is the plaques; size_cm is the extent of the largest.
    """
    patches, size = [], 0.0
    for lung in lungs(scan, finding.laterality):
        surface = lung.mask & (lung.depth < 4.0) & (lung.height > 0.12) & (lung.height < 0.72)
        wall = surface & (lung.costal < 6.0) & (lung.points[..., 1] > np.quantile(lung.points[lung.mask][:, 1], 0.3))
        where = np.argwhere(wall if wall.any() else surface)
        thickness = np.zeros(lung.mask.shape)
        ragged = noise(lung.affine, np.ones(lung.mask.shape, np.bool_), draw_seed(generator), 16.0, 2)
        for _ in range(int(generator.integers(3, 7))):
            centre = lung.points[tuple(where[generator.integers(len(where))])]
            half = generator.uniform(8.0, 25.0)
            away = np.linalg.norm((lung.points - centre) * [1.0, 1.0, generator.uniform(0.8, 1.3)], axis=-1)
            shape = ramp(away / half + 0.5 * ragged, 1.0, 0.75)
            thickness = np.maximum(thickness, generator.uniform(1.5, 3.5) * shape)
            size = max(size, round(0.2 * half, 1))
        depth = lung.fine(lung.costal) - 0.5 * float(lung.spacing.mean())
        thick = lung.fine(thickness)
        bone = 420.0 + 260.0 * noise(lung.fine_affine, thick > 0, draw_seed(generator), 7.0, 2)
        patches.append(_rind(lung, depth, thick, bone, generator))
    return patched(scan, patches, replace(finding, size_cm=size))


def _rind(
    lung: Lung,
    depth: NDArray[np.float32],
    thick: NDArray[np.float32],
    tissue: NDArray[np.float32] | float,
    generator: np.random.Generator,
) -> Patch:
    """Lung that lies less deep than a thickness gives way to a tissue."""
    inside, hu = lung.sealed(), lung.hu()
    edge = float(np.prod(lung.scan.volume.spacing) ** (1 / 3))
    # A rind thinner than a voxel takes its share of the voxels at the surface.
    cover = np.clip((thick - depth) / edge + 0.5, 0.0, 1.0) * np.clip(thick / edge, 0.0, 1.0) * inside
    new = replaced(hu, cover.astype(np.float32), np.maximum(hu, tissue + grain(lung.scan, hu.shape, generator)))
    mask = inside & (cover >= 0.5)
    return Patch(lung.box, new, mask, gone=mask)
