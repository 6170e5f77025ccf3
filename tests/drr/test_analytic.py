"""Analytic scenes: chords against closed forms and against counting points, priorities, voxels, the thorax."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synth.core.errors import InputError
from synth.core.label_names import totalsegmentator_names
from synth.drr.analytic import HalfSpace, Scene, Solid, box, capsule, cylinder, ellipsoid, thorax
from synth.drr.attenuation import water_attenuation
from synth.drr.geometry import Camera

TILTED = Rotation.from_euler("zyx", [20, -35, 50], degrees=True).as_matrix()
CENTRE = (4.0, -3.0, 6.0)
FAR = 1e5


def chord(solid: Solid, direction: Any, through: Any = CENTRE) -> float:
    """Length of the chord through a point."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    source, centre = np.asarray(through) - FAR * z, np.asarray(through) + FAR * z
    right = np.cross(z, [0.3, 0.5, 0.8])
    right /= np.linalg.norm(right)
    camera = Camera.looking(source, centre, right, np.cross(z, right), pitch_mm=1.0, shape=(1, 1))
    named = Solid(solid.kind, solid.centre, solid.axes, solid.hu, "heart", solid.reach, solid.clips)
    return float(Scene((named,)).thickness(camera)["heart"][0, 0])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("make", [ellipsoid, box, cylinder])
def test_chords_along_the_axes_are_the_axes(make: Any, axis: int) -> None:
    solid = make(CENTRE, (5, 7, 9), 0, rotation=TILTED)
    assert chord(solid, TILTED[:, axis]) == pytest.approx(2 * (5, 7, 9)[axis], rel=1e-9)


def test_closed_forms() -> None:
    ball = ellipsoid(CENTRE, (5, 5, 5), 0)
    assert chord(ball, (1, 2, 3)) == pytest.approx(10)
    assert chord(ball, (0, 0, 1), np.add(CENTRE, [3, 0, 0])) == pytest.approx(8)
    assert chord(ball, (0, 0, 1), np.add(CENTRE, [5.001, 0, 0])) == 0
    half = HalfSpace((0, 0, 2), 2 * (CENTRE[2] + 3))
    assert chord(ellipsoid(CENTRE, (5, 5, 5), 0, clips=[half]), (0, 0, -1)) == pytest.approx(8)
    assert chord(ellipsoid(CENTRE, (5, 5, 5), 0, clips=[half]), (0, 1, 0), np.add(CENTRE, [0, 0, 3.5])) == 0
    assert chord(box(CENTRE, (5, 5, 5), 0, rotation=TILTED), TILTED @ [1, 1, 1]) == pytest.approx(10 * np.sqrt(3))
    tube = cylinder(CENTRE, (3, 3, 20), 0, rotation=TILTED)
    assert chord(tube, TILTED @ [1, 0, 1]) == pytest.approx(6 * np.sqrt(2))
    pill = capsule(np.subtract(CENTRE, [0, 0, 10]), np.add(CENTRE, [0, 0, 10]), 3, 0)
    assert chord(pill, (0, 0, 1)) == pytest.approx(26)
    assert chord(pill, (0, 0, 1), np.add(CENTRE, [0, 1.8, 0])) == pytest.approx(20 + 2 * 2.4)
    flat = capsule((0, 0, -10), (0, 0, 10), 3, 0, flat=((1, 0, 5), 1.5))
    assert chord(flat, (1, 0, 0), (0, 0, 4)) == pytest.approx(3)
    assert chord(flat, (0, 1, 0), (0, 0, 4)) == pytest.approx(6)
    assert chord(capsule(CENTRE, CENTRE, 4, 0), (1, 1, 0)) == pytest.approx(8)


def mixed() -> Scene:
    """Every kind of solid, overlapping, clipped, bounded."""
    clip = HalfSpace((0.3, 1, -0.2), 4.0)
    return Scene(
        (
            ellipsoid((0, 0, 0), (20, 15, 18), 40, "liver", rotation=TILTED, clips=[clip]),
            box((6, 4, -3), (9, 6, 12), -100, "fat", rotation=TILTED.T),
            cylinder((-5, 2, 4), (5, 7, 15), 300, "sternum", rotation=TILTED),
            capsule((-12, -8, 0), (10, 9, 5), 4, -1000, "trachea"),
            ellipsoid((2, 2, 2), (3, 3, 3), 800),
        ),
        bounds=((-18, -30, -15), (30, 12, 30)),
    )


def test_line_integrals_are_those_of_points_counted_along_the_rays() -> None:
    camera = Camera.looking((-60, -70, 30), (40, 50, -20), TILTED[:, 0], TILTED[:, 1], pitch_mm=5, shape=(9, 11))
    scene, scale = mixed(), water_attenuation(60) / 1000
    n = 200_000
    t = (np.arange(n) + 0.5) / n
    thickness, integral = scene.thickness(camera), scene.line_integral(camera)
    for v, u in [(0, 0), (4, 5), (3, 7), (5, 4), (6, 6), (2, 5)]:
        ray = camera.to_world(np.array([u, v])) - camera.source
        owner = topmost(scene, camera.source + t[:, None] * ray)
        step = np.linalg.norm(ray) / n
        hu = np.array([-1000.0, *(solid.hu for solid in scene.solids)])[owner + 1]
        assert integral[v, u] == pytest.approx(scale * (hu + 1000).sum() * step, abs=1e-4)
        for i, name in enumerate(("liver", "fat", "sternum", "trachea")):
            assert thickness[name][v, u] == pytest.approx((owner == i).sum() * step, abs=5e-3)
    assert {name for name, length in thickness.items() if length.any()} == {"liver", "fat", "sternum", "trachea"}


def topmost(scene: Scene, points: Any) -> Any:
    """The last solid that holds each point (n, 3), −1 for none."""
    owner = np.full(len(points), -1)
    for i, solid in enumerate(scene.solids):
        x, y, z = np.linalg.inv(solid.axes) @ (points - solid.centre).T
        shape = (
            x**2 + y**2 + z**2 < 1,
            np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 1,
            (x**2 + y**2 < 1) & (abs(z) < 1),
            x**2 + y**2 + np.maximum(abs(z) - solid.reach, 0) ** 2 < 1,
        )
        inside = shape[solid.kind]
        for clip in solid.clips:
            inside = inside & (points @ np.array(clip.normal) <= clip.offset)
        owner[inside] = i
    if scene.bounds is not None:
        low, high = np.array(scene.bounds)
        owner[~((points > low) & (points < high)).all(1)] = -1
    return owner


def test_voxels_are_the_scene_at_their_centres_and_its_mean_over_them() -> None:
    scene, shape = mixed(), (21, 19, 23)
    affine = np.array([[-2.1, 0.2, 0.1, 24.0], [0.1, 2.3, 0, -20], [0, 0.1, 2.0, -20], [0, 0, 0, 1]])
    volume, labels = scene.voxelise(shape, affine, supersample=6)
    z, y, x = np.indices(shape).reshape(3, -1)
    index = np.stack([x, y, z], 1).astype(float)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    names = {name: label for label, name in labels.names.items()}
    numbers = np.array([0, *(names.get(solid.name, 0) for solid in scene.solids)])
    np.testing.assert_array_equal(labels.array.ravel(), numbers[topmost(scene, world) + 1])
    hu = np.array([-1000.0, *(solid.hu for solid in scene.solids)])
    rng, total = np.random.default_rng(0), np.zeros(len(index))
    for _ in range(200):
        jittered = index + rng.uniform(-0.5, 0.5, index.shape)
        total += hu[topmost(scene, jittered @ affine[:3, :3].T + affine[:3, 3]) + 1]
    off = volume.hu.ravel() - total / 200
    assert np.abs(off).max() < 250  # five deviations of 200 random points between −1000 and 800 HU
    assert abs(off.mean()) < 1.5
    assert volume.hu.min() == pytest.approx(-1000, abs=1e-3)
    assert volume.hu.max() < 800.01


def test_labels_are_totalsegmentators() -> None:
    known = totalsegmentator_names()
    assert mixed().label_names == {5: "liver", 16: "trachea", 116: "sternum", 118: "fat"}
    assert all(known[label] == name for label, name in thorax().label_names.items())


def test_thorax_is_an_adults() -> None:
    scene = thorax()
    shape, spacing = (98, 64, 90), 4.0
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = [-178, -126, -194]
    volume, labels = scene.voxelise(shape, affine)
    body = np.argwhere(volume.hu > -500)
    size = (np.ptp(body, axis=0) + 1) * spacing
    np.testing.assert_allclose(size, [380, 226, 344], atol=9)
    litres = {name: (labels.array == label).sum() * spacing**3 / 1e6 for label, name in labels.names.items()}
    assert min(litres.values()) > 0
    lungs = {side: sum(v for n, v in litres.items() if "lung" in n and side in n) for side in ("left", "right")}
    assert 3.5 < sum(lungs.values()) < 6
    assert lungs["right"] > lungs["left"]
    assert 0.4 < litres["heart"] < 0.9
    x = {name: np.argwhere(labels.array == label)[:, 2].mean() * spacing - 178 for label, name in labels.names.items()}
    assert all(value > 0 for name, value in x.items() if name.endswith("_left") or "_left_" in name)
    assert all(value < 0 for name, value in x.items() if name.endswith("_right") or "_right_" in name)
    assert x["heart"] > 5
    assert x["liver"] < 0
    assert x["spleen"] > 40


def test_errors() -> None:
    with pytest.raises(InputError, match="half axes must be three positive"):
        ellipsoid((0, 0, 0), (1, 0, 1), 0)
    with pytest.raises(InputError, match="half axes must be three positive"):
        capsule((0, 0, 0), (1, 0, 0), -1, 0)
    with pytest.raises(InputError, match="finite"):
        box((0, np.nan, 0), (1, 1, 1), 0)
    with pytest.raises(InputError, match="supersample"):
        mixed().voxelise((2, 2, 2), np.eye(4), supersample=0)
    with pytest.raises(InputError, match="singular"):
        mixed().voxelise((2, 2, 2), np.zeros((4, 4)))


def test_no_solids_are_air() -> None:
    camera = Camera.looking((0, -9, 0), (0, 9, 0), (1, 0, 0), (0, 0, -1), pitch_mm=1, shape=(2, 3))
    assert not Scene(()).line_integral(camera).any()
    assert (Scene(()).voxelise((2, 3, 4), np.eye(4))[0].hu == -1000).all()
