"""Poses: the patient turns, the camera is carried the other way; spreads keep to their cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth.core.seeds import sample_generator
from synth.core.volume import Volume
from synth.dataset.radiographs.poses import BEDSIDE, C_ARM, UPRIGHT, Pose, draw_pose, usual_spread
from synth.drr.body import volume_corners
from synth.drr.projector import Projector
from synth.drr.views import fit_camera, parse_view

STRAIGHT = Pose(0.0, 0.0, 0.0, (0.0, 0.0), 0.0, 1800.0)
FOCUS = np.array([[x, y, z] for x in (-180.0, 180.0) for y in (-120.0, 120.0) for z in (-160.0, 160.0)])
CORNERS = FOCUS * [1.5, 1.2, 2.5]
PLACE = (FOCUS, CORNERS, (64, 64))
MIDDLE = np.array([31.5, 31.5])


@pytest.mark.parametrize("name", ["pa", "lateral", "ap", "lao30cra20"])
def test_a_straight_pose_is_the_fitted_camera(name: str) -> None:
    view = parse_view(name)
    camera, plain = STRAIGHT.camera(view, *PLACE), fit_camera(view, *PLACE, source_detector_mm=1800)
    np.testing.assert_allclose(camera.packed, plain.packed, atol=1e-9)


@pytest.mark.parametrize(
    ("turned", "point", "column_moves", "row_moves"),
    [
        ({"rotation_deg": 5.0}, (0.0, -100.0, 0.0), 1, 0),  # the breastbone goes to the patient's left: right in a PA
        ({"tilt_deg": 5.0}, (0.0, 0.0, 150.0), 1, 0),  # so does the head
        ({"lean_deg": 5.0}, (0.0, -100.0, 0.0), 0, 1),  # the breastbone goes down
    ],
)
def test_the_signs_of_the_angles(
    turned: dict[str, float], point: tuple[float, ...], column_moves: int, row_moves: int
) -> None:
    view = parse_view("pa")
    before = STRAIGHT.camera(view, *PLACE).to_pixels(point)
    after = replace(STRAIGHT, **turned).camera(view, *PLACE).to_pixels(point)
    moved = after - before
    assert (moved > 0.5).tolist() == [bool(column_moves), bool(row_moves)]
    assert np.abs(moved).min() < 0.5


def test_turning_the_camera_is_turning_the_patient() -> None:
    """A grid of points that is turned in the room, seen by the straight camera, is where the posed camera sees it."""
    pose = Pose(6.0, -4.0, 3.0, (0.0, 0.0), 0.0, 1600.0)
    camera = pose.camera(parse_view("pa"), *PLACE, source_isocentre_mm=1300)
    straight = replace(STRAIGHT, source_detector_mm=1600.0).camera(parse_view("pa"), *PLACE, source_isocentre_mm=1300)
    points = np.random.default_rng(0).uniform(-150, 150, (40, 3))
    np.testing.assert_allclose(camera.to_pixels(points), straight.to_pixels(points @ pose.turn.T), atol=1e-9)
    np.testing.assert_allclose(pose.turn @ pose.turn.T, np.eye(3), atol=1e-12)


def test_shift_and_margin() -> None:
    view = parse_view("pa")
    plain = STRAIGHT.camera(view, *PLACE)
    shifted = replace(STRAIGHT, shift_mm=(10.0, -6.0)).camera(view, *PLACE)
    # In the plane of the middle of the chest, where the beam's centre is moved to, it stands in the picture's middle.
    # But for the perspective: the shadow's middle is not the shadow of the middle.
    np.testing.assert_allclose(shifted.to_pixels([10.0, 0.0, 6.0]), MIDDLE, atol=0.2)
    assert shifted.pitch_mm == pytest.approx(plain.pitch_mm, rel=0.01)
    opened = replace(STRAIGHT, margin_mm=15.0).camera(view, *PLACE)
    magnified = opened.source_detector_mm / (opened.source_isocentre_mm or np.nan)
    assert 64 * (opened.pitch_mm[1] - plain.pitch_mm[1]) == pytest.approx(2 * 15 * magnified)
    np.testing.assert_allclose(opened.centre, plain.centre, atol=1e-9)


def test_given_distances_and_field_stay() -> None:
    pose = Pose(3.0, 1.0, -2.0, (8.0, 8.0), 20.0, 1500.0)
    camera = pose.camera(
        parse_view("pa"), *PLACE, source_detector_mm=1700, source_isocentre_mm=1400, field_of_view_mm=500
    )
    assert camera.source_detector_mm == pytest.approx(1700)
    assert camera.source_isocentre_mm == pytest.approx(1400)
    assert camera.pitch_mm == pytest.approx((500 / 64, 500 / 64))


def test_the_ends_of_the_scan_stay_out_of_the_picture() -> None:
    """A cut body below the picture would tell phantoms from people."""
    corners = FOCUS * [1.5, 1.2, 1.0] + [0, 0, 30.0]
    corners[corners[:, 2] < 0, 2] = -175.0
    pose = replace(STRAIGHT, shift_mm=(0.0, 15.0), margin_mm=15.0)
    camera = pose.camera(parse_view("pa"), FOCUS, corners, (64, 64))
    below = camera.to_pixels([[0.0, y, -175.0] for y in (-120.0, 120.0)])
    assert below[:, 1].min() >= 63.5 - 1e-6
    usual = replace(STRAIGHT, margin_mm=15.0).camera(parse_view("pa"), *PLACE)
    assert camera.pitch_mm[0] >= 0.93 * usual.pitch_mm[0] * (1 - 1e-9)


def test_spreads() -> None:
    for view, spread in (("PA", UPRIGHT), ("LATERAL", UPRIGHT), ("AP", BEDSIDE), ("LAO45", C_ARM)):
        assert usual_spread(view) is spread
        poses = [draw_pose(spread, sample_generator(1, index, "pose")) for index in range(400)]
        for name in ("rotation_deg", "tilt_deg", "lean_deg"):
            values = np.array([getattr(pose, name) for pose in poses])
            deviation, cut = getattr(spread, name)
            assert np.abs(values).max() <= cut
            assert abs(values.mean()) < 4 * deviation / 20
            assert 0.8 * deviation < values.std() < 1.1 * deviation
        low, usual, high = spread.source_detector_mm
        distances = np.array([pose.source_detector_mm for pose in poses])
        assert low <= distances.min() < usual < distances.max() <= high
    assert draw_pose(UPRIGHT, sample_generator(1, 7, "pose")) == draw_pose(UPRIGHT, sample_generator(1, 7, "pose"))


def test_posed_integrals_of_a_ball_are_those_of_the_ball() -> None:
    """A ball looks alike from everywhere: posing changes nothing about the middle that it turns about."""
    z, y, x = np.mgrid[-20:21, -20:21, -20:21]
    hu = np.where(x**2 + y**2 + z**2 <= 15**2, 0, -1000).astype(np.int16)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -80.0
    volume = Volume(hu, affine)
    projector = Projector(volume, backend="cpu")
    place = (0.5 * volume_corners(volume), projector.corners, (32, 32))
    views = [
        pose.camera(parse_view("pa"), *place, source_isocentre_mm=1500, field_of_view_mm=160)
        for pose in (STRAIGHT, replace(STRAIGHT, rotation_deg=8.0, lean_deg=5.0, tilt_deg=-5.0))
    ]
    straight, posed = projector.line_integrals(views)
    assert np.linalg.norm(posed - straight) < 0.03 * np.linalg.norm(straight)
