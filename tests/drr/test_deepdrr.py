"""DeepDRR beside ours: its absence, the conversion of geometry with a stand-in package, and the real one on a GPU."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, gaussian_filter

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.drr import deepdrr
from synth.drr.geometry import Camera
from synth.drr.materials import ENERGY_KEV
from synth.drr.projector import Projector, choose_backend
from synth.drr.spectrum import Tube
from synth.drr.tissue import Calibration, channel_attenuation
from tests.end_to_end.command import in_process

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE = (23, 31)
SLOPE = np.array([0.3, -0.5, 0.4])


@dataclass
class Transform:
    """Stands for the package's transforms: a matrix, and the sensor's size where it has one."""

    data: NDArray[np.float64]
    sensor_height: int = 0
    sensor_width: int = 0


@dataclass
class Projection:
    index_from_camera2d: Transform
    camera3d_from_world: Transform


@dataclass
class Body:
    data: NDArray[np.float32]
    materials: tuple[dict[str, int], NDArray[np.uint16]]
    anatomical_from_IJK: Transform  # noqa: N815
    anatomical_coordinate_system: str


class Rendering:
    """Renders a world whose transmission depends on a ray's direction alone, exp(−1 − direction·SLOPE·keV / 60)."""

    def __init__(self, volume: Body, *, camera_intrinsics: Transform, spectrum: NDArray[np.float64], **options: Any):
        assert options == {"neglog": False, "source_to_detector_distance": pytest.approx(1200)}
        self.spectrum = spectrum

    def __enter__(self) -> Rendering:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, projection: Projection) -> NDArray[np.float64]:
        K, pose = projection.index_from_camera2d, projection.camera3d_from_world.data
        assert K.data[1, 1] > 0
        v, u = np.indices((K.sensor_height, K.sensor_width)) + 0.5
        rays = np.stack([u, v, np.ones_like(u)], -1) @ (pose[:3, :3].T @ np.linalg.inv(K.data)).T
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        energy = self.spectrum[:, 0] / 1000
        share = self.spectrum[:, 1] / self.spectrum[:, 1].sum()
        return np.exp(-1 - (rays @ SLOPE)[..., None] * energy / 60) @ (share * energy)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name, and a GPU that seems to be there."""
    package, cupy = types.ModuleType("deepdrr"), types.ModuleType("cupy")
    geo = types.SimpleNamespace(
        CameraIntrinsicTransform=Transform, CameraProjection=Projection, FrameTransform=Transform
    )
    package.__dict__.update(Volume=Body, Projector=Rendering, geo=geo)
    package.__spec__ = importlib.machinery.ModuleSpec("deepdrr", None)
    cupy.__dict__.update(cuda=types.SimpleNamespace(is_available=lambda: True))
    monkeypatch.setitem(sys.modules, "deepdrr", package)
    monkeypatch.setitem(sys.modules, "cupy", cupy)


def cameras() -> list[Camera]:
    """Seen from the source, seen from the detector (mirrored), and with rows askew."""
    options: dict[str, Any] = {"pitch_mm": 20.0, "shape": SHAPE}
    plain = Camera.looking([0, -1000, 5], [10, 200, 0], [1, 0, 0], [0, 0, -1], **options)
    mirrored = Camera.looking([0, 1000, 5], [10, -200, 0], [1, 0, 0], [0, 0, -1], **options)
    askew = Camera(plain.source, plain.origin, plain.du, plain.dv + 0.2 * plain.du, SHAPE)
    return [plain, mirrored, askew]


def volume() -> Volume:
    hu = np.random.default_rng(0).integers(-1000, 1500, (6, 7, 8)).astype(np.int16)
    affine = np.diag([20.0, 20.0, 25.0, 1.0])
    affine[:3, 3] = [-70, -60, -60]
    return Volume(hu, affine)


def depth(camera: Camera) -> NDArray[np.float64]:
    """What the stand-in's world gives at 60 keV, by our geometry."""
    v, u = np.indices(camera.shape)
    rays = camera.to_world(np.stack([u, v], -1)) - camera.source
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return 1 + rays @ SLOPE


def test_its_absence_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "deepdrr", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "not installed" in deepdrr.available()
    said = r"backend deepdrr: package deepdrr is not installed; give it an environment of its own \(numpy < 2, a GPU\)"
    with pytest.raises(InputError, match=said):
        choose_backend("deepdrr")
    with pytest.raises(InputError, match=said):
        deepdrr.DeepBody(volume())


@pytest.mark.skipif(not deepdrr.available(), reason="deepdrr is there")
def test_the_command_says_so(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    result = in_process(monkeypatch, capfd)("drr", "ct.nii.gz", "-o", "out", "--backend", "deepdrr")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"synth: backend deepdrr: {deepdrr.available()}\n"


@pytest.mark.usefixtures("stand_in")
def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deepdrr.available() == ""
    monkeypatch.setattr(sys.modules["cupy"], "cuda", types.SimpleNamespace(is_available=lambda: False))
    assert "no GPU" in deepdrr.available()
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert "does not load (ModuleNotFoundError" in deepdrr.available()


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("number", range(3))
def test_rays_are_ours(number: int) -> None:
    camera = cameras()[number]
    K, mirrored = deepdrr.intrinsics(camera)
    assert mirrored == (camera.K[1, 1] < 0)
    assert K[1, 1] > 0
    image = deepdrr.DeepBody(volume()).line_integrals([camera], 60.0)
    np.testing.assert_allclose(image, depth(camera)[None], rtol=1e-5)


def test_both_hands_are_tried() -> None:
    assert {deepdrr.intrinsics(camera)[1] for camera in cameras()} == {False, True}
    assert any(abs(camera.K[0, 1]) > 1 for camera in cameras())


@pytest.mark.usefixtures("stand_in")
def test_the_volume_is_ours() -> None:
    ours = volume()
    displaced = np.zeros(ours.shape, np.float32)
    displaced[1, 2, 3] = 0.25
    body = deepdrr.DeepBody(ours, displaced=displaced)._volume
    assert body.anatomical_coordinate_system == "LPS"
    np.testing.assert_array_equal(body.anatomical_from_IJK.data, ours.affine)
    x, y, z = 3, 2, 1
    expected = Calibration.schneider().density_at(np.array([float(ours.hu[z, y, x])]))[0]
    assert body.data[x, y, z] == pytest.approx(0.75 * expected, rel=1e-6)
    names, matter = body.materials
    for name, low, high in (("air", -2000, -800), ("soft tissue", -800, 350), ("bone", 350, 4000)):
        np.testing.assert_array_equal(matter.transpose(2, 1, 0) == names[name], (ours.hu > low) & (ours.hu <= high))


@pytest.mark.usefixtures("stand_in")
def test_projector_takes_integrals_from_it_and_thickness_from_us() -> None:
    ours = volume()
    labels = Labels((ours.hu > 0).astype(np.uint8), ours.affine, {1: "dense"})
    camera = cameras()[1]
    plain = Projector(ours, labels, energy_kev=60.0, backend="deepdrr").radiographs([camera])[0]
    np.testing.assert_allclose(plain.line_integral, depth(camera), rtol=1e-5)
    expected = Projector(ours, labels, backend="cpu").thickness(camera)["dense"]
    np.testing.assert_array_equal(plain.thickness["dense"], expected)
    both = Projector(ours, calibration=Calibration.schneider(), backend="deepdrr").tissue_integrals([camera])[0]
    for energy in (50.0, 100.0):
        again = np.tensordot(channel_attenuation(energy), both, 1)
        np.testing.assert_allclose(again, 1 + (depth(camera) - 1) * energy / 60, rtol=1e-4)


@pytest.mark.usefixtures("stand_in")
def test_spectra_and_noise_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    spectrum = Tube(kvp=90).spectrum()
    plain = deepdrr.plain_spectrum(spectrum)
    assert plain[:, 0].max() <= 90e3
    assert plain[:, 1].sum() == pytest.approx(spectrum.fluence.sum())
    energy = ENERGY_KEV @ spectrum.fluence / spectrum.fluence.sum()
    image = deepdrr.DeepBody(volume()).intensity([cameras()[0]], plain)
    assert 0 < image.min() < image.max() < energy
    seen: dict[str, Any] = {}

    class Noisy(Rendering):
        def __init__(self, _volume: Body, **options: Any) -> None:
            seen.update(options)

        def __call__(self, _projection: Projection) -> NDArray[np.float64]:
            return np.ones(SHAPE)

    monkeypatch.setattr(sys.modules["deepdrr"], "Projector", Noisy)
    deepdrr.DeepBody(volume()).intensity([cameras()[0]], "90KV_AL40", photon_count=5000)
    assert (seen["spectrum"], seen["add_noise"], seen["photon_count"]) == ("90KV_AL40", True, 5000)


@pytest.mark.skipif(bool(deepdrr.available()), reason=deepdrr.available() or "deepdrr is there")
@pytest.mark.parametrize("number", range(2))
def test_deepdrr_and_ours_see_the_same(number: int) -> None:
    """Smooth water off the middle: integrals within 3 %, shadows within what a voxel spans on the detector."""
    ball = np.zeros((60, 64, 68), np.float32)
    ball[20:32, 26:44, 14:40] = 1.0
    hu = (1000 * gaussian_filter(ball, 3) - 1000).astype(np.float32)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [-100, -95, -90]
    ours = Volume(hu, affine)
    source, centre = ([0, -900, 0], [0, 200, 0]) if number else ([0, 900, 0], [0, -200, 0])
    camera = Camera.looking(source, centre, [1, 0, 0], [0, 0, -1], pitch_mm=2.0, shape=(160, 180))
    one, other = (Projector(ours, backend=b).line_integrals([camera])[0] for b in ("cpu", "deepdrr"))
    assert other.sum() == pytest.approx(one.sum(), rel=0.03)
    apart = np.subtract(center_of_mass(one), center_of_mass(other)) * 2.0
    assert np.abs(apart).max() < 3.0 * 1100 / 800
