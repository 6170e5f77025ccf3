"""Makes the physics tables of drr/tables/ from the libraries they come from; run it again to change their grid.

    python scripts/make_tables.py [elements] [tube]     needs xraylib and spekpy: pip install 'radsynth[physics]'

elements.npz  mass attenuation of the elements 1 to 92 (xraylib 4: Schoonjans et al. 2011, Spectrochim Acta B 66:776)
tube.npz      spectra of a bare tungsten anode (SpekPy 2: Poludniowski et al. 2021, Med Phys 48:3630)
"""

import sys
from pathlib import Path

import numpy as np

TABLES = Path(__file__).resolve().parent.parent / "drr" / "tables"
ENERGY_KEV = np.arange(5.25, 150, 0.5)  # bin centres, half a keV wide
POTENTIALS_KV = np.arange(40, 152, 2)
TAKE_OFF_DEG = np.array([1.0, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24])


def elements() -> None:
    """Photoelectric, incoherent and coherent mass attenuation, cm²/g, and atomic weights, g/mol."""
    import xraylib

    numbers = range(1, 93)
    processes = {"photoelectric": xraylib.CS_Photo, "incoherent": xraylib.CS_Compt, "coherent": xraylib.CS_Rayl}
    tables = {
        name: np.array([[cross_section(z, float(e)) for e in ENERGY_KEV] for z in numbers], np.float32)
        for name, cross_section in processes.items()
    }
    weights = np.array([xraylib.AtomicWeight(z) for z in numbers], np.float32)
    symbols = np.array([xraylib.AtomicNumberToSymbol(z) for z in numbers])
    np.savez_compressed(TABLES / "elements.npz", energy_kev=ENERGY_KEV, symbol=symbols, weight=weights, **tables)


def tube() -> None:
    """Photons per mm², keV and mAs at 1 m, by tube potential and take-off angle."""
    import spekpy

    fluence = np.zeros((len(POTENTIALS_KV), len(TAKE_OFF_DEG), len(ENERGY_KEV)), np.float32)
    for i, potential in enumerate(POTENTIALS_KV):
        for j, angle in enumerate(TAKE_OFF_DEG):
            energy, spectrum = spekpy.Spek(kvp=float(potential), th=float(angle), dk=0.5, z=100).get_spectrum()
            fluence[i, j] = np.interp(ENERGY_KEV, energy, spectrum, left=0, right=0) / 100  # per cm² → per mm²
        print(f"{potential} kV", file=sys.stderr)
    np.savez_compressed(
        TABLES / "tube.npz",
        energy_kev=ENERGY_KEV,
        potential_kv=POTENTIALS_KV,
        take_off_deg=TAKE_OFF_DEG,
        fluence=fluence.astype(np.float32),
    )


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["elements", "tube"]:
        {"elements": elements, "tube": tube}[wanted]()
