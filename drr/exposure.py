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
from numba import njit

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.drr.primary import Beam, Primary
from synth.drr.scatter import GRIDS, ScatterModel
from synth.drr.spectrum import Spectrum, Tube
from synth.drr.tissue import channel_attenuation
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.drr.detector import Detector
    from synth.drr.geometry import Camera
    from synth.drr.technique import Technique

__all__ = ["Exposure", "expose"]

_ROWS = 32
_SPARSE = 4  # pixels from one that the automatic exposure looks at to the next
_SHADOW_MM = 20.0  # water-equivalent path from which a pixel counts as behind the body
_LARGEST_GAP_MM = 500.0
_DARKEST = 1e-5  # of the open beam: what −ln is taken of at least, below which no detector tells


@dataclass(frozen=True, eq=False)
class Exposure:
    """What a panel read, and what it took.

    Attributes:
        log_signal: (h, w) float32, −ln of the flat-fielded signal.
        shadow: (h, w) bool, behind the body.
        primary: (h, w) float32, absorbed energy of the primary beam behind the grid, keV/mm² at 1 mAs.
        scatter: (h, w) float32, that of scattered radiation.
        mas: Tube charge used.
        entrance_kerma_ugy: Air kerma where the central ray enters the body, without backscatter.
        detector_kerma_ugy: Median over the shadow, by the calibration of the exposure index.
        exposure_index: IEC 62494-1 (2008): 100 times that kerma in µGy.
        half_value_layer_mm: Of the beam, mm of aluminium.
        mean_energy_kev: Of the beam before the body.
    """

    log_signal: NDArray[np.float32]
    shadow: NDArray[np.bool_]
    primary: NDArray[np.float32]
    scatter: NDArray[np.float32]
    mas: float
    entrance_kerma_ugy: float
    detector_kerma_ugy: float
    exposure_index: float
    half_value_layer_mm: float
    mean_energy_kev: float

    @property
    def scatter_to_primary(self) -> NDArray[np.float32]:
        """(h, w), ratio of the energies behind the grid; 0 without scatter."""
        return np.asarray(self.scatter / np.maximum(self.primary, 1e-30), np.float32)


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
    tube, detector, grid = replace(technique.tube, mas=1.0), technique.detector, GRIDS[technique.grid]
    beam = _beam(tube, detector, camera.source_detector_mm)
    primary = beam.through(integrals[0], integrals[1], objects or {})
    water = _water_path(beam, integrals)
    body = _Body.seen(camera, outline)
    scatter = _scatter(technique, beam, primary, water, body, pitch_u)
    field = _Field.of(camera, tube, detector)
    energy, squared = field.at_panel(primary, scatter, grid.primary_transmission, _mean_absorbed(beam))
    shadow = water > _SHADOW_MM
    sparse = (slice(None, None, _SPARSE), slice(None, None, _SPARSE))
    judged = energy[sparse][shadow[sparse]]
    kerma = float(np.median(judged)) / _energy_per_ugy(detector) if judged.size else 0.0
    mas = technique.tube.mas
    if technique.detector_kerma_ugy is not None and kerma > 0:
        mas = technique.detector_kerma_ugy / kerma
    area = np.float32(mas * pitch_u**2)
    signal = energy * area
    if technique.noise:
        signal = detector.expose(signal, squared * area, seed, pitch_mm=pitch_u)
    through = np.float32(grid.primary_transmission)
    return Exposure(
        log_signal=field.minus_log(signal, float(beam.open_energy * through * area)),
        shadow=shadow,
        primary=primary.energy * through,
        scatter=scatter,
        mas=float(mas),
        entrance_kerma_ugy=_air_kerma(beam) * (camera.source_detector_mm / body.source_skin_mm) ** 2 * mas,
        detector_kerma_ugy=kerma * mas,
        exposure_index=100 * kerma * mas,
        half_value_layer_mm=_half_value_layer(beam),
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


def _water_path(beam: Beam, integrals: NDArray[np.float32]) -> NDArray[np.float32]:
    """The water that attenuates as much at the beam's mean energy, (h, w), mm; objects left out."""
    energy = beam.mean_energy_kev
    water = np.interp(energy, ENERGY_KEV, MATERIALS["water"].attenuation)
    compton, photoelectric = (channel_attenuation(energy) / water).astype(np.float32)
    path: NDArray[np.float32] = integrals[0] * compton + integrals[1] * photoelectric
    return path


@functools.lru_cache(maxsize=64)
def _air_kerma(beam: Beam) -> float:
    return beam.spectrum.air_kerma_ugy


@functools.lru_cache(maxsize=64)
def _half_value_layer(beam: Beam) -> float:
    return beam.spectrum.half_value_layer_mm()


def _mean_absorbed(beam: Beam) -> float:
    """Mean energy squared over mean energy that a photon leaves, keV: what a unit of energy adds to the variance."""
    return beam.open_energy_squared / beam.open_energy


@dataclass(frozen=True, eq=False)
class _Field:
    """Fluence at every pixel over that where the beam meets the detector straight.

    (d/r)²·cos = (1 + (x² + y²)/d²)^(−3/2), times the heel of each row.
    """

    x: NDArray[np.float32]  # (w,), of columns, from where the beam is straight, over the distance
    y: NDArray[np.float32]  # (h,)
    heel: NDArray[np.float32]  # (h,)

    @classmethod
    def of(cls, camera: Camera, tube: Tube, detector: Detector) -> _Field:
        (h, w), d, (pitch_v, pitch_u) = camera.shape, camera.source_detector_mm, camera.pitch_mm
        axes = np.stack([camera.du, camera.dv, camera.camera_to_world[:3, 2]], axis=1)
        foot = np.linalg.solve(axes, camera.source - camera.origin)
        x = ((np.arange(w) - foot[0]) * (pitch_u / d)).astype(np.float32)
        y = ((np.arange(h) - foot[1]) * (pitch_v / d)).astype(np.float32)
        return cls(x, y, _heel(tube, detector, y) if tube.heel else np.ones(h, np.float32))

    def at_panel(
        self, primary: Primary, scatter: NDArray[np.float32], through: float, kev: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Absorbed energy and squared energy, (h, w) each: primary by `through` and scatter, which adds `kev` a keV."""
        energy, squared = np.empty_like(scatter), np.empty_like(scatter)
        both = (primary.energy, primary.energy_squared, scatter, np.float32(through), np.float32(kev))

        def rows(v0: int, v1: int) -> None:
            _at_panel(*both, self.x, self.y, self.heel, energy, squared, v0, v1)

        run_parallel(rows, len(energy), _ROWS)
        return energy, squared

    def minus_log(self, signal: NDArray[np.float32], open_signal: float) -> NDArray[np.float32]:
        """−ln of a signal over the flat field, whose straight value is `open_signal`."""
        result = np.empty_like(signal)

        def rows(v0: int, v1: int) -> None:
            _minus_log(signal, np.float32(1 / open_signal), self.x, self.y, self.heel, result, v0, v1)

        run_parallel(rows, len(result), _ROWS)
        return result


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _at_panel(primary, primary_squared, scatter, through, kev, x, y, heel, energy, squared, v0, v1):  # type: ignore[no-untyped-def]
    for v in range(v0, v1):
        for u in range(energy.shape[1]):
            inverse = np.float32(1) / (np.float32(1) + x[u] * x[u] + y[v] * y[v])
            field = heel[v] * inverse * math.sqrt(inverse)
            energy[v, u] = (primary[v, u] * through + scatter[v, u]) * field
            squared[v, u] = (primary_squared[v, u] * through + scatter[v, u] * kev) * field


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _minus_log(signal, scale, x, y, heel, result, v0, v1):  # type: ignore[no-untyped-def]
    for v in range(v0, v1):
        for u in range(signal.shape[1]):
            square = np.float32(1) + x[u] * x[u] + y[v] * y[v]
            flat = signal[v, u] * scale * square * math.sqrt(square) / heel[v]
            result[v, u] = -math.log(max(flat, np.float32(_DARKEST)))


def _heel(tube: Tube, detector: Detector, y: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the anode leaves along the image's rows, towards it upwards, relative to the central ray."""
    angles = -np.rad2deg(np.arctan(y))
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
