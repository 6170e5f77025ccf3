"""What a photon leaves in a converter: a number, an energy, a squared energy.

A photon that interacts leaves its energy, less a K fluorescence that gets out, or what a Compton electron takes.
Coherent scattering, and what becomes of a Compton-scattered photon within the converter, are left out.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expn

from synth.drr.materials import ELECTRON_KEV, ENERGY_KEV, Material, material

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["absorbed_moments"]

# K shell by element, from xraylib 4: edge, keV; jump ratio of photoelectric absorption there; fluorescence yield; mean
# energy of the K lines by their rates, keV.
_K_SHELL = {
    "I": (33.1694, 6.039, 0.8819, 29.130),
    "Cs": (35.9846, 5.949, 0.8942, 31.499),
    "Se": (12.6578, 7.225, 0.6019, 11.385),
}


@functools.cache
def absorbed_moments(name: str, thickness_mm: float, packing: float) -> tuple[NDArray[np.float64], ...]:
    """What photons of each energy leave in a layer that they cross straight on.

    Args:
        name: A material of synth.drr.materials.
        thickness_mm: Of the layer.
        packing: Its density as a share of the solid's.

    Returns:
        (290,) each, per arriving photon: share that interacts; mean energy left, keV; mean squared energy left, keV².
    """
    of = material(name)
    photo, compton = of.process("photoelectric"), of.process("incoherent")
    depth = (photo + compton) * (0.1 * of.density * packing * thickness_mm)
    interacting = 1 - np.exp(-depth)
    share = photo / (photo + compton)
    first, second = share * ENERGY_KEV, share * ENERGY_KEV**2
    for symbol, (edge, jump, yielded, line) in _K_SHELL.items():
        if symbol not in of.weights:
            continue
        alone = _share_of(name, symbol)
        at_line = float(np.interp(line, ENERGY_KEV, photo + compton)) * 0.1 * of.density * packing * thickness_mm
        lost = np.where(edge < ENERGY_KEV, alone * (1 - 1 / jump) * yielded * _escape(depth, at_line), 0.0)
        first -= share * lost * line
        second += share * lost * ((ENERGY_KEV - line) ** 2 - ENERGY_KEV**2)
    recoil = _recoil()
    first, second = first + (1 - share) * recoil[0], second + (1 - share) * recoil[1]
    return interacting, interacting * first, interacting * second


def _share_of(name: str, symbol: str) -> NDArray[np.float64]:
    """Share of one element in a material's photoelectric absorption, (290,)."""
    of = material(name)
    alone = Material(symbol, 1.0, {symbol: 1.0}).process("photoelectric")
    return of.weights[symbol] / sum(of.weights.values()) * alone / of.process("photoelectric")


def _escape(depth: NDArray[np.float64], at_line: float) -> NDArray[np.float64]:
    """Chance that an isotropic fluorescence leaves the layer through either face.

    ½·(E₂(µ_K·z) + E₂(µ_K·(L − z))), E₂ the exponential integral, over depths z that fall off as e^(−µz).

    Args:
        depth: (290,), µ·L at the energies of the photons.
        at_line: µ_K·L at the fluorescence's.
    """
    z = (np.arange(200) + 0.5) / 200
    out = (expn(2, at_line * z) + expn(2, at_line * (1 - z))) / 2
    weight = np.exp(-depth[:, None] * z)
    return np.asarray((weight @ out) / weight.sum(1))


def _recoil() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean energy and mean squared energy of Compton electrons (Klein & Nishina 1929), keV and keV²: (290,) each."""
    cosine, weight = np.polynomial.legendre.leggauss(64)
    ratio = 1 / (1 + ENERGY_KEV[:, None] / ELECTRON_KEV * (1 - cosine))
    density = weight * ratio**2 * (ratio + 1 / ratio - 1 + cosine**2)
    energy = ENERGY_KEV[:, None] * (1 - ratio)
    total = density.sum(1)
    return (density * energy).sum(1) / total, (density * energy**2).sum(1) / total
