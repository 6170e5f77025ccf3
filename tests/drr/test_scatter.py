"""The kernels against Monte Carlo and against what scatter must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.drr.monte_carlo import transmit
from synth.drr.scatter import GRIDS, Grid, ScatterModel
from synth.drr.spectrum import Tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODEL = ScatterModel.of_energy(60.25, 50)
ENERGY = 60.25


def slab_ratio(model: ScatterModel, thickness: float, field_mm: float, pitch: float = 4.0) -> float:
    """Scatter over primary in the middle of a slab."""
    n = round(field_mm / pitch)
    primary = np.ones((n, n), np.float32)
    scatter = model.scatter(primary, np.full_like(primary, thickness), pitch_mm=pitch)
    return float(scatter[(n - 1) // 2 : n // 2 + 1, (n - 1) // 2 : n // 2 + 1].mean())


def transmission(energy: float, thickness: NDArray[np.float32] | float) -> NDArray[np.float32]:
    mu = float(np.interp(energy, ENERGY_KEV, MATERIALS["water"].attenuation))
    return np.exp(-mu * np.asarray(thickness, np.float32))


@pytest.mark.parametrize(
    ("thickness", "photons"), [(50.0, 150_000), (120.0, 200_000), (200.0, 500_000), (300.0, 1_200_000)]
)
@pytest.mark.parametrize("energy", [45.25, 75.25])
def test_slabs_agree_with_monte_carlo(energy: float, thickness: float, photons: int) -> None:
    """By reciprocity the middle of a field gets what a pencil sends into the field."""
    exits = transmit(energy, thickness, photons, 77)
    scattered = exits.scatterings > 0
    primary = energy * float(transmission(energy, thickness))
    for gap in (0.0, 60.0, 240.0):
        where, carried = exits.at(gap)[scattered], (exits.weight * exits.energy_kev)[scattered]
        model = ScatterModel.of_energy(energy, gap)
        for field in (152.0, 304.0, 400.0):
            inside = carried[(np.abs(where) < field / 2).all(1)]
            chance = np.sqrt((inside**2).sum()) / inside.sum()
            expected = inside.sum() / primary
            assert slab_ratio(model, thickness, field) == pytest.approx(expected, rel=0.04 + 3 * chance)
            if field > 300:
                assert 0.04 + 3 * chance < 0.10


def test_lungs_beside_a_mediastinum_agree_with_monte_carlo() -> None:
    depth, half, field, gap, loose, dense = 220.0, 40.0, 400.0, 50.0, 0.3, 0.8
    exits = transmit(
        ENERGY,
        depth,
        1_000_000,
        5,
        field_mm=(field, field),
        columns_mm=np.array([-half, half]),
        density=np.array([loose, dense, loose]),
    )
    scattered = exits.scatterings > 0
    where, carried = exits.at(gap)[scattered], (exits.weight * exits.energy_kev / ENERGY)[scattered]
    n, pitch = 200, 2.0
    across = (np.arange(n) + 0.5) * pitch - field / 2
    path = np.broadcast_to(np.where(np.abs(across) < half, dense, loose) * depth, (n, n)).astype(np.float32)
    primary = transmission(ENERGY, path)
    scatter = MODEL.scatter(primary, path, pitch_mm=pitch, body_mm=depth)
    for low, high, tolerance in ((0, 32, 0.25), (60, 100, 0.1), (100, 140, 0.1), (140, 190, 0.1)):
        ring = (np.abs(where[:, 0]) >= low) & (np.abs(where[:, 0]) < high) & (np.abs(where[:, 1]) < 100)
        expected = carried[ring].sum() / (2 * (high - low) * 200 / field**2)
        modelled = scatter[50:150][:, (np.abs(across) >= low) & (np.abs(across) < high)].mean()
        assert modelled == pytest.approx(expected, rel=tolerance)


def test_a_chest_has_the_ratios_of_textbooks() -> None:
    """Without a grid about 1 in the lungs and 4 to 10 behind the mediastinum, at 120 kVp."""
    n, pitch = 200, 2.0
    across = np.abs((np.arange(n) + 0.5) * pitch - 200)
    path = np.interp(across, [30, 50, 150, 170], [200, 110, 110, 150]).astype(np.float32)
    path = np.ascontiguousarray(np.broadcast_to(path, (n, n)))
    path[150:] = 200  # below the diaphragm
    fluence = Tube(120).spectrum().fluence
    thickness = np.arange(0, 301.0)
    through = np.exp(-MATERIALS["water"].attenuation * thickness[:, None]) @ (fluence * ENERGY_KEV)
    primary = np.interp(path, thickness, through / through[0]).astype(np.float32)
    model = ScatterModel.of_spectrum(fluence, 30)
    ratio = model.scatter(primary, path, pitch_mm=pitch, body_mm=230.0) / primary
    lung, mediastinum = ratio[60:120, 45:60].mean(), ratio[60:120, 95:105].mean()
    assert 0.6 < lung < 2
    assert 3.5 < mediastinum < 10


@pytest.mark.parametrize("gap", [0.0, 100.0])
def test_scatter_grows_with_thickness_and_field(gap: float) -> None:
    model = ScatterModel.of_energy(ENERGY, gap)
    by_thickness = [slab_ratio(model, t, 304) for t in range(0, 451, 25)]
    assert by_thickness[0] == 0
    assert (np.diff(by_thickness) > 0).all()
    by_field = [slab_ratio(model, 200, f) for f in (48, 96, 152, 200, 304, 400)]
    assert (np.diff(by_field) > 0).all()


@pytest.mark.parametrize("thickness", [100.0, 200.0, 300.0])
def test_an_air_gap_takes_scatter_away(thickness: float) -> None:
    ratios = [slab_ratio(ScatterModel.of_energy(ENERGY, gap), thickness, 304) for gap in range(0, 501, 50)]
    assert (np.diff(ratios) < 0).all()


def test_nothing_scatters_where_nothing_is() -> None:
    primary = np.ones((60, 50), np.float32)
    assert not MODEL.scatter(primary, np.zeros_like(primary), pitch_mm=3).any()
    assert not MODEL.scatter(np.zeros_like(primary), np.full_like(primary, 200), pitch_mm=3).any()


def test_scatter_is_never_negative_and_is_linear_in_the_primary() -> None:
    rng = np.random.default_rng(0)
    path = rng.uniform(0, 450, (90, 111)).astype(np.float32)
    primary = transmission(ENERGY, path) * rng.integers(0, 2, path.shape).astype(np.float32)
    scatter = MODEL.scatter(primary, path, pitch_mm=4.3)
    assert scatter.shape == path.shape
    assert scatter.dtype == np.float32
    assert scatter.min() >= 0
    np.testing.assert_allclose(MODEL.scatter(2 * primary, path, pitch_mm=4.3), 2 * scatter, rtol=1e-4)


def test_a_pencil_s_scatter_is_its_kernel_s_total() -> None:
    model, n, pitch = ScatterModel.of_energy(ENERGY, 20), 401, 8.0
    primary = np.zeros((n, n), np.float32)
    primary[n // 2, n // 2] = 1
    scatter = model.scatter(primary, np.full_like(primary, 150), pitch_mm=pitch)
    assert scatter.sum() == pytest.approx(model.weights[30, 0].sum(), rel=0.02)
    np.testing.assert_allclose(scatter, scatter.T, atol=1e-6 * scatter.max())
    np.testing.assert_allclose(scatter, scatter[::-1, ::-1], atol=1e-5 * scatter.max())


def test_pixels_do_not_matter() -> None:
    fine = (np.arange(512) + 0.5) / 512
    path = (200 - 120 * np.exp(-(((fine[:, None] - 0.4) / 0.2) ** 2) - ((fine - 0.6) / 0.25) ** 2)).astype(np.float32)
    primary = transmission(ENERGY, path)
    small_path = path.reshape(128, 4, 128, 4).mean((1, 3))
    small = MODEL.scatter(transmission(ENERGY, small_path), small_path, pitch_mm=3.2)
    large = MODEL.scatter(primary, path, pitch_mm=0.8).reshape(128, 4, 128, 4).mean((1, 3))
    np.testing.assert_allclose(large, small, rtol=0.02)


def test_metal_casts_a_shadow_without_end() -> None:
    path = np.full((80, 80), 150, np.float32)
    path[30:50, 30:50] = 1e6
    scatter = MODEL.scatter(transmission(ENERGY, path), path, pitch_mm=4)
    assert np.isfinite(scatter).all()
    assert 0 < scatter[40, 40] < scatter[40, 10]


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (101, 37)])
def test_any_shape_will_do(shape: tuple[int, int]) -> None:
    primary = np.ones(shape, np.float32)
    scatter = MODEL.scatter(primary, np.full_like(primary, 200), pitch_mm=1.7)
    assert scatter.shape == shape
    assert (scatter > 0).all()
    np.testing.assert_allclose(scatter, scatter[::-1, ::-1], rtol=0.05)


def test_a_longer_body_of_the_same_water_scatters_wider() -> None:
    primary = np.ones((100, 100), np.float32)
    path = np.full_like(primary, 80)
    dense = MODEL.scatter(primary, path, pitch_mm=4)
    np.testing.assert_array_equal(MODEL.scatter(primary, path, pitch_mm=4, body_mm=80.0), dense)
    loose = MODEL.scatter(primary, path, pitch_mm=4, body_mm=240.0)
    assert (loose < dense).all()
    np.testing.assert_allclose(MODEL.scatter(primary, path, pitch_mm=4, body_mm=np.full_like(path, 240)), loose)


def test_a_spectrum_mixes_its_energies_by_what_is_left_of_them() -> None:
    lines = [int(np.abs(ENERGY_KEV - e).argmin()) for e in (40.25, 80.25)]
    fluence = np.zeros(len(ENERGY_KEV))
    fluence[lines] = 3.0, 1.0
    mixed = slab_ratio(ScatterModel.of_spectrum(fluence, 50), 150, 304)
    left = [n * ENERGY_KEV[i] * float(transmission(ENERGY_KEV[i], 150)) for n, i in zip((3, 1), lines, strict=True)]
    alone = [slab_ratio(ScatterModel.of_energy(ENERGY_KEV[i], 50), 150, 304) for i in lines]
    assert mixed == pytest.approx(np.dot(left, alone) / sum(left), rel=1e-3)


def test_grids_pass_less_scatter_the_higher_they_are() -> None:
    bare = slab_ratio(MODEL, 200, 304)
    for grid in GRIDS.values():
        gridded = slab_ratio(ScatterModel.of_energy(ENERGY, 50, grid), 200, 304)
        assert gridded == pytest.approx(bare * grid.scatter_transmission, rel=1e-5)
    ordered = sorted(GRIDS.values(), key=lambda grid: grid.ratio)
    for name in ("primary_transmission", "scatter_transmission"):
        assert (np.diff([getattr(grid, name) for grid in ordered]) < 0).all()
    assert all(grid.primary_transmission > 2 * grid.scatter_transmission for grid in ordered[1:])


def test_bad_arguments_are_refused() -> None:
    good = np.ones((4, 4), np.float32)
    with pytest.raises(InputError, match="primary_transmission"):
        Grid(10, 1.1, 0.1)
    with pytest.raises(InputError, match="ratio"):
        Grid(0, 0.7, 0.1)
    with pytest.raises(InputError, match="air_gap_mm"):
        ScatterModel.of_energy(60, 501)
    with pytest.raises(InputError, match="energy_kev"):
        ScatterModel.of_energy(10, 50)
    with pytest.raises(InputError, match="fluence"):
        ScatterModel.of_spectrum(np.zeros(len(ENERGY_KEV)), 50)
    with pytest.raises(InputError, match="primary and thickness_mm"):
        MODEL.scatter(good, good[:2], pitch_mm=1)
    with pytest.raises(InputError, match="pitch_mm"):
        MODEL.scatter(good, good, pitch_mm=0)
    with pytest.raises(InputError, match="body_mm"):
        MODEL.scatter(good, good, pitch_mm=1, body_mm=good[:2])
