"""Mass attenuation and energy absorption against what NIST publishes, and against xraylib."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, MATERIALS, Material, energy_absorption, material

# Hubbell & Seltzer, NISTIR 5632 (Standard Reference Database 126), tables 3 and 4: keV → µ/ρ, cm²/g.
NIST = {
    "water": {10: 5.329, 15: 1.673, 20: 0.8096, 30: 0.3756, 40: 0.2683, 50: 0.2269, 60: 0.2059,
        80: 0.1837, 100: 0.1707},
    "air": {10: 5.120, 15: 1.614, 20: 0.7779, 30: 0.3538, 40: 0.2485, 50: 0.2080, 60: 0.1875,
        80: 0.1662, 100: 0.1541},
    "cortical_bone": {15: 9.032, 20: 4.001, 30: 1.331, 40: 0.6655, 50: 0.4242, 60: 0.3148, 80: 0.2229, 100: 0.1855},
    "muscle": {20: 0.8205, 30: 0.3783, 40: 0.2685, 50: 0.2262, 60: 0.2048, 80: 0.1823, 100: 0.1693},
    "adipose": {20: 0.5677, 30: 0.3063, 40: 0.2396, 50: 0.2123, 60: 0.1974, 80: 0.1800, 100: 0.1688},
    "pmma": {20: 0.5714, 30: 0.3032, 40: 0.2350, 50: 0.2074, 60: 0.1924, 80: 0.1751, 100: 0.1641},
    "aluminium": {10: 26.23, 15: 7.955, 20: 3.441, 30: 1.128, 40: 0.5685, 50: 0.3681, 60: 0.2778,
        80: 0.2018, 100: 0.1704},
    "copper": {10: 215.9, 15: 74.05, 20: 33.79, 30: 10.92, 40: 4.862, 50: 2.613, 60: 1.593, 80: 0.7630, 100: 0.4584},
    "tungsten": {30: 22.73, 40: 10.67, 50: 5.949, 60: 3.713, 80: 7.810, 100: 4.438},
    "lead": {20: 86.36, 30: 30.32, 40: 14.36, 50: 8.041, 60: 5.021, 80: 2.419, 100: 5.549},
}  # fmt: skip
# The same: keV → µen/ρ, cm²/g.
NIST_ABSORPTION = {
    "air": {10: 4.742, 15: 1.334, 20: 0.5389, 30: 0.1537, 40: 0.06833, 50: 0.04098, 60: 0.03041,
        80: 0.02407, 100: 0.02325},
    "water": {10: 4.944, 15: 1.374, 20: 0.5503, 30: 0.1557, 40: 0.06947, 50: 0.04223, 60: 0.03190,
        80: 0.02597, 100: 0.02546},
}  # fmt: skip
BETWEEN_BINS = 1e-3  # NIST's energies lie between ours: log–log interpolation, and NIST's own four digits
AT_AN_EDGE = 0.01  # the nearest bin's middle is up to a quarter keV from the edge
LIGHT = 0.006  # fluorescence and bremsstrahlung, which energy_absorption leaves out


def at(values: np.ndarray, kev: float) -> float:
    """Log–log between bins."""
    return float(np.exp(np.interp(np.log(kev), np.log(ENERGY_KEV), np.log(values))))


def element(symbol: str) -> Material:
    return Material(symbol, 1.0, {symbol: 1.0})


def test_bins_are_half_a_kev_from_5_to_150() -> None:
    assert ENERGY_KEV.shape == (290,)
    assert (ENERGY_KEV[0], ENERGY_KEV[-1]) == (5.25, 149.75)
    np.testing.assert_array_equal(np.diff(ENERGY_KEV), 0.5)


@pytest.mark.parametrize("name", NIST)
def test_mass_attenuation_is_nist_s(name: str) -> None:
    ours = {kev: at(material(name).mass_attenuation, kev) for kev in NIST[name]}
    assert ours == pytest.approx(NIST[name], rel=BETWEEN_BINS)


@pytest.mark.parametrize(
    ("symbol", "edge", "below", "above"),
    [("I", 33.1694, 6.553, 35.82), ("W", 69.525, 2.552, 11.23), ("Pb", 88.0045, 1.910, 7.683)],
)
def test_k_edges_stand_where_they_are(symbol: str, edge: float, below: float, above: float) -> None:
    mass = element(symbol).mass_attenuation
    after = int(np.searchsorted(ENERGY_KEV, edge))
    slope = np.log(mass[after + 1] / mass[after]) / np.log(ENERGY_KEV[after + 1] / ENERGY_KEV[after])
    assert mass[after] * (edge / ENERGY_KEV[after]) ** slope == pytest.approx(above, rel=AT_AN_EDGE)
    slope = np.log(mass[after - 1] / mass[after - 2]) / np.log(ENERGY_KEV[after - 1] / ENERGY_KEV[after - 2])
    assert mass[after - 1] * (edge / ENERGY_KEV[after - 1]) ** slope == pytest.approx(below, rel=AT_AN_EDGE)


@pytest.mark.parametrize("name", NIST_ABSORPTION)
def test_energy_absorption_is_nist_s(name: str) -> None:
    ours = energy_absorption(material(name))
    assert {kev: at(ours, kev) for kev in NIST_ABSORPTION[name]} == pytest.approx(NIST_ABSORPTION[name], rel=LIGHT)


def test_electrons_absorb_less_than_photons_lose() -> None:
    for name in ("air", "water", "adipose"):
        of = material(name)
        share = energy_absorption(of) / of.mass_attenuation
        assert ((share > 0) & (share < 1)).all()
        assert share[0] > 0.9  # nearly all photoelectric at 5 keV
        assert share[-1] < 0.2  # nearly all Compton at 150


def test_water_has_electrons() -> None:
    # Ten electrons in 18.015 g: 3.343e23 in a gram (NISTIR 5632, table 2: Z/A = 0.55508).
    assert material("water").electrons_per_gram == pytest.approx(0.55508 * 6.02214e23, rel=1e-3)  # H is 1.01
    assert material("air").electrons_per_gram == pytest.approx(0.49919 * 6.02214e23, rel=1e-3)


def test_the_mixture_rule() -> None:
    water = 0.111894 * element("H").mass_attenuation + 0.888106 * element("O").mass_attenuation
    np.testing.assert_allclose(material("water").mass_attenuation, water, rtol=1e-6)
    lead = material("lead")
    np.testing.assert_allclose(lead.attenuation, lead.mass_attenuation * 11.35 / 10, rtol=1e-12)  # 1/mm
    half = Material("half", 2.0, {"Al": 0.495, "Cu": 0.495})  # weights a little short of 1 are scaled up
    mean = (element("Al").mass_attenuation + element("Cu").mass_attenuation) / 2
    np.testing.assert_allclose(half.mass_attenuation, mean, rtol=1e-12)
    parts = sum(half.process(name) for name in ("photoelectric", "incoherent", "coherent"))
    np.testing.assert_allclose(half.mass_attenuation, parts, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_every_material_is_one(name: str) -> None:
    of = material(name)
    assert of.name == name
    assert sum(of.weights.values()) == pytest.approx(1, abs=3e-3)
    assert (of.attenuation > 0).all()
    assert np.isfinite(of.attenuation).all()


@pytest.mark.parametrize("name", ["steel_316l", "ti6al4v", "cocrmo", "nitinol", "glass", "iodine_contrast"])
def test_alloys_and_mixtures_are_whole(name: str) -> None:
    assert sum(material(name).weights.values()) == pytest.approx(1, abs=1e-9)


def test_contrast_medium_holds_its_iodine() -> None:
    # 370 mg of iodine in a millilitre of 1.3 to 1.4 g.
    medium = material("iodine_contrast")
    assert 1000 * medium.density * medium.weights["I"] == pytest.approx(370, rel=0.08)


def test_caesium_iodide_and_barium_sulphate_by_their_formulae() -> None:
    assert material("cesium_iodide").weights["Cs"] == pytest.approx(132.905 / (132.905 + 126.904), rel=1e-4)
    assert material("barium_sulfate").weights["Ba"] == pytest.approx(137.327 / (137.327 + 32.06 + 4 * 15.999), rel=1e-3)


def test_what_is_no_material() -> None:
    with pytest.raises(InputError, match="unknown material 'aluminum': use one of adipose, air, aluminium"):
        material("aluminum")
    with pytest.raises(InputError, match="material x: no element Xx; hydrogen to uranium are known"):
        Material("x", 1.0, {"Xx": 1.0})
    for density, weights in (
        (0.0, {"H": 1.0}),
        (float("nan"), {"H": 1.0}),
        (1.0, {"H": 0.9}),
        (1.0, {"H": 1.5, "O": -0.5}),
        (1.0, {}),
    ):
        with pytest.raises(InputError, match="material x: density must be positive, weights not negative and 1 in sum"):
            Material("x", density, weights)


def test_materials_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        MATERIALS["water"] = material("lead")  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        material("water").density = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "compound"),
    [
        ("water", "Water, Liquid"),
        ("cortical_bone", "Bone, Cortical (ICRP)"),
        ("pmma", "Polymethyl Methacralate (Lucite, Perspex)"),
        ("cesium_iodide", "Cesium Iodide"),
    ],
)
def test_against_xraylib(name: str, compound: str) -> None:
    xraylib = pytest.importorskip("xraylib", reason="xraylib is not installed")
    of = material(name)
    theirs = [
        sum(w * xraylib.CS_Total(xraylib.SymbolToAtomicNumber(symbol), float(e)) for symbol, w in of.weights.items())
        for e in ENERGY_KEV
    ]
    np.testing.assert_allclose(of.mass_attenuation * sum(of.weights.values()), theirs, rtol=1e-6)
    known = xraylib.GetCompoundDataNISTByName(compound)
    assert of.density == pytest.approx(known["density"], rel=0.04)  # ICRP's cortical bone: 1.85
    if name != "cortical_bone":  # of which ICRU's is another mixture
        mixed = [xraylib.CS_Total_CP(compound, float(e)) for e in ENERGY_KEV]
        np.testing.assert_allclose(of.mass_attenuation, mixed, rtol=1e-4)
