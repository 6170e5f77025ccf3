"""The primary beam against the sum over energies, and voxels, wedges and inserts against closed forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.core.volume import Volume
from synth.drr.detector import DETECTORS
from synth.drr.geometry import Camera
from synth.drr.materials import ENERGY_KEV, MATERIALS
from synth.drr.mesh import Part
from synth.drr.placed import Placed
from synth.drr.primary import Beam
from synth.drr.projector import Projector
from synth.drr.shapes import box
from synth.drr.spectrum import Spectrum, Tube
from synth.drr.tissue import BASIS, HU_RANGE, Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT = 1e-4  # the table, of the sum over energies
CLOSED_FORM = 1e-3
SCHNEIDER = Calibration.schneider()


def beam(kvp: float = 120.0, panel: str = "cesium_iodide", **filters: float) -> Beam:
    detector = DETECTORS[panel]
    spectrum = Tube(kvp, filtration_mm=filters or {"aluminium": 3.0}).spectrum(1800)
    return Beam(spectrum, detector.energy_response, detector.energy_squared_response)


BEAMS = [
    beam(40, "selenium", aluminium=2.0),
    beam(60, aluminium=2.5),
    beam(75, aluminium=3.0, copper=0.2),
    beam(90),
    beam(120, aluminium=3.0, copper=0.1),
    beam(150, "selenium", aluminium=2.5),
]


def through(of: Beam, compton: Any, photoelectric: Any, **objects: Any) -> NDArray[np.float32]:
    given = np.broadcast_arrays(*(np.atleast_2d(np.asarray(a, np.float32)) for a in (compton, photoelectric)))
    w, b = (np.ascontiguousarray(a) for a in given)
    lengths = {name: np.broadcast_to(np.asarray(mm, np.float32), w.shape) for name, mm in objects.items()}
    return of.through(w, b, lengths).energy


def closed_form(of: Beam, depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ N·r·exp(−depth), with depth (…, 290), relative to the open beam."""
    weight = of.spectrum.fluence * of.response
    return np.exp(-depth) @ weight / weight.sum()


@pytest.mark.parametrize("of", BEAMS)
def test_the_table_is_the_sum_over_energies(of: Beam) -> None:
    generator = np.random.default_rng(5)
    # Dense where there is little, where soft beams harden fast; up to the most there is in a body.
    w = (generator.uniform(0, 22.0, (24, 40)) ** 2).astype(np.float32)
    b = (generator.uniform(0, 11.0, (24, 40)) ** 2).astype(np.float32)
    b[:8] *= 0.02
    w[::5] *= 0.02
    got = of.through(w, b, {})
    depth = w.astype(float)[..., None] * BASIS[0] + b.astype(float)[..., None] * BASIS[1]
    for image, response in ((got.energy, of.response), (got.energy_squared, of.response_squared)):
        exact = np.exp(-depth) @ (of.spectrum.fluence * 0.5 * response)
        np.testing.assert_allclose(image, exact, rtol=EXACT)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(BEAMS), st.floats(0, 650, width=32), st.floats(0, 190, width=32))
def test_one_ray_is_the_sum_over_energies(of: Beam, w: float, b: float) -> None:
    assert through(of, w, b)[0, 0] == pytest.approx(of.direct(w, b, {})[0], rel=EXACT)


def test_beyond_the_table_it_goes_on_darker() -> None:
    steps = -np.log(through(BEAMS[4], np.arange(600, 1200, 50.0), 3.0)[0] / BEAMS[4].open_energy)
    assert (np.diff(steps) > 0).all()
    exact = [-np.log(BEAMS[4].direct(w, 3.0, {})[0] / BEAMS[4].open_energy) for w in np.arange(600, 1200, 50.0)]
    np.testing.assert_allclose(steps, exact, rtol=0.01)


@pytest.mark.parametrize("of", BEAMS)
def test_absurdly_far_beyond_it_is_dark_and_no_variance_is_negative(of: Beam) -> None:
    w, b = (a.astype(np.float32) for a in np.meshgrid(np.linspace(0, 4000, 80), np.linspace(0, 3000, 80)))
    got = of.through(w, b, {})
    for image in (got.energy, got.energy_squared):
        assert np.isfinite(image).all()
        assert image.min() >= 0
    assert got.energy[-1, -1] < 1e-6 * of.open_energy


def test_nothing_in_the_beam_leaves_all_of_it() -> None:
    for of in BEAMS:
        got = of.through(np.zeros((1, 2), np.float32), np.array([[0, -1e-6]], np.float32), {})
        np.testing.assert_allclose(got.energy, of.open_energy, rtol=1e-6)
        np.testing.assert_allclose(got.energy_squared, of.open_energy_squared, rtol=1e-6)
        assert of.open_energy == pytest.approx(0.5 * of.spectrum.fluence @ of.response)


@pytest.mark.parametrize("of", BEAMS)
def test_step_wedges_of_water_and_bone(of: Beam) -> None:
    mm = np.arange(0, 401, 20.0)
    wedge = through(of, mm, 0.08 * mm)[0] / of.open_energy
    np.testing.assert_allclose(wedge, closed_form(of, np.outer(mm, MATERIALS["water"].attenuation)), rtol=CLOSED_FORM)
    bone = through(of, np.zeros(21), 1.92 * mm / 8)[0] / of.open_energy
    exact = closed_form(of, np.outer(mm / 8, MATERIALS["cortical_bone"].attenuation))
    np.testing.assert_allclose(bone, exact, rtol=CLOSED_FORM)


@pytest.mark.parametrize("of", BEAMS)
def test_inserts_of_metal_before_water(of: Beam) -> None:
    mm = np.arange(0, 31, 3.0)
    for name, thickest in (("aluminium", 30.0), ("titanium", 6.0), ("lead", 0.6), ("iodine_contrast", 6.0)):
        lengths = mm * thickest / 30
        got = through(of, np.full(11, 150.0), np.full(11, 12.0), **{name: lengths})[0] / of.open_energy
        depth = 150 * MATERIALS["water"].attenuation + np.outer(lengths, MATERIALS[name].attenuation)
        np.testing.assert_allclose(got, closed_form(of, depth), rtol=CLOSED_FORM)


def test_objects_add_up_and_only_where_they_are() -> None:
    of = BEAMS[4]
    w = np.full((2, 3), 100, np.float32)
    steel, gold = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    steel[0, 1], gold[0, 1], gold[1, 2] = 2, 0.1, 0.05
    got = of.through(w, w / 10, {"steel_316l": steel, "gold": gold})
    empty = of.through(w, w / 10, {})
    for v, u in np.ndindex(2, 3):
        exact = of.direct(100, 10, {"steel_316l": float(steel[v, u]), "gold": float(gold[v, u])})
        assert (got.energy[v, u], got.energy_squared[v, u]) == pytest.approx(exact, rel=EXACT)
        assert (got.energy[v, u] == empty.energy[v, u]) == (steel[v, u] + gold[v, u] == 0)


def test_iodine_takes_more_above_its_edge() -> None:
    detector = DETECTORS["cesium_iodide"]
    i = int(np.searchsorted(ENERGY_KEV, 33.1694))
    taken = []
    for j in (i - 1, i):
        line = Beam(Spectrum(np.eye(290)[j] * 1e5), detector.energy_response, detector.energy_squared_response)
        taken.append(-np.log(through(line, 0.0, 0.0, iodine_contrast=0.5)[0, 0] / line.open_energy))
        assert taken[-1] == pytest.approx(0.5 * MATERIALS["iodine_contrast"].attenuation[j], rel=1e-5)
    assert taken[1] > 4 * taken[0]


@pytest.mark.parametrize("of", BEAMS)
def test_the_beam_hardens(of: Beam) -> None:
    mm = np.arange(0, 301, 10.0)
    depth = -np.log(through(of, mm, 0.08 * mm)[0] / of.open_energy)
    assert (np.diff(depth) > 0).all()
    assert (np.diff(depth, 2) < 1e-6).all()  # concave
    effective = depth[1:] / mm[1:]
    assert effective[-1] < 0.96 * effective[0]
    assert effective[0] < closed_slope(of) * 1.001
    # Behind much water the hardest photons are left: attenuation tends to that at the potential from above.
    assert np.diff(depth)[-1] / 10 > MATERIALS["water"].attenuation[np.flatnonzero(of.spectrum.fluence)[-1]]


def closed_slope(of: Beam) -> float:
    """Attenuation by the first layer of water, 1/mm: the mean over the absorbed energy."""
    weight = of.spectrum.fluence * of.response
    return float(weight @ MATERIALS["water"].attenuation / weight.sum())


def test_one_energy_does_not_harden() -> None:
    i = int(np.searchsorted(ENERGY_KEV, 70))
    line = Beam(Spectrum(np.eye(290)[i]), ENERGY_KEV.copy(), ENERGY_KEV**2)
    mm = np.arange(0, 301, 10.0)
    depth = -np.log(through(line, mm, 0.08 * mm)[0] / line.open_energy)
    np.testing.assert_allclose(depth, mm * MATERIALS["water"].attenuation[i], rtol=1e-5, atol=1e-6)
    assert line.mean_energy_kev == ENERGY_KEV[i]


# From voxels to the absorbed energy.

TISSUE_HU = 40  # muscle-like, of known composition
SPACING = 2.0


def tissue_camera(shape: tuple[int, int] = (21, 48)) -> Camera:
    return Camera.looking((3, -900, 2), (0, 300, 0), (1, 0, 0), (0, 0, -1), pitch_mm=4.0, shape=shape)


def tissue_depth(hu: int, mm: NDArray[np.float64]) -> NDArray[np.float64]:
    return mm[..., None] * (SCHNEIDER.channels[:, hu - HU_RANGE[0]] @ BASIS)


def rays(camera: Camera) -> NDArray[np.float64]:
    """(h, w, 3), unit vectors from the source to the pixels."""
    v, u = np.mgrid[: camera.shape[0], : camera.shape[1]]
    towards = camera.to_world(np.stack([u, v], axis=-1)) - camera.source
    return towards / np.linalg.norm(towards, axis=-1, keepdims=True)


def grid(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Affine of a grid about the origin."""
    affine = np.diag([SPACING] * 3 + [1.0])
    affine[:3, 3] = [-SPACING * (n - 1) / 2 for n in shape[::-1]]
    return affine


def test_a_voxelised_water_cylinder() -> None:
    radius, shape = 60.0, (50, 66, 66)
    affine = grid(shape)
    fine = (np.arange(66 * 16) - (66 * 16 - 1) / 2) * SPACING / 16
    inside = (fine**2 + fine[:, None] ** 2 < radius**2).reshape(66, 16, 66, 16).mean((1, 3))  # of every voxel
    displaced = np.ascontiguousarray(np.broadcast_to(1 - inside, shape), np.float32)
    volume = Volume(np.full(shape, TISSUE_HU, np.int16), affine)
    camera = tissue_camera()
    projector = Projector(volume, calibration=SCHNEIDER, displaced=displaced, backend="cpu")
    w, b = projector.tissue_integrals([camera])[0]
    d = rays(camera)
    a, half = (d[..., :2] ** 2).sum(-1), d[..., :2] @ camera.source[:2]
    root = half**2 - a * ((camera.source[:2] ** 2).sum() - radius**2)
    chord = 2 * np.sqrt(np.maximum(root, 0)) / a
    of = BEAMS[4]
    signal = -np.log(through(of, w, b) / of.open_energy)
    exact = -np.log(closed_form(of, tissue_depth(TISSUE_HU, chord)))
    well_inside = chord > 1.5 * radius  # voxels blur it: (h·R)²/(8·(c/2)⁴) of a chord c, which is much near the rim
    assert well_inside.sum() > 300
    np.testing.assert_allclose(signal[well_inside], exact[well_inside], rtol=CLOSED_FORM)
    assert signal[chord > 0].sum() == pytest.approx(exact.sum(), rel=CLOSED_FORM)
    # The channels are a fit: against the tissue's own composition it is a little more.
    own = -np.log(closed_form(of, chord[..., None] * SCHNEIDER.tissue_at(TISSUE_HU).attenuation))
    np.testing.assert_allclose(signal[well_inside], own[well_inside], rtol=2 * CLOSED_FORM)


@pytest.mark.parametrize("hu", [TISSUE_HU, 1000])
def test_a_voxelised_step_wedge_behind_an_aluminium_plate(hu: int) -> None:
    shape, wide, back = (40, 44, 48), 12, 40.0  # steps of 12 voxels along x, all ending at y = 40 mm
    thick = np.array([20.0, 40, 60, 80])
    empty = np.ones(shape, np.float32)
    for i, n in enumerate((thick / SPACING).astype(int)):
        empty[:, 42 - n : 42, wide * i : wide * (i + 1)] = 0
    volume = Volume(np.full(shape, hu, np.int16), grid(shape))
    camera = tissue_camera((16, 40))
    w, b = Projector(volume, calibration=SCHNEIDER, displaced=empty, backend="cpu").tissue_integrals([camera])[0]
    pose = np.eye(4)
    pose[1, 3] = 200
    plate = Placed((Part(box([400, 9, 400]), "aluminium", "plate"),), pose, "plate").lengths(camera)["aluminium"]
    d = rays(camera)
    np.testing.assert_allclose(plate, 9 / d[..., 1], rtol=1e-4)
    # Kept are rays that cross one step from its front to its back, no nearer to its sides than a voxel.
    ends = [camera.source[0] + d[..., 0] * (y - camera.source[1]) / d[..., 1] for y in (back - thick[-1], back)]
    step = [np.floor(x / (wide * SPACING) + 2).astype(int) for x in ends]
    inside = [np.abs(x / SPACING % wide - wide / 2) < wide / 2 - 1 for x in ends]
    kept = inside[0] & inside[1] & (step[0] == step[1]) & (step[0] >= 0) & (step[0] < 4)
    assert set(step[0][kept].tolist()) == {0, 1, 2, 3}
    depth = tissue_depth(hu, thick[step[0].clip(0, 3)] / d[..., 1])
    depth += plate[..., None] * MATERIALS["aluminium"].attenuation
    signal = -np.log(through(BEAMS[3], w, b, aluminium=plate) / BEAMS[3].open_energy)
    np.testing.assert_allclose(signal[kept], -np.log(closed_form(BEAMS[3], depth[kept])), rtol=CLOSED_FORM)
