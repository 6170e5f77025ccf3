"""Laws of projection that hold whatever the code: linearity, mass, turning, scaling, magnification, convergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synth.drr.analytic import Scene, box, cylinder, ellipsoid, thorax
from synth.drr.attenuation import water_attenuation
from synth.drr.geometry import Camera
from synth.drr.projector import Projector
from synth.kernels.project import Method, prepare, project

METHODS: tuple[Method, ...] = ("rays", "slices")
TILTED = Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix()
EYE = np.eye(4)


def beam(towards: Any, *, near: float, far: float, pitch: float, shape: tuple[int, int], at: Any = (0, 0, 0)) -> Camera:
    """A beam through `at`: the source `near` mm before it and the detector `far` mm behind it."""
    z = np.asarray(towards, float) / np.linalg.norm(towards)
    right = np.cross(z, [0.1, 0.0, 1.0])
    right /= np.linalg.norm(right)
    source, centre = at - near * z, at + far * z
    return Camera.looking(source, centre, right, np.cross(z, right), pitch_mm=pitch, shape=shape)


def grid(half: float, spacing: float) -> tuple[tuple[int, int, int], Any]:
    """A cube of voxels around the origin: shape and affine."""
    n = int(np.ceil(2 * half / spacing)) + 2
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = -(n - 1) / 2 * spacing
    return (n, n, n), affine


def noise(shape: Any = (9, 12, 10), seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def turned(degrees: Any) -> Any:
    """A rigid turn, (4, 4), with a shift."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("zyx", degrees, degrees=True).as_matrix()
    pose[:3, 3] = [5.0, -3.0, 8.0]
    return pose


def moved(camera: Camera, pose: Any) -> Camera:
    R, t = pose[:3, :3], pose[:3, 3]
    return Camera(R @ camera.source + t, R @ camera.origin + t, R @ camera.du, R @ camera.dv, camera.shape)


def seen(volume: Any, affine: Any, camera: Camera, method: Method = "rays") -> Any:
    return project(prepare(volume, affine), camera.packed[None], camera.shape, method=method)[0, 0]


OBLIQUE = beam([0.4, -1, 0.3], near=120, far=50, pitch=0.9, shape=(24, 28), at=(4.5, 5.5, 4.0))


@pytest.mark.parametrize("method", METHODS)
def test_linear(method: Method) -> None:
    one, two = noise(seed=1), noise(seed=2)
    both = seen(3 * one - 0.5 * two, EYE, OBLIQUE, method)
    parts = 3 * seen(one, EYE, OBLIQUE, method) - 0.5 * seen(two, EYE, OBLIQUE, method)
    np.testing.assert_allclose(both, parts, atol=2e-6 * np.abs(parts).max())


@pytest.mark.parametrize("towards", [[0, 1, 0], [0, -1, 0.02], [1, 0.3, -0.4], [0.2, 0.3, 1]])
@pytest.mark.parametrize("method", METHODS)
def test_an_impulse_keeps_its_mass(method: Method, towards: Any) -> None:
    # ∫ I dΩ · r² = ∫ f dV, with dΩ = cos θ dA / R² for a pixel of area dA at distance R.
    affine = np.diag([1.5, 1.2, 2.0, 1.0])
    volume = np.zeros((7, 9, 8), np.float32)
    volume[3, 5, 2] = 40.0
    at = affine[:3, :3] @ [2, 5, 3]
    camera = beam(towards, near=180, far=90, pitch=0.16, shape=(80, 84), at=np.add(at, [0.3, 0.4, -0.2]))
    image = seen(volume, affine, camera, method).astype(float)
    u, v = np.meshgrid(np.arange(84), np.arange(80))
    pixels = camera.to_world(np.stack([u, v], -1)) - camera.source
    distance = np.linalg.norm(pixels, axis=-1)
    cosine = camera.source_detector_mm / distance
    mass = (image * cosine / distance**2).sum() * 0.16**2 * np.linalg.norm(at - camera.source) ** 2
    assert mass == pytest.approx(40.0 * 1.5 * 1.2 * 2.0, rel=3e-3)


@pytest.mark.parametrize("method", METHODS)
def test_turning_the_volume_and_the_beam_together_changes_nothing(method: Method) -> None:
    pose = turned([35, -20, 70])
    still = seen(noise(), EYE, OBLIQUE, method)
    np.testing.assert_allclose(seen(noise(), pose, moved(OBLIQUE, pose), method), still, rtol=1e-5, atol=1e-5)
    back = seen(noise(), EYE, moved(OBLIQUE, np.linalg.inv(pose)), "rays")
    np.testing.assert_allclose(seen(noise(), pose, OBLIQUE, "rays"), back, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axes", [(2, 1), (2, 0), (1, 0)])
def test_another_order_of_the_array_changes_nothing(axes: tuple[int, int]) -> None:
    camera = beam([0.1, 1, -0.2], near=120, far=50, pitch=0.9, shape=(24, 28), at=(4.5, 5.5, 4.0))
    swapped = np.ascontiguousarray(noise().swapaxes(*axes))
    affine = np.eye(4)
    affine[:, [2 - axes[0], 2 - axes[1]]] = affine[:, [2 - axes[1], 2 - axes[0]]]
    np.testing.assert_allclose(seen(swapped, affine, camera), seen(noise(), EYE, camera), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("towards", [[0, 1, 0], [1, 0, 0], [0.3, 1, 0.1]])
@pytest.mark.parametrize("method", METHODS)
def test_a_flipped_array_changes_nothing(method: Method, towards: Any, axis: int) -> None:
    camera = beam(towards, near=120, far=50, pitch=0.9, shape=(24, 28), at=(4.5, 5.5, 4.0))
    flipped, affine = np.ascontiguousarray(np.flip(noise(), axis)), np.eye(4)
    affine[2 - axis, 2 - axis], affine[2 - axis, 3] = -1, noise().shape[axis] - 1
    still = seen(noise(), EYE, camera, method)
    # An intermediate plane lies elsewhere between the voxels of the flipped array.
    tolerance = 2e-6 if method == "rays" else 0.03
    np.testing.assert_allclose(seen(flipped, affine, camera, method), still, rtol=0, atol=tolerance * still.max())


@pytest.mark.parametrize("method", METHODS)
def test_twice_the_size_twice_the_integral(method: Method) -> None:
    double = np.diag([2.0, 2.0, 2.0, 1.0])
    larger = moved(OBLIQUE, double)
    np.testing.assert_allclose(
        seen(noise(), double, larger, method), 2 * seen(noise(), EYE, OBLIQUE, method), rtol=1e-5
    )


@pytest.mark.parametrize(("near", "far"), [(600, 300), (900, 900), (1500, 100)])
def test_magnification(near: float, far: float) -> None:
    # The chord through a ball of radius r weighs squared distances from its middle by r²/5 along any direction.
    radius, spacing = 9.0, 0.75
    volume, _ = Scene((ellipsoid((0, 0, 0), (radius,) * 3, 0.0),)).voxelise(*grid(12, spacing), supersample=4)
    camera = beam([0.2, -1, 0.1], near=near, far=far, pitch=0.5, shape=(100, 110))
    image = Projector(volume, backend="cpu").line_integrals([camera])[0].astype(float)
    u = np.arange(110) - 54.5
    columns = image.sum(axis=0) / image.sum()
    width = 0.5 * np.sqrt(columns @ u**2 - (columns @ u) ** 2)
    assert columns @ u == pytest.approx(0, abs=0.02)
    # Averaging over voxels and interpolating between them widens every profile by 1/12 and 1/6 of a voxel squared.
    blurred = np.sqrt(radius**2 / 5 + spacing**2 / 4)
    assert width == pytest.approx(blurred * (near + far) / near, rel=2e-3)


def errors(scene: Scene, half: float, spacings: tuple[float, ...], supersample: int) -> Any:
    """Relative L2 error of the projected voxels for every voxel size, against the closed form."""
    camera = beam([0.35, -0.9, 0.2], near=8 * half, far=2 * half, pitch=half / 30, shape=(96, 96))
    exact = scene.line_integral(camera)
    results = []
    for spacing in spacings:
        volume, _ = scene.voxelise(*grid(half, spacing), supersample=supersample)
        image = Projector(volume, backend="cpu").line_integrals([camera])[0]
        results.append(np.linalg.norm(image - exact) / np.linalg.norm(exact))
    return np.array(results)


# Towards its outline the chord of a rounded body falls like a square root, and smoothing by one voxel h costs √h over
# a rim of width h: an L2 error of order 1. A box's chord falls linearly: order 3/2 (measured 1.0 and 1.4).
@pytest.mark.parametrize(
    ("solid", "order", "finest"),
    [
        (ellipsoid((3, -5, 7), (40, 28, 34), 0, rotation=TILTED), 1.05, 0.015),
        (cylinder((3, -5, 7), (30, 24, 34), 0, rotation=TILTED), 1.03, 0.012),
        (box((3, -5, 7), (30, 24, 34), 0, rotation=TILTED), 1.37, 0.0035),
    ],
)
def test_error_falls_with_the_voxel_size(solid: Any, order: float, finest: float) -> None:
    error = errors(Scene((solid,)), 60, (4, 2, 1), 4)
    slope = np.polyfit(np.log([4, 2, 1]), np.log(error), 1)[0]
    assert slope == pytest.approx(order, abs=0.12)
    assert error[-1] < finest


def test_the_thorax_converges() -> None:
    error = errors(thorax(), 200, (8, 4, 2.5), 2)
    assert (np.diff(np.log(error)) < -0.4).all()
    assert error[-1] < 0.016


@pytest.mark.parametrize("method", METHODS)
def test_a_smooth_field_converges_at_second_order(method: Method) -> None:
    # ∫ exp(−|x|²/2σ²) along a line that passes at distance d is √(2π) σ exp(−d²/2σ²).
    sigma, camera = 8.0, beam([0.35, -0.9, 0.2], near=400, far=100, pitch=1.0, shape=(40, 44))
    u, v = np.meshgrid(np.arange(44), np.arange(40))
    rays = camera.to_world(np.stack([u, v], -1)) - camera.source
    square = (np.cross(rays, camera.source) ** 2).sum(-1) / (rays**2).sum(-1)
    exact = np.sqrt(2 * np.pi) * sigma * np.exp(-square / (2 * sigma**2))
    error = []
    for spacing in (4.0, 2.8, 2.0):
        shape, affine = grid(48, spacing)
        z, y, x = (np.arange(n) * spacing + affine[0, 3] for n in shape)
        field = np.exp(-(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2) / (2 * sigma**2)).astype(np.float32)
        error.append(np.linalg.norm(seen(field, affine, camera, method) - exact) / np.linalg.norm(exact))
    assert np.polyfit(np.log([4.0, 2.8, 2.0]), np.log(error), 1)[0] == pytest.approx(2, abs=0.1)
    assert error[-1] < 0.02


def test_water_is_as_thick_as_it_is() -> None:
    scene = Scene((box((0, 0, 0), (30, 20, 25), 0.0),))
    camera = beam([0, 1, 0], near=9e5, far=100, pitch=2.0, shape=(3, 5))
    expected = 40 * water_attenuation(60.0)
    np.testing.assert_allclose(scene.line_integral(camera), expected, rtol=1e-5)
    volume, _ = scene.voxelise(*grid(40, 2.0), supersample=2)
    np.testing.assert_allclose(Projector(volume, backend="cpu").line_integrals([camera])[0], expected, rtol=1e-4)
