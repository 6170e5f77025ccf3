"""Transport of photons against attenuation, quadrature, scaling laws and a published slab."""

from __future__ import annotations

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.materials import ELECTRON_KEV, ENERGY_KEV, MATERIALS
from synth.drr.monte_carlo import HC_KEV_ANGSTROM, Exits, transmit, water_form_factors

PHOTONS = 200_000


def water(energy_kev: float) -> float:
    return float(np.interp(energy_kev, ENERGY_KEV, MATERIALS["water"].attenuation))


def single_scatter(energy_kev: float, thickness_mm: float, *, coherent: bool = True, incoherent: bool = True) -> float:
    """Energy that leaves a slab of water after one scattering, by quadrature instead of chance.

    The integral over depth z and angle θ of e^(−µz)·dµ/dΩ·E'·e^(−µ'(t − z)/cos θ), keV per photon.
    """
    tables, mu = water_form_factors(), MATERIALS["water"].attenuation
    angle = (np.arange(5000) + 0.5) / 5000 * np.pi / 2
    cosine, weight = np.cos(angle), np.sin(angle) * (np.pi / 2 / 5000)
    x = energy_kev / HC_KEV_ANGSTROM * np.sqrt((1 - cosine) / 2)
    ratio = 1 / (1 + energy_kev / ELECTRON_KEV * (1 - cosine))
    # Molecules in a mm³ of water, times the classical electron radius squared, mm².
    scale = 6.02214076e23 / 18.015 * 1e-3 * (2.8179403262e-12) ** 2
    klein = 0.5 * ratio**2 * (ratio + 1 / ratio - 1 + cosine**2) * np.interp(x, tables["x"], tables["incoherent"])
    thomson = 0.5 * (1 + cosine**2) * np.interp(x, tables["x"], tables["coherent"])
    m = float(np.interp(energy_kev, ENERGY_KEV, mu))
    total = 0.0
    for wanted, differential, after in (
        (incoherent, klein, ratio * energy_kev),
        (coherent, thomson, 0 * x + energy_kev),
    ):
        if wanted:
            out = np.interp(after, ENERGY_KEV, mu) / cosine
            # The integral over depth in closed form; µ'/cos θ − µ vanishes straight ahead.
            slope = out - m
            depth = np.where(
                np.abs(slope) * thickness_mm < 1e-9,
                thickness_mm * np.exp(-m * thickness_mm),
                (np.exp(-m * thickness_mm) - np.exp(-out * thickness_mm)) / np.where(slope == 0, 1, slope),
            )
            total += float((weight * 2 * np.pi * scale * differential * after * depth).sum())
    return total


@pytest.mark.parametrize(("energy", "thickness"), [(20.0, 20.0), (60.0, 100.0), (120.0, 200.0)])
def test_primary_follows_beer_and_lambert(energy: float, thickness: float) -> None:
    expected = np.exp(-water(energy) * thickness)
    spread = np.sqrt(expected * (1 - expected) / PHOTONS)
    assert abs(transmit(energy, thickness, PHOTONS, 1).energy(0, 0) / energy - expected) < 4 * spread


@pytest.mark.parametrize(("energy", "thickness"), [(30.0, 50.0), (60.0, 100.0), (100.0, 200.0)])
def test_single_scatter_equals_the_integral(energy: float, thickness: float) -> None:
    exits = transmit(energy, thickness, PHOTONS, 2)
    once = (exits.weight * exits.energy_kev)[exits.scatterings == 1]
    assert abs(once.sum() - single_scatter(energy, thickness)) < 4 * np.sqrt((once**2).sum())


def test_single_scatter_is_compton_and_coherent() -> None:
    parts = single_scatter(60, 100, coherent=False) + single_scatter(60, 100, incoherent=False)
    assert parts == pytest.approx(single_scatter(60, 100))
    assert single_scatter(60, 100, incoherent=False) < 0.4 * single_scatter(60, 100)


def test_a_thin_slab_scatters_what_its_coefficient_says() -> None:
    process = MATERIALS["water"].process("coherent") * 0.1
    expected = 60 * np.interp(60, ENERGY_KEV, process) * 1e-3
    # Coherent scattering is forward: all but its few per cent backwards comes through a thin slab.
    assert single_scatter(60, 1e-3, incoherent=False) == pytest.approx(expected, rel=0.04)


def test_form_factors_have_their_limits() -> None:
    tables = water_form_factors()
    assert tables["coherent"][0] == pytest.approx(2 * 1 + 8**2, rel=1e-3)
    assert tables["incoherent"][0] == 0
    assert tables["incoherent"][-1] == pytest.approx(10, rel=0.01)
    assert (np.diff(tables["coherent"]) <= 0).all()
    assert (np.diff(tables["incoherent"]) >= -1e-3).all()


def test_a_stretched_and_thinned_slab_lets_the_same_through() -> None:
    """Lengths and densities scale against each other (Fano's scaling)."""
    dense = transmit(60, 100, PHOTONS, 3)
    loose = transmit(60, 400, PHOTONS, 4, density=np.array([0.25]))
    assert loose.energy(1) == pytest.approx(dense.energy(1), rel=0.02)
    spread = [np.hypot(*e.position.T)[e.scatterings > 0] for e in (dense, loose)]
    assert np.median(spread[1]) == pytest.approx(4 * np.median(spread[0]), rel=0.03)


def test_columns_attenuate_by_their_own_density() -> None:
    exits = transmit(
        60, 100, PHOTONS, 5, field_mm=(100, 100), columns_mm=np.array([0.0]), density=np.array([0.25, 1.0])
    )
    primary = exits.scatterings == 0
    for side, density in ((exits.position[:, 0] < 0, 0.25), (exits.position[:, 0] >= 0, 1.0)):
        share = exits.weight[primary & side].sum() * 2
        assert share == pytest.approx(np.exp(-water(60) * 100 * density), rel=0.02)


def test_photons_behave() -> None:
    exits = transmit(80, 150, 50_000, 6)
    np.testing.assert_allclose(np.linalg.norm(exits.direction, axis=1), 1, rtol=1e-12)
    assert (exits.direction[:, 2] > 0).all()
    assert (exits.energy_kev <= 80).all()
    assert (exits.energy_kev[exits.scatterings == 0] == 80).all()
    assert exits.energy() < 80
    # Nothing prefers a side.
    mean, spread = exits.at(50)[exits.scatterings > 0].mean(0), exits.at(50)[exits.scatterings > 0].std(0)
    assert (np.abs(mean) < 4 * spread / np.sqrt((exits.scatterings > 0).sum())).all()


def test_a_slab_of_20_cm_has_the_scatter_of_textbooks() -> None:
    """About 3 in the middle of a 30 × 30 cm field, in energy, without a grid."""
    exits = transmit(60, 200, PHOTONS, 7)
    inside = (np.abs(exits.position) < 150).all(1) & (exits.scatterings > 0)
    ratio = (exits.weight * exits.energy_kev)[inside].sum() / (60 * np.exp(-water(60) * 200))
    assert 2.5 < ratio < 3.8


def test_a_seed_gives_the_same_photons_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of(exits: Exits) -> list[bytes]:
        return [a.tobytes() for a in (exits.position, exits.direction, exits.energy_kev, exits.weight)]

    many = all_of(transmit(60, 100, 20_000, 8))
    monkeypatch.setenv("SYNTH_THREADS", "1")
    assert all_of(transmit(60, 100, 20_000, 8)) == many
    assert all_of(transmit(60, 100, 20_000, 9)) != many


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((5, 100, 10, 0), "energy_kev"), ((60, 0, 10, 0), "thickness_mm"), ((60, 100, 0, 0), "photons")],
)
def test_bad_numbers_are_refused(arguments: tuple[float, float, int, int], named: str) -> None:
    with pytest.raises(InputError, match=named):
        transmit(*arguments)


def test_densities_must_fit_the_columns() -> None:
    with pytest.raises(InputError, match="density must be 2"):
        transmit(60, 100, 10, 0, columns_mm=np.zeros(1), density=np.ones(3))
