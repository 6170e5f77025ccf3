"""The primary beam: what every pixel absorbs of a spectrum, given its two tissue integrals and what objects add.

With W and B the line integrals of the two channels of synth.drr.tissue, the absorbed energy is

    M(W, B) = Σ_E N(E)·r(E)·exp(−W·g₁(E) − B·g₂(E)),      r: mean energy that a photon leaves in the detector,

tabulated once for a beam on a grid of W and B (the exponential separates, so the table is a matrix product) and
interpolated in its logarithm; the ratio of squared to plain energies, which the quantum noise needs, goes along. Pixels
behind objects, which have K-edges and more dimensions than a table has, are summed energy by energy.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.drr.materials import ENERGY_KEV, material
from synth.drr.tissue import BASIS
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.drr.spectrum import Spectrum

__all__ = ["Beam", "Primary"]

_STEP_KEV = 0.5
# Nodes of the table stand at (i·h)², mm·g/cm³: dense where a soft beam hardens fast. Interpolation errs by a step
# squared over 8 times the curvature of the logarithm; beyond the last node the last step goes on.
_ROOT_STEPS = (0.08, 0.05)
_NODES = (336, 288)
_ROWS = 32


@dataclass(frozen=True, eq=False)
class Primary:
    """What the primary beam leaves in every pixel.

    Attributes:
        energy: (h, w) float32, mean absorbed energy, keV/mm².
        energy_squared: (h, w) float32, Σ N·E² of the absorbed photons, keV²/mm²: the variance of `energy`.
    """

    energy: NDArray[np.float32]
    energy_squared: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Beam:
    """A spectrum and what a detector takes from it.

    Attributes:
        spectrum: At the detector, without a patient.
        response: (290,) on ENERGY_KEV, mean energy that an arriving photon leaves, keV.
        response_squared: (290,), mean squared energy that it leaves, keV².
    """

    spectrum: Spectrum
    response: NDArray[np.float64]
    response_squared: NDArray[np.float64]

    @property
    def open_energy(self) -> float:
        """Absorbed energy where nothing is in the beam, keV/mm²."""
        return float(self._weights(1).sum())

    @property
    def open_energy_squared(self) -> float:
        """Sum of the squared energies there, keV²/mm²."""
        return float(self._weights(2).sum())

    @property
    def mean_energy_kev(self) -> float:
        """Mean energy of the photons, each counted by what it leaves in the detector."""
        return float(self._weights(1) @ ENERGY_KEV / self._weights(1).sum())

    def through(
        self,
        compton: NDArray[np.float32],
        photoelectric: NDArray[np.float32],
        objects: Mapping[str, NDArray[np.float32]],
    ) -> Primary:
        """The primary image.

        Args:
            compton: (h, w), line integral of the first channel of BASIS, mm·g/cm³.
            photoelectric: (h, w), of the second.
            objects: Material → (h, w), path length, mm.

        Raises:
            ValueError: Shapes differ.
        """
        if not compton.shape == photoelectric.shape or any(mm.shape != compton.shape for mm in objects.values()):
            raise ValueError(
                f"line integrals of one view must share a shape, got {compton.shape}, {photoelectric.shape}"
            )
        energy, squared = np.empty_like(compton), np.empty_like(compton)
        table = self._table

        def rows(v0: int, v1: int) -> None:
            _interpolate(compton, photoelectric, table, *_ROOT_STEPS, energy, squared, v0, v1)

        run_parallel(rows, len(compton), _ROWS)
        if objects:
            self._behind(compton, photoelectric, objects, energy, squared)
        return Primary(energy, squared)

    def direct(self, compton: float, photoelectric: float, objects: Mapping[str, float]) -> tuple[float, float]:
        """The same for one ray, energy by energy: (energy, energy squared)."""
        depth = compton * BASIS[0] + photoelectric * BASIS[1]
        depth = depth + sum((mm * material(name).attenuation for name, mm in objects.items()), np.zeros_like(depth))
        passed = np.exp(-depth)
        return float(self._weights(1) @ passed), float(self._weights(2) @ passed)

    def _weights(self, power: int) -> NDArray[np.float64]:
        response = self.response if power == 1 else self.response_squared
        return np.asarray(self.spectrum.fluence * _STEP_KEV * response, np.float64)

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """At the nodes, (nodes of W, nodes of B, 2) float32: ln M, and the sum of squares over M, keV."""
        behind_w, behind_b = _transmissions()
        sums = np.stack([(behind_w * self._weights(power)) @ behind_b for power in (1, 2)], axis=-1)
        sums = np.maximum(sums, np.finfo(float).tiny)
        return np.stack([np.log(sums[..., 0]), sums[..., 1] / sums[..., 0]], axis=-1).astype(np.float32)

    def _behind(
        self,
        compton: NDArray[np.float32],
        photoelectric: NDArray[np.float32],
        objects: Mapping[str, NDArray[np.float32]],
        energy: NDArray[np.float32],
        squared: NDArray[np.float32],
    ) -> None:
        lengths = np.stack(list(objects.values()))
        hit = np.flatnonzero((lengths > 0).any(0))
        attenuation = np.concatenate([BASIS, np.stack([material(name).attenuation for name in objects])])
        integrals = np.stack(
            [compton.ravel()[hit], photoelectric.ravel()[hit], *lengths.reshape(len(lengths), -1)[:, hit]]
        )
        used = np.flatnonzero(self._weights(1) > 0)
        weights = np.stack([self._weights(1)[used], self._weights(2)[used]])
        sums = np.empty((2, len(hit)))

        def pixels(i0: int, i1: int) -> None:
            _sum_energies(integrals, np.ascontiguousarray(attenuation[:, used]), weights, sums, i0, i1)

        run_parallel(pixels, len(hit), 1024)
        energy.ravel()[hit], squared.ravel()[hit] = sums


@functools.cache
def _transmissions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the nodes of W, (nodes, energies), and of B, (energies, nodes), let through: the same for every beam."""
    w, b = ((np.arange(n) * h) ** 2 for n, h in zip(_NODES, _ROOT_STEPS, strict=True))
    return np.exp(-np.outer(w, BASIS[0])), np.exp(-np.outer(BASIS[1], b))


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _interpolate(compton, photoelectric, table, h_w, h_b, energy, squared, v0, v1):  # type: ignore[no-untyped-def]
    last_w, last_b = table.shape[0] - 2, table.shape[1] - 2
    one, zero = np.float32(1), np.float32(0)
    per_w, per_b = np.float32(1 / (h_w * h_w)), np.float32(1 / (h_b * h_b))
    for v in range(v0, v1):
        for u in range(compton.shape[1]):
            w, b = max(compton[v, u], zero) * per_w, max(photoelectric[v, u], zero) * per_b
            i, j = min(int(math.sqrt(w)), last_w), min(int(math.sqrt(b)), last_b)
            f = (w - np.float32(i * i)) / np.float32(2 * i + 1)
            g = (b - np.float32(j * j)) / np.float32(2 * j + 1)
            w00, w01, w10, w11 = (one - f) * (one - g), (one - f) * g, f * (one - g), f * g
            p, q, r, s = table[i, j], table[i, j + 1], table[i + 1, j], table[i + 1, j + 1]
            energy[v, u] = math.exp(w00 * p[0] + w01 * q[0] + w10 * r[0] + w11 * s[0])
            squared[v, u] = energy[v, u] * max(w00 * p[1] + w01 * q[1] + w10 * r[1] + w11 * s[1], zero)


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _sum_energies(integrals, attenuation, weights, sums, i0, i1):  # type: ignore[no-untyped-def]
    for i in range(i0, i1):
        first, second = 0.0, 0.0
        for e in range(attenuation.shape[1]):
            depth = 0.0
            for k in range(integrals.shape[0]):
                depth += integrals[k, i] * attenuation[k, e]
            passed = math.exp(-depth)
            first += weights[0, e] * passed
            second += weights[1, e] * passed
        sums[0, i], sums[1, i] = first, second
