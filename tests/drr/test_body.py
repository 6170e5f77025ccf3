"""Where the body is: found on any grid, and without the couch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synth.core.volume import Volume
from synth.drr.analytic import Scene, box, cylinder, ellipsoid, thorax
from synth.drr.body import body_outline, volume_corners, without_couch

TRUNK = ellipsoid((10, -20, 5), (110, 70, 90), 30)
COUCH = box((0, 62, 0), (160, 4, 150), -150)
TUBE = cylinder((100, -100, 0), (3, 3, 150), 500)


def grid(spacing: Any, half: Any = (170, 130, 150), flip: Any = (1, 1, 1)) -> Any:
    """Shape and affine of a grid around the origin; spacing (x, y, z), flip: signs of the index axes."""
    n = np.ceil(2 * np.array(half) / spacing).astype(int)
    affine = np.diag([*(np.array(spacing) * flip), 1.0])
    affine[:3, 3] = -(n - 1) / 2 * spacing * flip
    return (int(n[2]), int(n[1]), int(n[0])), affine


def corners_are(outline: Any, low: Any, high: Any, within: float) -> None:
    np.testing.assert_allclose(outline.min(0), low, atol=within)
    np.testing.assert_allclose(outline.max(0), high, atol=within)


@pytest.mark.parametrize("spacing", [(4, 4, 4), (1.9, 1.9, 5.0), (6.0, 6.0, 3.0)])
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1)])
def test_the_body_without_couch_and_tube(spacing: Any, flip: Any) -> None:
    volume, _ = Scene((COUCH, TUBE, TRUNK)).voxelise(*grid(spacing, flip=flip))
    corners_are(body_outline(volume), [-100, -90, -85], [120, 50, 95], within=8)


def test_no_body_no_outline_but_the_grid() -> None:
    shape, affine = grid((5, 5, 5))
    air = Volume(np.full(shape, -1000, np.int16), affine)
    np.testing.assert_array_equal(body_outline(air), volume_corners(air))
    couch, _ = Scene((COUCH,)).voxelise(shape, affine)
    np.testing.assert_array_equal(body_outline(couch), volume_corners(couch))


def test_a_body_that_is_all_there_is() -> None:
    volume = Volume(np.zeros((12, 10, 11), np.int16), np.diag([5.0, 5, 5, 1]))
    corners_are(body_outline(volume), [-2.5, -2.5, -2.5], [52.5, 47.5, 57.5], within=1e-9)


def test_the_thorax() -> None:
    volume, _ = thorax().voxelise(*grid((5, 5, 5), (180, 130, 195)))
    corners_are(body_outline(volume), [-172, -113, -190], [172, 113, 190], within=10)


def test_corners_are_the_outer_ones() -> None:
    affine = np.array([[0, 2.0, 0, 7], [3, 0, 0, -1], [0, 0, -4, 9], [0, 0, 0, 1]])
    corners = volume_corners(Volume(np.zeros((2, 3, 5), np.int16), affine))
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners.min(0), [6, -2.5, 3])
    np.testing.assert_allclose(corners.max(0), [12, 12.5, 11])


def test_without_couch_only_the_body_is_left() -> None:
    arm = cylinder((-145, -20, 5), (15, 15, 80), 30)
    shape, affine = grid((2, 2, 4))
    bare, _ = Scene((arm, TRUNK)).voxelise(shape, affine)
    volume, _ = Scene((COUCH, arm, TRUNK)).voxelise(shape, affine)
    kept = without_couch(volume)
    body = bare.hu > -400
    assert (kept.hu[body] != bare.hu[body]).mean() < 1e-3
    # What stays of the couch lies within the margin around the body.
    assert (kept.hu[~body] > -500).sum() < 0.15 * (volume.hu[~body] > -500).sum()
    lungs = Volume(np.where(bare.hu > 0, bare.hu, -1000).astype(np.int16), affine)
    lungs.hu[30:45, 45:65, 80:100] = -800  # air within the body is the body's
    np.testing.assert_array_equal(without_couch(lungs).hu[30:45, 45:65, 80:100], -800)
