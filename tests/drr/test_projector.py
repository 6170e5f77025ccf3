"""The projector: line integrals and thicknesses against closed forms, masks, and what it refuses."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.drr.analytic import Scene, box, ellipsoid
from synth.drr.geometry import Camera
from synth.drr.projector import Projector, Radiograph, choose_backend

SPACING = 1.5
SCENE = Scene(
    (
        ellipsoid((0, 0, 0), (40, 30, 45), 20, "liver"),
        ellipsoid((6, -8, 10), (14, 10, 18), -800, "stomach"),
        ellipsoid((-5, 12, 8), (12, 9, 11), 300, "spleen"),
        box((20.25, 3.75, -20.75), (7.5, 9, 10.5), 900, "rib_left_7"),  # its faces are faces of voxels
    )
)


def camera(
    towards: Any = (0.15, -1, 0.1), *, shape: tuple[int, int] = (56, 60), near: float = 500, shift: Any = (0, 0, 0)
) -> Camera:
    z = np.asarray(towards, float) / np.linalg.norm(towards)
    right = np.cross(z, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    source, centre = shift - near * z, shift + 120 * z
    return Camera.looking(source, centre, right, np.cross(z, right), pitch_mm=2.2, shape=shape, name="TEST")


@pytest.fixture(scope="module")
def voxels() -> tuple[Volume, Labels]:
    affine = np.diag([SPACING] * 3 + [1.0])
    affine[:3, 3] = [-45, -36, -50]
    return SCENE.voxelise((68, 49, 61), affine)


@pytest.fixture(scope="module")
def projector(voxels: Any) -> Projector:
    return Projector(*voxels, backend="cpu")


@pytest.mark.parametrize("towards", [(0, -1, 0), (0.15, -1, 0.1), (-1, 0.4, 0.2), (0.1, 0.2, -1)])
def test_against_closed_forms(projector: Projector, towards: Any) -> None:
    view = camera(towards)
    (radiograph,) = projector.radiographs([view])
    assert radiograph.camera is view
    exact = SCENE.line_integral(view)
    assert radiograph.line_integral.dtype == np.float32
    assert np.linalg.norm(radiograph.line_integral - exact) < 0.025 * np.linalg.norm(exact)
    lengths = SCENE.thickness(view)
    assert set(radiograph.thickness) == set(lengths)
    for name, thickness in radiograph.thickness.items():
        error = np.abs(thickness - lengths[name])
        if name == "rib_left_7":
            assert error.max() < 1e-3
            continue
        assert error.mean() < 0.45 * SPACING  # a voxel too few or too many at either end
        assert thickness.sum() == pytest.approx(lengths[name].sum(), rel=0.02)


def test_structures_overlap_in_projection(projector: Projector) -> None:
    masks = projector.radiographs([camera()])[0].masks()
    assert (masks["stomach"] & masks["spleen"]).sum() > 50
    assert (masks["stomach"] & masks["liver"]).sum() == pytest.approx(masks["stomach"].sum(), rel=0.05)


def test_masks_are_where_thickness_exceeds() -> None:
    thickness = {"heart": np.array([[0, 0.5, 2]], np.float32), "aorta": np.array([[0, 0.2, 0]], np.float32)}
    radiograph = Radiograph(camera(), np.zeros((1, 3), np.float32), thickness)
    assert radiograph.masks()["heart"].tolist() == [[False, True, True]]
    assert radiograph.masks()["aorta"].tolist() == [[False, True, False]]
    thick = radiograph.masks(min_thickness_mm=0.5)
    assert list(thick) == ["heart"]
    assert thick["heart"].tolist() == [[False, False, True]]


def test_only_structures_that_are_met_and_named(voxels: Any) -> None:
    volume, labels = voxels
    names = {label: name for label, name in labels.names.items() if name != "spleen"} | {90: "brain"}
    projector = Projector(volume, Labels(labels.array, labels.affine, names), backend="cpu")
    assert set(projector.thickness(camera())) == {"liver", "stomach", "rib_left_7"}
    aside = camera(shift=(-60, 0, 0))  # past the rib
    assert "rib_left_7" not in projector.thickness(aside)
    assert Projector(volume, backend="cpu").radiographs([camera()])[0].thickness == {}


def test_high_labels() -> None:
    array = np.zeros((4, 4, 4), np.uint16)
    array[1:3, :, 1:3] = 65535
    volume, names = Volume(np.zeros((4, 4, 4), np.int16), np.diag([10.0, 10, 10, 1])), {65535: "heart", 3: "aorta"}
    far = Camera.looking([15, -1e6, 15], [15, 100, 15], [1, 0, 0], [0, 0, -1], pitch_mm=1, shape=(1, 1))
    thickness = Projector(volume, Labels(array, volume.affine, names), backend="cpu").thickness(far)
    assert list(thickness) == ["heart"]
    np.testing.assert_allclose(thickness["heart"], 40, rtol=1e-5)


def test_models_and_methods(voxels: Any) -> None:
    volume, _ = voxels
    exact = SCENE.line_integral(camera())
    for options in ({"method": "rays"}, {"method": "slices"}, {"model": "box"}):
        image = Projector(volume, backend="cpu", **options).line_integrals([camera()])[0]
        assert np.linalg.norm(image - exact) < 0.025 * np.linalg.norm(exact)


def test_energy_scales_the_picture(voxels: Any) -> None:
    images = [Projector(voxels[0], backend="cpu", energy_kev=e).line_integrals([camera()])[0] for e in (60, 100)]
    np.testing.assert_allclose(images[1], images[0] * (0.1707 / 0.2059), rtol=1e-5)


def test_several_views_at_once(projector: Projector) -> None:
    views = [camera(), camera((1, 0, 0)), camera((0.4, 0.6, 0.2))]
    together = projector.line_integrals(views)
    assert together.shape == (3, 56, 60)
    for view, image in zip(views, together, strict=True):
        np.testing.assert_array_equal(projector.line_integrals([view])[0], image)


class TestRefuses:
    def test_a_source_in_the_volume(self, projector: Projector) -> None:
        with pytest.raises(InputError, match="view TEST: the source is inside the volume"):
            projector.line_integrals([camera(near=20)])

    @pytest.mark.parametrize("shift", [(300, 0, 0), (-300, 0, 0), (0, 0, 300), (0, 0, -300)])
    def test_a_detector_that_misses(self, projector: Projector, shift: Any) -> None:
        with pytest.raises(InputError, match="view TEST: the detector misses the volume"):
            projector.line_integrals([camera((0, -1, 0), shift=shift)])

    def test_a_volume_behind_the_source(self, projector: Projector) -> None:
        with pytest.raises(InputError, match="misses the volume"):
            projector.thickness(camera((0, -1, 0), shift=(0, -700, 0)))

    def test_labels_on_another_grid(self, voxels: Any) -> None:
        volume, labels = voxels
        moved = labels.affine.copy()
        moved[0, 3] += 0.5
        for other in (
            Labels(labels.array, moved, labels.names, "map"),
            Labels(np.ascontiguousarray(labels.array[1:]), labels.affine, labels.names, "map"),
        ):
            with pytest.raises(InputError, match="map: the label map is not on the grid"):
                Projector(volume, other, backend="cpu")

    def test_no_cameras_and_mixed_sizes(self, projector: Projector) -> None:
        for views in ([], [camera(), camera(shape=(9, 9))]):
            with pytest.raises(InputError, match="at least one and all of one image size"):
                projector.line_integrals(views)

    def test_an_energy_out_of_range(self, voxels: Any) -> None:
        with pytest.raises(InputError, match="photon energy"):
            Projector(voxels[0], energy_kev=5, backend="cpu")

    def test_a_method_that_cannot_serve(self, voxels: Any) -> None:
        inside = Projector(voxels[0], backend="cpu", method="slices")
        with pytest.raises(InputError, match="between source and detector"):
            inside.line_integrals([camera((0, -1, 0), shift=(0, 150, 0))])


def test_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # as where CuPy is not installed
    assert choose_backend("auto") == "cpu"
    assert choose_backend("cpu") == "cpu"
    with pytest.raises(InputError, match="no GPU with CuPy was found"):
        choose_backend("cuda")
    with pytest.raises(InputError, match="backend must be auto, cpu, cuda or deepdrr, got 'gpu'"):
        choose_backend("gpu")  # type: ignore[arg-type]
