"""The detector against theory: moments of the response, variance, noise power, MTF, defects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.detector import DETECTORS, Detector
from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.drr.spectrum import Tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDEAL = Detector(blur_mm2=0.0, electronic_kev=0.0)
PITCH = 0.2


def flat(shape: tuple[int, int], energy: float, quantum: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.full(shape, energy, np.float32), np.full(shape, energy * quantum, np.float32)


def at(kev: float) -> int:
    return int(np.abs(ENERGY_KEV - kev).argmin())


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_response_obeys_its_bounds(name: str) -> None:
    panel = DETECTORS[name]
    a, first, second = panel.absorption, panel.energy_response, panel.energy_squared_response
    assert a.shape == first.shape == second.shape == ENERGY_KEV.shape
    assert ((a > 0) & (a <= 1)).all()
    assert (first <= a * ENERGY_KEV).all()
    assert (second <= first * ENERGY_KEV * (1 + 1e-12)).all()
    assert (first**2 <= a * second * (1 + 1e-12)).all()  # Jensen


def test_below_the_k_edge_a_photoelectric_quantum_leaves_all() -> None:
    panel = DETECTORS["cesium_iodide"]
    i = at(30)
    assert panel.energy_response[i] / panel.absorption[i] / ENERGY_KEV[i] == pytest.approx(1, abs=0.02)
    assert panel.energy_response[at(40)] / panel.absorption[at(40)] / 40 < 0.9  # fluorescence gets out


def test_fluorescence_stays_in_a_thick_converter() -> None:
    i, lost = at(45), []
    for thickness in (0.05, 0.6, 10.0):
        panel = Detector(thickness_mm=thickness)
        lost.append(1 - panel.energy_response[i] / panel.absorption[i] / ENERGY_KEV[i])
    assert lost[0] > 2 * lost[1] > 2 * lost[2]
    # What a thick one loses goes back through the front: µ/(2µ_K)·ln(1 + µ_K/µ) at depth 0 falls short of a half.
    assert lost[2] < 0.25


def test_absorption_is_beer_and_lambert() -> None:
    iodide = MATERIALS["cesium_iodide"]
    mu = (iodide.process("photoelectric") + iodide.process("incoherent")) * 0.1 * 4.51
    np.testing.assert_allclose(DETECTORS["cesium_iodide"].absorption, 1 - np.exp(-mu * 0.6 * 0.78), rtol=1e-12)


def test_a_chest_beam_is_absorbed_as_measured_panels_do() -> None:
    fluence = Tube(120).spectrum().filtered({"water": 200}).fluence
    panel = DETECTORS["cesium_iodide"]
    assert 0.6 < fluence @ panel.absorption / fluence.sum() < 0.75
    assert 0.8 < panel.swank_factor(fluence) < 0.95


def test_absorbed_sums_over_the_spectrum() -> None:
    fluence = Tube(80).spectrum().fluence
    panel = DETECTORS["selenium"]
    m, v = panel.absorbed(fluence, 0.2)
    assert m == pytest.approx(0.5 * 0.04 * fluence @ panel.energy_response)
    assert m**2 / v == pytest.approx(fluence @ panel.absorption * 0.02 * panel.swank_factor(fluence))


def test_variance_is_that_of_a_compound_poisson_sum() -> None:
    """A true compound sum of two energies, photon by photon, has the same two moments."""
    counts, energies = (300.0, 120.0), (40.0, 90.0)
    m = sum(n * e for n, e in zip(counts, energies, strict=True))
    v = sum(n * e * e for n, e in zip(counts, energies, strict=True))
    read = IDEAL.expose(*flat((700, 700), m, v / m), 1, pitch_mm=PITCH)
    rng = np.random.default_rng(2)
    truth = sum(e * rng.poisson(n, read.shape) for n, e in zip(counts, energies, strict=True))
    for image in (read, truth):
        assert image.mean(dtype=float) == pytest.approx(m, rel=1e-3)
        assert image.astype(float).var() == pytest.approx(v, rel=0.01)


@pytest.mark.parametrize("pitch", [0.143, 0.4])
def test_noise_power_is_variance_times_squared_mtf_and_a_floor(pitch: float) -> None:
    panel = Detector(electronic_kev=900.0)
    energy, quantum, n = 1e5, 60.0, 128
    spectrum = np.zeros((n, n))
    for seed in range(40):
        read = panel.expose(*flat((n, n), energy, quantum), seed, pitch_mm=pitch).astype(float)
        spectrum += np.abs(np.fft.fft2(read - energy)) ** 2 / n**2 / 40
    f = np.fft.fftfreq(n, pitch)
    radius = np.hypot(f[:, None], f)
    expected = energy * quantum * panel.blur(radius) ** 2 + panel.electronic_rms(pitch) ** 2
    nyquist = 0.5 / pitch
    for low in np.arange(0.05, 0.85, 0.1):  # rings, without the mean
        ring = (radius > low * nyquist) & (radius <= (low + 0.1) * nyquist)
        assert spectrum[ring].mean() == pytest.approx(expected[ring].mean(), rel=0.03)


@pytest.mark.parametrize("pitch", [0.1, 0.143, 0.4])
def test_a_slanted_edge_has_the_presampled_mtf(pitch: float) -> None:
    panel, n, slope = Detector(electronic_kev=0.0), 256, 1 / 16
    # Pixels' mean over the bright side of an edge u = n/2 + slope·v, by fine sub-pixels; so bright that noise is none.
    sub = (np.arange(16) + 0.5) / 16 - 0.5
    u, v = np.arange(n)[None, :, None, None] + sub, np.arange(n)[:, None, None, None] + sub[:, None]
    covered = np.clip(u - (n / 2 + slope * (v - n / 2)) + 0.5 / 16, 0, 1 / 16) * 16
    bright = (covered.mean((2, 3)) * 1e12).astype(np.float32)
    read = panel.expose(bright, bright, 0, pitch_mm=pitch)
    distance = (np.arange(n) - n / 2) - slope * (np.arange(n)[:, None] - n / 2)
    rows, columns = slice(32, 224), slice(32, 224)
    bins = np.rint(distance[rows, columns] * 16).astype(int)
    bins -= bins.min()
    edge = np.bincount(bins.ravel(), read[rows, columns].ravel()) / np.bincount(bins.ravel())
    # Columns beyond the common range of all rows are thrown away with the mean of few pixels.
    middle = len(edge) // 2
    line = np.diff(edge[middle - 1024 : middle + 1025])
    f = np.arange(1, 8) / 16 * 0.85  # cycles per pixel
    distances = np.arange(len(line)) / 16
    measured = np.abs(np.exp(-2j * np.pi * f[:, None] * distances) @ line) / abs(line.sum())
    measured /= np.sinc(f / 16)  # of the difference of neighbours
    frequency = f / pitch / np.cos(np.arctan(slope))
    np.testing.assert_allclose(measured, panel.mtf(frequency, pitch), atol=0.02)


def test_blur_keeps_the_energy() -> None:
    energy = np.zeros((64, 64), np.float32)
    energy[31, 17] = 1e12
    read = Detector(electronic_kev=0.0).expose(energy, energy, 0, pitch_mm=PITCH)
    assert read.sum(dtype=float) == pytest.approx(1e12, rel=1e-4)
    assert 0.05 < read[31, 17] / 1e12 < 0.9


def test_default_mtf_is_that_measured_on_caesium_iodide() -> None:
    """0.2 at 2.5 and 0.1 at 3.8 per mm, pixels of 0.127 mm (Samei 2003)."""
    mtf = DETECTORS["cesium_iodide"].mtf(np.array([0.0, 2.5, 3.8]), 0.127)
    np.testing.assert_allclose(mtf, [1, 0.2, 0.1], atol=0.03)


def test_electronic_noise_is_white_and_grows_with_binning() -> None:
    panel = Detector(electronic_kev=100.0, native_pitch_mm=0.1)
    nothing = np.zeros((500, 500), np.float32)
    for pitch, expected in ((0.1, 100), (0.4, 400)):
        read = panel.expose(nothing, nothing, 3, pitch_mm=pitch).astype(float)
        assert read.std() == pytest.approx(expected, rel=0.01)
        assert abs(np.corrcoef(read[:, 1:].ravel(), read[:, :-1].ravel())[0, 1]) < 0.01


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    panel, field = Detector(gain_spread=0.01, dead_fraction=0.01), flat((120, 90), 3e4, 60)
    many = panel.expose(*field, 4, pitch_mm=PITCH)
    monkeypatch.setenv("SYNTH_THREADS", "1")
    assert panel.expose(*field, 4, pitch_mm=PITCH).tobytes() == many.tobytes()


def test_different_seeds_are_independent() -> None:
    field = flat((400, 400), 3e4, 60)
    a, b = (IDEAL.expose(*field, seed, pitch_mm=PITCH).ravel() for seed in (5, 6))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / 400


def test_dead_pixels_and_gain_belong_to_the_panel() -> None:
    panel = replace(IDEAL, dead_fraction=0.02, gain_spread=0.05, defect_seed=9)
    field = flat((500, 500), 1e9, 1)
    first, second = (panel.expose(*field, seed, pitch_mm=PITCH) for seed in (1, 2))
    dead = first == 0
    np.testing.assert_array_equal(dead, second == 0)
    assert abs(dead.mean() - 0.02) < 4.5 * np.sqrt(0.02 * 0.98 / dead.size)
    assert (first[~dead] / 1e9).std() == pytest.approx(0.05, rel=0.02)
    np.testing.assert_allclose(first, second, rtol=1e-3)
    assert ((replace(panel, defect_seed=10).expose(*field, 1, pitch_mm=PITCH) == 0) != dead).any()


def test_saturation_and_rounding() -> None:
    panel = replace(IDEAL, saturation_kev=1000.0, bits=8)
    energy = np.linspace(0, 3000, 64, dtype=np.float32).reshape(8, 8)
    read = panel.expose(energy, energy, 7, pitch_mm=PITCH)
    assert 0 <= read.min() <= read.max() == 1000
    levels = read / (1000 / 255)
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3)])
def test_small_images_are_images(shape: tuple[int, int]) -> None:
    read = Detector().expose(*flat(shape, 1e5, 60), 8, pitch_mm=0.1)
    assert read.shape == shape
    assert read.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"material": "cheese"}, "cheese"),
        ({"thickness_mm": 0.0}, "thickness_mm"),
        ({"packing": 1.5}, "packing"),
        ({"blur_mm2": -1.0}, "blur_mm2"),
        ({"electronic_kev": float("nan")}, "electronic_kev"),
        ({"dead_fraction": 2.0}, "dead_fraction"),
        ({"saturation_kev": 0.0}, "saturation_kev"),
        ({"bits": 12}, "bits"),
    ],
)
def test_impossible_panels_are_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Detector(**changes)  # type: ignore[arg-type]


def test_impossible_exposures_are_refused() -> None:
    good, bad = np.ones((2, 2), np.float32), np.array([[1, np.nan]], np.float32)
    for energy, squared, pitch, named in (
        (good, good[:1], 0.1, "must be"),
        (bad, bad, 0.1, "energy must be finite"),
        (good, -good, 0.1, "energy_squared"),
        (good, good, 0.0, "pitch_mm"),
    ):
        with pytest.raises(InputError, match=named):
            Detector().expose(energy, squared, 0, pitch_mm=pitch)
