"""Chords of closed meshes and voxels filled by them: against closed forms and brute force, on the CPU and as CUDA."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.kernels import _cuda
from synth.kernels.mesh import mesh_lengths
from synth.kernels.occupancy import mesh_occupancy
from tests.kernels import host_cuda

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPE = (48, 64)
CORNERS = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
CUBE = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
     [1, 5, 7], [1, 7, 3]], np.int32
)  # fmt: skip


def grid_mesh(at: Callable[[Any, Any], Any], n: int, m: int) -> tuple[Any, Any]:
    """A torus-like mesh: at(a, b) (…, 3) with a and b periodic, outwards where ∂a × ∂b is."""
    a, b = np.meshgrid(np.arange(n) * 2 * np.pi / n, np.arange(m) * 2 * np.pi / m, indexing="ij")
    i, j = np.meshgrid(np.arange(n), np.arange(m), indexing="ij")
    p, q, r, s = ((i + di) % n * m + (j + dj) % m for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)))
    faces = np.concatenate([np.stack([p, q, r], -1).reshape(-1, 3), np.stack([p, r, s], -1).reshape(-1, 3)])
    return at(a, b).reshape(-1, 3), faces.astype(np.int32)


def torus(n: int = 96, m: int = 64, big: float = 30.0, small: float = 12.0) -> tuple[Any, Any]:
    def at(a: Any, b: Any) -> Any:
        ring = big + small * np.cos(b)
        return np.stack([ring * np.cos(a), ring * np.sin(a), small * np.sin(b)], -1)

    return grid_mesh(at, n, m)


def sphere(n: int = 32, radius: float = 20.0) -> tuple[Any, Any]:
    """Latitudes and longitudes, with corners at the poles."""
    theta = np.linspace(0, np.pi, n + 1)[1:-1]
    phi = np.arange(2 * n) * np.pi / n
    body = np.stack(
        [np.outer(np.sin(theta), np.cos(phi)), np.outer(np.sin(theta), np.sin(phi)), np.outer(np.cos(theta), phi**0)],
        -1,
    ).reshape(-1, 3)
    w, faces, last = 2 * n, [], len(body)
    for j in range(w):
        k = (j + 1) % w
        faces += [[last, j, k], [last + 1, last - w + k, last - w + j]]
        for i in range(len(theta) - 1):
            a, b, c, d = i * w + j, (i + 1) * w + j, (i + 1) * w + k, i * w + k
            faces += [[a, b, c], [a, c, d]]
    return radius * np.vstack([body, [[0, 0, 1], [0, 0, -1]]]), np.array(faces, np.int32)


def view(source: Any = (0, -900, 0), shape: tuple[int, int] = SHAPE, pitch: float = 2.0, mirrored: bool = False) -> Any:
    """One camera that looks through the origin, (1, 4, 3)."""
    source = np.asarray(source, float)
    ahead = -source / np.linalg.norm(source)
    right = np.cross(ahead, [0.1, 0.2, 1.0] if abs(ahead[2]) < 0.9 else [1.0, 0.3, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(ahead, right)
    du, dv = pitch * right * (-1 if mirrored else 1), pitch * down
    return np.stack([source, 100 * ahead - du * (shape[1] - 1) / 2 - dv * (shape[0] - 1) / 2, du, dv])[None]


def rays(camera: Any, shape: tuple[int, int] = SHAPE) -> tuple[Any, Any]:
    v, u = np.mgrid[: shape[0], : shape[1]]
    pixels = camera[0, 1] + u[..., None] * camera[0, 2] + v[..., None] * camera[0, 3]
    return camera[0, 0], pixels - camera[0, 0]


def brute(vertices: Any, faces: Any, camera: Any, shape: tuple[int, int] = SHAPE) -> Any:
    """Möller–Trumbore, ray by ray and triangle by triangle: (h, w), mm."""
    s, d = rays(camera, shape)
    total = np.zeros(shape)
    for a, b, c in vertices[faces]:
        normal = np.cross(b - a, c - a)
        slope = d @ normal
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (a - s) @ normal / slope
            p = s + t[..., None] * d
            inside = np.ones(shape, bool)
            for i, j in ((a, b), (b, c), (c, a)):
                inside &= np.cross(j - i, p - i) @ normal > 0
        total += np.where(inside & (t > 0), np.sign(slope) * np.clip(t, 0, 1), 0)
    return total * np.linalg.norm(d, axis=-1)


@pytest.fixture(params=["cpu", "cuda source", "gpu"])
def lengths(request: pytest.FixtureRequest) -> Any:
    if request.param == "cpu":
        return mesh_lengths
    if request.param == "gpu":
        if reason := _cuda.unavailable():
            pytest.skip(reason)
        cupy = pytest.importorskip("cupy")
        return lambda vertices, faces, *rest: mesh_lengths(cupy.asarray(vertices), cupy.asarray(faces), *rest).get()
    if reason := host_cuda.unavailable():
        pytest.skip(reason)
    return host_cuda.mesh_lengths


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("source", [(0, -900, 0), (300, -500, 200), (5, 3, 700)])
def test_cube(lengths: Any, source: Any, mirrored: bool) -> None:
    camera = view(source, mirrored=mirrored)
    s, d = rays(camera)
    with np.errstate(divide="ignore"):
        near, far = np.sort([(-20 - s) / d, (20 - s) / d], axis=0)
    expected = np.maximum(far.min(-1) - near.max(-1), 0) * np.linalg.norm(d, axis=-1)
    image = lengths(20 * CORNERS, CUBE, camera, SHAPE)[0]
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, rtol=1e-6, atol=0.01)  # a grazing ray sees the rounding of corners
    assert np.abs(image - expected).mean() < 1e-4


@pytest.mark.parametrize("mesh", [sphere, torus])
def test_equals_brute_force(lengths: Any, mesh: Any) -> None:
    vertices, faces = mesh(8) if mesh is sphere else mesh(10, 8)
    camera = view((250, -600, 130))
    image = lengths(vertices, faces, camera, SHAPE)[0]
    np.testing.assert_allclose(image, brute(vertices, faces, camera), atol=5e-3)


def test_sphere_in_closed_form() -> None:
    vertices, faces = sphere(150, 40.0)
    camera = view((100, -800, 50), shape=(96, 96), pitch=1.0)
    s, d = rays(camera, (96, 96))
    d = d / np.linalg.norm(d, axis=-1, keepdims=True)
    expected = 2 * np.sqrt(np.maximum((d @ s) ** 2 - s @ s + 40.0**2, 0))
    image = mesh_lengths(vertices, faces, camera, (96, 96))[0]
    assert np.abs(image - expected)[expected > 20].max() < 0.05  # facets lie inside the ball by r·(1 − cos(π/150))
    assert image.sum() == pytest.approx(expected.sum(), rel=1e-3)


def test_torus_in_closed_form() -> None:
    # Through the middle, in the plane of the ring: twice the tube's diameter; beside the hole, along its axis: none.
    vertices, faces = torus(192, 128)
    across = np.array([[[-900.0, 0, 0], [100, 0, 0], [0, 1, 0], [0, 0, 1]]])
    along = np.array([[[0.0, 0, -900], [0, 0, 100], [1, 0, 0], [0, 1, 0]]])
    assert mesh_lengths(vertices, faces, across, (1, 1))[0, 0, 0] == pytest.approx(4 * 12.0, rel=1e-3)
    assert mesh_lengths(vertices, faces, along, (1, 1))[0, 0, 0] == 0


def test_turned_inside_out_is_negative_and_a_hole(lengths: Any) -> None:
    camera = view()
    outer, inner = lengths(20 * CORNERS, CUBE, camera, SHAPE), lengths(8 * CORNERS, CUBE[:, ::-1], camera, SHAPE)
    assert inner.min() < -16
    assert inner.max() <= 0
    both = lengths(np.vstack([20 * CORNERS, 8 * CORNERS]), np.vstack([CUBE, CUBE[:, ::-1] + 8]), camera, SHAPE)
    np.testing.assert_allclose(both, outer + inner, atol=1e-5)


def test_beyond_the_pixel_and_around_the_source(lengths: Any) -> None:
    # Only what lies between source and pixel counts.
    camera = np.array([[[0.0, 0, 0], [-6.3, -4.7, 10], [0.2, 0, 0], [0, 0.2, 0]]])
    d = np.linalg.norm(rays(camera)[1], axis=-1)
    shifted = 4 * CORNERS + [0.3, 0.1, 0]
    around = lengths(shifted, CUBE, camera, SHAPE)[0]
    np.testing.assert_allclose(around, brute(shifted, CUBE, camera), atol=1e-4)
    assert (around > 3.9).all()
    np.testing.assert_allclose(lengths(500 * CORNERS, CUBE, camera, SHAPE)[0], d, rtol=1e-6)
    half = 2 * CORNERS + [0.0137, 0.0071, 10]  # reaches through the detector
    np.testing.assert_allclose(lengths(half, CUBE, camera, SHAPE)[0], brute(half, CUBE, camera), atol=1e-3)
    for away in ([0, 0, -10], [0, 0, 20]):
        assert not lengths(2 * CORNERS + away, CUBE, camera, SHAPE).any()


positions = st.floats(-1.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(x=positions, y=positions, z=positions, exact=st.booleans(), scale=st.sampled_from([0.01, 1.0, 7.0, 40.0]))
def test_no_leaks(x: float, y: float, z: float, exact: bool, scale: float) -> None:
    # A ray through a gap would see one wall only: as long as the way to it. Whole numbers put edges on pixel centres.
    at = np.round([8 * x, 8 * y, 8 * z]) if exact else np.array([8 * x, 8 * y, 8 * z])
    camera = np.array([[[0.0, 0, -1e3], [-32, -24, 1e3], [1, 0, 0], [0, 1, 0]]])
    for vertices, faces in (sphere(6, 1.0), (CORNERS, CUBE), torus(8, 6, 1.0, 0.4)):
        image = mesh_lengths(scale * vertices + at, faces, camera, SHAPE)
        assert image.min() >= 0
        assert image.max() <= 4 * scale


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_leaks_when_every_corner_lies_on_a_pixel(seed: int) -> None:
    # A flat fan of wild triangles: front and back have the same corners, so every ray sees 0 or the thickness of none.
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.integers(2, 40, (30, 2)), np.zeros(30)]).astype(float)
    faces = np.array([[i, j, k] for i, j, k in rng.integers(0, 30, (60, 3)) if len({i, j, k}) == 3], np.int32)
    tetrahedra = np.vstack([[[a, b, c], [a, 30, b], [b, 30, c], [c, 30, a]] for a, b, c in faces]).astype(np.int32)
    vertices = np.vstack([points, [[20.0, 20.0, 5.0]]])
    camera = np.array([[[0.0, 0, -1e3], [0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    camera[0, 1, 2] = 1e-9  # the corners lie on the pixels
    image = mesh_lengths(vertices, tetrahedra, camera, (48, 48))
    assert np.abs(image).max() < 1e-6


def test_threads_and_order_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = torus(40, 30)
    camera = view((250, -600, 130))
    image = mesh_lengths(vertices, faces, camera, SHAPE)
    monkeypatch.setenv("SYNTH_THREADS", "1")
    order = np.random.default_rng(0).permutation(len(faces))
    assert np.array_equal(mesh_lengths(vertices, faces[order], camera, SHAPE), image)


def test_the_cuda_source_equals_the_twin() -> None:
    if reason := host_cuda.unavailable():
        pytest.skip(reason)
    vertices, faces = torus(24, 16)
    cameras = np.concatenate([view((250, -600, 130)), view((20, 8, 3)), view((0, 0, 800), mirrored=True)])
    ours, theirs = (
        mesh_lengths(vertices, faces, cameras, SHAPE),
        host_cuda.mesh_lengths(vertices, faces, cameras, SHAPE),
    )
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-6)
    assert (
        inspect.signature(host_cuda.mesh_lengths).parameters.keys()
        == inspect.signature(_cuda.mesh_lengths).parameters.keys()
    )


@pytest.mark.parametrize(("views", "faces"), [(0, 12), (2, 0)])
def test_nothing_to_draw(lengths: Any, views: int, faces: int) -> None:
    cameras = np.repeat(view(), 2, axis=0)[:views]
    image = lengths(CORNERS, CUBE[:faces], cameras, SHAPE)
    assert image.shape == (views, *SHAPE)
    assert not image.any()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="indices of the 8 vertices"):
        mesh_lengths(CORNERS, CUBE + 1, view(), SHAPE)
    with pytest.raises(ValueError, match="finite"):
        mesh_lengths(CORNERS * np.nan, CUBE, view(), SHAPE)
    with pytest.raises(ValueError, match=r"faces must be \(m, 3\)"):
        mesh_lengths(CORNERS, CUBE.astype(float), view(), SHAPE)
    with pytest.raises(ValueError, match="shape must be"):
        mesh_lengths(CORNERS, CUBE, view(), (0, 4))
    with pytest.raises(ValueError, match=r"cameras must be finite and \(V, 4, 3\)"):
        mesh_lengths(CORNERS, CUBE, view()[0], SHAPE)
    flat = view()
    flat[0, 1] = flat[0, 0]
    with pytest.raises(ValueError, match="detector's plane"):
        mesh_lengths(CORNERS, CUBE, flat, SHAPE)


@pytest.fixture(params=["cpu", "cuda source", "gpu"])
def occupancy(request: pytest.FixtureRequest) -> Any:
    if request.param == "cpu":
        return mesh_occupancy
    if request.param == "gpu":
        if reason := _cuda.unavailable():
            pytest.skip(reason)
        cupy = pytest.importorskip("cupy")
        return lambda vertices, faces, *rest: mesh_occupancy(cupy.asarray(vertices), cupy.asarray(faces), *rest).get()
    if reason := host_cuda.unavailable():
        pytest.skip(reason)
    return host_cuda.mesh_occupancy


OCCUPANCY = 1e-6
"""Sums of up to 16 lines in float32, on the CPU; 2^-32 of a voxel on the GPU."""


def test_occupancy_of_a_box(occupancy: Any) -> None:
    # The part of a voxel's lines that are inside along x and along y, times the part of its height.
    low, high = np.array([1.3, 0.5, 2.2]), np.array([5.8, 7.0, 6.9])
    filled = occupancy((low + high) / 2 + CORNERS * (high - low) / 2, CUBE, (9, 8, 7), 2)
    lines = [(np.arange(2 * n).reshape(n, 2) + 0.5) / 2 - 0.5 for n in (7, 8)]
    across = [((at > low[i]) & (at < high[i])).mean(1) for i, at in enumerate(lines)]
    height = np.clip(np.minimum(high[2], np.arange(9) + 0.5) - np.maximum(low[2], np.arange(9) - 0.5), 0, 1)
    assert filled.dtype == np.float32
    np.testing.assert_allclose(filled, np.einsum("x,y,z->zyx", *across, height), atol=OCCUPANCY)


def test_occupancy_of_a_torus_is_its_volume(occupancy: Any) -> None:
    vertices, faces = torus(48, 32, 9.0, 3.5)
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    filled = occupancy(vertices + np.array([13.2, 12.9, 4.1]), faces, (9, 27, 28), 4)
    assert filled.sum(dtype=float) == pytest.approx(volume, rel=2e-3)
    assert filled.min() > -OCCUPANCY
    assert filled.max() < 1 + OCCUPANCY


@pytest.mark.parametrize(("shift", "oversample"), [((0.0, 0.0, 0.0), 1), ((0.3, -2.7, 1.9), 3), ((8.0, 8.0, -9.0), 4)])
def test_the_occupancy_of_the_cuda_source_equals_the_twin(occupancy: Any, shift: Any, oversample: int) -> None:
    ring, ring_faces = torus(20, 14, 6.0, 2.5)
    meshes = (np.round(4 * ring) / 4, ring_faces), (2 * CORNERS, CUBE)  # corners, and walls, on lines
    for vertices, faces in meshes:
        at = vertices + np.array([8, 8, 3]) + shift
        for shape in ((7, 17, 16), (1, 5, 40)):
            ours = mesh_occupancy(at, faces, shape, oversample)
            np.testing.assert_allclose(occupancy(at, faces, shape, oversample), ours, atol=OCCUPANCY)


def test_the_occupancy_of_the_cuda_source_does_not_depend_on_order() -> None:
    if reason := host_cuda.unavailable():
        pytest.skip(reason)
    vertices, faces = torus(20, 14, 6.0, 2.5)
    vertices = vertices + 8
    order = np.random.default_rng(0).permutation(len(faces))
    once, again = (host_cuda.mesh_occupancy(vertices, f, (17, 17, 17)) for f in (faces, faces[order]))
    assert once.tobytes() == again.tobytes()
    assert (once == 1).any()


@pytest.mark.parametrize(("shape", "faces"), [((0, 3, 4), 12), ((2, 3, 0), 12), ((2, 3, 4), 0)])
def test_nothing_to_fill(occupancy: Any, shape: tuple[int, int, int], faces: int) -> None:
    filled = occupancy(CORNERS, CUBE[:faces], shape)
    assert filled.shape == shape
    assert not filled.any()


def test_occupancy_refusals() -> None:
    with pytest.raises(ValueError, match="indices of the 8 vertices"):
        mesh_occupancy(CORNERS, CUBE + 1, (2, 3, 4))
    for wrong in (CORNERS * np.nan, CORNERS * 1e5):
        with pytest.raises(ValueError, match="within 8192 voxels"):
            mesh_occupancy(wrong, CUBE, (2, 3, 4))


def test_the_occupancy_of_other_arrays_goes_to_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        """Holds an array without being one of numpy's."""

        def __init__(self, values: Any) -> None:
            self.values = values

        def __getattr__(self, name: str) -> Any:
            return getattr(self.values, name)

        def __len__(self) -> int:
            return len(self.values)

    vertices, faces = Elsewhere(CORNERS), Elsewhere(CUBE)
    monkeypatch.setattr(_cuda, "mesh_occupancy", lambda *given: given)
    assert mesh_occupancy(vertices, faces, (2, 3, 4), 2) == (vertices, faces, (2, 3, 4), 2)
