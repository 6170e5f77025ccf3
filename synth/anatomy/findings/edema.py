"""Cardiogenic oedema of the lungs: interstitial (septa, cuffs, haze, fissures) and alveolar (bat's wings).

Signs and their places after Gluecker et al. 1999 (RadioGraphics 19:1507).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.findings.base import editor
from synth.anatomy.findings.distance import distance_to
from synth.anatomy.findings.geometry import extent_cm, lungs, refined
from synth.anatomy.findings.noise import cells, draw_seed, noise
from synth.anatomy.findings.tissue import Patch, filled, patched, ramp
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.anatomy.findings.geometry import Lung
    from synth.anatomy.scan import Scan
    from synth.core.record import Finding

__all__ = ["edema", "interstitial"]

_FLUID_HU = 20.0
_STRENGTH = {"mild": 0.45, "moderate": 0.75, "severe": 1.1}
_WING_MM = {"mild": 70.0, "moderate": 88.0, "severe": 110.0}
_WING_FILL = {"mild": 0.4, "moderate": 0.62, "severe": 0.82}
_LOBULE_MM = 16.0  # secondary pulmonary lobules measure 1 to 2.5 cm (Webb 2006, Radiology 239:322)
_SEPTUM_MM = 1.0  # thickened; 0.1 mm in health
_LEAST_HU = {"interstitial edema": 30.0, "alveolar edema": 100.0}


@editor("interstitial edema", needs=(LUNG_LEFT + LUNG_RIGHT,))
def interstitial(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Thick septa at the periphery, cuffs around hilar vessels and bronchi, perihilar and dependent haze, fissures.

    The mask is where HU have risen by 30 or more.
    """
    return edema(scan, finding, generator)


@editor("alveolar edema", needs=(LUNG_LEFT + LUNG_RIGHT,))
def edema(scan: Scan, finding: Finding, generator: np.random.Generator) -> Scan:
    """Air space filled around the hila, sparing the periphery, on top of mild interstitial oedema.

    The mask is where HU have risen by 100 or more.
    """
    alveolar = finding.kind == "alveolar edema"
    grade = finding.severity or "moderate"
    septa, clumps = draw_seed(generator), draw_seed(generator)
    patches, size = [], 0.0
    for lung in lungs(scan, finding.laterality):
        inside = lung.sealed()
        fill: NDArray[Any] = _interstitial(lung, inside, 0.45 if alveolar else _STRENGTH[grade], septa)
        if alveolar:
            reach = _WING_MM[grade] * generator.uniform(0.9, 1.1)
            fill = 1.0 - (1.0 - fill) * (1.0 - _wing(lung, inside, reach, _WING_FILL[grade], clumps))
        hu = lung.hu()
        new = filled(hu, fill * inside, _FLUID_HU)
        mask = inside & (new - hu >= _LEAST_HU[str(finding.kind)])
        size = max(size, extent_cm(mask, lung.fine_affine))
        patches.append(Patch(lung.box, new, mask))
    return patched(scan, patches, replace(finding, size_cm=size))


def _interstitial(lung: Lung, inside: NDArray[np.bool_], strength: float, seed: int) -> NDArray[np.float32]:
    """Share of the air space that fluid in the interstitium takes."""
    height, hilar, costal = lung.fine(lung.height), lung.fine(lung.hilar), lung.fine(lung.costal)
    low = 1.0 - height if not lung.scan.supine else lung.fine(_backward(lung))
    uneven = noise(lung.fine_affine, inside, seed, 22.0, 2)
    central = np.exp(-((hilar / 60.0) ** 2))
    haze = (0.05 + 0.11 * central + 0.08 * low) * (1.0 + 0.5 * uneven)
    # Only some septa are thick enough to be seen, most of them near the pleura of the bases.
    seen = ramp(costal, 34.0, 8.0) * (0.1 + 0.9 * ramp(low, 0.3, 0.8)) * ramp(uneven, -0.35, 0.25)
    _, wall = cells(lung.fine_affine, inside & (seen > 0.02), seed, _LOBULE_MM)
    septa = _plate(lung, wall, _SEPTUM_MM) * seen
    cuffs = 1.6 * _blurred_vessels(lung) * np.exp(-hilar / 80.0)
    fissures = 0.8 * _plate(lung, lung.fine(_fissure(lung)), 1.4 * strength) * ramp(low, 0.0, 0.5)
    clear: NDArray[Any] = 1.0 - np.clip(strength * haze, 0.0, 1.0)
    for part in (strength * septa, strength * cuffs, fissures):
        clear *= 1.0 - np.clip(part, 0.0, 0.95)
    return np.asarray(1.0 - clear, np.float32)


def _wing(lung: Lung, inside: NDArray[np.bool_], reach_mm: float, density: float, seed: int) -> NDArray[np.float32]:
    """Share of the air space that is flooded: around the hilum, fading outwards, clumped like merging acini."""
    # Taller than wide, and away from the chest wall; towards the mediastinum nothing is spared.
    hilar = lung.fine(np.linalg.norm((lung.points - lung.hilum) * [1.0, 1.0, 0.74], axis=-1))
    spared = ramp(lung.fine(lung.costal), 4.0, 30.0)
    uneven = 0.34 * noise(lung.fine_affine, inside, seed, 26.0, 2) + 0.16 * noise(
        lung.fine_affine, inside, seed + 7 & 0xFFFFFFFF, 8.0, 1
    )
    central = ramp(hilar, reach_mm, 0.25 * reach_mm) * spared
    return np.asarray(density * ramp(central + uneven * (central > 0), 0.12, 0.75), np.float32)


def _plate(lung: Lung, distance: NDArray[np.float32], thick_mm: float) -> NDArray[np.float32]:
    """Share of a voxel that a sheet takes: a Gaussian of the sheet's own thickness, widened by the voxel."""
    edge = float(np.prod(lung.scan.volume.spacing) ** (1 / 3))
    spread = np.hypot(thick_mm / np.sqrt(2.0 * np.pi), 0.35 * edge)
    peak = thick_mm / (np.sqrt(2.0 * np.pi) * spread)
    return np.asarray(peak * np.exp(-0.5 * (distance / spread) ** 2), np.float32)


def _backward(lung: Lung) -> NDArray[np.float32]:
    """0 at the front of the lung, 1 at its back, coarse."""
    y = lung.points[..., 1]
    low, high = y[lung.mask].min(), y[lung.mask].max()
    return np.asarray((y - low) / (high - low), np.float32)


def _fissure(lung: Lung) -> NDArray[np.float32]:
    """Distance to the nearest fissure, mm, coarse."""
    distance = np.full(lung.mask.shape, 1e3)
    for name in lung.names:
        lobe = lung.lobe(name.removeprefix("lung_").removesuffix(f"_{lung.side}").replace("_", " "))
        others = lung.mask & ~lobe
        if others.any() and lobe.any():
            away = distance_to(others, lung.spacing) - 0.5 * lung.spacing.mean()
            distance = np.where(lobe, away, distance)
    return distance.astype(np.float32)


def _blurred_vessels(lung: Lung) -> NDArray[np.float32]:
    """Vessels and walls of bronchi, spread by 2 mm: where they are cuffed with fluid."""
    from scipy import ndimage

    spacing = lung.scan.volume.spacing[::-1]
    step = np.maximum(1, np.rint(1.4 / spacing)).astype(int)
    dense = np.clip((lung.hu() + 650.0) / 500.0, 0.0, 1.0) * (lung.inside() & (lung.fine(lung.depth) > 2.5))
    sparse = dense[:: step[0], :: step[1], :: step[2]].astype(np.float32)
    return refined(ndimage.gaussian_filter(sparse, 2.0 / (spacing * step), truncate=2.5), tuple(step), dense.shape)
