"""Air space that is filled: consolidation, pneumonia, ground-glass opacity.

Shares of the lobe that a grade fills are ours: no scale is in common use; the words follow the quartiles of lobar
involvement in CT severity scores (Pan et al. 2020, Radiology 295:715: 5, 25, 50, 75 %).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.bronchi import bronchial_tree
from synth.anatomy.findings.geometry import extent_cm, lungs
from synth.anatomy.findings.noise import draw_seed, noise
from synth.anatomy.findings.tissue import TISSUE_HU, Patch, filled, grain, patched, ramp, replaced, strands
from synth.anatomy.labels import LOBES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["opacity"]

_LUMEN_HU = -930.0


@dataclass(frozen=True)
class _Look:
    """How a kind of opacity looks.

    Attributes:
        share: Grade → share of the lobe or zone that it takes.
        density: Grade → share of the air space that is filled there.
        foci: Grade → how many it spreads from.
        soft: Width of its margin, relative to the size of the zone.
        ragged: How much noise deforms it.
        patchy: How uneven it is inside, 0 to 1.
        bronchograms: Whether airways stay open in it.
        least_hu: Rise in HU from which a voxel belongs to the mask.
    """

    share: Mapping[str, float]
    density: Mapping[str, float]
    foci: Mapping[str, int]
    soft: float
    ragged: float
    patchy: float
    bronchograms: bool
    least_hu: float


def _grades(mild: float, moderate: float, severe: float) -> Mapping[str, float]:
    return MappingProxyType({"mild": mild, "moderate": moderate, "severe": severe})


_ONE = MappingProxyType({"mild": 1, "moderate": 1, "severe": 1})
_SEVERAL = MappingProxyType({"mild": 1, "moderate": 2, "severe": 3})
_LOOKS = {
    "consolidation": _Look(_grades(0.25, 0.5, 0.88), _grades(0.85, 0.92, 0.96), _ONE, 0.14, 0.3, 0.1, True, 200.0),
    "pneumonia": _Look(_grades(0.16, 0.32, 0.55), _grades(0.55, 0.7, 0.82), _SEVERAL, 0.3, 0.55, 0.45, True, 120.0),
    "ground-glass opacity": _Look(
        _grades(0.35, 0.6, 0.9), _grades(0.16, 0.24, 0.34), _SEVERAL, 0.4, 0.4, 0.3, False, 40.0
    ),
}


@editor("consolidation", "pneumonia", "ground-glass opacity", needs=(LOBES,))
def opacity(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Fills air space around foci in a lobe; fissures and pleura stop it, vessels show through, airways stay open.

    The mask is where HU have risen by at least 200 (consolidation), 120 (pneumonia) or 40 (ground glass); size_cm is
    its largest extent on one side.
    """
    look = _LOOKS[str(finding.kind)]
    patches, size = [], 0.0
    for lung in lungs(scan, finding.laterality):
        patch = _patch(lung, finding, look, generator)
        size = max(size, extent_cm(patch.mask, lung.fine_affine))
        patches.append(patch)
    return patched(scan, patches, replace(finding, size_cm=size))


def _patch(lung: Lung, finding: Finding, look: _Look, generator: np.random.Generator) -> Patch:
    grade = finding.severity or "moderate"
    zone = lung.zone(finding.location)
    foci = _foci(lung, zone, look.foci[grade], generator)
    room = float(zone.sum() * np.prod(lung.spacing)) ** (1 / 3)
    score = np.full(zone.shape, np.inf)
    for focus, reach in zip(foci, generator.uniform(0.8, 1.25, len(foci)), strict=True):
        score = np.minimum(score, np.linalg.norm(lung.points - focus, axis=-1) / (room * reach))
    everywhere = np.ones(zone.shape, np.bool_)
    score += look.ragged * noise(lung.affine, everywhere, draw_seed(generator), 0.45 * room, 3)
    inside = lung.sealed(*_lobes(finding.location, lung))
    if finding.location in ("lingula", "apex", "base", "hilum"):  # they end in the middle of a lobe, without a border
        score += np.maximum(0.0, -lung.signed(zone)) / 18.0
    level = float(np.quantile(score[zone], look.share[grade]))
    fill = ramp(lung.fine(score), level + look.soft, level - look.soft) * inside
    acini = noise(lung.fine_affine, fill > 0, draw_seed(generator), 9.0, 2)
    fill = look.density[grade] * ramp(fill + look.patchy * acini * (fill > 0), 0.0, 1.0)
    hu = lung.hu()
    tissue = TISSUE_HU + 12.0 * acini + grain(lung.scan, hu.shape, generator)
    airways = _airways(lung, foci, room, generator) if look.bronchograms else None
    new = filled(hu, fill, tissue)
    if airways is not None:
        # Where there is neither vessel nor wall, and only in what is filled.
        new = replaced(new, airways * ramp(fill, 0.15, 0.5) * (hu < -500), np.minimum(hu, _LUMEN_HU))
    return Patch(lung.box, new, inside & (new - hu >= look.least_hu))


def _lobes(location: str | None, lung: Lung) -> tuple[str, ...]:
    """Labels that it stays in; none for the whole lung."""
    if location == "lingula":
        return (f"lung_upper_lobe_{lung.side}",)
    if location is not None and location.endswith("lobe"):
        return (f"lung_{location.replace(' ', '_')}_{lung.side}",)
    return ()


def _foci(lung: Lung, zone: NDArray[np.bool_], count: int, generator: np.random.Generator) -> list[NDArray[np.float64]]:
    """Points of a zone, rather deep in it; the first anywhere, each further one far from those before."""
    depth = lung.signed(zone)
    deep = np.argwhere(depth >= np.quantile(depth[zone], 0.6))
    points = lung.points[tuple(deep.T)]
    foci = [points[generator.integers(len(points))]]
    while len(foci) < count:
        some = points[generator.integers(len(points), size=12)]
        away = np.min([np.linalg.norm(some - focus, axis=1) for focus in foci], axis=0)
        foci.append(some[int(away.argmax())])
    return foci


def _airways(
    lung: Lung, foci: list[NDArray[np.float64]], room: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Share of each voxel that is open airway: as labelled, or else grown from the hilum to the foci."""
    lumen = lung.part("airway_lumen")
    if lumen is not None and (lumen & lung.inside()).any():
        return lumen.astype(np.float32)
    trees = [bronchial_tree(lung.hilum, focus, 0.5 * room, generator) for focus in foci]
    start, end, radius = (np.concatenate(columns) for columns in zip(*trees, strict=True))
    return strands(lung.fine_affine, lung.hu().shape, start, end, radius)
