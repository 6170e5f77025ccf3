"""X-ray spectra of a tungsten tube: potential, filtration, charge, distance; and what they are said by.

Bare-anode spectra are SpekPy's (Poludniowski et al. 2021, Med Phys 48:3630), kept in tables/tube.npz by
scripts/make_tables.py; filters are ours.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, MATERIALS, energy_absorption, material

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Spectrum", "Tube"]

_STEP_KEV = 0.5
_KEV_J = 1.602176634e-16  # CODATA 2018
# µGy per photon/mm² and keV with a mass energy-absorption coefficient of 1 cm²/g: 100 mm²/cm² · keV in J / (g in kg).
_KERMA_UGY = 100 * _KEV_J * 1e3 * 1e6


@functools.cache
def _tube_tables() -> Mapping[str, NDArray[np.float32]]:
    with resources.files("synth.drr").joinpath("tables/tube.npz").open("rb") as stream, np.load(stream) as tables:
        return MappingProxyType({name: tables[name] for name in tables.files})


@dataclass(frozen=True)
class Tube:
    """How a tube is run.

    Attributes:
        kvp: Tube potential, kV, 40 to 150.
        mas: Tube charge, mAs.
        anode_angle_deg: Angle of the anode's face, 6 to 20°.
        filtration_mm: Material → thickness, mm; what the tube's window and housing filter counted in as aluminium.
        heel: Whether the beam weakens towards the anode.
    """

    kvp: float = 120.0
    mas: float = 2.0
    anode_angle_deg: float = 12.0
    filtration_mm: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"aluminium": 3.0}))
    heel: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (("kvp", 40, 150), ("mas", 1e-6, 1e4), ("anode_angle_deg", 6, 20)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"tube: {name} must be {low:g} to {high:g}, got {getattr(self, name)}")
        for name, thickness in self.filtration_mm.items():
            material(name)
            if not 0 <= thickness < 1000:
                raise InputError(f"tube: {name} filter must be 0 to 1000 mm thick, got {thickness}")
        object.__setattr__(self, "filtration_mm", MappingProxyType(dict(self.filtration_mm)))

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy neither pickles nor copies
        return Tube, (self.kvp, self.mas, self.anode_angle_deg, dict(self.filtration_mm), self.heel)

    def spectrum(self, distance_mm: float = 1000.0, towards_anode_deg: float = 0.0) -> Spectrum:
        """The spectrum of one exposure.

        Args:
            distance_mm: From the focal spot; the fluence falls with its square.
            towards_anode_deg: Angle from the central ray towards the anode, for the heel effect; away is negative.
        """
        take_off = float(np.clip(self.anode_angle_deg - towards_anode_deg, 1.0, 24.0))
        fluence = _bare(self.kvp, take_off) * self.mas * (1000.0 / distance_mm) ** 2
        return Spectrum(fluence).filtered(self.filtration_mm)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Photons by energy.

    Attributes:
        fluence: (290,) on ENERGY_KEV, photons per mm² and keV.
    """

    fluence: NDArray[np.float64]

    def filtered(self, filtration_mm: Mapping[str, float]) -> Spectrum:
        """The spectrum behind filters, material → mm; primary photons only."""
        depth = sum((mm * material(name).attenuation for name, mm in filtration_mm.items()), np.zeros(len(ENERGY_KEV)))
        return Spectrum(self.fluence * np.exp(-depth))

    @property
    def photons(self) -> float:
        """Photons per mm²."""
        return float(self.fluence.sum() * _STEP_KEV)

    @property
    def mean_energy_kev(self) -> float:
        """Mean photon energy."""
        return float(self.fluence @ ENERGY_KEV / self.fluence.sum())

    @property
    def air_kerma_ugy(self) -> float:
        """Air kerma, µGy."""
        return float(self.fluence @ _kerma_per_fluence()) * _STEP_KEV

    def half_value_layer_mm(self, name: str = "aluminium", fraction: float = 0.5) -> float:
        """Thickness of a filter that leaves `fraction` of the air kerma, mm."""
        weights, depth = self.fluence * _kerma_per_fluence(), material(name).attenuation
        total = weights.sum()
        return float(brentq(lambda mm: weights @ np.exp(-mm * depth) / total - fraction, 0.0, 500.0))


@functools.cache
def _kerma_per_fluence() -> NDArray[np.float64]:
    """Air kerma by energy, µGy·mm² per photon."""
    return ENERGY_KEV * energy_absorption(MATERIALS["air"]) * _KERMA_UGY


def _bare(kvp: float, take_off_deg: float) -> NDArray[np.float64]:
    """Bare-anode fluence at 1 m and 1 mAs, between tabulated potentials and angles."""
    tables = _tube_tables()
    i, f = _between(tables["potential_kv"], kvp)
    j, g = _between(tables["take_off_deg"], take_off_deg)
    fluence = tables["fluence"].astype(np.float64)
    low = fluence[i, j] * (1 - g) + fluence[i, j + 1] * g
    high = fluence[i + 1, j] * (1 - g) + fluence[i + 1, j + 1] * g
    mixed: NDArray[np.float64] = np.where(ENERGY_KEV <= kvp, low * (1 - f) + high * f, 0.0)
    return mixed


def _between(nodes: NDArray[np.float32], x: float) -> tuple[int, float]:
    i = int(np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2))
    return i, float((x - nodes[i]) / (nodes[i + 1] - nodes[i]))
