"""One exposure: the laws of flat field, dose and noise, scatter and grid, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.drr.detector import DETECTORS, Detector
from synth.drr.exposure import Exposure, expose
from synth.drr.geometry import Camera
from synth.drr.materials import MATERIALS
from synth.drr.scatter import GRIDS
from synth.drr.spectrum import Spectrum, Tube
from synth.drr.technique import PRESETS, Technique
from synth.drr.tissue import BASIS

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDEAL = Detector(blur_mm2=0.0, electronic_kev=0.0)
CLEAN = Technique(scatter=False, noise=False)
TABLE = 1e-4  # of the primary's table, and of float32
SOURCE_DETECTOR, SOURCE_SKIN, AIR_GAP = 1800.0, 1500.0, 50.0


def camera(shape: tuple[int, int] = (24, 32), pitch: float = 0.2, distance: float = SOURCE_DETECTOR) -> Camera:
    source = (0, -(distance - AIR_GAP), 0)
    return Camera.looking(source, (0, AIR_GAP, 0), (1, 0, 0), (0, 0, -1), pitch_mm=pitch, shape=shape, name="TEST")


def outline(source_skin: float = SOURCE_SKIN, distance: float = SOURCE_DETECTOR) -> NDArray[np.float64]:
    front = source_skin - (distance - AIR_GAP)
    return np.array([[x, y, z] for x in (-150.0, 150.0) for y in (front, 0.0) for z in (-150.0, 150.0)])


def water(mm: Any, shape: tuple[int, int] = (24, 32)) -> NDArray[np.float32]:
    """Tissue integrals of water, (2, h, w)."""
    return np.stack([np.broadcast_to(mm, shape), 0.08 * np.broadcast_to(mm, shape)]).astype(np.float32)


def shot(technique: Technique, mm: Any = 150.0, *, shape: tuple[int, int] = (24, 32), **more: Any) -> Exposure:
    view = more.pop("view", None) or camera(shape)
    return expose(technique, view, water(mm, view.shape), more.pop("body", outline()), **more)


def closed_form(technique: Technique, mm: Any, **objects: float) -> NDArray[np.float64]:
    """−ln(M/M₀) behind water and objects, summed over energies."""
    weight = technique.tube.spectrum().fluence * technique.detector.energy_response
    depth = np.multiply.outer(np.asarray(mm, float), MATERIALS["water"].attenuation)
    depth += sum((length * MATERIALS[name].attenuation for name, length in objects.items()), np.zeros(290))
    return -np.log(np.exp(-depth) @ weight / weight.sum())


def test_a_step_wedge_of_water_without_scatter_and_noise() -> None:
    mm = np.repeat(np.arange(0, 320, 10.0)[None], 24, axis=0)
    for technique in (CLEAN, replace(PRESETS["chest-pa"], scatter=False, noise=False, detector=DETECTORS["selenium"])):
        taken = shot(technique, mm)
        assert taken.log_signal.dtype == np.float32
        np.testing.assert_allclose(taken.log_signal, closed_form(technique, mm), rtol=1e-3, atol=TABLE)
        assert not taken.scatter_to_primary.any()


def test_flat_field_takes_away_distance_slant_and_heel() -> None:
    wide = camera((30, 40), 12.0, 1000.0)  # 36 × 48 cm at a metre
    heel = replace(CLEAN, tube=Tube(80, heel=True))
    for technique in (heel, replace(heel, grid="12:1"), replace(heel, detector_kerma_ugy=None)):
        taken = shot(technique, view=wide)
        np.testing.assert_allclose(taken.log_signal, closed_form(technique, 150.0), rtol=TABLE)


def test_the_beam_is_said() -> None:
    tube = Tube(100, filtration_mm={"aluminium": 3.0, "copper": 0.1})
    taken = shot(replace(CLEAN, tube=tube))
    assert taken.half_value_layer_mm == pytest.approx(tube.spectrum().half_value_layer_mm())
    assert taken.mean_energy_kev == pytest.approx(tube.spectrum().mean_energy_kev)


@pytest.mark.parametrize("kerma", [0.02, 2.5, 40.0])
@pytest.mark.parametrize("how", ["primary", "scatter", "grid"])
def test_automatic_exposure_gives_the_dose_asked_for(kerma: float, how: str) -> None:
    technique = replace(PRESETS["chest-pa"], grid="10:1" if how == "grid" else "none", detector_kerma_ugy=kerma)
    technique, view = replace(technique, scatter=how != "primary", noise=False), camera((320, 320), 0.8)
    taken = shot(technique, 180.0, view=view)
    assert taken.detector_kerma_ugy == pytest.approx(kerma, rel=1e-3)
    assert taken.exposure_index == pytest.approx(100 * kerma, rel=1e-3)
    # The energy in the panel over what RQA5 leaves there for a µGy.
    rqa5 = Tube(70, filtration_mm={"aluminium": 23.5}).spectrum()
    calibration = technique.detector.absorbed(rqa5.fluence, 1.0)[0] / rqa5.air_kerma_ugy
    x = (np.arange(320) - 159.5) * 0.8
    field = (1 + (x**2 + x[:, None] ** 2) / SOURCE_DETECTOR**2) ** -1.5
    at_panel = np.median((taken.primary + taken.scatter) * field) * taken.mas / calibration
    assert at_panel == pytest.approx(kerma, rel=5e-3)  # the median is taken of every so many pixels
    fixed = replace(technique, detector_kerma_ugy=None, tube=replace(technique.tube, mas=taken.mas))
    again = shot(fixed, 180.0, view=view)
    assert again.detector_kerma_ugy == pytest.approx(kerma, rel=1e-3)
    assert again.entrance_kerma_ugy == pytest.approx(taken.entrance_kerma_ugy, rel=1e-6)


def test_in_the_calibrating_beam_the_index_is_a_hundred_times_the_air_kerma() -> None:
    # RQA5 of IEC 61267: 21 mm of aluminium behind 2.5 mm of the tube's own, at 70 kV; here as a body of two channels.
    tube = Tube(70, mas=4.0, filtration_mm={"aluminium": 2.5})
    aluminium = 21 * MATERIALS["aluminium"].attenuation[20:]
    shares = np.linalg.lstsq((BASIS[:, 20:] / aluminium).T, np.ones(aluminium.size), rcond=None)[0]
    body = np.broadcast_to(shares[:, None, None], (2, 24, 32)).astype(np.float32)
    taken = expose(replace(CLEAN, tube=tube, detector_kerma_ugy=None), camera(), body, outline())
    behind = tube.spectrum(SOURCE_DETECTOR).fluence * np.exp(-shares @ BASIS)
    kerma = Spectrum(behind).air_kerma_ugy
    assert kerma == pytest.approx(tube.spectrum(SOURCE_DETECTOR).filtered({"aluminium": 21}).air_kerma_ugy, rel=0.03)
    assert taken.shadow.all()
    assert taken.mas == 4.0
    assert taken.detector_kerma_ugy == pytest.approx(kerma, rel=5e-3)
    assert taken.exposure_index == 100 * taken.detector_kerma_ugy


def test_entrance_kerma_follows_the_distance_s_square() -> None:
    fixed = replace(CLEAN, detector_kerma_ugy=None)
    near, far = (shot(fixed, body=outline(skin)).entrance_kerma_ugy for skin in (1000.0, 1500.0))
    assert near / far == pytest.approx(2.25, rel=1e-9)
    assert far == pytest.approx(fixed.tube.spectrum(1500.0).air_kerma_ugy, rel=1e-9)


def test_a_chest_takes_what_hospitals_report() -> None:
    # EUR 16260: 0.3 mGy at the entrance of a PA chest is the reference; digital panels take 0.05 to 0.2.
    taken = shot(PRESETS["chest-pa"], 110.0, shape=(64, 64), view=camera((64, 64), 5.0))
    assert 30 < taken.entrance_kerma_ugy < 250
    assert 0.5 < taken.mas < 6


def test_the_shadow_is_where_two_centimetres_of_water_are() -> None:
    mm = np.repeat(np.array([0.0, 10, 19, 21, 40, 300])[None], 24, axis=0)
    taken = shot(CLEAN, mm, view=camera((24, 6)))
    np.testing.assert_array_equal(taken.shadow, mm > 20)


def test_an_empty_beam_has_no_shadow_and_keeps_the_tube_s_charge() -> None:
    taken = shot(Technique(tube=Tube(mas=3.0)), 0.0)
    assert not taken.shadow.any()
    assert taken.mas == 3.0
    assert (taken.detector_kerma_ugy, taken.exposure_index) == (0.0, 0.0)
    assert abs(taken.log_signal.mean()) < 0.01


def variance_over_theory(technique: Technique, taken: Exposure, view: Camera, mm: float) -> NDArray[np.float64]:
    """(h, w), squared deviation of the flat-fielded signal over what a compound Poisson sum and electronics give."""
    spectrum = replace(technique.tube, mas=taken.mas).spectrum(view.source_detector_mm)
    panel, area, grid = technique.detector, view.pitch_mm[0] ** 2, GRIDS[technique.grid]
    open_one, open_two = panel.absorbed(spectrum.fluence, 1.0)
    one, two = panel.absorbed(spectrum.filtered({"water": mm}).fluence, 1.0)
    one, two = one * grid.primary_transmission, two * grid.primary_transmission
    scatter = one * taken.scatter_to_primary.astype(float)
    v, u = np.mgrid[: view.shape[0], : view.shape[1]]
    r = np.linalg.norm(view.to_world(np.stack([u, v], axis=-1)) - view.source, axis=-1)
    field = (view.source_detector_mm / r) ** 3
    flat = open_one * grid.primary_transmission * field * area
    variance = (two + scatter * open_two / open_one) * field * area + panel.electronic_rms(view.pitch_mm[0]) ** 2
    mean = (one + scatter) * field * area / flat
    return (np.exp(-taken.log_signal.astype(float)) - mean) ** 2 / (variance / flat**2)


@pytest.mark.parametrize(
    ("technique", "mm"),
    [
        (Technique(scatter=False, detector=IDEAL, detector_kerma_ugy=2.5), 150.0),
        (Technique(scatter=False, detector=replace(IDEAL, electronic_kev=2000.0), detector_kerma_ugy=0.5), 250.0),
        (Technique(tube=Tube(90), detector=IDEAL, detector_kerma_ugy=2.5), 200.0),
        (Technique(tube=Tube(70), detector=DETECTORS["selenium"], grid="8:1", detector_kerma_ugy=8.0), 50.0),
    ],
)
def test_noise_has_the_variance_of_theory(technique: Technique, mm: float) -> None:
    view = camera((600, 600), 0.2)
    taken = shot(technique, mm, view=view, seed=11)
    ratio = variance_over_theory(technique, taken, view, mm)
    assert ratio.mean() == pytest.approx(1, abs=0.01)  # 0.24 % by chance
    halves = [half.mean() for half in np.array_split(ratio, 4)]
    assert max(halves) / min(halves) < 1.03


def test_blur_takes_of_the_noise_what_its_response_says() -> None:
    view, panel = camera((600, 600), 0.2), replace(IDEAL, blur_mm2=0.45)
    technique = Technique(scatter=False, detector=panel)
    ratio = variance_over_theory(technique, shot(technique, view=view, seed=3), view, 150.0)
    f = (np.arange(200) + 0.5) / 200 * 2.5  # to Nyquist's frequency of 0.2 mm
    kept = np.mean(panel.blur(np.hypot(f, f[:, None])) ** 2)
    assert ratio.mean() == pytest.approx(kept, rel=0.02)


def test_noise_falls_with_the_root_of_the_dose() -> None:
    spread = [
        shot(replace(CLEAN, noise=True, detector=IDEAL, detector_kerma_ugy=dose), shape=(300, 300)).log_signal.std()
        for dose in (1.0, 4.0)
    ]
    assert spread[0] / spread[1] == pytest.approx(2, rel=0.01)


def test_towards_the_anode_it_is_noisier() -> None:
    view, tube = camera((201, 201), 1.6, 1000.0), Tube(80, heel=True)  # rows reach 9° to either side
    technique = Technique(tube=tube, detector=IDEAL, scatter=False, detector_kerma_ugy=2.0)
    rows = np.concatenate([shot(technique, view=view, seed=s).log_signal for s in range(4)], axis=1).var(axis=1)
    y = (np.arange(201) - 100) * 1.6
    field = (1 + y**2 / 1e6) ** -1.5
    angles = -np.rad2deg(np.arctan(y / 1000))  # upwards is towards the anode
    heel = [tube.spectrum(towards_anode_deg=float(a)).fluence @ IDEAL.energy_response for a in angles]
    top, bottom = (float((1 / (field * heel))[part].mean()) for part in (slice(0, 20), slice(181, 201)))
    assert top > 1.2 * bottom
    assert rows[:20].mean() / rows[181:].mean() == pytest.approx(top / bottom, rel=0.03)


def test_the_seed_decides_the_noise_alone() -> None:
    technique = PRESETS["chest-pa"]
    first, same, other = (shot(technique, seed=seed) for seed in (7, 7, 8))
    assert first.log_signal.tobytes() == same.log_signal.tobytes()
    assert (first.log_signal != other.log_signal).mean() > 0.99
    assert first.mas == other.mas
    np.testing.assert_array_equal(first.scatter_to_primary, other.scatter_to_primary)
    quiet = shot(replace(technique, noise=False))
    assert first.log_signal.mean() == pytest.approx(quiet.log_signal.mean(), abs=0.01)


def test_scatter_lowers_contrast_and_a_grid_raises_it() -> None:
    view, flat = camera((60, 60), 5.0), np.full((60, 60), 200.0)
    pitted = flat.copy()
    pitted[30, 30] -= 10

    def contrast(technique: Technique) -> tuple[float, float]:
        before, after = (shot(technique, mm, view=view) for mm in (flat, pitted))
        return float((before.log_signal - after.log_signal)[30, 30]), float(before.scatter_to_primary[30, 30])

    quiet = replace(PRESETS["chest-pa"], noise=False)
    (pure, none), (bare, much), (grid, little) = (
        contrast(replace(quiet, scatter=scatter, grid=grid))
        for scatter, grid in ((False, "none"), (True, "none"), (True, "10:1"))
    )
    assert none == 0
    assert much > 1 > little > 0
    passed = GRIDS["10:1"].scatter_transmission / GRIDS["10:1"].primary_transmission
    assert little / much == pytest.approx(passed, rel=0.01)
    for seen, ratio in ((bare, much), (grid, little)):  # the primary of a small detail is diluted by 1 + S/P
        assert seen == pytest.approx(np.log(1 + np.expm1(pure) / (1 + ratio)), rel=0.05)
    assert pure > grid > bare


def test_an_air_gap_and_a_smaller_body_scatter_less() -> None:
    technique = Technique(noise=False)
    view = camera((60, 60), 5.0)
    near, far = (
        shot(technique, 200.0, view=view, body=outline() - [0, gap, 0]).scatter_to_primary.mean() for gap in (0, 250)
    )
    assert far < 0.7 * near
    thin = shot(technique, 50.0, view=view).scatter_to_primary.mean()
    assert thin < 0.5 * near


def test_objects_are_summed_over_energies() -> None:
    lengths = np.zeros((24, 32), np.float32)
    lengths[6:12, 8:16] = 5.0
    for name in ("aluminium", "iodine_contrast", "steel_316l"):
        technique = replace(CLEAN, tube=Tube(80))
        taken = shot(technique, 100.0, objects={name: lengths})
        np.testing.assert_allclose(
            taken.log_signal[6:12, 8:16], closed_form(technique, 100.0, **{name: 5.0}), rtol=TABLE
        )
        np.testing.assert_allclose(taken.log_signal[:6], closed_form(technique, 100.0), rtol=TABLE)


def test_iodine_is_opaque_above_its_edge_only() -> None:
    # One tube; a filter of iodine leaves what lies below iodine's edge, one of copper what lies above.
    def opacity(of: str, behind: str, filter_mm: float) -> float:
        technique = replace(CLEAN, tube=Tube(45, filtration_mm={"aluminium": 2.5, behind: filter_mm}))
        return float(shot(technique, 0.0, objects={of: np.full((24, 32), 0.05, np.float32)}).log_signal.mean())

    below, above = ({name: opacity(name, *how) for name in ("iodine_contrast", "aluminium")}
                    for how in (("iodine_contrast", 1.0), ("copper", 0.4)))  # fmt: skip
    assert above["aluminium"] < 0.8 * below["aluminium"]
    assert above["iodine_contrast"] > 1.3 * below["iodine_contrast"]


def test_behind_lead_it_is_dark_but_finite() -> None:
    taken = shot(replace(CLEAN, detector_kerma_ugy=None), objects={"lead": np.full((24, 32), 50, np.float32)})
    np.testing.assert_allclose(taken.log_signal, -np.log(1e-5), rtol=1e-6)


def test_pixels_that_are_not_square() -> None:
    view = camera()
    view = replace(view, dv=view.dv * 1.1)
    with pytest.raises(InputError, match=r"view TEST: physics needs square pixels, got 0\.2×0\.22 mm"):
        expose(CLEAN, view, water(100.0), outline())
