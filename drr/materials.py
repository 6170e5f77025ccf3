"""What matter does to X-rays: mass attenuation of elements, compounds and tissues.

Cross sections are xraylib's (Schoonjans et al. 2011, Spectrochim Acta B 66:776), kept in tables/elements.npz by
scripts/make_tables.py on one energy grid: bins of 0.5 keV from 5 to 150 keV.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["ENERGY_KEV", "MATERIALS", "Material", "energy_absorption", "material"]

ELECTRON_KEV = 510.998950
"""Rest energy of the electron (CODATA 2018)."""
_ELECTRON_RADIUS_CM = 2.8179403262e-13  # CODATA 2018
_AVOGADRO = 6.02214076e23


@functools.cache
def _elements() -> Mapping[str, NDArray[Any]]:
    with resources.files("synth.drr").joinpath("tables/elements.npz").open("rb") as stream, np.load(stream) as tables:
        return MappingProxyType({name: tables[name] for name in tables.files})


ENERGY_KEV: NDArray[np.float64] = np.arange(5.25, 150, 0.5)
"""(290,), centres of the energy bins of all spectra and tables, keV."""


@dataclass(frozen=True)
class Material:
    """A homogeneous material.

    Attributes:
        name: What to call it.
        density: g/cm³.
        weights: Element symbol → fraction by weight.
    """

    name: str
    density: float
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(_elements()["symbol"].tolist()))
        if unknown:
            raise InputError(f"material {self.name}: no element {', '.join(unknown)}; hydrogen to uranium are known")
        total = sum(self.weights.values())
        if not (self.density > 0 and min(self.weights.values(), default=0) >= 0 and abs(total - 1) < 0.02):
            raise InputError(
                f"material {self.name}: density must be positive, weights not negative and 1 in sum (got {total:.3f})"
            )

    @property
    def mass_attenuation(self) -> NDArray[np.float64]:
        """(290,) on ENERGY_KEV, cm²/g, coherent scattering included."""
        return self.process("photoelectric") + self.process("incoherent") + self.process("coherent")

    @property
    def attenuation(self) -> NDArray[np.float64]:
        """(290,) on ENERGY_KEV, 1/mm."""
        return self.mass_attenuation * (0.1 * self.density)

    @property
    def electrons_per_gram(self) -> float:
        """Electrons in a gram."""
        elements = _elements()
        numbers = np.arange(1, len(elements["symbol"]) + 1)
        per_gram = dict(zip(elements["symbol"].tolist(), _AVOGADRO * numbers / elements["weight"], strict=True))
        return float(sum(weight * per_gram[symbol] for symbol, weight in self.weights.items()))

    def process(self, name: str) -> NDArray[np.float64]:
        """Mass attenuation by one process, "photoelectric", "incoherent" or "coherent": (290,), cm²/g."""
        elements = _elements()
        rows = {symbol: i for i, symbol in enumerate(elements["symbol"].tolist())}
        total = sum(self.weights.values())
        mixed = np.zeros(len(ENERGY_KEV))
        for symbol, weight in self.weights.items():
            mixed += weight / total * elements[name][rows[symbol]]
        return mixed


def energy_absorption(of: Material) -> NDArray[np.float64]:
    """Mass energy-absorption coefficient of a light material, (290,), cm²/g.

    Photoelectric absorption, plus the energy that free electrons take in Compton scattering (Klein & Nishina 1929);
    fluorescence and bremsstrahlung, below 1 % for air and water at these energies, are neglected.
    """
    k = ENERGY_KEV / ELECTRON_KEV
    cosine = np.cos((np.arange(720) + 0.5) * np.pi / 720)
    sine = np.sqrt(1 - cosine**2)
    ratio = 1 / (1 + k[:, None] * (1 - cosine))
    differential = 0.5 * _ELECTRON_RADIUS_CM**2 * ratio**2 * (ratio + 1 / ratio - sine**2)
    transfer = (differential * (1 - ratio) * 2 * np.pi * sine).sum(1) * np.pi / 720
    scattered: NDArray[np.float64] = of.electrons_per_gram * transfer
    return of.process("photoelectric") + scattered


def material(name: str) -> Material:
    """A material of MATERIALS by its name.

    Raises:
        InputError: Unknown name; the message lists those that are known.
    """
    if name not in MATERIALS:
        raise InputError(f"unknown material {name!r}: use one of {', '.join(sorted(MATERIALS))}")
    return MATERIALS[name]


def _tissue(name: str, density: float, **percent: float) -> Material:
    return Material(name, density, {symbol: value / 100 for symbol, value in percent.items()})


_ALL = (
    # NIST Standard Reference Database 126, table 2 (ICRU report 44 compositions).
    _tissue("air", 1.205e-3, C=0.0124, N=75.5268, O=23.1781, Ar=1.2827),
    _tissue("water", 1.0, H=11.1894, O=88.8106),
    _tissue("adipose", 0.95, H=11.4, C=59.8, N=0.7, O=27.8, Na=0.1, S=0.1, Cl=0.1),
    _tissue("muscle", 1.05, H=10.2, C=14.3, N=3.4, O=71.0, Na=0.1, P=0.2, S=0.3, Cl=0.1, K=0.4),
    _tissue("soft_tissue", 1.06, H=10.2, C=14.3, N=3.4, O=70.8, Na=0.2, P=0.3, S=0.3, Cl=0.2, K=0.3),
    _tissue("blood", 1.06, H=10.2, C=11.0, N=3.3, O=74.5, Na=0.1, P=0.1, S=0.2, Cl=0.3, K=0.2, Fe=0.1),
    _tissue("lung", 0.26, H=10.3, C=10.5, N=3.1, O=74.9, Na=0.2, P=0.2, S=0.3, Cl=0.3, K=0.2),
    _tissue("cortical_bone", 1.92, H=3.4, C=15.5, N=4.2, O=43.5, Na=0.1, Mg=0.2, P=10.3, S=0.3, Ca=22.5),
    _tissue("pmma", 1.19, H=8.0541, C=59.9846, O=31.9613),
    _tissue("polyethylene", 0.93, H=14.3716, C=85.6284),
    _tissue("cesium_iodide", 4.51, Cs=51.1549, I=48.8451),
    # Compounds by their formulae; alloys by their standards.
    _tissue("selenium", 4.28, Se=100),  # amorphous
    _tissue("aluminium", 2.699, Al=100),
    _tissue("copper", 8.96, Cu=100),
    _tissue("iron", 7.874, Fe=100),
    _tissue("titanium", 4.54, Ti=100),
    _tissue("tungsten", 19.3, W=100),
    _tissue("gold", 19.32, Au=100),
    _tissue("lead", 11.35, Pb=100),
    _tissue("platinum", 21.45, Pt=100),
    _tissue("silver", 10.5, Ag=100),
    _tissue("tantalum", 16.65, Ta=100),
    _tissue("steel_316l", 8.0, Fe=65.5, Cr=17.0, Ni=12.0, Mo=2.5, Mn=2.0, Si=1.0),  # ASTM F138
    _tissue("ti6al4v", 4.43, Ti=90.0, Al=6.0, V=4.0),  # ASTM F136
    _tissue("cocrmo", 8.3, Co=65.0, Cr=28.5, Mo=6.5),  # ASTM F75
    _tissue("nitinol", 6.45, Ni=55.8, Ti=44.2),  # ASTM F2063
    _tissue("silicone", 1.15, H=8.16, C=32.39, O=21.57, Si=37.88),  # polydimethylsiloxane
    _tissue("polyurethane", 1.1, H=8.0, C=62.0, N=6.0, O=24.0),
    _tissue("pvc", 1.35, H=4.84, C=38.44, Cl=56.72),
    _tissue("cotton", 1.5, H=6.22, C=44.45, O=49.33),  # cellulose
    _tissue("glass", 2.5, O=46.0, Si=33.7, Na=10.0, Ca=7.5, Al=0.8, Mg=2.0),  # soda–lime
    _tissue("barium_sulfate", 4.5, Ba=58.84, S=13.74, O=27.42),
    _tissue("iodine_contrast", 1.32, H=7.5, C=13.5, N=2.6, O=46.4, I=30.0),  # 370 mg iodine in a millilitre, about
)
MATERIALS: Mapping[str, Material] = MappingProxyType({item.name: item for item in _ALL})
"""Materials by name."""
