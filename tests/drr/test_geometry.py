"""Cameras: pixels and points correspond, matrices in and out, a bright voxel appears where it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from synth.core.errors import InputError
from synth.core.volume import Volume
from synth.drr.geometry import Camera
from synth.drr.projector import Projector

FAST = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def cameras(draw: Any, *, rectangular: bool = False) -> Camera:
    """A camera from anywhere: skewed pixels, mirrored pictures, off-centre detectors."""
    number = lambda low, high: draw(st.floats(low, high))  # noqa: E731
    R = Rotation.from_euler("zyx", [number(-180, 180), number(-90, 90), number(-180, 180)], degrees=True).as_matrix()
    skew = 0.0 if rectangular else number(-0.4, 0.4)
    mirror = draw(st.sampled_from([-1, 1]))
    du, dv = number(0.1, 4) * R[:, 0], mirror * number(0.1, 4) * (R[:, 1] + skew * R[:, 0])
    source = np.array([number(-900, 900) for _ in range(3)])
    centre = source + number(200, 2000) * R[:, 2] + number(-150, 150) * R[:, 0] + number(-150, 150) * R[:, 1]
    h, w = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    return Camera(source, centre - du * (w - 1) / 2 - dv * (h - 1) / 2, du, dv, (h, w))


def in_front(camera: Camera, seed: int = 0) -> Any:
    """Points (20, 3) in the beam, at 0.2 to 1.3 times the detector's distance."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(-5, 70, (20, 2))
    return camera.source + rng.uniform(0.2, 1.3, (20, 1)) * (camera.to_world(pixels) - camera.source)


@FAST
@given(cameras(), st.floats(-100, 200), st.floats(-100, 200))
def test_pixels_and_points(camera: Camera, u: float, v: float) -> None:
    point = camera.to_world(np.array([u, v]))
    np.testing.assert_allclose(camera.to_pixels(point), [u, v], atol=1e-6)
    halfway = camera.source + 0.5 * (point - camera.source)
    np.testing.assert_allclose(camera.to_pixels(halfway), [u, v], atol=1e-6)
    assert np.isnan(camera.to_pixels(camera.source - 0.1 * (point - camera.source))).all()


@FAST
@given(cameras())
def test_matrices_project_like_the_camera(camera: Camera) -> None:
    points = in_front(camera)
    homogeneous = camera.K @ (camera.world_to_camera @ np.c_[points, np.ones(len(points))].T)[:3]
    np.testing.assert_allclose((homogeneous[:2] / homogeneous[2]).T, camera.to_pixels(points), atol=1e-5)
    assert (homogeneous[2] > 0).all()
    R = camera.world_to_camera[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    np.testing.assert_allclose(camera.camera_to_world @ camera.world_to_camera, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(camera.world_to_camera @ [*camera.source, 1], [0, 0, 0, 1], atol=1e-9)


@FAST
@given(cameras())
def test_matrices_out_and_in_are_the_camera(camera: Camera) -> None:
    again = Camera.from_matrix(
        camera.K, camera.world_to_camera, camera.shape, source_detector_mm=camera.source_detector_mm
    )
    np.testing.assert_allclose(again.packed, camera.packed, rtol=1e-9, atol=1e-6)
    short = Camera.from_matrix(2 * camera.K, camera.world_to_camera[:3], camera.shape, source_detector_mm=500)
    np.testing.assert_allclose(short.to_pixels(in_front(camera)), camera.to_pixels(in_front(camera)), atol=1e-5)


@FAST
@given(cameras(rectangular=True), st.integers(1, 90), st.integers(1, 90))
def test_resized_covers_the_same_area(camera: Camera, height: int, width: int) -> None:
    resized = camera.resized((height, width))
    (h, w), corners = camera.shape, np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    before = camera.to_world(corners * [w, h] - 0.5)
    np.testing.assert_allclose(resized.to_world(corners * [width, height] - 0.5), before, atol=1e-9)
    assert resized.shape == (height, width)
    np.testing.assert_allclose(resized.centre, camera.centre, atol=1e-9)


@FAST
@given(cameras(rectangular=True))
def test_distances(camera: Camera) -> None:
    v, u = camera.pitch_mm
    assert u == pytest.approx(np.linalg.norm(camera.to_world([1, 0]) - camera.to_world([0, 0])))
    assert v == pytest.approx(np.linalg.norm(camera.to_world([0, 1]) - camera.to_world([0, 0])))
    normal = np.cross(camera.du, camera.dv) / np.linalg.norm(np.cross(camera.du, camera.dv))
    assert camera.source_detector_mm == pytest.approx(abs((camera.centre - camera.source) @ normal))


def test_golden() -> None:
    # Source 1000 mm before a detector of 4 × 6 pixels of 2 × 1 mm, centred on the beam.
    camera = Camera([0, 1000, 0], [-2.5, 0, 3], [1, 0, 0], [0, 0, -2], (4, 6))
    np.testing.assert_allclose(camera.to_pixels([0, 500, 0]), [2.5, 1.5])
    np.testing.assert_allclose(camera.to_pixels([1, 500, 1]), [4.5, 0.5])
    np.testing.assert_allclose(camera.K, [[1000, 0, 2.5], [0, -500, 1.5], [0, 0, 1]])
    assert camera.angles == (0.0, 0.0)
    assert camera.pitch_mm == (2.0, 1.0)
    assert camera.source_detector_mm == 1000


@pytest.mark.parametrize("seed", range(6))
def test_a_bright_voxel_appears_where_it_is_projected(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hu = np.full((16, 20, 18), -1000, np.int16)
    z, y, x = index = rng.integers(2, 14, 3)
    hu[tuple(index)] = 30000
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * [1.5, 1.1, 2.0] + 0.1 * rng.normal(size=(3, 3))
    affine[:3, 3] = rng.uniform(-50, 50, 3)
    point = affine[:3, :3] @ [x, y, z] + affine[:3, 3]
    R = Rotation.random(random_state=100 + seed).as_matrix()
    camera = Camera.looking(
        point - 400 * R[:, 2] + 3 * R[:, 0], point + 120 * R[:, 2], R[:, 0], R[:, 1], pitch_mm=0.4, shape=(60, 70)
    )
    for method in ("rays", "auto"):
        image = Projector(Volume(hu, affine), backend="cpu", method=method).line_integrals([camera])[0]  # type: ignore[arg-type]
        v, u = np.indices(image.shape)
        middle = [(image * u).sum() / image.sum(), (image * v).sum() / image.sum()]
        np.testing.assert_allclose(middle, camera.to_pixels(point), atol=0.06)


def good(**changed: Any) -> Camera:
    values: dict[str, Any] = {
        "source": [0, 1000, 0], "origin": [-2, 0, 2], "du": [1, 0, 0], "dv": [0, 0, -1], "shape": (5, 5)
    }  # fmt: skip
    return Camera(**{**values, **changed}, name="TEST")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": [0, np.nan, 0]}, "source must be three finite numbers"),
        ({"origin": [0, 0]}, "origin must be three finite numbers"),
        ({"dv": [np.inf, 0, 0]}, "dv must be three finite numbers"),
        ({"shape": (0, 5)}, "image size must be 1 to 16384"),
        ({"shape": (5, 20000)}, "image size must be 1 to 16384"),
        ({"dv": [2, 0, 0]}, "pixels have no area"),
        ({"source": [7, 0, 9]}, "source lies in the detector's plane"),
    ],
)
def test_bad_cameras(changed: dict[str, Any], message: str) -> None:
    assert good().shape == (5, 5)
    with pytest.raises(InputError, match=message):
        good(**changed)


@pytest.mark.parametrize(
    ("K", "pose", "distance", "message"),
    [
        (np.eye(2), np.eye(4), 1000, "K must be a finite, invertible"),
        (np.diag([1.0, 0, 1]), np.eye(4), 1000, "K must be a finite, invertible"),
        (np.full((3, 3), np.nan), np.eye(4), 1000, "K must be a finite, invertible"),
        (np.eye(3), np.eye(3), 1000, "world_to_camera must be"),
        (np.eye(3), 2 * np.eye(4), 1000, "R is not a rotation"),
        (np.eye(3), np.diag([1.0, 1, -1, 1]), 1000, "R is not a rotation"),
        (np.eye(3), np.eye(4), 0, "distance must be positive"),
    ],
)
def test_bad_matrices(K: Any, pose: Any, distance: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Camera.from_matrix(K, pose, (4, 4), source_detector_mm=distance)


def test_bad_pitch() -> None:
    with pytest.raises(InputError, match="pixel pitch must be positive, got 0"):
        Camera.looking([0, 9, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1], pitch_mm=0, shape=(2, 2))
