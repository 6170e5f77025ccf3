"""From Hounsfield units to matter: density and composition of tissue, and its attenuation as two channels.

Density and composition follow the stoichiometric calibration of Schneider et al. (2000, Phys Med Biol 45:459),
interpolated between the middles of its bins so that no threshold shows. Attenuation of tissue at any diagnostic energy
lies on a plane spanned by two functions, photoelectric and Compton (Alvarez & Macovski 1976, Phys Med Biol 21:733). As
functions we take tabulated materials: cortical bone, and water with a twelfth of bone taken off, which span the plane
of water and bone but leave no tissue with a negative share. E⁻³ and Klein–Nishina miss water by up to 2 % and bone by
3 %; water and bone are exact, and every bin of the calibration is met within 0.3 % (root mean square over energies).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.core.errors import InputError
from synth.core.volume import AIR_HU
from synth.drr.materials import ENERGY_KEV, MATERIALS, Material
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["BASIS", "HU_RANGE", "Calibration", "channel_attenuation", "read_calibration", "stored_channels"]

_SHIFT = 0.08  # bone taken off water, g/cm³ per g/cm³
_FIT_KEV = (20.0, 150.0)
HU_RANGE = (AIR_HU, 4095)
"""What the calibration is tabulated for; voxels beyond are taken as its ends."""

_WATER, _BONE = (MATERIALS[name].mass_attenuation * 0.1 for name in ("water", "cortical_bone"))
BASIS: NDArray[np.float64] = np.stack([_WATER - _SHIFT * _BONE, _BONE])
"""(2, 290) on ENERGY_KEV, 1/mm per g/cm³: attenuation of a unit of each channel, Compton-like, photoelectric-like."""

# Schneider et al. 2000, table 6: lower end of each bin in HU, then per cent by weight.
_ELEMENTS = ("H", "C", "N", "O", "Na", "Mg", "P", "S", "Cl", "Ar", "K", "Ca")
_BINS: tuple[tuple[float, ...], ...] = (
    (-1000, 0, 0, 75.5, 23.2, 0, 0, 0, 0, 0, 1.3, 0, 0),
    (-950, 10.3, 10.5, 3.1, 74.9, 0.2, 0, 0.2, 0.3, 0.3, 0, 0.2, 0),
    (-120, 11.6, 68.1, 0.2, 19.8, 0.1, 0, 0, 0.1, 0.1, 0, 0, 0),
    (-82, 11.3, 56.7, 0.9, 30.8, 0.1, 0, 0, 0.1, 0.1, 0, 0, 0),
    (-52, 11.0, 45.8, 1.5, 41.1, 0.1, 0, 0.1, 0.2, 0.2, 0, 0, 0),
    (-22, 10.8, 35.6, 2.2, 50.9, 0, 0, 0.1, 0.2, 0.2, 0, 0, 0),
    (8, 10.6, 28.4, 2.6, 57.8, 0, 0, 0.1, 0.2, 0.2, 0, 0.1, 0),
    (19, 10.3, 13.4, 3.0, 72.3, 0.2, 0, 0.2, 0.2, 0.2, 0, 0.2, 0),
    (80, 9.4, 20.7, 6.2, 62.2, 0.6, 0, 0, 0.6, 0.3, 0, 0, 0),
    (120, 9.5, 45.5, 2.5, 35.5, 0.1, 0, 2.1, 0.1, 0.1, 0, 0.1, 4.5),
    (200, 8.9, 42.3, 2.7, 36.3, 0.1, 0, 3.0, 0.1, 0.1, 0, 0.1, 6.4),
    (300, 8.2, 39.1, 2.9, 37.2, 0.1, 0, 3.9, 0.1, 0.1, 0, 0.1, 8.3),
    (400, 7.6, 36.1, 3.0, 38.0, 0.1, 0.1, 4.7, 0.2, 0.1, 0, 0, 10.1),
    (500, 7.1, 33.5, 3.2, 38.7, 0.1, 0.1, 5.4, 0.2, 0, 0, 0, 11.7),
    (600, 6.6, 31.0, 3.3, 39.4, 0.1, 0.1, 6.1, 0.2, 0, 0, 0, 13.2),
    (700, 6.1, 28.7, 3.5, 40.0, 0.1, 0.1, 6.7, 0.2, 0, 0, 0, 14.6),
    (800, 5.6, 26.5, 3.6, 40.5, 0.1, 0.2, 7.3, 0.3, 0, 0, 0, 15.9),
    (900, 5.2, 24.6, 3.7, 41.1, 0.1, 0.2, 7.8, 0.3, 0, 0, 0, 17.0),
    (1000, 4.9, 22.7, 3.8, 41.6, 0.1, 0.2, 8.3, 0.3, 0, 0, 0, 18.1),
    (1100, 4.5, 21.0, 3.9, 42.0, 0.1, 0.2, 8.8, 0.3, 0, 0, 0, 19.2),
    (1200, 4.2, 19.4, 4.0, 42.5, 0.1, 0.2, 9.2, 0.3, 0, 0, 0, 20.1),
    (1300, 3.9, 17.9, 4.1, 42.9, 0.1, 0.2, 9.6, 0.3, 0, 0, 0, 21.0),
    (1400, 3.6, 16.5, 4.2, 43.2, 0.1, 0.2, 10.0, 0.3, 0, 0, 0, 21.9),
    (1500, 3.4, 15.5, 4.2, 43.5, 0.1, 0.2, 10.3, 0.3, 0, 0, 0, 22.5),
)
_TOP_HU = 1600.0
# Schneider et al. 2000, equations 20–23: density at the ends of its straight pieces, g/cm³. The published curve falls
# at 100 HU, from connective tissue's 1.1199 to bone's 1.017 + 0.000592·HU; ours stays level until the latter is there.
_DENSITY_HU = (-1000.0, -98.0, 14.0, 23.0, 100.0, (1.1199 - 1.017) / 0.000592, 1600.0)
_DENSITY = (1.21e-3, 0.93, 1.03, 1.03, 1.1199, 1.1199, 1.9642)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Density and composition by Hounsfield unit.

    Attributes:
        hu: (n,), ascending.
        density: (n,), g/cm³ at `hu`, straight in between.
    """

    hu: NDArray[np.float64]
    density: NDArray[np.float64]

    def __post_init__(self) -> None:
        steps = np.diff(self.hu)
        if self.hu.ndim != 1 or len(self.hu) < 2 or self.hu.shape != self.density.shape or not (steps > 0).all():
            raise InputError("calibration: give at least two rows of HU and density, HU ascending")
        if not np.isfinite(self.hu).all():
            raise InputError("calibration: HU must be finite")
        if not (np.isfinite(self.density).all() and (self.density >= 0).all() and self.density.any()):
            raise InputError("calibration: densities must be finite and not negative, and not all 0, in g/cm³")

    @classmethod
    def schneider(cls) -> Calibration:
        """The published curve."""
        return cls(np.array(_DENSITY_HU), np.array(_DENSITY))

    def density_at(self, hu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Density, g/cm³; above the last row its slope goes on."""
        slope = (self.density[-1] - self.density[-2]) / (self.hu[-1] - self.hu[-2])
        beyond = slope * np.maximum(hu - self.hu[-1], 0)
        return np.asarray(np.interp(hu, self.hu, self.density) + beyond, np.float64)

    def tissue_at(self, hu: float) -> Material:
        """The tissue of one Hounsfield unit."""
        percent = _composition(np.array([hu]))[0]
        weights = dict(zip(_ELEMENTS, percent / percent.sum(), strict=True))
        return Material(f"tissue at {hu:g} HU", float(self.density_at(np.array([hu]))[0]), weights)

    @cached_property
    def channels(self) -> NDArray[np.float64]:
        """(2, n) for every whole HU of HU_RANGE: units of BASIS, g/cm³.

        Fitted to the tabulated attenuation by relative least squares from 20 to 150 keV.
        """
        hu = np.arange(HU_RANGE[0], HU_RANGE[1] + 1, dtype=float)
        use = (ENERGY_KEV >= _FIT_KEV[0]) & (ENERGY_KEV <= _FIT_KEV[1])
        percent = _composition(hu)
        elements = np.stack([Material(symbol, 1.0, {symbol: 1.0}).mass_attenuation[use] for symbol in _ELEMENTS])
        mass = percent / percent.sum(1, keepdims=True) @ elements * 0.1  # (n, energies), 1/mm per g/cm³
        scaled = BASIS[:, use][None] / mass[:, None]  # (n, 2, energies): the fit is to a row of ones
        gram = np.einsum("nie,nje->nij", scaled, scaled)
        shares = np.linalg.solve(gram, scaled.sum(2)[..., None])[..., 0]
        fitted: NDArray[np.float64] = np.ascontiguousarray((shares * self.density_at(hu)[:, None]).T)
        return fitted


def channel_attenuation(energy_kev: float) -> NDArray[np.float64]:
    """(2,): attenuation of a unit of each channel at one energy, 1/mm per g/cm³."""
    return np.array([np.exp(np.interp(energy_kev, ENERGY_KEV, np.log(row))) for row in BASIS])


def stored_channels(
    hu: NDArray[np.int16] | NDArray[np.float32],
    calibration: Calibration,
    displaced: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """The two channels of a CT in 16 bits.

    Args:
        hu: (z, y, x); fractions of a HU are rounded.
        calibration: What tissue a Hounsfield unit is.
        displaced: (z, y, x), 0 to 1, fraction of every voxel that holds no tissue.

    Returns:
        (2, z, y, x) uint16, and (2,) the value of a unit of each channel, g/cm³.
    """
    channels = np.maximum(calibration.channels, 0)
    unit = channels.max(1) / 65535
    table = np.rint(channels / unit[:, None]).astype(np.uint16)
    stored = np.empty((2, *hu.shape), np.uint16)
    rest = None if displaced is None else (1 - displaced).astype(np.float32)

    def planes(z0: int, z1: int) -> None:
        _look_up(hu[z0:z1], table, HU_RANGE[0], stored[:, z0:z1])
        if rest is not None:
            stored[:, z0:z1] = np.rint(stored[:, z0:z1] * rest[z0:z1])

    run_parallel(planes, len(hu), 4)
    return stored, unit


@njit(nogil=True, cache=True)
def _look_up(hu, table, lowest, stored):  # type: ignore[no-untyped-def]
    last = table.shape[1] - 1
    for z in range(hu.shape[0]):
        for y in range(hu.shape[1]):
            for x in range(hu.shape[2]):
                i = min(max(int(round(hu[z, y, x])) - lowest, 0), last)
                stored[0, z, y, x] = table[0, i]
                stored[1, z, y, x] = table[1, i]


def read_calibration(path: Path) -> Calibration:
    """A user's curve: CSV with the columns hu and density (g/cm³).

    Raises:
        InputError: The file is missing or no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [(float(row["hu"]), float(row["density"])) for row in csv.DictReader(stream)]
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: expected a CSV with the columns hu and density ({error})") from error
    hu, density = np.array(rows).reshape(-1, 2).T
    return Calibration(hu, density)


def _composition(hu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Per cent by weight, (n, elements), straight between the middles of the bins."""
    table = np.array(_BINS)
    ends = np.append(table[:, 0], _TOP_HU)
    middles = (ends[:-1] + ends[1:]) / 2
    return np.stack([np.interp(hu, middles, column) for column in table[:, 1:].T], axis=1)
