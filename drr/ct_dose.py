"""How noisy a CT's rays are: quanta behind a body, by dose, and what the logarithm makes of their noise.

A ray is told by the water that weakens as it does, L mm: ∫(1 + HU/1000) dl. Behind it the detector integrates
S(L) = Σ N(E)·E·exp(−μ_water(E)·L), which is as noisy as n(L) = (ΣN·E)²/ΣN·E² quanta. The scanner makes L of −ln S by
its correction of beam hardening, so that the variance of a ray at a share a of the dose is

    var(L) = [1/(a·n) + e²/(a·n)²] / μ(L)²,   μ(L) = −d ln S/dL,

with e² the electronic noise in quanta² (Zeng et al. 2015, IEEE Trans Nucl Sci 62:2226; the first term alone, and noise
inserted as the difference of two such variances: Yu et al. 2012, J Comput Assist Tomogr 36:477).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, material
from synth.drr.spectrum import Tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KERNELS", "Protocol", "Rays", "bow_tie"]

KERNELS = MappingProxyType({"soft": 0.6, "standard": 0.8, "sharp": 1.0})
"""Kernel → where its Hann window ends, 1/mm; it passes a half at half of that, and a tenth at four fifths."""

# A scanner of the usual kind. The noise goes as 1/√ of flux and efficiency; `mas` trims what differs.
_SOURCE_ISOCENTRE_MM = 570.0
_FILTRATION_MM = MappingProxyType({"aluminium": 7.0})
_EFFICIENCY = 0.8  # quanta counted of those that reach the detector's face
_ELEMENT_MM2 = 0.6 * 0.6  # detector element, at the isocentre
_READINGS = 1000  # of an element in a rotation
_BOW_TIE_MM = 320.0  # water cylinder that the bow-tie flattens: the body phantom of CTDI
_BOW_TIE_SHARE = 0.4  # of the flattening: about a twelfth of the flux is left at its edge
_LONGEST_MM = 1500
_STEP_KEV = 0.5


@dataclass(frozen=True)
class Rays:
    """What one ray of a slice gathers.

    Attributes:
        pitch_mm: Distance between rays at the isocentre.
        thickness_mm: Of the slice.
        views: Of half a turn; a ray holds the quanta of both its directions.
    """

    pitch_mm: float
    thickness_mm: float
    views: int

    @property
    def share(self) -> float:
        """mm² that a ray gathers of the fluence of a rotation."""
        return self.pitch_mm * self.thickness_mm / self.views


@dataclass(frozen=True)
class Protocol:
    """How a CT was taken.

    Attributes:
        kvp: Tube potential, 40 to 150.
        mas: Effective tube charge of the CT as it is: mAs of a rotation over pitch.
        slice_thickness_mm: Nominal thickness; neighbours closer than that share their noise. Default: the spacing.
        kernel: "soft", "standard" or "sharp".
        electronic: Standard deviation of one reading's electronic noise, in quanta.
    """

    kvp: float = 120.0
    mas: float = 200.0
    slice_thickness_mm: float | None = None
    kernel: str = "standard"
    electronic: float = 3.0

    def __post_init__(self) -> None:
        Tube(kvp=self.kvp, mas=self.mas)  # refuses what no tube does
        if self.kernel not in KERNELS:
            raise InputError(f"kernel must be {', '.join(KERNELS)}, got {self.kernel!r}")
        if self.slice_thickness_mm is not None and not 0.1 <= self.slice_thickness_mm <= 50:
            raise InputError(f"slice thickness must be 0.1 to 50 mm, got {self.slice_thickness_mm}")
        if not 0 <= self.electronic <= 1000:
            raise InputError(f"electronic noise must be 0 to 1000 quanta, got {self.electronic}")

    @property
    def cutoff(self) -> float:
        """Where the kernel's window ends, 1/mm."""
        return KERNELS[self.kernel]

    def electronic_variance(self, rays: Rays) -> float:
        """Electronic noise of one ray, quanta²: of all readings that went into it."""
        return self.electronic**2 * _READINGS * rays.share / _ELEMENT_MM2

    def quanta(self, rays: Rays) -> NDArray[np.float64]:
        """What a ray is worth behind water: (2, 1501), ln n(L) and ln μ(L), μ in 1/mm, at L = 0, 1, …, 1500 mm."""
        fluence = Tube(kvp=self.kvp, mas=self.mas, filtration_mm=_FILTRATION_MM).spectrum(_SOURCE_ISOCENTRE_MM).fluence
        quanta = fluence * (_STEP_KEV * _EFFICIENCY * rays.share)
        water = material("water").attenuation
        behind = quanta * np.exp(-np.outer(np.arange(_LONGEST_MM + 1), water))
        signal, squares = behind @ ENERGY_KEV, behind @ ENERGY_KEV**2
        hardened = behind @ (ENERGY_KEV * water) / signal
        worth: NDArray[np.float64] = np.log(np.stack([signal**2 / squares, hardened]))
        return worth

    def extra_variance(self, L: NDArray[np.float64], dose: float, rays: Rays) -> NDArray[np.float64]:
        """Variance that a share `dose` of the dose adds to rays behind L mm of water, mm².

        Fewer quanta than 1 count as 1: no scanner takes the logarithm of nothing.
        """
        table = self.quanta(rays)
        nodes = np.arange(table.shape[1])
        n, mu = (np.exp(np.interp(L, nodes, row)) for row in table)
        n = np.maximum(n, 1.0)
        electronic = self.electronic_variance(rays)
        added: NDArray[np.float64] = ((1 / dose - 1) / n + electronic * (1 / dose**2 - 1) / n**2) / mu**2
        return added


def bow_tie(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Water that the bow-tie filter puts into rays at `offsets` mm from the isocentre, mm; none in the middle.

    A model: what a cylinder of 320 mm lacks at s of its chord through the middle, times 0.4.
    """
    chord = 2 * np.sqrt(np.maximum((_BOW_TIE_MM / 2) ** 2 - offsets**2, 0))
    lacking: NDArray[np.float64] = _BOW_TIE_SHARE * (_BOW_TIE_MM - chord)
    return lacking
