"""Bending a scan, and the noise that shapes are drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.anatomy.findings.distance import distance_to
from synth.anatomy.findings.noise import cells, noise
from synth.anatomy.findings.tissue import compressed, filled, strands
from synth.anatomy.findings.warp import lattice_points, warp
from synth.anatomy.scan import Scan, Seen
from synth.core.errors import InputError
from synth.core.record import Finding
from synth.core.volume import Labels, Volume

BOX = (slice(2, 18), slice(1, 19), slice(0, 20))


def field_scan(dtype: str = "float32") -> Scan:
    """A scan of noise with labels, parts and a mask, turned in the world."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = turn * [1.0, 1.5, 2.0]
    shape = (20, 20, 20)
    labels = rng.integers(0, 5, shape).astype(np.uint8)
    return Scan(
        Volume(rng.integers(-1000, 1000, shape).astype(dtype), affine),
        Labels(labels, affine, {1: "a"}),
        Labels(labels + 1, affine, {1: "b"}),
        (Seen(Finding("x"), labels == 2),),
    )


def whole_voxels(scan: Scan, shift: tuple[int, int, int], box: tuple[slice, ...]) -> np.ndarray:
    """A field that moves everything by whole voxels along (x, y, z)."""
    points = lattice_points(scan, box, 4.0)
    return np.broadcast_to(scan.volume.affine[:3, :3] @ shift, points.shape)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@settings(max_examples=20, deadline=None)
@given(shift=st.tuples(*[st.integers(-2, 2)] * 3))
def test_whole_voxels_move_exactly(dtype: str, shift: tuple[int, int, int]) -> None:
    before = field_scan(dtype)
    after = warp(before, whole_voxels(before, shift, BOX), BOX)
    at = np.clip(np.indices(before.volume.shape) + np.array(shift[::-1])[:, None, None, None], 0, 19)
    inside = np.zeros(before.volume.shape, bool)
    inside[BOX] = True
    expected = np.where(inside, before.labels.array[tuple(at)], before.labels.array)
    np.testing.assert_array_equal(after.labels.array, expected)
    np.testing.assert_array_equal(after.parts.array, expected + 1)  # type: ignore[union-attr]
    np.testing.assert_array_equal(after.seen[0].mask, expected == 2)
    hu = np.where(inside, before.volume.hu[tuple(at)], before.volume.hu)
    np.testing.assert_allclose(after.volume.hu, hu, atol=0.01 if dtype == "float32" else 0)


def test_no_displacement_keeps_every_bit_and_input_stays() -> None:
    before = field_scan()
    copy = before.volume.hu.copy()
    points = lattice_points(before, BOX)
    np.testing.assert_array_equal(warp(before, np.zeros(points.shape), BOX).volume.hu, before.volume.hu)
    warp(before, np.ones(points.shape), BOX)
    np.testing.assert_array_equal(before.volume.hu, copy)


def test_a_linear_image_is_moved_exactly_by_a_linear_field() -> None:
    before = field_scan()
    index = np.stack(np.meshgrid(*[np.arange(20.0)] * 3, indexing="ij"), -1)[..., ::-1]
    world = index @ before.volume.affine[:3, :3].T + before.volume.affine[:3, 3]
    slope = np.array([3.0, -2.0, 1.0])
    linear = Scan(Volume((world @ slope).astype(np.float32), before.volume.affine), before.labels)
    box = (slice(4, 16),) * 3
    points = lattice_points(linear, box, 5.0)
    centre = points.reshape(-1, 3).mean(0)
    displacement = 0.1 * (points - centre)
    after = warp(linear, displacement, box)
    expected = ((world + 0.1 * (world - centre)) @ slope)[box]
    np.testing.assert_allclose(after.volume.hu[box], expected, atol=2e-3)


def test_bounded_warp_takes_nothing_from_outside() -> None:
    before = field_scan()
    within = np.zeros((16, 18, 20), bool)
    within[4:12, 4:12, 4:12] = True
    labels = np.zeros(before.volume.shape, np.uint8)
    labels[BOX][within] = 1
    marked = Scan(before.volume, Labels(labels, before.volume.affine, {1: "a"}))
    after = warp(marked, whole_voxels(marked, (3, -3, 2), BOX), BOX, within)
    np.testing.assert_array_equal(after.labels.array, labels)
    outside = labels == 0
    np.testing.assert_array_equal(after.volume.hu[outside], before.volume.hu[outside])
    assert (after.volume.hu[~outside] != before.volume.hu[~outside]).mean() > 0.9


def test_bad_fields_are_refused() -> None:
    before = field_scan()
    with pytest.raises(InputError, match="displacement must be finite"):
        warp(before, np.zeros((1, 2, 2, 3)), BOX)
    with pytest.raises(InputError, match="not inside the grid"):
        warp(before, np.zeros((2, 2, 2, 3)), (slice(0, 21), slice(0, 20), slice(0, 20)))
    with pytest.raises(InputError, match="shape of the box"):
        warp(before, np.zeros((2, 2, 2, 3)), BOX, np.ones((2, 2, 2), bool))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.floats(3.0, 40.0))
def test_noise_is_a_function_of_the_place(seed: int, length: float) -> None:
    """The same points on a finer grid, elsewhere in a larger array, have the same values."""
    coarse, fine = np.diag([2.0, 2.0, 2.0, 1.0]), np.eye(4)
    fine[:3, 3] = -4.0
    everywhere = np.ones((8, 8, 8), bool)
    a = noise(coarse, everywhere, seed, length)
    b = noise(fine, np.ones((19, 19, 19), bool), seed, length)[4::2, 4::2, 4::2]
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.abs(a).max() <= 1


def test_noise_has_mean_zero_and_its_length() -> None:
    field = noise(np.eye(4), np.ones((64, 64, 64), bool), 1, 8.0, 1)
    assert abs(field.mean()) < 0.05
    assert np.abs(np.diff(field, axis=2)).max() < 2 * 1.875 / 8 + 1e-3  # a quintic's steepest slope is 15/8
    assert 0.2 < field.std() < 0.45


def test_cells_have_one_point_a_cube_and_walls_half_way() -> None:
    near, wall = cells(np.eye(4), np.ones((40, 40, 40), bool), 3, 10.0)
    assert near.max() < 10 * np.sqrt(3)
    assert wall.min() >= 0
    assert (wall <= near + 8.7).all()
    # Along a line the nearest wall changes by no more than the step.
    assert np.abs(np.diff(near, axis=0)).max() <= 1.0 + 1e-4


def test_filling_and_squeezing_follow_the_share_of_gas() -> None:
    hu = np.array([-1000.0, -800.0, 0.0, 60.0, 300.0], np.float32)
    np.testing.assert_allclose(filled(hu, np.float32(0.5) * np.ones(5, np.float32), 50.0), [-475, -375, 25, 60, 300])
    np.testing.assert_allclose(compressed(hu, 2.0), [-1000, -600, 35, 60, 300])
    np.testing.assert_allclose(compressed(hu, 1.0)[:2], hu[:2])


@pytest.mark.parametrize("edge", [0.7, 1.0, 2.0])
def test_a_strand_has_its_volume_on_any_grid(edge: float) -> None:
    n = round(40 / edge)
    affine = np.diag([edge, edge, edge, 1.0])
    start, end = np.array([[10.2, 11.0, 8.0]]), np.array([[28.0, 30.1, 31.0]])
    cover = strands(affine, (n, n, n), start, end, np.array([[1.2, 1.2]]))
    volume = np.pi * 1.2**2 * np.linalg.norm(end - start)
    assert cover.sum() * edge**3 == pytest.approx(volume, rel=0.15)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), share=st.sampled_from([0.0, 0.002, 0.1, 1.0]))
def test_distance_is_euclidean(seed: int, share: float) -> None:
    there = np.random.default_rng(seed).random((13, 9, 17)) < share
    spacing = (2.5, 0.7, 1.1)
    if not there.any():
        assert distance_to(there, spacing).min() >= 1e5
        return
    np.testing.assert_allclose(
        distance_to(there, spacing), ndimage.distance_transform_edt(~there, spacing), rtol=1e-5, atol=1e-5
    )
