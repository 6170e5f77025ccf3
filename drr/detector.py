"""From absorbed X-rays to the raw image: response of the converter, quantum noise, blur, electronics, defects."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.materials import material
from synth.drr.response import absorbed_moments
from synth.kernels.noise import convolve, standard_normal, uniform, with_quantum_noise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["DETECTORS", "Detector"]

_STEP_KEV = 0.5
_BLUR_ERROR, _BLUR_BAND, _BLUR_RADIUS = 0.004, 0.85, 12  # of the response, up to this share of Nyquist's frequency
_GAIN, _DEAD = 1, 2  # streams of the generator; 0 is the quanta's


@dataclass(frozen=True)
class Detector:
    """A flat panel whose signal is the energy absorbed in its converter.

    What a photon leaves in the converter is synth.drr.response's; the spread of light per absorbed energy is left out.
    The blur acts on quanta as on the image: noise has the blur's spectrum.

    Attributes:
        material: Of the converter: "cesium_iodide" or "selenium", or another of synth.drr.materials, which then has no
            fluorescence.
        thickness_mm: Of the converter.
        packing: Its density as a share of the solid's.
        blur_mm2: H of the blur's response 1/(1 + H·f²) at f per mm, the Lorentzian that cascade models of flat panels
            take for scintillators; 0 for none. The default, with a pixel of 0.127 mm, gives MTFs of 0.22 at 2.5 and
            0.09 at 3.8 per mm; measured on 0.6 mm of caesium iodide were about 0.2 and 0.1 (Samei 2003, "Image
            quality in two phosphor-based flat panel digital radiographic detectors", Med Phys 30:1747).
        electronic_kev: Electronic noise of a pixel of `native_pitch_mm`, keV absorbed, root mean square.
        native_pitch_mm: Below the pitch of an exposure, pixels are taken as binned: noise grows with the pitch.
        gain_spread: What flat-field correction leaves of the pixels' gain, root mean square about 1.
        dead_fraction: Share of pixels that read 0.
        defect_seed: Of gain and dead pixels: another panel.
        saturation_kev: Energy in a pixel from which it reads no more; None for no limit.
        bits: Of the converter from 0 to `saturation_kev`; None for no rounding.
    """

    material: str = "cesium_iodide"
    thickness_mm: float = 0.6
    packing: float = 0.78
    blur_mm2: float = 0.45
    electronic_kev: float = 70.0
    native_pitch_mm: float = 0.143
    gain_spread: float = 0.0
    dead_fraction: float = 0.0
    defect_seed: int = 0
    saturation_kev: float | None = None
    bits: int | None = None

    def __post_init__(self) -> None:
        material(self.material)
        for name, low, high in (
            ("thickness_mm", 1e-3, 10),
            ("packing", 0.1, 1),
            ("blur_mm2", 0, 10),
            ("electronic_kev", 0, 1e9),
            ("native_pitch_mm", 1e-3, 10),
            ("gain_spread", 0, 0.2),
            ("dead_fraction", 0, 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"detector: {name} must be {low:g} to {high:g}, got {getattr(self, name)}")
        if self.saturation_kev is not None and not self.saturation_kev > 0:
            raise InputError(f"detector: saturation_kev must be positive or None, got {self.saturation_kev}")
        if self.bits is not None and (self.saturation_kev is None or not 1 <= self.bits <= 24):
            raise InputError(f"detector: bits must be 1 to 24 beside saturation_kev, or None, got {self.bits}")

    @property
    def absorption(self) -> NDArray[np.float64]:
        """(290,) on ENERGY_KEV, share of photons that interact, straight on."""
        return self._response[0]

    @property
    def energy_response(self) -> NDArray[np.float64]:
        """(290,), mean energy that an arriving photon leaves, keV."""
        return self._response[1]

    @property
    def energy_squared_response(self) -> NDArray[np.float64]:
        """(290,), mean squared energy that an arriving photon leaves, keV²."""
        return self._response[2]

    def absorbed(self, fluence: NDArray[np.float64], pitch_mm: float) -> tuple[float, float]:
        """What a pixel absorbs of a spectrum.

        Args:
            fluence: (290,) on ENERGY_KEV, photons per mm² and keV.
            pitch_mm: Width of the square pixel.

        Returns:
            Mean energy, keV, and sum of the squared energies, keV²: `energy` and `energy_squared` of `expose`.
        """
        photons = fluence * (_STEP_KEV * pitch_mm**2)
        return float(photons @ self.energy_response), float(photons @ self.energy_squared_response)

    def swank_factor(self, fluence: NDArray[np.float64]) -> float:
        """Swank's factor M1²/(M0·M2) of the absorbed energy (Swank 1973, J Appl Phys 44:4199) under (290,) photons."""
        m0, m1, m2 = (float(fluence @ moment) for moment in self._response)
        return m1**2 / (m0 * m2)

    def blur(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Response of the converter at `frequency`, 1/mm, any shape."""
        return np.asarray(1 / (1 + self.blur_mm2 * np.square(frequency)))

    def mtf(self, frequency: NDArray[np.float64], pitch_mm: float) -> NDArray[np.float64]:
        """Presampled MTF along a pixel's side: converter and square aperture.

        `expose` takes what pixels absorb, means over their area, and so adds the blur alone.
        """
        return self.blur(frequency) * np.abs(np.sinc(np.asarray(frequency) * pitch_mm))

    def electronic_rms(self, pitch_mm: float) -> float:
        """Electronic noise of a pixel of this pitch, keV."""
        return self.electronic_kev * max(1.0, pitch_mm / self.native_pitch_mm)

    def expose(
        self, energy: NDArray[np.float32], energy_squared: NDArray[np.float32], seed: int, *, pitch_mm: float
    ) -> NDArray[np.float32]:
        """One exposure: quanta, blur, electronic noise, gain, saturation, rounding, dead pixels, in this order.

        Args:
            energy: (h, w), mean energy that a pixel absorbs, primary and scatter, keV.
            energy_squared: (h, w), sum over its photons of the squared absorbed energy, keV²; the variance.
            seed: 64 bits; a pixel's noise depends on it and the pixel's index alone.
            pitch_mm: Distance of pixels.

        Returns:
            (h, w), keV.

        Raises:
            InputError: Shapes differ, or a number is negative or not finite.
        """
        energy, energy_squared = (np.ascontiguousarray(a, np.float32) for a in (energy, energy_squared))
        if energy.ndim != 2 or energy.shape != energy_squared.shape or not energy.size:
            raise InputError(f"energy and energy_squared must be (h, w), got {energy.shape} and {energy_squared.shape}")
        for name, values in (("energy", energy), ("energy_squared", energy_squared)):
            if not (values.min() >= 0 and values.max() < np.inf):  # NaN fails, too
                raise InputError(f"{name} must be finite and not negative, got {values.min()} to {values.max()}")
        if not pitch_mm > 0:
            raise InputError(f"pitch_mm must be positive, got {pitch_mm}")
        drawn, normal = with_quantum_noise(energy, energy_squared, seed)
        taps = _taps(self.blur_mm2, pitch_mm)
        radius = min(len(taps) // 2, *energy.shape)
        middle = slice(len(taps) // 2 - radius, len(taps) // 2 + radius + 1)
        read = convolve(drawn, np.ascontiguousarray(taps[middle, middle]), normal, self.electronic_rms(pitch_mm))
        return self._digitised(read)

    def gain(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Gain of every pixel, (h, w); dead ones have 0."""
        gain = np.ones(shape, np.float32)
        if self.gain_spread:
            gain += np.float32(self.gain_spread) * standard_normal(shape, self.defect_seed, _GAIN)
        if self.dead_fraction:
            gain[uniform(shape, self.defect_seed, _DEAD) < self.dead_fraction] = 0
        return gain

    def _digitised(self, read: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.gain_spread or self.dead_fraction:
            read *= self.gain((read.shape[0], read.shape[1]))
        if self.saturation_kev is not None:
            np.clip(read, 0, self.saturation_kev, out=read)
        if self.bits is not None and self.saturation_kev is not None:
            step = np.float32(self.saturation_kev / (2**self.bits - 1))
            read = np.rint(read / step) * step
        return read

    @property
    def _response(self) -> tuple[NDArray[np.float64], ...]:
        return absorbed_moments(self.material, self.thickness_mm, self.packing)


DETECTORS: Mapping[str, Detector] = MappingProxyType(
    {
        "cesium_iodide": Detector(),
        # Charge follows the field straight to its pixel: next to no blur of its own.
        "selenium": Detector("selenium", 0.5, 1.0, 0.0),
    }
)
"""Usual panels by their converter."""


@functools.lru_cache(maxsize=64)
def _taps(blur_mm2: float, pitch_mm: float) -> NDArray[np.float32]:
    """The blur as weights of neighbours, (2r + 1, 2r + 1), symmetric; 1 in sum.

    Least squares on the wanted response, close to Nyquist's frequency with little weight: the response has a crease
    there, which only far neighbours could follow.
    """
    if not blur_mm2:
        return np.ones((1, 1), np.float32)
    share = (np.arange(40) + 0.5) / 40  # of Nyquist's frequency
    u, v = (a.ravel() for a in np.meshgrid(share, share))
    wanted = 1 / (1 + blur_mm2 * (u**2 + v**2) / (2 * pitch_mm) ** 2)
    judged = (u < _BLUR_BAND) & (v < _BLUR_BAND)
    weight = np.where(judged, 1.0, 0.03)
    for radius in range(1, _BLUR_RADIUS + 1):
        n = radius + 1
        along, across = (np.cos(np.pi * a[:, None] * np.arange(n)) for a in (u, v))
        pairs = [(i, j) for i in range(n) for j in range(i + 1)]
        basis = np.stack([along[:, i] * across[:, j] + along[:, j] * across[:, i] for i, j in pairs], axis=1)
        found = np.linalg.lstsq(basis * weight[:, None], wanted * weight, rcond=None)[0]
        found /= 2 * found.sum()  # a flat field keeps its level
        if np.abs(basis @ found - wanted)[judged].max() < _BLUR_ERROR:
            break
    quarter = np.zeros((n, n))
    for (i, j), value in zip(pairs, found, strict=True):
        quarter[i, j] += value
        quarter[j, i] += value
    halves = np.where(np.arange(n), 0.5, 1.0)  # a cosine is two neighbours, one on either side
    place = np.abs(np.arange(-radius, radius + 1))
    whole = (quarter * halves * halves[:, None])[np.ix_(place, place)]
    return np.ascontiguousarray(whole, np.float32)
