"""Makes drr/tables/scatter.npz: form factors of water, then scatter kernels fitted to our own Monte Carlo.

    python scripts/make_scatter.py [form] [kernels] [grids]     `form` needs xraylib: pip install 'radsynth[physics]'

A kernel says where the scattered energy of a pencil beam lands on the detector, as a share of the pencil's primary
energy there: a sum of Gaussians of fixed widths, whose weights are fitted for every energy, thickness of water and air
gap. It takes three minutes.
`grids` prints the transmissions of the named grids, from the geometry of their strips.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.drr.monte_carlo import Exits, transmit

TABLE = Path(__file__).resolve().parent.parent / "drr" / "tables" / "scatter.npz"
ENERGIES_KEV = np.array([20.0, 25, 30, 35, 40, 50, 60, 80, 100, 125, 150])
THICKNESSES_MM = np.array([0.0, 10, 25, 50, 75, 100, 150, 200, 250, 300, 350, 400, 450])
GAPS_MM = np.array([0.0, 10, 20, 35, 50, 75, 100, 140, 200, 280, 380, 500])
SIGMAS_MM = np.array([3.0, 6, 12, 24, 48, 96, 192, 384])
PHOTONS = 1_000_000
DEEPEST = 12.0  # mean free paths: beyond, the ratio of scatter to primary is taken as there
RADII_MM = np.concatenate([[0.0], np.geomspace(2, 900, 60)])


def form() -> dict[str, np.ndarray]:
    """Squared coherent form factor and incoherent scattering function of H2O, on sin(θ/2)/λ in 1/Å."""
    import xraylib

    x = np.concatenate([[0.0], np.geomspace(0.003, 12.5, 299)])
    coherent = [2 * xraylib.FF_Rayl(1, q) ** 2 + xraylib.FF_Rayl(8, q) ** 2 for q in x]
    incoherent = [0.0 if q == 0 else 2 * xraylib.SF_Compt(1, q) + xraylib.SF_Compt(8, q) for q in x]
    return {"form_x": x, "form_coherent": np.array(coherent), "form_incoherent": np.array(incoherent)}


def kernels() -> dict[str, np.ndarray]:
    """Weights of the Gaussians: (energies, thicknesses, gaps, widths), scattered energy per primary energy."""
    weights = np.zeros((len(ENERGIES_KEV), len(THICKNESSES_MM), len(GAPS_MM), len(SIGMAS_MM)))
    mu = MATERIALS["water"].attenuation
    for i, energy in enumerate(ENERGIES_KEV):
        depth = float(np.interp(energy, ENERGY_KEV, mu))
        for j, thickness in enumerate(THICKNESSES_MM[1:], 1):
            if depth * thickness > DEEPEST:
                weights[i, j] = weights[i, j - 1]
                continue
            more = 4 if depth * thickness > 6 else 1
            exits = transmit(float(energy), float(thickness), PHOTONS * more, seed=1000 * i + j)
            primary = energy * np.exp(-depth * thickness)
            for g, gap in enumerate(GAPS_MM):
                weights[i, j, g] = fit(exits, float(gap), primary)
        print(f"{energy:g} keV, {time.perf_counter():.0f} s", file=sys.stderr, flush=True)
    return {
        "energy_kev": ENERGIES_KEV,
        "thickness_mm": THICKNESSES_MM,
        "gap_mm": GAPS_MM,
        "sigma_mm": SIGMAS_MM,
        "weights": weights.astype(np.float32),
    }


def fit(exits: Exits, gap_mm: float, primary: float) -> np.ndarray:
    """Gaussian weights by non-negative least squares on the energy in rings, equal in the radius's logarithm."""
    scattered = exits.scatterings > 0
    radius = np.hypot(*exits.at(gap_mm)[scattered].T)
    energy = (exits.weight * exits.energy_kev)[scattered]
    rings = np.histogram(radius, RADII_MM, weights=energy)[0] / primary
    inside = 1 - np.exp(-(RADII_MM[:, None] ** 2) / (2 * SIGMAS_MM**2))
    shares = np.diff(inside, axis=0)
    found = nnls(shares, rings)[0]
    within = shares.sum(0) @ found  # least squares loses a little of the total
    return found * rings.sum() / within if within > 0 else found


def grids() -> None:
    """Transmission of lead strips of 45 µm, 120 µm apart in aluminium, behind 20 cm of water (see GRIDS)."""
    lead, aluminium = MATERIALS["lead"].attenuation, MATERIALS["aluminium"].attenuation
    exits = transmit(60.0, 200.0, 300_000, 7, field_mm=(400.0, 400.0))
    scattered = exits.scatterings > 0
    direction, energy = exits.direction[scattered], exits.energy_kev[scattered]
    weight = (exits.weight * exits.energy_kev)[scattered]
    for ratio in (6, 8, 10, 12, 15):
        straight = np.array([[0.0, 0.0, 1.0]])
        primary = strips(straight, np.array([60.0]), ratio, lead, aluminium)[0]
        scatter = (strips(direction, energy, ratio, lead, aluminium) * weight).sum() / weight.sum()
        print(f"{ratio}:1  primary {primary:.3f}  scatter {scatter:.3f}")


def strips(
    direction: np.ndarray, energy: np.ndarray, ratio: float, lead: np.ndarray, aluminium: np.ndarray
) -> np.ndarray:
    """Transmission of parallel strips along y, averaged over where a photon enters."""
    strip, space = 0.045, 0.120
    height, period = ratio * space, strip + space
    shift = np.abs(direction[:, 0] / direction[:, 2]) * height
    length = height / direction[:, 2]
    phases = (np.arange(64) + 0.5) / 64 * period
    mean = np.zeros(len(direction))
    for start in phases:

        def covered(at: np.ndarray) -> np.ndarray:  # lead passed from 0 to `at` across the strips
            return np.floor(at / period) * strip + np.minimum(at % period, strip)

        share = (covered(start + shift) - covered(np.full_like(shift, start))) / np.maximum(shift, 1e-12)
        share = np.where(shift < 1e-9, float(start < strip), share)
        through = np.interp(energy, ENERGY_KEV, lead) * share + np.interp(energy, ENERGY_KEV, aluminium) * (1 - share)
        mean += np.exp(-through * length) / len(phases)
    return mean


if __name__ == "__main__":
    known = dict(np.load(TABLE)) if TABLE.exists() else {}
    for wanted in sys.argv[1:] or ["form", "kernels", "grids"]:
        known |= {"form": form, "kernels": kernels, "grids": grids}[wanted]() or {}
        np.savez_compressed(TABLE, **known)
