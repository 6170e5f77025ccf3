"""Tissue: Schneider's calibration, its two channels against tabulated attenuation, and how a CT is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.drr.tissue import BASIS, HU_RANGE, Calibration, channel_attenuation, read_calibration, stored_channels

if TYPE_CHECKING:
    from pathlib import Path

SCHNEIDER = Calibration.schneider()
EVERY_HU = np.arange(HU_RANGE[0], HU_RANGE[1] + 1)
FITTED = (ENERGY_KEV >= 20) & (ENERGY_KEV <= 150)
# Lower ends of the bins of Schneider et al. 2000, table 6.
BINS = (-1000, -950, -120, -82, -52, -22, 8, 19, 80, 120, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200,
        1300, 1400, 1500, 1600)  # fmt: skip
RMS = 0.003  # what the module states


def in_channels(hu: float) -> np.ndarray:
    """(290,), 1/mm."""
    return SCHNEIDER.channels[:, int(hu) - HU_RANGE[0]] @ BASIS


def test_water_and_bone_are_exact_in_the_basis() -> None:
    np.testing.assert_allclose(np.array([1, 0.08]) @ BASIS, MATERIALS["water"].attenuation, rtol=1e-12)
    np.testing.assert_allclose(np.array([0, 1.92]) @ BASIS, MATERIALS["cortical_bone"].attenuation, rtol=1e-12)
    assert (BASIS > 0).all()


@pytest.mark.parametrize(("name", "error"), [("muscle", 0.003), ("lung", 0.003), ("blood", 0.003), ("adipose", 0.003)])
def test_other_tissues_lie_in_its_plane(name: str, error: float) -> None:
    wanted = MATERIALS[name].attenuation[FITTED]
    shares = np.linalg.lstsq((BASIS[:, FITTED] / wanted).T, np.ones(wanted.size), rcond=None)[0]
    assert (shares > 0).all()
    assert np.sqrt(np.mean((shares @ BASIS[:, FITTED] / wanted - 1) ** 2)) < error


def test_every_tissue_is_met_at_every_energy() -> None:
    middles = (np.array(BINS[:-1]) + np.array(BINS[1:])) / 2
    for hu in np.unique(np.concatenate([BINS, np.floor(middles), EVERY_HU[::61]])):
        error = in_channels(hu)[FITTED] / SCHNEIDER.tissue_at(hu).attenuation[FITTED] - 1
        assert np.sqrt(np.mean(error**2)) < RMS, hu
        assert np.abs(error).max() < 0.02, hu


def test_the_fit_is_the_best_there_is() -> None:
    for hu in (-700, -80, 40, 300, 1200):
        wanted, own = SCHNEIDER.tissue_at(hu).attenuation[FITTED], SCHNEIDER.channels[:, hu - HU_RANGE[0]]
        relative = (BASIS[:, FITTED] / wanted).T
        np.testing.assert_allclose(own, np.linalg.lstsq(relative, np.ones(len(relative)), rcond=None)[0], rtol=1e-6)


def test_no_tissue_has_a_negative_share() -> None:
    lowest = SCHNEIDER.channels.min(1)
    assert lowest[1] > 0
    assert lowest[0] > -1e-6  # at 4095 HU there is but bone left; stored as 0


@pytest.mark.parametrize(
    ("hu", "density"),
    # Schneider et al. 2000, equations 20 to 23: 1.03091 + 0.0010297·HU up to −98; 1.018 + 0.000893·HU up to 14; 1.03 up
    # to 23; 1.003 + 0.001169·HU up to 100; 1.017 + 0.000592·HU beyond, from 174 HU on where ours is level before.
    [(-1000, 0.00121), (-800, 0.2072), (-500, 0.5161), (-98, 0.93), (-50, 0.9733), (0, 1.018), (14, 1.0305), (20, 1.03),
     (23, 1.03), (60, 1.0731), (100, 1.1199),
     (140, 1.1199), (174, 1.12), (300, 1.1946), (700, 1.4314), (1000, 1.609), (1524, 1.9192), (2000, 2.201)],
)  # fmt: skip
def test_density_is_schneider_s(hu: float, density: float) -> None:
    assert SCHNEIDER.density_at(np.array([float(hu)]))[0] == pytest.approx(density, abs=0.0017)


def test_density_grows_all_the_way_and_beyond() -> None:
    density = SCHNEIDER.density_at(EVERY_HU.astype(float))
    assert (np.diff(density) >= 0).all()
    slope = 0.000592
    assert density[-1] == pytest.approx(1.9642 + slope * (4095 - 1600), rel=1e-4)
    assert SCHNEIDER.density_at(np.array([-3000.0]))[0] == pytest.approx(0.00121)


def test_composition_is_schneider_s_in_the_middles_and_smooth_between() -> None:
    for low, high, hydrogen, calcium in ((-950, -120, 10.3, 0), (19, 80, 10.3, 0), (700, 800, 6.1, 14.6)):
        tissue = SCHNEIDER.tissue_at((low + high) / 2)
        total = sum(tissue.weights.values())
        assert total == pytest.approx(1, abs=1e-12)
        assert tissue.weights["H"] == pytest.approx(hydrogen / 100, rel=0.005)
        assert tissue.weights["Ca"] == pytest.approx(calcium / 100, rel=0.005)
    # No threshold: a Hounsfield unit more is never far.
    steps = np.abs(np.diff(SCHNEIDER.channels, axis=1))
    assert steps[0].max() < 0.01
    assert steps[1].max() < 0.01


def test_hounsfield_units_come_back_at_the_scanner_s_energy() -> None:
    # A CT of 120 kV is worth about 70 keV: Hounsfield units → matter → attenuation → the same Hounsfield units.
    water = np.interp(70, ENERGY_KEV, MATERIALS["water"].attenuation)
    # 100 to 174 HU, where the published curve falls, are left out.
    for hu in (-900, -700, -500, -100, -50, 0, 20, 40, 60, 100, 200, 300, 500, 1000, 1500):
        back = 1000 * (np.interp(70, ENERGY_KEV, in_channels(hu)) / water - 1)
        assert back == pytest.approx(hu, abs=5, rel=0.026)


@pytest.mark.parametrize("energy", [25.0, 60.25, 61.0, 140.0])
def test_attenuation_of_a_channel_at_one_energy(energy: float) -> None:
    water = np.exp(np.interp(energy, ENERGY_KEV, np.log(MATERIALS["water"].attenuation)))
    assert np.array([1, 0.08]) @ channel_attenuation(energy) == pytest.approx(water, rel=1e-4)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_stored_channels_are_the_channels(dtype: type) -> None:
    hu = EVERY_HU.astype(dtype).reshape(7, 8, -1)
    stored, unit = stored_channels(hu, SCHNEIDER)
    assert stored.dtype == np.uint16
    assert stored.shape == (2, *hu.shape)
    assert stored.reshape(2, -1).max(1).tolist() == [65535, 65535]
    back = stored.reshape(2, -1) * unit[:, None]
    assert (np.abs(back - np.maximum(SCHNEIDER.channels, 0)).max(1) <= 0.5001 * unit).all()


def test_voxels_beyond_the_range_are_its_ends_and_fractions_are_rounded() -> None:
    hu = np.array([[[-32768, -1001, -1000, 4095, 4096, 32767]]], np.int16)
    stored, _ = stored_channels(hu, SCHNEIDER)
    np.testing.assert_array_equal(stored[..., :2], stored[..., [2, 2]])
    np.testing.assert_array_equal(stored[..., 4:], stored[..., [3, 3]])
    loose, _ = stored_channels(np.array([[[39.6, 40.4, -3e4, 1e6]]], np.float32), SCHNEIDER)
    whole, _ = stored_channels(np.array([[[40, 40, -1000, 4095]]], np.int16), SCHNEIDER)
    np.testing.assert_array_equal(loose, whole)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(-1000, 3000), st.floats(0, 1, width=32)), min_size=1, max_size=12))
def test_what_is_displaced_is_not_there(voxels: list[tuple[int, float]]) -> None:
    hu = np.array([v[0] for v in voxels], np.int16).reshape(-1, 1, 1)
    away = np.array([v[1] for v in voxels], np.float32).reshape(-1, 1, 1)
    whole, unit = stored_channels(hu, SCHNEIDER)
    left, same_unit = stored_channels(hu, SCHNEIDER, away)
    np.testing.assert_array_equal(unit, same_unit)
    np.testing.assert_allclose(left, whole * (1 - away), atol=0.51)


def test_a_calibration_of_two_rows_is_a_straight_line() -> None:
    line = Calibration(np.array([-1000.0, 0.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(line.density_at(np.array([-1500.0, -1000, -250, 0, 500])), [0, 0, 0.75, 1, 1.5])
    np.testing.assert_array_equal(line.channels[:, 0], 0)  # nothing
    ratio = line.channels[:, 1050] / SCHNEIDER.channels[:, 1050]
    np.testing.assert_allclose(ratio, 1.05 / SCHNEIDER.density_at(np.array([50.0]))[0], rtol=1e-9)
    assert line.tissue_at(50).weights == SCHNEIDER.tissue_at(50).weights


@pytest.mark.parametrize(
    ("hu", "density", "message"),
    [
        ([0], [1], "at least two rows"),
        ([0, 0], [1, 1], "HU ascending"),
        ([10, 0], [1, 1], "HU ascending"),
        ([0, 1, 2], [1, 1], "at least two rows"),
        ([0, float("nan")], [1, 1], "at least two rows"),
        ([0, float("inf")], [1, 1], "finite"),
        ([-1000, 0], [-0.1, 1], "densities must be finite and not negative"),
        ([-1000, 0], [0, float("nan")], "densities must be finite and not negative"),
        ([-1000, 0], [0, 0], "not all 0"),
    ],
)
def test_calibrations_that_are_none(hu: list[float], density: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Calibration(np.array(hu, float), np.array(density, float))


def test_a_user_s_curve(tmp_path: Path) -> None:
    path = tmp_path / "scanner.csv"
    for text in ("hu,density\n-1000,0.001\n0,1\n", "\ufeffdensity,note,hu\r\n0.001,air,-1000\r\n1,water,0\r\n"):
        path.write_text(text, encoding="utf-8", newline="")
        curve = read_calibration(path)
        assert curve.hu.tolist() == [-1000, 0]
        assert curve.density.tolist() == [0.001, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hu;density\n0;1\n", "expected a CSV with the columns hu and density"),
        (b"hu,density\n0,dense\n", "expected a CSV with the columns hu and density"),
        (b"hu,density\n0\n", "expected a CSV with the columns hu and density"),
        (b"\xff\xfe\x00\x01", "expected a CSV with the columns hu and density"),
        (b'hu,density\n"' + b"1" * 140000, "expected a CSV with the columns hu and density"),
        (b"", "at least two rows"),
        (b"hu,density\n", "at least two rows"),
        (b"hu,density\n0,1\n-10,2\n", "HU ascending"),
    ],
)
def test_files_that_are_no_curve(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "scanner.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_calibration(path)
    with pytest.raises(InputError, match=r"none\.csv: cannot read"):
        read_calibration(tmp_path / "none.csv")
