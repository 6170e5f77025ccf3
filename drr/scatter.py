"""Scattered radiation: superposition of thickness-adaptive pencil-beam kernels.

As in Sun & Star-Lack (2010, Phys Med Biol 55:6695): every pencil of the beam sends scatter around its foot, by an
amount that depends on the water it crossed, spread by a sum of Gaussians. There, two Gaussians for each of some groups
of thickness are blended; here their widths are fixed and their weights follow the thickness, which blends without
groups, adds up over a spectrum and stays linear. Weights come from our own Monte Carlo (synth.drr.monte_carlo), by
scripts/make_scatter.py: slabs of water up to 45 cm, 20 to 150 keV, air gaps up to 50 cm.

A kernel is that of an endless slab as thick as the pencil's path. Where the body is thinner than there, more gets out,
and less where it is thicker: the adaptive factor e^((t' − t)/EXIT_MM) from path t' at the pencil to t where scatter
arrives, as their fASKS, in a form that costs one factor before and one after the superposition. In a body looser than
water scatter starts farther from the detector than in a slab of as many grams: half the difference counts as air gap.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.interpolate import PchipInterpolator
from scipy.special import erf

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["GRIDS", "Grid", "ScatterModel"]

CELL_MM = 8.0
"""Scatter is smooth: kernels are laid over cells of about this width."""
EXIT_MM = 500.0
"""Difference of path that changes by e what leaves the body; fitted to Monte Carlo of lungs beside a mediastinum."""
LOOSE = 0.5
"""What the body is longer than its path in water counts as air gap, by this share: scatter starts half-way through."""
_STEP_MM = 5.0  # of the table of weights by thickness
_EXTRA_MM, _EXTRAS = 20.0, 13  # of the table by what lies between scatter and the body's surface, beyond the air gap
_ROWS = 8


@dataclass(frozen=True)
class Grid:
    """An anti-scatter grid, focused on the source.

    Attributes:
        ratio: Height of the strips over the gap between them.
        primary_transmission: Of what comes from the source, 0 to 1.
        scatter_transmission: Of scattered energy, 0 to 1.
    """

    ratio: float
    primary_transmission: float
    scatter_transmission: float

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 100:
            raise InputError(f"grid: ratio must be above 0 and below 100, got {self.ratio}")
        for name in ("primary_transmission", "scatter_transmission"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"grid: {name} must be 0 to 1, got {getattr(self, name)}")


GRIDS: Mapping[str, Grid] = MappingProxyType(
    {
        "none": Grid(1.0, 1.0, 1.0),
        "6:1": Grid(6.0, 0.70, 0.19),
        "8:1": Grid(8.0, 0.68, 0.13),
        "10:1": Grid(10.0, 0.67, 0.091),
        "12:1": Grid(12.0, 0.66, 0.067),
        "15:1": Grid(15.0, 0.64, 0.045),
    }
)
"""Usual grids by ratio: computed by scripts/make_scatter.py for lead strips of 45 µm, 120 µm apart in aluminium
(sixty a centimetre), at 60 keV, the scatter from 20 cm of water under a field of 40 cm. Covers, errors of the
strips and scatter within the grid are left out: real ones pass a little less of the primary and more of the scatter."""


@dataclass(frozen=True, eq=False)
class ScatterModel:
    """Scatter of one beam at one air gap.

    Attributes:
        weights: (n, m, k), scattered energy in each Gaussian over the pencil's primary energy at the detector, for
            0, 5, 10 … mm of water and gaps 0, 20, 40 … mm longer than the model's own.
        sigma_mm: (k,), widths of the Gaussians at the detector.
        grid: What stands before the detector.
    """

    weights: NDArray[np.float64]
    sigma_mm: NDArray[np.float64]
    grid: Grid = GRIDS["none"]

    @classmethod
    def of_spectrum(cls, fluence: NDArray[np.float64], air_gap_mm: float, grid: Grid = GRIDS["none"]) -> ScatterModel:
        """The model of a tube's beam.

        Args:
            fluence: (290,) on ENERGY_KEV, photons before the body, in any unit.
            air_gap_mm: From the body's surface to the detector, 0 to 500.
            grid: What stands before the detector.

        Raises:
            InputError: The spectrum is empty, or the gap beyond the table.
        """
        fluence = np.asarray(fluence, float)
        if fluence.shape != ENERGY_KEV.shape or not (fluence.min() >= 0 and 0 < fluence.sum() < np.inf):
            raise InputError(f"fluence must be {len(ENERGY_KEV)} numbers, not negative and not all 0")
        last_gap = _tables()["gap_mm"][-1]
        if not 0 <= air_gap_mm <= last_gap:
            raise InputError(f"air_gap_mm must be 0 to {last_gap:g}, got {air_gap_mm}")
        thickness, weights = _weights_at(float(air_gap_mm))
        behind = fluence * ENERGY_KEV * np.exp(-MATERIALS["water"].attenuation * thickness[:, None])
        behind = behind / behind.sum(1, keepdims=True)
        nodes = _tables()["energy_kev"]
        shares = np.stack([np.interp(ENERGY_KEV, nodes, row) for row in np.eye(len(nodes))], axis=1)
        return cls(np.einsum("te,etgk->tgk", behind @ shares, weights), _tables()["sigma_mm"], grid)

    @classmethod
    def of_energy(cls, energy_kev: float, air_gap_mm: float, grid: Grid = GRIDS["none"]) -> ScatterModel:
        """The model of a beam of one energy, 20 to 150 keV; to the nearest half keV."""
        if not 20 <= energy_kev <= 150:
            raise InputError(f"energy_kev must be 20 to 150, got {energy_kev}")
        line = np.zeros(len(ENERGY_KEV))
        line[np.abs(ENERGY_KEV - energy_kev).argmin()] = 1
        return cls.of_spectrum(line, air_gap_mm, grid)

    def scatter(
        self,
        primary: NDArray[np.float32],
        thickness_mm: NDArray[np.float32],
        *,
        pitch_mm: float,
        body_mm: NDArray[np.float32] | float | None = None,
    ) -> NDArray[np.float32]:
        """Scattered energy fluence at the detector, behind the grid.

        The beam is taken to end at the image's edges.

        Args:
            primary: (h, w), primary energy fluence before the grid over that of the open beam at the same pixel.
            thickness_mm: (h, w), path in water that attenuates as the body does; beyond 450 mm taken as that.
            pitch_mm: Distance of pixels at the detector.
            body_mm: (h, w) or one for all, path in the body, whatever its density: longer than the path in water in
                lungs. None takes the body as dense as water.

        Returns:
            (h, w), in the unit of `primary`; the grid's scatter transmission is in it, its primary's is the caller's.

        Raises:
            InputError: Shapes differ, or the pitch is not positive and finite.
        """
        if primary.ndim != 2 or primary.shape != thickness_mm.shape or not primary.size:
            raise InputError(f"primary and thickness_mm must be (h, w), got {primary.shape} and {thickness_mm.shape}")
        if not 0 < pitch_mm < np.inf:
            raise InputError(f"pitch_mm must be positive, got {pitch_mm}")
        if isinstance(body_mm, np.ndarray) and body_mm.shape != primary.shape:
            raise InputError(f"body_mm must be one number or {primary.shape}, got {body_mm.shape}")
        primary, thickness_mm = (np.ascontiguousarray(a, np.float32) for a in (primary, thickness_mm))
        block = max(1, round(CELL_MM / pitch_mm))
        amount, path = _cells(primary, thickness_mm, block)
        path = np.clip(path, 0, np.float32(_STEP_MM * (len(self.weights) - 1)))
        sources = self._sources(amount, path, self._body(body_mm, primary, path, block))
        cell = block * pitch_mm
        (rows, up), (columns, across) = (_operators(n, block, cell, tuple(self.sigma_mm)) for n in primary.shape)
        arriving = np.matmul(np.matmul(rows, sources), columns.transpose(0, 2, 1)).sum(0)
        # Beyond the edges there are cells, too, for the spline: they are as thick as those at the edge.
        arriving *= np.exp(-np.pad(path, 1, mode="edge") / np.float32(EXIT_MM))
        arriving *= np.float32(self.grid.scatter_transmission)
        return np.asarray(up @ arriving @ across.T)

    @staticmethod
    def _body(
        body_mm: NDArray[np.float32] | float | None,
        primary: NDArray[np.float32],
        path: NDArray[np.float32],
        block: int,
    ) -> NDArray[np.float32]:
        """Path in the body of every cell, mm."""
        if body_mm is None:
            return path
        if isinstance(body_mm, np.ndarray):
            return _cells(primary, np.ascontiguousarray(body_mm, np.float32), block)[1]
        return np.full_like(path, body_mm)

    def _sources(
        self, amount: NDArray[np.float32], path: NDArray[np.float32], body: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scatter that each cell sends into each Gaussian, (k, rows, columns), before what the exit takes."""
        thick, f = _between(path / np.float32(_STEP_MM), self.weights.shape[0])
        away, g = _between((body - path) * np.float32(LOOSE / _EXTRA_MM), self.weights.shape[1])
        weights = self.weights.astype(np.float32)
        near = weights[thick, away] * (1 - f) + weights[thick + 1, away] * f
        far = weights[thick, away + 1] * (1 - f) + weights[thick + 1, away + 1] * f
        mixed = near * (1 - g) + far * g
        mixed *= (amount * np.exp(path / np.float32(EXIT_MM)))[..., None]
        return np.ascontiguousarray(mixed.transpose(2, 0, 1))


def _between(place: NDArray[np.float32], n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Row before `place` of a table of n rows, and how far on, with one axis more."""
    place = np.clip(place, 0, n - 1)
    below = np.minimum(np.floor(place), np.float32(n - 2))
    return below.astype(np.int64), (place - below)[..., None]


@functools.cache
def _tables() -> Mapping[str, NDArray[np.float64]]:
    with resources.files("synth.drr").joinpath("tables/scatter.npz").open("rb") as stream, np.load(stream) as tables:
        return MappingProxyType({name: tables[name].astype(np.float64) for name in tables.files})


@functools.lru_cache(maxsize=16)
def _weights_at(air_gap_mm: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thicknesses (n,) in mm, and weights (energies, n, m, k) at an air gap and m longer ones.

    Monotone cubics between what is tabulated.
    """
    tables = _tables()
    thickness = np.arange(0, tables["thickness_mm"][-1] + _STEP_MM / 2, _STEP_MM)
    gaps = np.minimum(air_gap_mm + _EXTRA_MM * np.arange(_EXTRAS), tables["gap_mm"][-1])
    weights = PchipInterpolator(tables["gap_mm"], tables["weights"], axis=2)(gaps)
    weights = PchipInterpolator(tables["thickness_mm"], weights, axis=1)(thickness)
    return thickness, np.maximum(weights, 0)


@functools.lru_cache(maxsize=16)
def _operators(
    pixels: int, block: int, cell_mm: float, sigma_mm: tuple[float, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Along one axis: Gaussians from n cells to n + 2, (k, n + 2, n), and a spline to the pixels, (pixels, n + 2)."""
    n = math.ceil(pixels / block)
    # The uniform cubic spline blurs by a third of a squared cell, which the Gaussians leave out.
    width = np.sqrt(np.maximum(np.square(sigma_mm) - cell_mm**2 / 3, (cell_mm / 4) ** 2))
    edges = np.append(np.arange(n) * cell_mm, min(pixels / block, n) * cell_mm)
    centres = (np.arange(-1, n + 1) + 0.5) * cell_mm
    inside = 0.5 * erf((edges - centres[:, None]) / (math.sqrt(2) * width[:, None, None]))
    gaussians = np.diff(inside, axis=-1)
    place = (np.arange(pixels) + 0.5) / block + 0.5
    distance = np.abs(place[:, None] - np.arange(n + 2))
    spline = np.where(
        distance < 1, 2 / 3 - distance**2 + distance**3 / 2, np.maximum(2 - distance, 0) ** 3 / 6
    )  # (pixels, n + 2)
    spline /= spline.sum(1, keepdims=True)
    return gaussians.astype(np.float32), spline.astype(np.float32)


def _cells(
    primary: NDArray[np.float32], thickness_mm: NDArray[np.float32], block: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean primary of every cell, and its mean path weighted by primary (or plain where that is 0), mm."""
    h, w = primary.shape
    amount, path = (np.empty((math.ceil(h / block), math.ceil(w / block)), np.float32) for _ in range(2))

    def rows(first: int, last: int) -> None:
        _average(primary, thickness_mm, block, amount, path, first, last)

    run_parallel(rows, len(amount), _ROWS)
    return amount, path


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
def _average(primary, thickness, block, amount, path, first, last):  # type: ignore[no-untyped-def]
    h, w = primary.shape
    for i in range(first, last):
        for j in range(amount.shape[1]):
            total, weighted, plain = np.float32(0), np.float32(0), np.float32(0)
            rows, columns = min(block, h - i * block), min(block, w - j * block)
            for v in range(i * block, i * block + rows):
                for u in range(j * block, j * block + columns):
                    total += primary[v, u]
                    weighted += primary[v, u] * thickness[v, u]
                    plain += thickness[v, u]
            amount[i, j] = total / np.float32(rows * columns)
            path[i, j] = weighted / total if total > 0 else plain / np.float32(rows * columns)
