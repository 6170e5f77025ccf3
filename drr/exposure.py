"""One exposure: from tissue integrals to the raw image of a panel, with the dose it took.

    tissue integrals ─▶ primary ─┬─────────────▶ grid ─▶ + ─▶ quanta, blur, electronics ─▶ flat field ─▶ −ln
                                 └─▶ scatter ──▶ grid ───┘

Fluence falls with the square of the distance and with the angle of the ray to the detector's normal, and towards the
anode where the heel effect is on. The flat field divides that out, as panels do, and leaves its noise.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.materials import MATERIALS
from synth.drr.primary import Beam, Primary
from synth.drr.scatter import GRIDS, ScatterModel
from synth.drr.spectrum import Spectrum, Tube

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.drr.detector import Detector
    from synth.drr.geometry import Camera
    from synth.drr.technique import Technique

__all__ = ["Exposure", "expose"]

_SHADOW_MM = 20.0  # water-equivalent path from which a pixel counts as behind the body
_LARGEST_GAP_MM = 500.0
_DARKEST = 1e-5  # of the open beam: what −ln is taken of at least, below which no detector tells


@dataclass(frozen=True, eq=False)
class Exposure:
    """What a panel read, and what it took.

    Attributes:
        log_signal: (h, w) float32, −ln of the flat-fielded signal.
        shadow: (h, w) bool, behind the body.
        scatter_to_primary: (h, w) float32, of the energies behind the grid; 0 without scatter.
        mas: Tube charge used.
        entrance_kerma_ugy: Air kerma where the central ray enters the body, without backscatter.
        detector_kerma_ugy: Median over the shadow, by the calibration of the exposure index.
        exposure_index: IEC 62494-1 (2008): 100 times that kerma in µGy.
        half_value_layer_mm: Of the beam, mm of aluminium.
        mean_energy_kev: Of the beam before the body.
    """

    log_signal: NDArray[np.float32]
    shadow: NDArray[np.bool_]
    scatter_to_primary: NDArray[np.float32]
    mas: float
    entrance_kerma_ugy: float
    detector_kerma_ugy: float
    exposure_index: float
    half_value_layer_mm: float
    mean_energy_kev: float


def expose(
    technique: Technique,
    camera: Camera,
    integrals: NDArray[np.float32],
    outline: NDArray[np.float64],
    *,
    objects: Mapping[str, NDArray[np.float32]] | None = None,
    seed: int = 0,
) -> Exposure:
    """Takes a radiograph.

    Args:
        technique: Tube, detector, grid, dose.
        camera: The view; pixels are square.
        integrals: (2, h, w), tissue integrals of the view, mm·g/cm³.
        outline: (n, 3), points around the body, world mm: its thickness and its distance from the detector.
        objects: Material → (h, w), path length in objects, mm.
        seed: Of the noise.

    Raises:
        InputError: Pixels that are not square.
    """
    pitch_v, pitch_u = camera.pitch_mm
    if abs(pitch_v - pitch_u) > 1e-3 * pitch_u:
        raise InputError(f"view {camera.name}: physics needs square pixels, got {pitch_u:g}×{pitch_v:g} mm")
    tube, detector = replace(technique.tube, mas=1.0), technique.detector
    beam = _beam(tube, detector, camera.source_detector_mm)
    primary = beam.through(integrals[0], integrals[1], objects or {})
    water = _water_path(beam, primary)
    shadow = water > _SHADOW_MM
    body = _Body.seen(camera, outline)
    scatter = _scatter(technique, beam, primary, water, body, pitch_u)
    grid = GRIDS[technique.grid]
    through = np.float32(grid.primary_transmission)
    field = _field(camera, tube, detector)
    energy = (primary.energy * through + scatter) * field
    squared = (primary.energy_squared * through + scatter * np.float32(_mean_absorbed(beam))) * field
    kerma = float(np.median(energy[shadow])) / _energy_per_ugy(detector) if shadow.any() else 0.0
    mas = technique.tube.mas
    if technique.detector_kerma_ugy is not None and kerma > 0:
        mas = technique.detector_kerma_ugy / kerma
    area = np.float32(mas * pitch_u**2)
    signal = energy * area
    if technique.noise:
        signal = detector.expose(signal, squared * area, seed, pitch_mm=pitch_u)
    flat = field * np.float32(beam.open_energy * grid.primary_transmission) * area
    return Exposure(
        log_signal=-np.log(np.maximum(signal / flat, np.float32(_DARKEST))),
        shadow=shadow,
        scatter_to_primary=scatter / np.maximum(primary.energy * through, np.float32(1e-30)),
        mas=float(mas),
        entrance_kerma_ugy=float(tube.spectrum(body.source_skin_mm).air_kerma_ugy * mas),
        detector_kerma_ugy=kerma * mas,
        exposure_index=100 * kerma * mas,
        half_value_layer_mm=beam.spectrum.half_value_layer_mm(),
        mean_energy_kev=beam.spectrum.mean_energy_kev,
    )


@dataclass(frozen=True)
class _Body:
    """Along the detector's normal: where the body begins and ends."""

    source_skin_mm: float
    thickness_mm: float
    air_gap_mm: float

    @classmethod
    def seen(cls, camera: Camera, outline: NDArray[np.float64]) -> _Body:
        normal = camera.camera_to_world[:3, 2]
        depth = (outline - camera.source) @ normal
        near, far = max(float(depth.min()), 1.0), float(depth.max())
        return cls(near, max(far - near, 1.0), float(np.clip(camera.source_detector_mm - far, 0, _LARGEST_GAP_MM)))


# Beams and scatter models of the same tube serve every view and body.
@functools.lru_cache(maxsize=64)
def _cached_beam(
    kvp: float, anode_deg: float, filters: tuple[tuple[str, float], ...], detector: Detector, distance_mm: float
) -> Beam:
    tube = Tube(kvp=kvp, mas=1.0, anode_angle_deg=anode_deg, filtration_mm=dict(filters))
    return Beam(tube.spectrum(distance_mm), detector.energy_response, detector.energy_squared_response)


def _beam(tube: Tube, detector: Detector, distance_mm: float) -> Beam:
    filters = tuple(sorted(tube.filtration_mm.items()))
    return _cached_beam(tube.kvp, tube.anode_angle_deg, filters, detector, distance_mm)


@functools.lru_cache(maxsize=64)
def _scatter_model(beam: Beam, air_gap_mm: float, grid: str) -> ScatterModel:
    return ScatterModel.of_spectrum(beam.spectrum.fluence, air_gap_mm, GRIDS[grid])


def _scatter(
    technique: Technique,
    beam: Beam,
    primary: Primary,
    water: NDArray[np.float32],
    body: _Body,
    pitch_mm: float,
) -> NDArray[np.float32]:
    """Scattered energy that the detector absorbs, keV/mm² behind the grid.

    The detector is taken to absorb scatter as it does the primary.
    """
    if not technique.scatter:
        return np.zeros_like(water)
    model = _scatter_model(beam, round(body.air_gap_mm), technique.grid)
    relative = primary.energy / np.float32(beam.open_energy)
    return model.scatter(relative, water, pitch_mm=pitch_mm, body_mm=body.thickness_mm) * np.float32(beam.open_energy)


def _water_path(beam: Beam, primary: Primary) -> NDArray[np.float32]:
    """The water that attenuates as much, (h, w), mm: read off the beam's own attenuation by water."""
    mm = np.arange(0, 1200, 10.0)
    behind = beam.spectrum.fluence * beam.response * np.exp(-np.outer(mm, MATERIALS["water"].attenuation))
    depth = -np.log(behind.sum(1) / behind.sum(1)[0])
    measured = -np.log(np.maximum(primary.energy / np.float32(beam.open_energy), np.float32(1e-30)))
    return np.asarray(np.interp(measured, depth, mm), np.float32)


def _mean_absorbed(beam: Beam) -> float:
    """Mean energy squared over mean energy that a photon leaves, keV: what a unit of energy adds to the variance."""
    return beam.open_energy_squared / beam.open_energy


def _field(camera: Camera, tube: Tube, detector: Detector) -> NDArray[np.float32]:
    """Fluence at every pixel over that where the beam meets the detector straight: (d/r)²·cos, and the heel."""
    h, w = camera.shape
    d, (pitch_v, pitch_u) = camera.source_detector_mm, camera.pitch_mm
    foot = np.linalg.solve(
        np.stack([camera.du, camera.dv, camera.camera_to_world[:3, 2]], axis=1), camera.source - camera.origin
    )[:2]
    x = ((np.arange(w) - foot[0]) * pitch_u).astype(np.float32)
    y = ((np.arange(h) - foot[1]) * pitch_v).astype(np.float32)
    field: NDArray[np.float32] = (1 + (x**2 + y[:, None] ** 2) / np.float32(d * d)) ** np.float32(-1.5)
    return field * _heel(tube, detector, d, y)[:, None] if tube.heel else field


def _heel(tube: Tube, detector: Detector, distance_mm: float, y: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the anode leaves along the image's rows, towards it upwards, relative to the central ray."""
    angles = -np.rad2deg(np.arctan2(y, distance_mm))
    nodes = np.linspace(angles.min(), angles.max(), 17)
    energies = [tube.spectrum(towards_anode_deg=float(a)).fluence @ detector.energy_response for a in nodes]
    central = tube.spectrum().fluence @ detector.energy_response
    return np.asarray(np.interp(angles, nodes, np.array(energies) / central)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def _energy_per_ugy(detector: Detector) -> float:
    """Absorbed energy, keV/mm², per µGy of air kerma in the beam that calibrates the exposure index.

    IEC 62494-1 calibrates in RQA5 (IEC 61267:2005): 70 kV, 21 mm of aluminium added, here to 2.5 mm of the tube's own.
    """
    spectrum: Spectrum = Tube(kvp=70, mas=1.0, filtration_mm={"aluminium": 23.5}).spectrum()
    return math.fsum(spectrum.fluence * detector.energy_response) * 0.5 / spectrum.air_kerma_ugy
