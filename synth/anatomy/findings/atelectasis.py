"""Collapse: a lobe that loses volume and draws its neighbours in, and plates of collapsed lung over the diaphragm.

Signs after Woodring & Reed 1996 (J Thorac Imaging 11:109): displaced fissures are the direct one; raised diaphragm,
shifted mediastinum, overexpanded neighbours and opacity the indirect ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.collapse import collapse_field
from synth.anatomy.findings.geometry import extent_cm, lungs, sides_of
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.shift import shifted
from synth.anatomy.findings.tissue import TISSUE_HU, Patch, compressed, filled, grain, patched, ramp
from synth.anatomy.findings.warp import warp
from synth.anatomy.labels import LOBES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["atelectasis", "plates"]

_LOSS = {"mild": 0.3, "moderate": 0.5, "severe": 0.7}  # share of the lobe's volume
_FILL = {"mild": 0.4, "moderate": 0.7, "severe": 0.95}  # of the air space that is left
_SHIFT_MM = {"mild": 3.0, "moderate": 7.0, "severe": 13.0}
_RISE_MM = {"mild": 5.0, "moderate": 11.0, "severe": 18.0}
_PLATES = {"mild": (1, 1), "moderate": (1, 3), "severe": (3, 4)}
_PLATE_MM = {"mild": (1.2, 2.0), "moderate": (1.6, 3.0), "severe": (2.2, 4.0)}
_LEAST_HU = 100.0


@editor("atelectasis", needs=(LOBES,))
def atelectasis(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """A lobe ("base": the lower) shrinks to 70, 50 or 30 % of its volume and gets dense.

    First the mediastinum and the dome give way, then the fissures; the rest of that lung expands. The mask is where HU
    are at least 100 above those of the lobe before.
    """
    grade = finding.severity or "moderate"
    sides = sides_of(finding.laterality)
    name = "lower lobe" if finding.location == "base" else str(finding.location)
    before = {lung.side: _ml(lung, name) for lung in lungs(scan, finding.laterality)}
    rise = _RISE_MM[grade] * (0.4 if name == "upper lobe" else 0.3 if name == "middle lobe" else 1.0)
    pull = _SHIFT_MM[grade] * (len(sides) == 1) * (0.3 if name == "middle lobe" else 1.0)
    moved = shifted(scan, pull if sides[0] == "left" else -pull, dict.fromkeys(sides, -rise))
    patches, size = [], 0.0
    for side in sides:
        moved, patch = _shrunk(moved, side, name, before[side] * (1.0 - _LOSS[grade]), grade, generator)
        size = max(size, extent_cm(patch.mask, lungs(moved, side)[0].fine_affine))
        patches.append(patch)
    return patched(moved, patches, replace(finding, size_cm=size))


def _ml(lung: Lung, name: str) -> float:
    inside = lung.inside(f"lung_{name.replace(' ', '_')}_{lung.side}")
    return float(inside.sum() * np.prod(lung.scan.volume.spacing)) / 1000.0


def _shrunk(
    scan: Scan, side: str, name: str, target_ml: float, grade: str, generator: np.random.Generator
) -> tuple[Scan, Patch]:
    lung = lungs(scan, side)[0]
    lobe_label = f"lung_{name.replace(' ', '_')}_{side}"
    start_ml, all_ml = _ml(lung, name), float(lung.inside().sum() * np.prod(scan.volume.spacing)) / 1000.0
    field = collapse_field(lung, lung.lobe(name), 1.0 - target_ml / start_ml)
    moved = _without_shreds(warp(scan, field, lung.box, within=lung.inside()), lung, lobe_label)
    after = replace(lung, scan=moved)
    lobe, others = after.inside(lobe_label), after.inside() & ~after.inside(lobe_label)
    end_ml = max(_ml(after, name), 1.0)
    hu = after.hu()
    new = np.where(lobe, compressed(hu, start_ml / end_ml), hu)
    new = np.where(others, compressed(hu, (all_ml - start_ml) / max(all_ml - end_ml, 1.0)), new)
    rough = noise(lung.fine_affine, lobe, draw_seed(generator), 14.0, 2)
    fill = np.clip(_FILL[grade] * (1.0 + 0.25 * rough * (grade != "severe")), 0.0, 1.0) * _soft(after, lobe_label)
    new = filled(new, fill.astype(np.float32), TISSUE_HU + 10.0 * rough + grain(scan, hu.shape, generator))
    usual = float(np.median(lung.hu()[lung.inside(lobe_label)]))
    return moved, Patch(lung.box, new.astype(np.float32), lobe & (new >= usual + _LEAST_HU))


def _soft(lung: Lung, label: str) -> NDArray[np.float32]:
    """Share of each voxel that is in a lobe, its fissures smoothed; they were drawn on coarse voxels."""
    from scipy import ndimage

    lobe = lung.inside(label)[:: lung.step[0], :: lung.step[1], :: lung.step[2]]
    depth = ndimage.gaussian_filter(lung.signed(lobe), 1.0)
    inside = lung.inside()
    share = np.clip(0.5 + lung.fine(depth) / 2.0, 0.0, 1.0) * inside
    return np.asarray(np.maximum(share, lung.sealed(label) & ~inside), np.float32)


def _without_shreds(scan: Scan, lung: Lung, lobe_label: str) -> Scan:
    """Gives the lobe what is left of its neighbours in slits, up to 4 mm wide, between it and what is not lung."""
    from scipy import ndimage

    after = replace(lung, scan=scan)
    lobe, every = after.inside(lobe_label), after.inside()
    reach = 2 * np.maximum(1, np.rint(2.0 / scan.volume.spacing[::-1]).astype(int)) + 1
    closed = ndimage.minimum_filter(ndimage.maximum_filter(lobe | ~every, reach), reach)
    shreds = closed & every & ~lobe & ndimage.maximum_filter(lobe, reach)
    array = scan.labels.array.copy()
    array[lung.box][shreds] = scan.values((lobe_label,))[0]
    return replace(scan, labels=replace(scan.labels, array=array))


@editor("linear atelectasis", needs=(LOBES,))
def plates(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Bands of collapsed lung, 1 to 4 mm thick and 3 to 9 cm long, roughly level, above the diaphragm or in a lobe.

    The mask is where HU have risen by at least 100.
    """
    grade = finding.severity or "moderate"
    patches, size = [], 0.0
    for lung in lungs(scan, finding.laterality):
        zone = lung.zone(finding.location)
        inside = lung.inside() & (lung.fine(lung.signed(zone)) > -12.0)
        fill = np.zeros(inside.shape, np.float32)
        for _ in range(int(generator.integers(*_PLATES[grade], endpoint=True))):
            fill = np.maximum(fill, _plate(lung, zone, generator.uniform(*_PLATE_MM[grade]), generator))
        hu = lung.hu()
        new = filled(hu, 0.95 * fill * inside, TISSUE_HU + grain(scan, hu.shape, generator))
        mask = inside & (new - hu >= _LEAST_HU)
        size = max(size, extent_cm(mask, lung.fine_affine))
        patches.append(Patch(lung.box, new, mask))
    return patched(scan, patches, replace(finding, size_cm=size))


def _plate(lung: Lung, zone: NDArray[np.bool_], thick_mm: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Share of each voxel that one plate takes: a bent sheet with a ragged outline, longer across than deep."""
    low = zone & (lung.depth > 5.0) & (lung.height < np.quantile(lung.height[zone], 0.7))
    choices = np.argwhere(low if low.any() else zone)
    centre = lung.points[tuple(choices[generator.integers(len(choices))])]
    normal = np.array([0.16, 0.16, 1.0]) * [generator.normal(), generator.normal(), 1.0]
    normal /= np.linalg.norm(normal)
    across = np.cross([0.0, 1.0, 0.0], normal)
    across /= np.linalg.norm(across)
    along = np.cross(normal, across)
    half = generator.uniform(14.0, 36.0), generator.uniform(12.0, 26.0)
    u, v, w = ((lung.points - centre) @ axis for axis in (across, along, normal))
    everywhere = np.ones(lung.mask.shape, np.bool_)
    bend = 5.0 * noise(lung.affine, everywhere, draw_seed(generator), 45.0, 1)
    bend += generator.uniform(-1.0, 1.0) * 0.004 * u * u
    ragged = 0.35 * noise(lung.affine, everywhere, draw_seed(generator), 18.0, 2)
    outline = lung.fine(np.hypot(u / half[0], v / half[1]) + ragged)
    away = np.abs(lung.fine(w + bend))
    voxel = float(np.prod(lung.scan.volume.spacing) ** (1 / 3))
    spread = np.hypot(thick_mm / 2.5, 0.4 * voxel)
    sheet = np.minimum(1.0, thick_mm / (2.5 * spread)) * np.exp(-0.5 * (away / spread) ** 2)
    return np.asarray(sheet * ramp(outline, 1.05, 0.75), np.float32)
