"""Hounsfield units → linear attenuation at one photon energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import AIR_HU

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["stored_attenuation", "water_attenuation"]

# Mass attenuation of liquid water, cm²/g, with coherent scattering, by photon energy, keV.
# Hubbell & Seltzer (1995), NISTIR 5632, table 4.
_ENERGY = np.array([10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200], float)
_WATER = np.array([5.329, 1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505, 0.1370])


def water_attenuation(energy_kev: float) -> float:
    """Linear attenuation of water at 1 g/cm³, 1/mm; log–log interpolation between tabulated energies.

    Raises:
        InputError: Energy outside 10 to 200 keV.
    """
    if not _ENERGY[0] <= energy_kev <= _ENERGY[-1]:
        raise InputError(f"photon energy must be {_ENERGY[0]:.0f} to {_ENERGY[-1]:.0f} keV, got {energy_kev}")
    return 0.1 * float(np.exp(np.interp(np.log(energy_kev), np.log(_ENERGY), np.log(_WATER))))


def stored_attenuation(hu: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.uint16] | NDArray[np.float32]:
    """Attenuation in thousandths of water's: HU + 1000, not below 0; whole HU stay exact in 16 bits.

    From the definition HU = 1000·(μ − μ_water)/(μ_water − μ_air), with μ_air ≈ 0. Multiply by water_attenuation / 1000.
    """
    attenuation = np.maximum(hu, hu.dtype.type(AIR_HU))
    attenuation -= hu.dtype.type(AIR_HU)
    # Whole HU wrap around in the signed sum, and come out right as unsigned: up to 32767 + 1000.
    return attenuation.view(np.uint16) if attenuation.dtype == np.int16 else attenuation
