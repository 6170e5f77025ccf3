"""Photons through water, one by one: the truth that the scatter kernels are fitted to and tested against.

Photoelectric absorption, Compton scattering from bound electrons (Klein & Nishina 1929, with the incoherent scattering
function) and coherent scattering (Thomson, with the form factor), from 5 to 150 keV. Atoms scatter independently: the
interference between molecules of liquid water, which pushes coherent scatter of small angles outwards by some degrees
and leaves its amount, is left out; so are fluorescence and polarisation. Absorption takes weight, not photons; light
photons play Russian roulette. Flights are Woodcock's (1965), so that density may vary across the slab.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from synth.core.errors import InputError
from synth.drr.materials import ELECTRON_KEV, MATERIALS
from synth.kernels.threads import run_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["HC_KEV_ANGSTROM", "Exits", "transmit", "water_form_factors"]

HC_KEV_ANGSTROM = 12.39841984
"""Planck's constant times the speed of light: energy of a photon of 1 Å (CODATA 2018)."""
_CHUNK = 5000  # photons of one random sequence: the result does not depend on the threads
_CUTOFF_KEV = 5.25
_ROULETTE, _SURVIVAL = 0.05, 0.25


@dataclass(frozen=True, eq=False)
class Exits:
    """Photons that left through the far face of the slab.

    Attributes:
        position: (n, 2), x and y on the face, mm.
        direction: (n, 3), unit vectors; z points out of the face.
        energy_kev: (n,).
        weight: (n,), photons that each stands for, per photon sent.
        scatterings: (n,), 0 for primary photons.
    """

    position: NDArray[np.float64]
    direction: NDArray[np.float64]
    energy_kev: NDArray[np.float64]
    weight: NDArray[np.float64]
    scatterings: NDArray[np.int64]

    def at(self, gap_mm: float) -> NDArray[np.float64]:
        """Where they meet a plane `gap_mm` behind the face: (n, 2), mm."""
        return self.position + self.direction[:, :2] / self.direction[:, 2:] * gap_mm

    def energy(self, least: int = 0, most: int = 1000) -> float:
        """Energy of those scattered `least` to `most` times, keV per photon sent."""
        chosen = (self.scatterings >= least) & (self.scatterings <= most)
        return float((self.weight * self.energy_kev)[chosen].sum())


@functools.cache
def water_form_factors() -> Mapping[str, NDArray[np.float64]]:
    """Form factors of the water molecule, from xraylib's of its atoms (Schoonjans et al. 2011).

    Returns:
        x: (m,), sin(θ/2)/λ, 1/Å; coherent: (m,), squared form factor, electrons²; incoherent: (m,), scattering
        function, electrons.
    """
    with resources.files("synth.drr").joinpath("tables/scatter.npz").open("rb") as stream, np.load(stream) as tables:
        return {name: tables[f"form_{name}"].astype(np.float64) for name in ("x", "coherent", "incoherent")}


def transmit(
    energy_kev: float,
    thickness_mm: float,
    photons: int,
    seed: int,
    *,
    field_mm: tuple[float, float] = (0.0, 0.0),
    columns_mm: NDArray[np.float64] | None = None,
    density: NDArray[np.float64] | None = None,
) -> Exits:
    """Sends a parallel beam of one energy along z through a slab of water, endless in x and y.

    Args:
        energy_kev: 6 to 150.
        thickness_mm: Of the slab.
        photons: How many to send.
        seed: The same seed gives the same photons.
        field_mm: Width of the beam in x and y, centred; 0 is a pencil.
        columns_mm: (n,), ascending x where the density changes; None for a homogeneous slab.
        density: (n + 1,), density between the columns relative to water.

    Returns:
        The photons behind the slab.

    Raises:
        InputError: A number is out of range.
    """
    if not 6 <= energy_kev <= 150:
        raise InputError(f"energy_kev must be 6 to 150, got {energy_kev}")
    if not (thickness_mm > 0 and photons > 0):
        raise InputError(f"thickness_mm and photons must be positive, got {thickness_mm} and {photons}")
    columns = np.empty(0) if columns_mm is None else np.asarray(columns_mm, float)
    relative = np.ones(1) if density is None else np.asarray(density, float)
    if relative.shape != (len(columns) + 1,) or not relative.min() >= 0:
        raise InputError(f"density must be {len(columns) + 1} numbers of 0 or more, got {relative.tolist()}")
    chunks = -(-photons // _CHUNK)
    found: list[NDArray[np.float64]] = [np.empty((0, 8))] * chunks

    def send(first: int, last: int) -> None:
        for i in range(first, last):
            n = min(_CHUNK, photons - i * _CHUNK)
            out = np.empty((n, 8))
            state = np.array([np.uint64((seed * 0x9E3779B97F4A7C15 + (i + 1) * 0xD1B54A32D192ED03) % 2**64)])
            count = _send(n, energy_kev, thickness_mm, *field_mm, columns, relative, *_water(), state, out)
            found[i] = out[:count]

    run_parallel(send, chunks, 1)
    rows = np.concatenate(found)
    return Exits(rows[:, :2], rows[:, 2:5], rows[:, 5], rows[:, 6] / photons, rows[:, 7].astype(np.int64))


@functools.cache
def _water() -> tuple[NDArray[np.float64], ...]:
    """µ in 1/mm, and what share of it scatters, and of that coherently: (290,) on ENERGY_KEV; then the form factors."""
    water = MATERIALS["water"]
    incoherent, coherent = water.process("incoherent"), water.process("coherent")
    scattering = incoherent + coherent
    tables = water_form_factors()
    x = tables["x"]
    # Coherent angles: the integral of the squared form factor over x², which dΩ is proportional to.
    steps = (tables["coherent"][1:] + tables["coherent"][:-1]) / 2 * np.diff(x**2)
    cumulative = np.concatenate([[0.0], np.cumsum(steps)])
    return (
        water.attenuation,
        scattering / water.mass_attenuation,
        coherent / scattering,
        x,
        cumulative,
        tables["incoherent"],
    )


@njit(nogil=True, cache=True)
def _uniform(state):  # type: ignore[no-untyped-def]
    """SplitMix64 (Steele, Lea & Flood 2014), as a number in (0, 1)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (np.float64(z >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@njit(nogil=True, cache=True)
def _at(table, energy):  # type: ignore[no-untyped-def]
    """`table` on ENERGY_KEV at `energy`."""
    place = (energy - 5.25) * 2.0
    i = min(max(int(place), 0), len(table) - 2)
    return table[i] + (table[i + 1] - table[i]) * (place - i)


@njit(nogil=True, cache=True)
def _coherent_cosine(energy, x, cumulative, state):  # type: ignore[no-untyped-def]
    """Angle by the form factor, then Thomson's (1 + cos²θ)/2 by rejection."""
    most = energy / HC_KEV_ANGSTROM
    last = min(np.searchsorted(x, most), len(x) - 1)
    share = (most - x[last - 1]) / (x[last] - x[last - 1])
    top = cumulative[last - 1] + share * (cumulative[last] - cumulative[last - 1])
    while True:
        wanted = _uniform(state) * top
        i = min(max(np.searchsorted(cumulative, wanted), 1), last)
        f = (wanted - cumulative[i - 1]) / (cumulative[i] - cumulative[i - 1])
        squared = x[i - 1] ** 2 + f * (x[i] ** 2 - x[i - 1] ** 2)
        cosine = max(1.0 - 2.0 * squared / most**2, -1.0)
        if _uniform(state) < 0.5 * (1.0 + cosine * cosine):
            return cosine


@njit(nogil=True, cache=True)
def _compton(energy, x, incoherent, state):  # type: ignore[no-untyped-def]
    """Energy and angle: Klein–Nishina by rejection from a uniform cosine, then the incoherent scattering function."""
    k = energy / ELECTRON_KEV
    while True:
        cosine = 2.0 * _uniform(state) - 1.0
        ratio = 1.0 / (1.0 + k * (1.0 - cosine))
        bound = 0.5 * ratio * ratio * (ratio + 1.0 / ratio - 1.0 + cosine * cosine)
        if _uniform(state) > bound:
            continue
        transfer = energy / HC_KEV_ANGSTROM * np.sqrt(max(0.5 * (1.0 - cosine), 0.0))
        i = min(max(np.searchsorted(x, transfer), 1), len(x) - 1)
        f = (transfer - x[i - 1]) / (x[i] - x[i - 1])
        if _uniform(state) * 10.0 < incoherent[i - 1] + f * (incoherent[i] - incoherent[i - 1]):
            return energy * ratio, cosine


@njit(nogil=True, cache=True)
def _turn(dx, dy, dz, cosine, state):  # type: ignore[no-untyped-def]
    """A direction at the angle `cosine` to (dx, dy, dz), about it at random."""
    sine = np.sqrt(max(1.0 - cosine * cosine, 0.0))
    angle = 2.0 * np.pi * _uniform(state)
    a, b = sine * np.cos(angle), sine * np.sin(angle)
    across = np.sqrt(max(1.0 - dz * dz, 0.0))
    if across < 1e-6:
        return a, b, cosine * (1.0 if dz > 0 else -1.0)
    ex = cosine * dx + (a * dx * dz - b * dy) / across
    ey = cosine * dy + (a * dy * dz + b * dx) / across
    ez = cosine * dz - a * across
    norm = np.sqrt(ex * ex + ey * ey + ez * ez)
    return ex / norm, ey / norm, ez / norm


@njit(nogil=True, cache=True)
def _send(  # type: ignore[no-untyped-def]
    n, energy0, thickness, wide, high, columns, density, mu, scatter, coherent, x, cumulative, incoherent, state, out
):
    """Follows n photons; writes those that come through to rows of `out` and gives their number."""
    densest = density.max()
    count = 0
    for _ in range(n):
        px, py, pz = wide * (_uniform(state) - 0.5), high * (_uniform(state) - 0.5), 0.0
        dx, dy, dz = 0.0, 0.0, 1.0
        energy, weight, order = energy0, 1.0, 0
        while True:
            flight = -np.log(_uniform(state)) / (_at(mu, energy) * densest)
            px, py, pz = px + dx * flight, py + dy * flight, pz + dz * flight
            if pz < 0.0:
                break
            if pz >= thickness:
                back = (pz - thickness) / dz
                out[count, 0], out[count, 1] = px - dx * back, py - dy * back
                out[count, 2], out[count, 3], out[count, 4] = dx, dy, dz
                out[count, 5], out[count, 6], out[count, 7] = energy, weight, order
                count += 1
                break
            if _uniform(state) * densest > density[np.searchsorted(columns, px)]:
                continue
            weight *= _at(scatter, energy)
            if weight < _ROULETTE:
                if _uniform(state) > _SURVIVAL:
                    break
                weight /= _SURVIVAL
            if _uniform(state) < _at(coherent, energy):
                cosine = _coherent_cosine(energy, x, cumulative, state)
            else:
                energy, cosine = _compton(energy, x, incoherent, state)
                if energy < _CUTOFF_KEV:
                    break
            dx, dy, dz = _turn(dx, dy, dz, cosine, state)
            order += 1
    return count
