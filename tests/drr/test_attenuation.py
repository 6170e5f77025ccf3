"""HU to attenuation: NIST's table, and every HU of 16 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.drr.attenuation import stored_attenuation, water_attenuation

# Hubbell & Seltzer, NISTIR 5632, table 4, liquid water: keV, cm²/g with coherent scattering.
NIST = [(10, 5.329), (15, 1.673), (20, 0.8096), (30, 0.3756), (40, 0.2683), (50, 0.2269), (60, 0.2059), (80, 0.1837),
        (100, 0.1707), (150, 0.1505), (200, 0.1370)]  # fmt: skip


@pytest.mark.parametrize(("energy", "mass_attenuation"), NIST)
def test_tabulated_energies(energy: float, mass_attenuation: float) -> None:
    assert water_attenuation(energy) == pytest.approx(0.1 * mass_attenuation, rel=1e-12)  # 1 g/cm³, 1/mm


def test_between_them_a_power_law() -> None:
    middle = np.sqrt(60 * 80)
    assert water_attenuation(middle) == pytest.approx(0.1 * np.sqrt(0.2059 * 0.1837), rel=1e-12)
    assert water_attenuation(70) == pytest.approx(0.0193, rel=5e-3)


@given(st.floats(10, 199), st.floats(0.01, 1))
def test_falls_with_energy(energy: float, more: float) -> None:
    assert water_attenuation(energy) > water_attenuation(energy + more)


@pytest.mark.parametrize("energy", [9.99, 200.1, 0.0, -60.0, float("nan"), float("inf")])
def test_energies_out_of_range(energy: float) -> None:
    with pytest.raises(InputError, match="photon energy must be 10 to 200 keV"):
        water_attenuation(energy)


def test_every_hu_of_16_bits() -> None:
    hu = np.arange(-32768, 32768).astype(np.int16)
    before = hu.copy()
    stored = stored_attenuation(hu)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, np.maximum(np.arange(-32768, 32768) + 1000, 0))
    assert stored[-1] == 33767
    np.testing.assert_array_equal(hu, before)


def test_float_hu() -> None:
    hu = np.array([-3024, -1000, -999.5, 0, 40.25, 1e5], np.float32)
    before = hu.copy()
    stored = stored_attenuation(hu)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, [0, 0, 0.5, 1000, 1040.25, 101000])
    np.testing.assert_array_equal(hu, before)
